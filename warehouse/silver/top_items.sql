-- silver.top_items.
with

ranked as (

    select
        snapshot_rows.*,
        row_number() over (
            partition by snapshot_date, owner_label, kind, range_label, position
            order by observed_at desc, file_no, source_row
        ) as look

    from snapshot_rows
    where table_name = 'top_items' and problem is null

),

final as (

    select
        snapshot_date,
        owner_label as user_id,
        case kind when 'top_tracks' then 'track' else 'artist' end as item_type,
        range_label as time_range,
        position as rank,
        case kind when 'top_tracks' then track_id else id end as item_id,
        name as item_name

    from ranked
    where look = 1

)

select * from final
