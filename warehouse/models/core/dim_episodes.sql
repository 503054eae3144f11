with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where episode_id is not null
),

identity as (
    select *
    from {{ ref('int_episode_identity') }}
    where episode_id is not null
),

shows as (select * from {{ ref('dim_shows') }}),

-- What a URI says before what was found by names.
named as (
    select
        *,
        row_number() over (
            partition by episode_id
            order by
                case when is_name_only then 1 else 0 end,
                newest_at desc,
                source_episode_id
        ) as choice
    from identity
),

heard as (
    select
        episode_id,
        count(*) as plays,
        {{ total('case when not is_implausible then played_ms end') }} as played_ms,
        min(ended_at) as first_heard_at,
        max(ended_at) as last_heard_at
    from plays
    group by episode_id
),

final as (
    select
        cast(heard.episode_id as varchar) as episode_id,
        cast(named.episode_name as varchar) as episode_name,
        cast(named.content_type as varchar) as content_type,
        cast(named.show_id as varchar) as show_id,
        cast(shows.show_name as varchar) as show_name,
        cast(heard.plays as bigint) as plays,
        cast({{ minutes('heard.played_ms') }} as double) as minutes,
        cast(heard.first_heard_at as timestamp(3)) as first_heard_at,
        cast(heard.last_heard_at as timestamp(3)) as last_heard_at
    from heard
    inner join named
        on heard.episode_id = named.episode_id and named.choice = 1
    left join shows
        on named.show_id = shows.show_id
)

select * from final
