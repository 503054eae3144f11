-- A song that comes back after a gap is one only where the gap is known to be one: a year that no export covers is
-- no silence.
with

plays as (
    select
        user_id,
        song_key,
        local_date,
        started_at,
        ended_at,
        played_ms,
        is_qualified
    from {{ ref('int_person_plays') }}
    where song_key is not null
),

items as (
    select *
    from {{ ref('int_person_items') }}
    where kind = 'song'
),

coverage as (
    select
        user_id,
        coverage_date,
        cast(round(covered_hours * 3600000e0) as bigint) as covered_ms
    from {{ ref('listening_coverage') }}
),

-- Only a song that is known for as long can have been away, which is asked first because few are.
old_songs as (
    select
        user_id,
        item
    from items
    where
        plays > {{ var('rediscovery_plays_min') }}
        and {{ epoch_ms('last_played_at') }} - {{ epoch_ms('first_played_at') }}
        >= ({{ var('rediscovery_gap_days') }} - 2) * cast(86400000 as bigint)
),

in_order as (
    select
        plays.*,
        row_number() over (
            partition by plays.user_id, plays.song_key
            order by plays.ended_at, plays.started_at, plays.played_ms, plays.local_date
        ) as place,
        max(case when plays.is_qualified then plays.local_date end) over (
            partition by plays.user_id, plays.song_key
            order by plays.ended_at, plays.started_at, plays.played_ms, plays.local_date
            rows between unbounded preceding and 1 preceding
        ) as left_date
    from plays
    inner join old_songs
        on plays.user_id = old_songs.user_id and plays.song_key = old_songs.item
),

returns as (
    select
        *,
        date_diff('day', left_date, local_date) as gap_days
    from in_order
    where
        is_qualified
        and place > {{ var('rediscovery_plays_min') }}
        and date_diff('day', left_date, local_date) >= {{ var('rediscovery_gap_days') }}
),

-- What is covered up to the end of a date, so that a gap is a difference of two of them.
covered_until as (
    select
        user_id,
        coverage_date,
        covered_ms,
        cast(sum(covered_ms) over (
            partition by user_id
            order by coverage_date
            rows between unbounded preceding and current row
        ) as bigint) as until_ms
    from coverage
),

gaps as (
    select
        returns.*,
        back.until_ms - back.covered_ms - coalesce(gone.until_ms, 0) as covered_ms,
        (returns.gap_days - 1) * cast(86400000 as bigint) as gap_ms
    from returns
    inner join covered_until as back
        on returns.user_id = back.user_id and returns.local_date = back.coverage_date
    left join covered_until as gone
        on returns.user_id = gone.user_id and returns.left_date = gone.coverage_date
),

covered_gaps as (
    select *
    from gaps
    where covered_ms * 100 >= gap_ms * {{ var('rediscovery_percent_min') }}
),

after_return as (
    select
        covered_gaps.user_id,
        covered_gaps.song_key,
        covered_gaps.place,
        count(*) as plays
    from covered_gaps
    inner join in_order
        on
            covered_gaps.user_id = in_order.user_id
            and covered_gaps.song_key = in_order.song_key
            and covered_gaps.place < in_order.place
            and date_diff('day', covered_gaps.local_date, in_order.local_date) <= 90
    group by covered_gaps.user_id, covered_gaps.song_key, covered_gaps.place
),

final as (
    select
        cast(covered_gaps.user_id as varchar) as user_id,
        cast(covered_gaps.song_key as varchar) as song_key,
        cast(items.item_name as varchar) as song_name,
        cast(items.artist_name as varchar) as artist_name,
        cast(covered_gaps.ended_at as timestamp(3)) as returned_at,
        cast(covered_gaps.local_date as date) as returned_date,
        cast(covered_gaps.left_date as date) as left_date,
        cast(covered_gaps.gap_days as bigint) as gap_days,
        cast({{ rate('covered_gaps.covered_ms', 'covered_gaps.gap_ms') }} as double) as covered_rate,
        cast(covered_gaps.place - 1 as bigint) as plays_before,
        cast(
            case
                when date_diff('day', covered_gaps.local_date, {{ as_of_date() }}) > 90
                    then coalesce(after_return.plays, 0)
            end as bigint
        ) as plays_90_days
    from covered_gaps
    inner join items
        on covered_gaps.user_id = items.user_id and covered_gaps.song_key = items.item
    left join after_return
        on
            covered_gaps.user_id = after_return.user_id
            and covered_gaps.song_key = after_return.song_key
            and covered_gaps.place = after_return.place
)

select * from final
