with

plays as (select * from {{ ref('fct_plays') }}),

users as (
    select
        user_id,
        max(case when source = 'events' then 0 else 1 end) as has_own_plays,
        min(ended_at) as first_play_at,
        max(ended_at) as last_play_at,
        count(*) as plays
    from plays
    group by user_id
),

-- The country of most plays; of equals the first in the alphabet.
countries as (
    select
        user_id,
        country,
        row_number() over (
            partition by user_id
            order by count(*) desc, country
        ) as choice
    from plays
    where country is not null
    group by user_id, country
),

final as (
    select
        cast(users.user_id as varchar) as user_id,
        cast(users.has_own_plays = 1 as boolean) as has_own_plays,
        cast(countries.country as varchar) as main_country,
        cast(users.first_play_at as timestamp(3)) as first_play_at,
        cast(users.last_play_at as timestamp(3)) as last_play_at,
        cast(users.plays as bigint) as plays
    from users
    left join countries
        on users.user_id = countries.user_id and countries.choice = 1
)

select * from final
