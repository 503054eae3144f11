-- The 20 tracks played most ever.
-- Plays count whatever their length; private sessions are left out unless include_incognito is set.
select
    rank,
    track_name,
    artist_name,
    plays,
    minutes,
    listeners
from top_tracks
where period = 'all' and rank <= 20
order by rank
