-- What each user did on each local date: plays, minutes, sessions and the engagement score from 0 to 100.
-- The score is of minutes, finished plays, different tracks and additions to playlists (docs/definitions.md).
select
    user_id,
    local_date,
    plays,
    round(minutes, 1) as minutes,
    sessions,
    distinct_tracks,
    skips,
    finishes,
    playlist_adds,
    round(engagement_score, 1) as engagement_score
from fct_user_activity
order by local_date desc, user_id
limit 200
