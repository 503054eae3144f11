-- Every play: a person's own (plays) and those of listening events.
--
-- The verdict reads is_skipped only where it is true. In the years for which an export always
-- says false there is nothing true to read, so that only reason_end counts there.
with

plays as (select * from {{ source('silver', 'plays') }}),

events as (select * from {{ source('silver', 'listening_events') }}),

identity as (select * from {{ ref('int_track_identity') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

countries as (select * from {{ ref('dim_countries') }}),

own_plays as (
    select
        play_id,
        user_id,
        source,
        content_type,
        case
            when track_id is not null or content_type in ('track', 'unknown')
                then coalesce(
                    track_id,
                    'name:' || {{ name_key(normalise('artist_name'), normalise('track_name')) }}
                )
        end as source_track_id,
        cast(null as varchar) as given_session_id,
        cast(started_at as timestamp(3)) as started_at,
        cast(ended_at as timestamp(3)) as ended_at,
        played_ms,
        case
            when source in ('api', 'listenbrainz', 'lastfm') then 'neutral'
            when is_skipped then 'skipped'
            when reason_end in ('fwdbtn', 'backbtn') then 'skipped'
            when {{ var('is_endplay_skipped') }} and reason_end = 'endplay' then 'skipped'
            when reason_end = 'trackdone' then 'finished'
            else 'neutral'
        end as verdict,
        country,
        device,
        is_shuffle,
        is_offline,
        coalesce(is_incognito, false) as is_incognito
    from plays
),

-- A skip is of the latest play of the track in its session; at the same instant the play is
-- first. The next play or skip of the track after a play therefore tells.
events_keyed as (
    select
        *,
        cast(occurred_at as timestamp(3)) as ended_at,
        coalesce(
            track_id,
            'name:' || {{ name_key(normalise('artist_name'), normalise('track_name')) }}
        ) as source_track_id
    from events
    where action in ('play', 'skip')
),

events_in_order as (
    select
        *,
        lead(action) over (
            partition by user_id, session_id, source_track_id
            order by
                ended_at,
                case when action = 'play' then 0 else 1 end,
                event_id
        ) as next_action,
        lead(ended_at) over (
            partition by user_id, session_id, source_track_id
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
        source_track_id,
        session_id as given_session_id,
        {{ add_ms('ended_at', '-coalesce(played_ms, 0)') }} as started_at,
        ended_at,
        played_ms,
        case
            when is_skipped then 'skipped'
            when
                next_action = 'skip'
                and (
                    session_id is not null
                    or {{ epoch_ms('next_at') }} - {{ epoch_ms('ended_at') }}
                    < {{ var('session_gap_minutes') }} * 60000
                ) then 'skipped'
            else 'finished'
        end as verdict,
        country,
        device,
        cast(null as boolean) as is_shuffle,
        cast(null as boolean) as is_offline,
        false as is_incognito
    from events_in_order
    where action = 'play'
),

all_plays as (
    select * from own_plays
    union all
    select * from event_plays
),

marked as (
    select
        *,
        {{ is_implausible() }} as is_implausible
    from all_plays
),

-- The latest end so far, not the last play's: a short play inside a long one ends nothing. An
-- implausible play says nothing of when somebody listened, so it is in no session.
in_order as (
    select
        *,
        max(case when not is_implausible then ended_at end) over (
            partition by user_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as busy_until,
        max(ended_at) over (
            partition by
                user_id,
                is_implausible,
                case when given_session_id is null then 0 else 1 end
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as session_until
    from marked
),

numbered as (
    select
        *,
        sum(
            case
                when session_until is null then 1
                when
                    {{ epoch_ms('started_at') }} - {{ epoch_ms('session_until') }}
                    >= {{ var('session_gap_minutes') }} * 60000 then 1
                else 0
            end
        ) over (
            partition by
                user_id,
                is_implausible,
                case when given_session_id is null then 0 else 1 end
            order by started_at, ended_at, play_id
            rows between unbounded preceding and current row
        ) as session_number
    from in_order
),

with_start as (
    select
        *,
        min(started_at) over (
            partition by
                user_id,
                is_implausible,
                case when given_session_id is null then 0 else 1 end,
                session_number
        ) as session_start
    from numbered
),

with_session as (
    select
        *,
        user_id || ':' || coalesce(
            given_session_id,
            cast(
                {{ epoch_ms('session_start') }} as varchar
            )
        ) as session_id,
        {{ epoch_ms('ended_at') }} as ended_ms
    from with_start
),

-- Offsets from UTC change on quarters of an hour, and asking for the local time of each play
-- took five times as long as asking once for each quarter in which something was played.
with_zone as (
    select
        with_session.*,
        coalesce(countries.time_zone, 'UTC') as time_zone,
        with_session.ended_ms - mod(with_session.ended_ms, 900000) as quarter_ms
    from with_session
    left join countries
        on with_session.country = countries.country
),

quarters as (
    select
        time_zone,
        quarter_ms,
        {{ add_ms("timestamp '1970-01-01 00:00:00'", 'quarter_ms') }} as quarter_at
    from with_zone
    group by time_zone, quarter_ms
),

offsets as (
    select
        time_zone,
        quarter_ms,
        {{ epoch_ms(local_time('quarter_at', 'time_zone')) }} - quarter_ms as offset_ms
    from quarters
),

with_local_time as (
    select
        with_zone.*,
        {{ add_ms('with_zone.ended_at', 'offsets.offset_ms') }} as local_ended_at
    from with_zone
    inner join offsets
        on
            with_zone.time_zone = offsets.time_zone
            and with_zone.quarter_ms = offsets.quarter_ms
),

final as (
    select
        cast(heard.play_id as varchar) as play_id,
        cast(heard.user_id as varchar) as user_id,
        cast(heard.source as varchar) as source,
        cast(identity.track_id as varchar) as track_id,
        cast(tracks.song_key as varchar) as song_key,
        cast(tracks.artist_id as varchar) as artist_id,
        cast(tracks.album_id as varchar) as album_id,
        cast(
            case when not heard.is_implausible then heard.session_id end as varchar
        ) as session_id,
        cast(heard.started_at as timestamp(3)) as started_at,
        cast(heard.ended_at as timestamp(3)) as ended_at,
        cast(heard.ended_at as date) as played_date,
        cast(heard.local_ended_at as date) as local_date,
        cast(extract(hour from heard.local_ended_at) as integer) as local_hour,
        cast(
            {{ weekday('cast(heard.local_ended_at as date)') }} as integer
        ) as local_weekday,
        cast(heard.played_ms as bigint) as played_ms,
        cast(
            heard.played_ms >= {{ var('qualified_play_ms') }} as boolean
        ) as is_qualified,
        cast(heard.verdict as varchar) as verdict,
        cast(heard.content_type as varchar) as content_type,
        cast(heard.country as varchar) as country,
        cast(heard.device as varchar) as device,
        cast(heard.is_shuffle as boolean) as is_shuffle,
        cast(heard.is_offline as boolean) as is_offline,
        cast(heard.is_incognito as boolean) as is_incognito,
        cast(
            not heard.is_implausible
            and coalesce(heard.started_at < heard.busy_until, false) as boolean
        ) as is_overlap,
        cast(heard.is_implausible as boolean) as is_implausible
    from with_local_time as heard
    left join identity
        on heard.source_track_id = identity.source_track_id
    left join tracks
        on identity.track_id = tracks.track_id
)

select * from final
