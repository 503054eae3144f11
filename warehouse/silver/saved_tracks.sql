-- silver.saved_tracks.
with

ranked as (

    select
        snapshot_rows.*,
        row_number() over (
            partition by snapshot_date, owner_label, track_id
            order by observed_at desc, file_no, source_row
        ) as look

    from snapshot_rows
    where table_name = 'saved_tracks' and problem is null

),

final as (

    select
        snapshot_date,
        owner_label as user_id,
        track_id,
        name as track_name,
        added_at

    from ranked
    where look = 1

)

select * from final
