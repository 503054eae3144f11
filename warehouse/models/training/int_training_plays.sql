-- The plays that may be learned from, with sessions that are drawn on them alone.
--
-- Only exports and events are read here: nothing that the Web API has said, and no scrobble. That is why
-- neither fct_plays nor any dimension of tracks is.
with

plays as (
    select *
    from {{ source('silver', 'plays') }}
    where source in ('export_extended', 'export_account')
),

events as (select * from {{ source('silver', 'listening_events') }}),

own_plays as (
    select
        play_id,
        user_id,
        source,
        content_type,
        track_id,
        track_name,
        artist_name,
        cast(null as varchar) as given_session_id,
        cast(started_at as timestamp(3)) as started_at,
        cast(ended_at as timestamp(3)) as ended_at,
        {{ own_verdict() }} as verdict,
        played_ms,
        country,
        device,
        coalesce(is_incognito, false) as is_incognito
    from plays
),

-- As in fct_plays: the next play or skip of the track after a play tells.
events_keyed as (
    select
        *,
        cast(occurred_at as timestamp(3)) as ended_at,
        coalesce(track_id, coalesce(artist_name, '') || '|' || track_name) as track_key
    from events
    where action in ('play', 'skip')
),

events_in_order as (
    select
        *,
        lead(action) over (
            partition by user_id, session_id, track_key
            order by
                ended_at,
                case when action = 'play' then 0 else 1 end,
                event_id
        ) as next_action,
        lead(ended_at) over (
            partition by user_id, session_id, track_key
            order by
                ended_at,
                case when action = 'play' then 0 else 1 end,
                event_id
        ) as next_at
    from events_keyed
),

event_plays as (
    select
        event_id as play_id,
        user_id,
        'events' as source,
        'track' as content_type,
        track_id,
        track_name,
        artist_name,
        session_id as given_session_id,
        {{ add_ms('ended_at', '-coalesce(played_ms, 0)') }} as started_at,
        ended_at,
        {{ event_verdict() }} as verdict,
        played_ms,
        country,
        device,
        false as is_incognito
    from events_in_order
    where action = 'play'
),

all_plays as (
    select * from own_plays
    union all
    select * from event_plays
),

-- What counts in reports: a private session says nothing here either.
heard as (
    select *
    from all_plays
    where {{ in_reports() }}
),

in_order as (
    select
        *,
        max(case when given_session_id is null then ended_at end) over (
            partition by user_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as session_until
    from heard
),

with_start as (
    select
        *,
        max(
            case
                when given_session_id is not null then null
                when session_until is null then started_at
                when
                    {{ epoch_ms('started_at') }} - {{ epoch_ms('session_until') }}
                    >= {{ var('session_gap_minutes') }} * 60000 then started_at
            end
        ) over (
            partition by user_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and current row
        ) as session_start
    from in_order
),

with_session as (
    select
        *,
        case
            when given_session_id is not null then user_id || ':' || given_session_id
            else user_id || ':' || cast({{ epoch_ms('session_start') }} as varchar)
        end as session_id
    from with_start
),

final as (
    select
        cast(play_id as varchar) as play_id,
        cast(user_id as varchar) as user_id,
        cast(source as varchar) as source,
        cast(content_type as varchar) as content_type,
        cast(track_id as varchar) as track_id,
        cast(track_name as varchar) as track_name,
        cast(artist_name as varchar) as artist_name,
        cast(session_id as varchar) as session_id,
        cast(started_at as timestamp(3)) as started_at,
        cast(ended_at as timestamp(3)) as ended_at,
        cast(verdict as varchar) as verdict,
        cast(country as varchar) as country,
        cast(device as varchar) as device
    from with_session
)

select * from final
