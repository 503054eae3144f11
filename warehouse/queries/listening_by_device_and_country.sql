-- Plays, users and minutes of each device in each country.
-- Empty where the source does not say; private sessions are left out.
select
    dim_countries.country_name,
    fct_plays.device,
    count(*) as plays,
    count(distinct fct_plays.user_id) as users,
    round(cast(coalesce(sum(fct_plays.played_ms), 0) as double) / 60000e0, 1) as minutes
from fct_plays
left join dim_countries
    on fct_plays.country = dim_countries.country
where not fct_plays.is_incognito and not fct_plays.is_implausible
group by dim_countries.country_name, fct_plays.device
order by plays desc, dim_countries.country_name, fct_plays.device
