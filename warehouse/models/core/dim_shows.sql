with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where show_id is not null
),

identity as (
    select *
    from {{ ref('int_episode_identity') }}
    where show_id is not null
),

named as (
    select
        show_id,
        show_name,
        max(case when content_type = 'chapter' then 1 else 0 end) over (
            partition by show_id
        ) as has_chapters,
        row_number() over (
            partition by show_id
            order by
                case when show_name is null then 1 else 0 end,
                newest_at desc,
                show_name
        ) as choice
    from identity
),

heard as (
    select
        show_id,
        count(distinct episode_id) as episodes,
        count(*) as plays,
        {{ total('case when not is_implausible then played_ms end') }} as played_ms,
        min(ended_at) as first_heard_at,
        max(ended_at) as last_heard_at
    from plays
    group by show_id
),

final as (
    select
        cast(heard.show_id as varchar) as show_id,
        cast(named.show_name as varchar) as show_name,
        cast(case when named.has_chapters = 1 then 'audiobook' else 'podcast' end as varchar) as show_type,
        cast(heard.episodes as bigint) as episodes,
        cast(heard.plays as bigint) as plays,
        cast({{ minutes('heard.played_ms') }} as double) as minutes,
        cast(heard.first_heard_at as timestamp(3)) as first_heard_at,
        cast(heard.last_heard_at as timestamp(3)) as last_heard_at
    from heard
    inner join named
        on heard.show_id = named.show_id and named.choice = 1
)

select * from final
