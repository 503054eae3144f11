with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }} and artist_id is not null
),

by_date as (
    select
        played_date,
        artist_id,
        count(*) as plays,
        count_if(is_qualified) as qualified_plays,
        {{ total('played_ms') }} as played_ms,
        count(distinct user_id) as listeners,
        count_if(verdict = 'skipped') as skips,
        count_if(verdict = 'finished') as finishes,
        count_if(verdict = 'neutral') as neutral_plays
    from plays
    group by played_date, artist_id
),

final as (
    select
        cast(played_date as date) as played_date,
        cast(artist_id as varchar) as artist_id,
        cast(plays as bigint) as plays,
        cast(qualified_plays as bigint) as qualified_plays,
        cast({{ minutes('played_ms') }} as double) as minutes,
        cast(listeners as bigint) as listeners,
        cast(skips as bigint) as skips,
        cast(finishes as bigint) as finishes,
        cast(neutral_plays as bigint) as neutral_plays,
        cast({{ rate('skips', 'skips + finishes') }} as double) as skip_rate
    from by_date
)

select * from final
