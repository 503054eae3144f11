-- The newest value of each attribute of a track. One row per track id.
select
    track_id,
    newest(seen_at, source_rank, track_name) as track_name,
    newest(seen_at, source_rank, album_id) as album_id,
    newest(seen_at, source_rank, album_name) as album_name,
    newest(seen_at, source_rank, case when len(artists) > 0 then artists end) as artists,
    newest(seen_at, source_rank, duration_ms) as duration_ms,
    newest(seen_at, source_rank, is_explicit) as is_explicit,
    newest(seen_at, source_rank, popularity) as popularity,
    newest(seen_at, source_rank, isrc) as isrc,
    newest(seen_at, source_rank, url) as url,
    newest(seen_at, source_rank, track_number) as track_number,
    newest(seen_at, source_rank, is_local) as is_local,
    min(first_at) as first_seen_at,
    max(seen_at) as last_seen_at,
    case max(source_rank) when 2 then 'api' else 'tracks_csv' end as source
from track_facts
group by track_id
