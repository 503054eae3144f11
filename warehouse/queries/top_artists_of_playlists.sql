-- The five artists with the most songs on each followed playlist.
-- Of its newest snapshot; a song counts for its first artist.
select
    playlist_name,
    rank,
    artist_name,
    songs,
    snapshot_date
from playlist_top_artists
order by playlist_name, playlist_id, rank
