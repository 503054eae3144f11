-- Every play: a person's own (plays) and those of listening events.
--
-- The verdict reads is_skipped only where it is true. In the years for which an export always
-- says false there is nothing true to read, so that only reason_end counts there.
with

plays as (select * from {{ source('silver', 'plays') }}),

events as (select * from {{ source('silver', 'listening_events') }}),

-- Read once more, because DuckDB keeps all columns of what two of its parts read.
play_days as (
    select
        country,
        ended_at
    from {{ source('silver', 'plays') }}
),

event_days as (
    select
        country,
        occurred_at
    from {{ source('silver', 'listening_events') }}
),

identity as (select * from {{ ref('int_track_identity') }}),

episode_identity as (select * from {{ ref('int_episode_identity') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

countries as (select * from {{ ref('dim_countries') }}),

own_zones as (select * from {{ ref('int_own_time_zones') }}),

-- Tracks and episodes in one, so that a play is joined once: their ids in sources never meet.
known_contents as (
    select
        identity.source_track_id as source_content_id,
        identity.track_id,
        tracks.song_key,
        tracks.artist_id,
        tracks.album_id,
        cast(null as varchar) as episode_id,
        cast(null as varchar) as show_id
    from identity
    left join tracks
        on identity.track_id = tracks.track_id

    union all

    select
        source_episode_id as source_content_id,
        cast(null as varchar) as track_id,
        cast(null as varchar) as song_key,
        cast(null as varchar) as artist_id,
        cast(null as varchar) as album_id,
        episode_id,
        show_id
    from episode_identity
),

-- What local_time_by_day reads, of the zones of countries.
played_days as (
    select
        coalesce(country, '') as country,
        cast(ended_at as date) as played_date
    from play_days

    union distinct

    select
        coalesce(country, '') as country,
        cast(occurred_at as date) as played_date
    from event_days
),

clocks as (
    select
        played_days.country,
        played_days.played_date,
        coalesce(countries.time_zone, 'UTC') as time_zone,
        cast(played_days.played_date as timestamp(3)) as day_start,
        cast({{ add_days('played_days.played_date', 1) }} as timestamp(3)) as day_end
    from played_days
    left join countries
        on played_days.country = countries.country
),

offsets as (
    select
        country,
        played_date,
        time_zone,
        {{ epoch_ms(local_time('day_start', 'time_zone')) }} - {{ epoch_ms('day_start') }} as start_ms,
        {{ epoch_ms(local_time('day_end', 'time_zone')) }} - {{ epoch_ms('day_end') }} as end_ms
    from clocks
),

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
            when content_type in ('episode', 'chapter') then {{ episode_source_id() }}
        end as source_content_id,
        cast(null as varchar) as given_session_id,
        cast(started_at as timestamp(3)) as started_at,
        cast(ended_at as timestamp(3)) as ended_at,
        played_ms,
        case
            when source in ('api', 'listenbrainz', 'lastfm') then 'neutral'
            else {{ own_verdict() }}
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
        ) as source_content_id
    from events
    where action in ('play', 'skip')
),

events_in_order as (
    select
        *,
        lead(action) over (
            partition by user_id, session_id, source_content_id
            order by
                ended_at,
                case when action = 'play' then 0 else 1 end,
                event_id
        ) as next_action,
        lead(ended_at) over (
            partition by user_id, session_id, source_content_id
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
        source_content_id,
        session_id as given_session_id,
        {{ add_ms('ended_at', '-coalesce(played_ms, 0)') }} as started_at,
        ended_at,
        played_ms,
        {{ event_verdict() }} as verdict,
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
-- implausible play says nothing of when somebody listened, so it is in no session. Sessions are
-- drawn here for plays that bring none along. All windows of a listener have one order, so that
-- the engine sorts as seldom as it can.
in_order as (
    select
        *,
        max(case when not is_implausible then ended_at end) over (
            partition by user_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as busy_until,
        max(case when not is_implausible and given_session_id is null then ended_at end) over (
            partition by user_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as session_until
    from marked
),

-- Starts come in their order: the latest one so far is that of the play's session.
with_start as (
    select
        *,
        max(
            case
                when is_implausible or given_session_id is not null then null
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

heard as (
    select
        with_start.*,
        case
            when with_start.is_implausible then null
            when with_start.given_session_id is not null then with_start.user_id || ':' || with_start.given_session_id
            else with_start.user_id || ':' || cast({{ epoch_ms('with_start.session_start') }} as varchar)
        end as session_id,
        {{ local_time_by_day('with_start.ended_at') }} as local_ended_at
    from with_start
    inner join offsets
        on
            coalesce(with_start.country, '') = offsets.country
            and cast(with_start.ended_at as date) = offsets.played_date
    left join own_zones
        on
            with_start.user_id = own_zones.user_id
            and cast(with_start.ended_at as date) = own_zones.zone_date
),

final as (
    select
        cast(heard.play_id as varchar) as play_id,
        cast(heard.user_id as varchar) as user_id,
        cast(heard.source as varchar) as source,
        cast(known_contents.track_id as varchar) as track_id,
        cast(known_contents.song_key as varchar) as song_key,
        cast(known_contents.artist_id as varchar) as artist_id,
        cast(known_contents.album_id as varchar) as album_id,
        cast(known_contents.show_id as varchar) as show_id,
        cast(known_contents.episode_id as varchar) as episode_id,
        cast(heard.session_id as varchar) as session_id,
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
    from heard
    left join known_contents
        on heard.source_content_id = known_contents.source_content_id
)

select * from final
