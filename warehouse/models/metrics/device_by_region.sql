with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

countries as (select * from {{ ref('dim_countries') }}),

by_device as (
    select
        coalesce(countries.region, 'unknown') as region,
        coalesce(plays.device, 'unknown') as device,
        count(distinct plays.user_id) as users,
        count(*) as plays
    from plays
    left join countries
        on plays.country = countries.country
    group by 1, 2
),

with_region as (
    select
        *,
        sum(plays) over (partition by region) as region_plays
    from by_device
),

final as (
    select
        cast(region as varchar) as region,
        cast(device as varchar) as device,
        cast(users as bigint) as users,
        cast(plays as bigint) as plays,
        cast({{ rate('plays', 'region_plays') }} as double) as share
    from with_region
)

select * from final
