-- Ranks count songs and show the recording that is played most (dim_songs). Each period ends before as_of and
-- is compared with the equally long one before it. `all` is
-- everything before as_of and has nothing to be compared with.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where
        {{ in_reports() }}
        and track_id is not null
        and played_date < {{ as_of_date() }}
),

songs as (select * from {{ ref('dim_songs') }}),

periods (period, days) as (
    values ('7 days', 7), ('28 days', 28), ('year', 365), ('all', null)
),

bounds as (
    select
        period,
        {{ add_days(as_of_date(), '-days') }} as period_start,
        {{ add_days(as_of_date(), '-2 * days') }} as previous_start
    from periods
),

by_date as (
    select
        song_key,
        user_id,
        played_date,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from plays
    group by song_key, user_id, played_date
),

counted as (
    select
        bounds.period,
        bounds.period_start,
        case
            when
                bounds.period_start is null
                or by_date.played_date >= bounds.period_start then 1
            else 0
        end as is_current,
        by_date.song_key,
        {{ total('by_date.plays') }} as plays,
        {{ total('by_date.played_ms') }} as played_ms,
        count(distinct by_date.user_id) as listeners
    from bounds
    inner join by_date
        on
            bounds.previous_start is null
            or by_date.played_date >= bounds.previous_start
    group by 1, 2, 3, 4
),

ranked as (
    select
        *,
        row_number() over (
            partition by period, is_current
            order by plays desc, played_ms desc, song_key
        ) as place
    from counted
),

final as (
    select
        cast(ranked.period as varchar) as period,
        cast(ranked.place as integer) as rank,
        cast(ranked.song_key as varchar) as song_key,
        cast(songs.track_id as varchar) as track_id,
        cast(songs.song_name as varchar) as track_name,
        cast(songs.artist_name as varchar) as artist_name,
        cast(ranked.plays as bigint) as plays,
        cast({{ minutes('ranked.played_ms') }} as double) as minutes,
        cast(ranked.listeners as bigint) as listeners,
        cast(previous.place as integer) as previous_rank,
        cast(ranked.period_start as date) as period_start,
        cast({{ as_of_date() }} as date) as period_end
    from ranked
    left join ranked as previous
        on
            ranked.period = previous.period
            and ranked.song_key = previous.song_key
            and previous.is_current = 0
    left join songs
        on ranked.song_key = songs.song_key
    where
        ranked.is_current = 1
        and ranked.place <= {{ var('top_tracks_max_rank') }}
)

select * from final
