-- Users with at least one play, plays per user and mean session length of each date (UTC).
-- Seven-date mean of users beside it, over the dates that have plays.
select
    played_date,
    daily_active_users,
    avg(cast(daily_active_users as double)) over (
        order by played_date
        rows between 6 preceding and current row
    ) as users_7_dates,
    plays,
    plays_per_user,
    sessions,
    average_session_minutes
from daily_aggregates
order by played_date
