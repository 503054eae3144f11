-- Users with at least one play, plays per user and mean session length of each date (UTC).
-- plays_per_user is plays / daily_active_users, average_session_minutes is of sessions; users_7_dates is the
-- mean over the last 7 dates that have plays.
select
    played_date,
    daily_active_users,
    round(
        avg(cast(daily_active_users as double)) over (
            order by played_date
            rows between 6 preceding and current row
        ),
        1
    ) as users_7_dates,
    plays,
    round(plays_per_user, 1) as plays_per_user,
    sessions,
    round(average_session_minutes, 1) as average_session_minutes
from daily_aggregates
order by played_date
