-- The 20 songs played most in the last 7 days before the end of the data's interval (as_of).
-- All recordings of a song are counted as one; the name is that of the recording played most.
-- previous_rank is the song's rank in the 7 days before those; empty when it was not played then.
select
    rank,
    track_name as song_name,
    artist_name,
    plays,
    round(minutes, 1) as minutes,
    listeners,
    previous_rank
from top_tracks
where period = '7 days' and rank <= 20
order by rank
