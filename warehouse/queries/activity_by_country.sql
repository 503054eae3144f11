-- Users, plays and minutes of each country in the newest month of the data.
-- users is the most that were active on one date (UTC) of it; empty where the source names no country.
with

newest_month as (
    select cast(date_trunc('month', max(played_date)) as date) as month_start
    from activity_by_country
)

select
    activity_by_country.country_name,
    max(activity_by_country.users) as users,
    cast(sum(activity_by_country.plays) as bigint) as plays,
    round(sum(activity_by_country.minutes), 1) as minutes
from activity_by_country
inner join newest_month
    on activity_by_country.played_date >= newest_month.month_start
group by activity_by_country.country_name
order by plays desc, activity_by_country.country_name
