-- The recordings (tracks) played through most often that were never skipped.
-- By finished plays, which are here all the plays with a verdict; the other plays are shown and count for
-- nothing.
-- skip_rate_high is the upper end of the skip rate's 95 % interval (Wilson): fewer plays prove less.
select
    track_name,
    artist_name,
    verdict_plays,
    finishes,
    neutral_plays,
    round(skip_rate_high, 3) as skip_rate_high
from skip_rate_by_track
where skips = 0 and finishes > 0
order by finishes desc, track_id
limit 20
