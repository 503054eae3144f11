-- silver.playlists: the newest value of each attribute.
select
    playlist_id,
    newest(seen_at, 1, snapshot_id) as snapshot_id,
    newest(seen_at, 1, playlist_name) as playlist_name,
    newest(seen_at, 1, owner_id) as owner_id,
    newest(seen_at, 1, item_count) as item_count,
    newest(seen_at, 1, url) as url,
    max(seen_at) as last_seen_at
from api_playlists
group by playlist_id
