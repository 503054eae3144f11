with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

countries as (select * from {{ ref('dim_countries') }}),

by_country as (
    select
        coalesce(country, 'unknown') as country,
        played_date,
        count(distinct user_id) as users,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from plays
    group by 1, 2
),

final as (
    select
        cast(by_country.country as varchar) as country,
        cast(countries.country_name as varchar) as country_name,
        cast(by_country.played_date as date) as played_date,
        cast(by_country.users as bigint) as users,
        cast(by_country.plays as bigint) as plays,
        cast({{ minutes('by_country.played_ms') }} as double) as minutes
    from by_country
    left join countries
        on by_country.country = countries.country
)

select * from final
