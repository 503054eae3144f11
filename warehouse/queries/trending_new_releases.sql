-- Recordings released in the last 90 days, those that gain plays fastest first.
-- trending_score = (plays - previous_plays) / sqrt(previous_plays + 1), of the last 7 days and the 7 before.
select
    rank,
    track_name,
    artist_name,
    release_date,
    plays,
    previous_plays,
    round(trending_score, 2) as trending_score
from new_release_trending
order by rank
limit 20
