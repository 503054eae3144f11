-- What a user did on a local date. A date counts when something was played or added to a playlist on it.
-- A session is of the local date of its first play, so that sessions add up.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

events as (
    select *
    from {{ source('silver', 'listening_events') }}
    where action = 'add_to_playlist'
),

countries as (select * from {{ ref('dim_countries') }}),

own_zones as (select * from {{ ref('int_own_time_zones') }}),

heard as (
    select
        user_id,
        local_date,
        count(*) as plays,
        count(case when is_qualified then 1 end) as qualified_plays,
        count(case when played_ms is null then 1 end) as unknown_length_plays,
        {{ total('played_ms') }} as played_ms,
        count(distinct track_id) as distinct_tracks,
        count(distinct artist_id) as distinct_artists,
        count(case when verdict = 'skipped' then 1 end) as skips,
        count(case when verdict = 'finished' then 1 end) as finishes,
        count(case when verdict = 'neutral' then 1 end) as neutral_plays
    from plays
    group by user_id, local_date
),

session_starts as (
    select
        user_id,
        session_id,
        min(local_date) as local_date
    from plays
    group by user_id, session_id
),

sessions as (
    select
        user_id,
        local_date,
        count(*) as sessions
    from session_starts
    group by user_id, local_date
),

adds_local as (
    select
        events.user_id,
        cast(
            {{ local_time('cast(events.occurred_at as timestamp(3))', time_zone()) }}
            as date
        ) as local_date
    from events
    left join countries
        on events.country = countries.country
    left join own_zones
        on
            events.user_id = own_zones.user_id
            and cast(events.occurred_at as date) = own_zones.zone_date
),

adds as (
    select
        user_id,
        local_date,
        count(*) as playlist_adds
    from adds_local
    group by user_id, local_date
),

active_dates as (
    select
        user_id,
        local_date
    from heard

    union distinct

    select
        user_id,
        local_date
    from adds
),

counted as (
    select
        active_dates.user_id,
        active_dates.local_date,
        coalesce(heard.plays, 0) as plays,
        coalesce(heard.qualified_plays, 0) as qualified_plays,
        coalesce(heard.unknown_length_plays, 0) as unknown_length_plays,
        {{ minutes('coalesce(heard.played_ms, 0)') }} as minutes,
        coalesce(sessions.sessions, 0) as sessions,
        coalesce(heard.distinct_tracks, 0) as distinct_tracks,
        coalesce(heard.distinct_artists, 0) as distinct_artists,
        coalesce(heard.skips, 0) as skips,
        coalesce(heard.finishes, 0) as finishes,
        coalesce(heard.neutral_plays, 0) as neutral_plays,
        coalesce(adds.playlist_adds, 0) as playlist_adds
    from active_dates
    left join heard
        on
            active_dates.user_id = heard.user_id
            and active_dates.local_date = heard.local_date
    left join sessions
        on
            active_dates.user_id = sessions.user_id
            and active_dates.local_date = sessions.local_date
    left join adds
        on
            active_dates.user_id = adds.user_id
            and active_dates.local_date = adds.local_date
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(local_date as date) as local_date,
        cast(plays as bigint) as plays,
        cast(qualified_plays as bigint) as qualified_plays,
        cast(unknown_length_plays as bigint) as unknown_length_plays,
        cast(minutes as double) as minutes,
        cast(sessions as bigint) as sessions,
        cast(distinct_tracks as bigint) as distinct_tracks,
        cast(distinct_artists as bigint) as distinct_artists,
        cast(skips as bigint) as skips,
        cast(finishes as bigint) as finishes,
        cast(neutral_plays as bigint) as neutral_plays,
        cast(playlist_adds as bigint) as playlist_adds,
        cast(
            40e0 * {{ lesser('1e0', 'minutes / 60e0') }}
            + 30e0 * coalesce({{ rate('finishes', 'finishes + skips') }}, 0e0)
            + 20e0 * {{ lesser('1e0', 'cast(distinct_tracks as double) / 20e0') }}
            + 10e0 * {{ lesser('1e0', 'cast(playlist_adds as double) / 3e0') }}
            as double
        ) as engagement_score
    from counted
)

select * from final
