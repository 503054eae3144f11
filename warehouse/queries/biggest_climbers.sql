-- The songs that gained the most ranks in the last 28 days against the 28 days before.
-- Songs that were not played at all in the 28 days before have no rank to climb from.
select
    track_name as song_name,
    artist_name,
    previous_rank,
    rank,
    previous_rank - rank as ranks_gained,
    plays
from top_tracks
where period = '28 days' and previous_rank > rank
order by ranks_gained desc, rank
limit 20
