-- The 20 songs played most ever.
-- All recordings of a song are counted as one; the name is that of the recording played most.
-- Plays count whatever their length; private sessions are left out unless include_incognito is set.
select
    rank,
    track_name as song_name,
    artist_name,
    plays,
    round(minutes, 1) as minutes,
    listeners
from top_tracks
where period = 'all' and rank <= 20
order by rank
