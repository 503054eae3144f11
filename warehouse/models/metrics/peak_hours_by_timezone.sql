with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

countries as (select * from {{ ref('dim_countries') }}),

own_zones as (select * from {{ ref('int_own_time_zones') }}),

-- The zone in which fct_plays took the local hour.
by_hour as (
    select
        {{ time_zone() }} as time_zone,
        plays.local_weekday,
        plays.local_hour,
        count(*) as plays,
        {{ total('plays.played_ms') }} as played_ms
    from plays
    left join countries
        on plays.country = countries.country
    left join own_zones
        on plays.user_id = own_zones.user_id and plays.played_date = own_zones.zone_date
    group by 1, 2, 3
),

final as (
    select
        cast(time_zone as varchar) as time_zone,
        cast(local_weekday as integer) as local_weekday,
        cast(local_hour as integer) as local_hour,
        cast(plays as bigint) as plays,
        cast({{ minutes('played_ms') }} as double) as minutes
    from by_hour
)

select * from final
