-- What is known when a play begins, for each play with a verdict whose track is in a features file.
-- What has no features counts in sessions and in what the user has done before.
with

plays as (
    select
        *,
        case when verdict = 'skipped' then 1 else 0 end as skipped,
        case when verdict = 'neutral' then 0 else 1 end as judged
    from {{ ref('int_training_plays') }}
),

features as (
    select *
    from {{ source('silver', 'track_features') }}
    where
        danceability is not null
        and energy is not null
        and valence is not null
        and tempo_bpm is not null
        and popularity is not null
),

countries as (select * from {{ ref('dim_countries') }}),

own_zones as (select * from {{ ref('int_own_time_zones') }}),

-- Earlier plays only: the row itself is in none of its own counts.
with_past as (
    select
        *,
        row_number() over (
            partition by user_id, session_id
            order by started_at, ended_at, play_id
        ) as session_position,
        sum(judged) over (
            partition by user_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as user_plays_before,
        sum(skipped) over (
            partition by user_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as user_skips_before,
        sum(judged) over (
            partition by user_id, artist_name
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as artist_plays_before,
        sum(skipped) over (
            partition by user_id, artist_name
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as artist_skips_before,
        sum(judged) over (
            partition by user_id, track_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as track_plays_before,
        sum(skipped) over (
            partition by user_id, track_id
            order by started_at, ended_at, play_id
            rows between unbounded preceding and 1 preceding
        ) as track_skips_before
    from plays
),

with_features as (
    select
        with_past.*,
        features.danceability,
        features.energy,
        features.valence,
        features.tempo_bpm,
        features.popularity
    from with_past
    inner join features
        on with_past.track_id = features.track_id
    where with_past.verdict in ('skipped', 'finished')
),

-- What local_time_by_day reads, of the zones of countries.
days as (
    select distinct
        coalesce(country, '') as country,
        cast(started_at as date) as started_date
    from with_features
),

clocks as (
    select
        days.country,
        days.started_date,
        coalesce(countries.time_zone, 'UTC') as time_zone,
        cast(days.started_date as timestamp(3)) as day_start,
        cast({{ add_days('days.started_date', 1) }} as timestamp(3)) as day_end
    from days
    left join countries
        on days.country = countries.country
),

offsets as (
    select
        country,
        started_date,
        time_zone,
        {{ epoch_ms(local_time('day_start', 'time_zone')) }} - {{ epoch_ms('day_start') }} as start_ms,
        {{ epoch_ms(local_time('day_end', 'time_zone')) }} - {{ epoch_ms('day_end') }} as end_ms
    from clocks
),

with_clock as (
    select
        with_features.*,
        {{ local_time_by_day('with_features.started_at') }} as local_started_at,
        row_number() over (
            partition by with_features.user_id
            order by with_features.started_at, with_features.ended_at, with_features.play_id
        ) as user_row,
        count(*) over (partition by with_features.user_id) as user_rows
    from with_features
    inner join offsets
        on
            coalesce(with_features.country, '') = offsets.country
            and cast(with_features.started_at as date) = offsets.started_date
    left join own_zones
        on
            with_features.user_id = own_zones.user_id
            and cast(with_features.started_at as date) = own_zones.zone_date
),

final as (
    select
        cast(play_id as varchar) as play_id,
        cast(user_id as varchar) as user_id,
        cast(source as varchar) as source,
        cast(track_id as varchar) as track_id,
        cast(session_id as varchar) as session_id,
        cast(started_at as timestamp(3)) as started_at,
        cast(verdict = 'skipped' as boolean) as is_skipped,
        cast(case when user_row * 5 <= user_rows * 4 then 'train' else 'test' end as varchar) as split,
        cast(danceability as double) as danceability,
        cast(energy as double) as energy,
        cast(valence as double) as valence,
        cast(tempo_bpm as double) as tempo_bpm,
        cast(popularity as integer) as popularity,
        cast(extract(hour from local_started_at) as integer) as local_hour,
        cast(
            case
                when device in ('smartphone', 'ios', 'android') then 'phone'
                when device = 'tablet' then 'tablet'
                when device in ('desktop', 'windows', 'macos', 'linux', 'web') then 'computer'
                when device = 'speaker' then 'speaker'
                when device in ('tv', 'console') then 'tv'
                when device = 'car' then 'car'
                else 'other'
            end as varchar
        ) as device_kind,
        cast(session_position as integer) as session_position,
        cast(coalesce(user_plays_before, 0) as bigint) as user_plays_before,
        cast(coalesce(user_skips_before, 0) as bigint) as user_skips_before,
        cast(case when artist_name is null then 0 else coalesce(artist_plays_before, 0) end as bigint)
            as artist_plays_before,
        cast(case when artist_name is null then 0 else coalesce(artist_skips_before, 0) end as bigint)
            as artist_skips_before,
        cast(coalesce(track_plays_before, 0) as bigint) as track_plays_before,
        cast(coalesce(track_skips_before, 0) as bigint) as track_skips_before
    from with_clock
)

select * from final
