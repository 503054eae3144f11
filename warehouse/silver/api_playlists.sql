-- Playlists as responses describe them. One row per description.
with

pages as (

    select
        files.file_no,
        parse_possible_instant(bronze.observed_at) as seen_at,
        json_transform(
            bronze.body,
            '{"id": "VARCHAR", "name": "VARCHAR", "snapshot_id": "VARCHAR", "owner": {"id": "VARCHAR"},
              "tracks": {"total": "VARCHAR"}, "items": {"total": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"}}'
        ) as playlist

    from bronze_api_pages as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    where bronze.kind = 'playlist'

),

listed as (

    select file_no, observed_at as seen_at, playlist
    from api_items
    where kind = 'playlists'

),

both_kinds as (

    select * from pages
    union all
    select * from listed

),

final as (

    select
        file_no,
        seen_at,
        playlist.id as playlist_id,
        playlist.snapshot_id as snapshot_id,
        playlist.name as playlist_name,
        playlist.owner.id as owner_id,
        try_cast(parse_up_to(coalesce(playlist.items.total, playlist.tracks.total), most_items()) as integer) as item_count,
        playlist.external_urls.spotify as url

    from both_kinds
    where playlist.id is not null

)

select * from final
