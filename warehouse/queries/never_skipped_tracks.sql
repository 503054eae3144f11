-- The tracks played through most often that were never skipped.
-- By finished plays; plays without a verdict are shown and count for nothing.
select
    track_name,
    artist_name,
    finishes,
    neutral_plays,
    skip_rate_high
from skip_rate_by_track
where skips = 0 and finishes > 0
order by finishes desc, track_id
limit 20
