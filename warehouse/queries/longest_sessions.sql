-- The 20 longest sessions: less than 30 minutes between the end of a play and the next start.
-- session_minutes is last end minus first start; heard_minutes is the sum of the lengths of its plays.
-- skip_rate = skips / verdict_plays; empty where no play of the session has a verdict.
select
    user_id,
    started_at,
    ended_at,
    round(session_minutes, 1) as session_minutes,
    round(cast(played_ms as double) / 60000e0, 1) as heard_minutes,
    plays,
    distinct_tracks,
    skips + finishes as verdict_plays,
    skips,
    round(skip_rate, 3) as skip_rate
from fct_sessions
order by session_ms desc, user_id, session_id
limit 20
