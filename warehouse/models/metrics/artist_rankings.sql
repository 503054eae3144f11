-- Ranks count the plays of songs whose first artist it is. Each period ends before as_of and is compared with
-- the equally long one before it. `all` is everything before as_of and has nothing to be compared with.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where
        {{ in_reports() }}
        and artist_id is not null
        and played_date < {{ as_of_date() }}
),

artists as (select * from {{ ref('dim_artists') }}),

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
        artist_id,
        user_id,
        played_date,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from plays
    group by artist_id, user_id, played_date
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
        by_date.artist_id,
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
            order by plays desc, played_ms desc, artist_id
        ) as place
    from counted
),

final as (
    select
        cast(ranked.artist_id as varchar) as artist_id,
        cast(ranked.period as varchar) as period,
        cast(ranked.place as integer) as rank,
        cast(artists.artist_name as varchar) as artist_name,
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
            and ranked.artist_id = previous.artist_id
            and previous.is_current = 0
    left join artists
        on ranked.artist_id = artists.artist_id
    where ranked.is_current = 1
)

select * from final
