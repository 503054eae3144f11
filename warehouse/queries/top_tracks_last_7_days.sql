-- The 20 tracks played most in the last 7 days before the end of the data's interval (as_of).
-- previous_rank is the rank in the 7 days before those; empty when it was not played then.
select
    rank,
    track_name,
    artist_name,
    plays,
    minutes,
    listeners,
    previous_rank
from top_tracks
where period = '7 days' and rank <= 20
order by rank
