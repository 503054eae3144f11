-- silver.tracks
select
    track_id,
    track_name,
    album_id,
    album_name,
    artists[1].id as primary_artist_id,
    artists[1].name as primary_artist_name,
    duration_ms,
    is_explicit,
    popularity,
    isrc,
    url,
    track_number,
    is_local,
    first_seen_at,
    last_seen_at,
    source
from track_newest
