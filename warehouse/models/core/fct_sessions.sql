-- Sessions over the plays that count in reports. Private plays still connect what lies around
-- them, because boundaries are drawn in fct_plays over every play.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

sessions as (
    select
        user_id,
        session_id,
        min(played_date) as session_date,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        {{ total('played_ms') }} as played_ms,
        count(*) as plays,
        count(case when is_qualified then 1 end) as qualified_plays,
        count(distinct track_id) as distinct_tracks,
        count(case when verdict = 'skipped' then 1 end) as skips,
        count(case when verdict = 'finished' then 1 end) as finishes,
        count(case when verdict = 'neutral' then 1 end) as neutral_plays
    from plays
    group by user_id, session_id
),

final as (
    select
        cast(session_id as varchar) as session_id,
        cast(user_id as varchar) as user_id,
        cast(session_date as date) as session_date,
        cast(started_at as timestamp(3)) as started_at,
        cast(ended_at as timestamp(3)) as ended_at,
        cast(
            {{ epoch_ms('ended_at') }} - {{ epoch_ms('started_at') }} as bigint
        ) as session_ms,
        cast(
            {{ minutes(epoch_ms('ended_at') ~ ' - ' ~ epoch_ms('started_at')) }}
            as double
        ) as session_minutes,
        cast(played_ms as bigint) as played_ms,
        cast(plays as bigint) as plays,
        cast(qualified_plays as bigint) as qualified_plays,
        cast(distinct_tracks as bigint) as distinct_tracks,
        cast(skips as bigint) as skips,
        cast(finishes as bigint) as finishes,
        cast(neutral_plays as bigint) as neutral_plays,
        cast({{ rate('skips', 'skips + finishes') }} as double) as skip_rate
    from sessions
)

select * from final
