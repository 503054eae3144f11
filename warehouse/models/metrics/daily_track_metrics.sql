with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }} and track_id is not null
),

by_date as (
    select
        played_date,
        track_id,
        count(*) as plays,
        count(case when is_qualified then 1 end) as qualified_plays,
        {{ total('played_ms') }} as played_ms,
        count(distinct user_id) as listeners,
        count(case when verdict = 'skipped' then 1 end) as skips,
        count(case when verdict = 'finished' then 1 end) as finishes,
        count(case when verdict = 'neutral' then 1 end) as neutral_plays
    from plays
    group by played_date, track_id
),

final as (
    select
        cast(played_date as date) as played_date,
        cast(track_id as varchar) as track_id,
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
