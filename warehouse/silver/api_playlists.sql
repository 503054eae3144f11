-- Playlists as responses describe them. One row per description.
select
    file_no,
    seen_at,
    playlist.id as playlist_id,
    playlist.snapshot_id as snapshot_id,
    playlist.name as playlist_name,
    playlist.owner.id as owner_id,
    try_cast(parse_up_to(coalesce(playlist.items.total, playlist.tracks.total), most_items()) as integer) as item_count,
    playlist.external_urls.spotify as url
from api_things
where playlist.id is not null
