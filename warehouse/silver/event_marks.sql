-- Events that were delivered more than once. One row per row of such an event: the fullest, then the first by file hash and row,
-- stays, also where the deliveries disagree about the time.
with

repeated as (

    select id_hash
    from event_rows
    where problem is null
    group by id_hash
    having count(*) > 1

),

ranked as (

    select
        file_no,
        source_row,
        occurred_at,
        row_number() over same_event as place,
        first_value(file_no) over same_event as winner_file_no,
        first_value(source_row) over same_event as winner_row,
        count(*) over (partition by id_hash, id_check) as copies

    from event_rows
    where problem is null and id_hash in (select id_hash from repeated)
    window same_event as (partition by id_hash, id_check order by facts desc, file_no, source_row)

),

final as (

    select
        file_no,
        source_row,
        winner_file_no,
        winner_row,
        place = 1 as is_kept,
        cast(copies as integer) as copies,
        occurred_at as ended_at

    from ranked
    where copies > 1

)

select * from final
