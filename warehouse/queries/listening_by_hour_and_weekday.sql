-- Plays and minutes of each weekday (1 is Monday) and hour, in the local time of the play's country.
-- A play is of the hour in which it ended; plays without a country are taken as UTC; private sessions are
-- left out.
select
    local_weekday,
    local_hour,
    count(*) as plays,
    round(cast(coalesce(sum(played_ms), 0) as double) / 60000e0, 1) as minutes
from fct_plays
where not is_incognito and not is_implausible
group by local_weekday, local_hour
order by local_weekday, local_hour
