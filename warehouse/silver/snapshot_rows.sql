-- Items of dated snapshots (playlists, library, top lists), with the table and key each one feeds; other kinds of items with the key of
-- the table they feed. One row per element that is not a play. `problem` says why one is refused.
with

items as (

    select
        api_items.*,
        strftime(observed_at, '%Y-%m-%d') as snapshot_date,
        coalesce(track.id, track.uri) as track_id,
        coalesce(user_id, 'unknown') as owner_label,
        coalesce(time_range, 'unknown') as range_label,
        case kind
            when 'playlist' then 'playlist_items'
            when 'playlist_items' then 'playlist_items'
            when 'saved_tracks' then 'saved_tracks'
            when 'top_tracks' then 'top_items'
            when 'top_artists' then 'top_items'
            when 'saved_albums' then 'albums'
            else kind
        end as table_name

    from api_items
    where kind <> 'recently_played'

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
            when kind = 'top_artists' and artist.id is null then 'item_empty'
            when table_name = 'artists' and artist.id is null then 'item_empty'
            when table_name = 'albums' and album.id is null then 'item_empty'
            when table_name = 'playlists' and playlist.id is null then 'item_empty'
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
            when table_name = 'artists' then concat_ws('|', table_name, artist.id)
            when table_name = 'albums' then concat_ws('|', table_name, album.id)
            else concat_ws('|', table_name, playlist.id)
        end as key

    from judged

)

select * from final
