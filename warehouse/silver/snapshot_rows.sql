-- Items of dated snapshots (playlists, library, top lists), with the table and key each one feeds; other kinds of items with the key of
-- the table they feed. One row per element that is not a play. `problem` says why one is refused.
with

beyond as (

    select content_key, number_beyond from api_things where number_beyond is not null

),

items as (

    select
        files.file_no,
        bronze.source_key,
        bronze.row_number as source_row,
        bronze.kind,
        bronze.playlist_id,
        coalesce(parse_up_to(bronze.page_offset, most_items()), 0) + bronze.position as position,
        parse_up_to(bronze.page_total, most_items()) as page_total,
        parse_possible_instant(bronze.observed_at) as observed_at,
        parse_added_at(bronze.added_at) as added_at,
        bronze.thing,
        bronze.id,
        bronze.uri,
        bronze.name,
        bronze.type,
        beyond.number_beyond,
        coalesce(parse_flag(bronze.is_local), false) as is_local,
        case when bronze.thing = 'track' then coalesce(bronze.id, bronze.uri) end as track_id,
        strftime(parse_possible_instant(bronze.observed_at), '%Y-%m-%d') as snapshot_date,
        coalesce(files.user_id, 'unknown') as owner_label,
        coalesce(bronze.time_range, 'unknown') as range_label,
        case bronze.kind
            when 'playlist' then 'playlist_items'
            when 'playlist_items' then 'playlist_items'
            when 'saved_tracks' then 'saved_tracks'
            when 'top_tracks' then 'top_items'
            when 'top_artists' then 'top_items'
            when 'saved_albums' then 'albums'
            else bronze.kind
        end as table_name

    from bronze_api_answers as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    left join beyond on bronze.content_key = beyond.content_key
    where bronze.kind <> 'recently_played' and bronze.position > 0

),

judged as (

    select
        *,
        case
            when number_beyond is not null then 'number_invalid'
            when table_name in ('playlist_items', 'saved_tracks', 'top_items') and not coalesce(is_possible(observed_at), false)
                then 'snapshot_time_missing'
            when table_name = 'playlist_items' and playlist_id is null then 'playlist_unknown'
            when table_name = 'playlist_items' then null
            when table_name in ('saved_tracks', 'tracks') and track_id is null then 'item_empty'
            when kind = 'top_tracks' and track_id is null then 'item_empty'
            when kind = 'top_artists' and id is null then 'item_empty'
            when table_name in ('artists', 'albums', 'playlists') and id is null then 'item_empty'
        end as problem

    from items

),

final as (

    select
        *,
        case
            when problem is not null then null
            when table_name = 'playlist_items' then concat_ws('|', table_name, snapshot_date, playlist_id, position)
            when table_name = 'saved_tracks' then concat_ws('|', table_name, snapshot_date, owner_label, track_id)
            when table_name = 'top_items' then concat_ws('|', table_name, snapshot_date, owner_label, kind, range_label, position)
            when table_name = 'tracks' then concat_ws('|', table_name, track_id)
            else concat_ws('|', table_name, id)
        end as key

    from judged

)

select * from final
