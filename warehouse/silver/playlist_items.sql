-- silver.playlist_items. Of several looks at a playlist on one day the last counts, place by place, and no place beyond
-- the length it then had.
with

ranked as (

    select
        snapshot_rows.*,
        row_number() over (
            partition by snapshot_date, playlist_id, position
            order by observed_at desc, file_no, source_row
        ) as look,
        first_value(page_total) over (
            partition by snapshot_date, playlist_id
            order by observed_at desc, file_no, source_row
        ) as last_total

    from snapshot_rows
    where table_name = 'playlist_items' and problem is null

),

final as (

    select
        snapshot_date,
        playlist_id,
        position,
        uri as item_uri,
        case
            when thing is null then 'unavailable'
            when is_local then 'local'
            when lower(type) = 'episode' then 'episode'
            else 'track'
        end as item_type,
        case when lower(coalesce(type, 'track')) <> 'episode' then track_id end as track_id,
        name as item_name,
        added_at

    from ranked
    where look = 1 and position <= coalesce(last_total, position)

)

select * from final
