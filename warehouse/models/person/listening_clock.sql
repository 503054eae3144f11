-- Every hour of a season is divided by the same weeks, so that hours can be added up to days and weeks.
with

plays as (
    select
        user_id,
        country,
        local_date,
        local_weekday,
        local_hour,
        played_ms
    from {{ ref('int_person_plays') }}
),

countries as (select * from {{ ref('dim_countries') }}),

-- Hours first: they are few, and what follows is asked for once for each.
hours as (
    select
        user_id,
        country,
        local_date,
        local_weekday,
        local_hour,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from plays
    group by user_id, country, local_date, local_weekday, local_hour
),

shifted as (
    select
        hours.*,
        countries.hemisphere,
        {{ first_day('week', 'hours.local_date') }} as week_start,
        mod(
            extract(month from hours.local_date)
            + case when countries.hemisphere = 'south' then 6 else 0 end,
            12
        ) as northern_month
    from hours
    left join countries
        on hours.country = countries.country
),

-- December is 0.
by_season as (
    select
        *,
        case
            when hemisphere is null then 'unknown'
            when northern_month < 3 then 'winter'
            when northern_month < 6 then 'spring'
            when northern_month < 9 then 'summer'
            when northern_month < 12 then 'autumn'
        end as season
    from shifted
),

weeks as (
    select
        user_id,
        season,
        count(distinct week_start) as weeks
    from by_season
    group by user_id, season
),

cells as (
    select
        user_id,
        season,
        local_weekday,
        local_hour,
        {{ total('plays') }} as plays,
        {{ total('played_ms') }} as played_ms
    from by_season
    group by user_id, season, local_weekday, local_hour
),

final as (
    select
        cast(cells.user_id as varchar) as user_id,
        cast(cells.season as varchar) as season,
        cast(cells.local_weekday as integer) as local_weekday,
        cast(cells.local_hour as integer) as local_hour,
        cast(cells.plays as bigint) as plays,
        cast({{ minutes('cells.played_ms') }} as double) as minutes,
        cast(weeks.weeks as bigint) as weeks,
        cast(
            {{ minutes('cells.played_ms') }} / nullif(cast(weeks.weeks as double), 0e0) as double
        ) as minutes_per_week
    from cells
    inner join weeks
        on cells.user_id = weeks.user_id and cells.season = weeks.season
)

select * from final
