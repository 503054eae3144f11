with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

sessions as (select * from {{ ref('fct_sessions') }}),

plays_by_date as (
    select
        played_date,
        count(*) as plays,
        count(case when is_qualified then 1 end) as qualified_plays,
        count(case when played_ms is null then 1 end) as unknown_length_plays,
        {{ total('played_ms') }} as played_ms,
        count(distinct user_id) as daily_active_users,
        count(case when verdict = 'skipped' then 1 end) as skips,
        count(case when verdict = 'finished' then 1 end) as finishes,
        count(case when verdict = 'neutral' then 1 end) as neutral_plays
    from plays
    group by played_date
),

sessions_by_date as (
    select
        session_date,
        count(*) as sessions,
        {{ total('session_ms') }} as session_ms
    from sessions
    group by session_date
),

final as (
    select
        cast(plays_by_date.played_date as date) as played_date,
        cast(plays_by_date.plays as bigint) as plays,
        cast(plays_by_date.qualified_plays as bigint) as qualified_plays,
        cast(
            plays_by_date.unknown_length_plays as bigint
        ) as unknown_length_plays,
        cast({{ minutes('plays_by_date.played_ms') }} as double) as minutes,
        cast(plays_by_date.daily_active_users as bigint) as daily_active_users,
        cast(
            {{ rate('plays_by_date.plays', 'plays_by_date.daily_active_users') }}
            as double
        ) as plays_per_user,
        cast(coalesce(sessions_by_date.sessions, 0) as bigint) as sessions,
        cast(
            {{ minutes('sessions_by_date.session_ms') }}
            / nullif(cast(sessions_by_date.sessions as double), 0e0) as double
        ) as average_session_minutes,
        cast(plays_by_date.skips as bigint) as skips,
        cast(plays_by_date.finishes as bigint) as finishes,
        cast(plays_by_date.neutral_plays as bigint) as neutral_plays,
        cast(
            {{ rate('plays_by_date.skips', 'plays_by_date.skips + plays_by_date.finishes') }}
            as double
        ) as skip_rate
    from plays_by_date
    left join sessions_by_date
        on plays_by_date.played_date = sessions_by_date.session_date
)

select * from final
