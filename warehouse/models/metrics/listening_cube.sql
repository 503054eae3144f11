-- Counts by everything that a person filters by. Private plays are in it and marked, so that whoever shows it
-- decides; implausible ones are not.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where not is_implausible
),

users as (
    select *
    from {{ ref('dim_users') }}
    where has_own_plays
),

items as (
    select
        plays.*,
        case
            when plays.song_key is not null then 'song'
            when plays.episode_id is not null then 'episode'
            when plays.show_id is not null then 'show'
            when plays.content_type = 'video' then 'video'
            else 'unknown'
        end as item_type
    from plays
    inner join users
        on plays.user_id = users.user_id
),

counted as (
    select
        user_id,
        local_date,
        local_hour,
        item_type,
        coalesce(song_key, episode_id, show_id, 'unknown') as item_id,
        coalesce(country, 'unknown') as country,
        coalesce(device, 'unknown') as device,
        is_incognito,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms,
        count(case when verdict = 'skipped' then 1 end) as skipped,
        count(case when verdict = 'finished' then 1 end) as finished
    from items
    group by 1, 2, 3, 4, 5, 6, 7, 8
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(local_date as date) as local_date,
        cast(local_hour as integer) as local_hour,
        cast(item_type as varchar) as item_type,
        cast(item_id as varchar) as item_id,
        cast(country as varchar) as country,
        cast(device as varchar) as device,
        cast(is_incognito as boolean) as is_incognito,
        cast(plays as bigint) as plays,
        cast({{ minutes('played_ms') }} as double) as minutes,
        cast(skipped as bigint) as skipped,
        cast(finished as bigint) as finished
    from counted
)

select * from final
