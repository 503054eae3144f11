-- Plays, minutes heard and active users of each month (UTC).
-- Plays of unknown length (those of the Web API) add no minutes and are counted beside them.
select
    dim_dates.month_start,
    count(*) as plays,
    round(cast(coalesce(sum(fct_plays.played_ms), 0) as double) / 60000e0, 1) as minutes,
    count(*) filter (where fct_plays.played_ms is null) as unknown_length_plays,
    count(distinct fct_plays.user_id) as users
from fct_plays
inner join dim_dates
    on fct_plays.played_date = dim_dates.date_day
where not fct_plays.is_incognito and not fct_plays.is_implausible
group by dim_dates.month_start
order by dim_dates.month_start
