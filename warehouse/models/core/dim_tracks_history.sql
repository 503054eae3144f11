-- What dim_tracks says of a track is the newest; here is what was said before, version by version. Only what was said
-- of the track's own id: another id of the recording that is more popular is no change.
with

observations as (select * from {{ source('silver', 'track_observations') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

-- In time, and the Web API after a tracks file: its word wins where neither has a time.
in_order as (
    select
        observations.track_id,
        cast(observations.seen_at as timestamp(3)) as seen_at,
        observations.track_name,
        observations.popularity,
        observations.duration_ms,
        row_number() over (
            partition by observations.track_id
            order by
                observations.seen_at nulls first,
                case when observations.source = 'api' then 1 else 0 end
        ) as place
    from observations
    inner join tracks
        on observations.track_id = tracks.track_id
),

-- A value that a source leaves out stays what was said last: how many were said so far tells which.
counted as (
    select
        *,
        count(track_name) over (
            partition by track_id
            order by place
            rows between unbounded preceding and current row
        ) as names,
        count(popularity) over (
            partition by track_id
            order by place
            rows between unbounded preceding and current row
        ) as popularities,
        count(duration_ms) over (
            partition by track_id
            order by place
            rows between unbounded preceding and current row
        ) as durations,
        lead(place) over (
            partition by track_id, seen_at
            order by place
        ) as later_at_once
    from in_order
),

carried as (
    select
        track_id,
        seen_at,
        place,
        later_at_once,
        max(track_name) over (partition by track_id, names) as track_name,
        max(popularity) over (partition by track_id, popularities) as popularity,
        max(duration_ms) over (partition by track_id, durations) as duration_ms
    from counted
),

-- Of several words at one time the last holds.
compared as (
    select
        track_id,
        seen_at,
        place,
        track_name,
        popularity,
        duration_ms,
        lag(place) over (partition by track_id order by place) as place_before,
        lag(track_name) over (partition by track_id order by place) as name_before,
        lag(popularity) over (partition by track_id order by place) as popularity_before,
        lag(duration_ms) over (partition by track_id order by place) as duration_before
    from carried
    where later_at_once is null
),

described as (
    select
        track_id,
        seen_at,
        track_name,
        popularity,
        duration_ms
    from compared
    where
        place_before is null
        or track_name is distinct from name_before
        or popularity is distinct from popularity_before
        or duration_ms is distinct from duration_before
),

-- A track that nothing describes has the one version that dim_tracks makes of its plays, charts and playlists.
versions as (
    select
        track_id,
        seen_at,
        track_name,
        popularity,
        duration_ms
    from described

    union all

    select
        tracks.track_id,
        cast(null as timestamp(3)) as seen_at,
        tracks.track_name,
        tracks.popularity,
        tracks.duration_ms
    from tracks
    left join in_order
        on tracks.track_id = in_order.track_id and in_order.place = 1
    where in_order.track_id is null
),

final as (
    select
        cast(track_id as varchar) as track_id,
        cast(
            row_number() over (
                partition by track_id
                order by seen_at nulls first
            ) as integer
        ) as version_number,
        cast(track_name as varchar) as track_name,
        cast(popularity as integer) as popularity,
        cast(duration_ms as bigint) as duration_ms,
        cast(seen_at as timestamp(3)) as valid_from,
        cast(
            lead(seen_at) over (
                partition by track_id
                order by seen_at nulls first
            ) as timestamp(3)
        ) as valid_to,
        cast(
            lead(track_id) over (
                partition by track_id
                order by seen_at nulls first
            ) is null as boolean
        ) as is_current
    from versions
)

select * from final
