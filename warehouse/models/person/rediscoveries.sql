-- A song that comes back after a gap is one only where the gap is known to be one: a year that no export covers is
-- no silence.
with

plays as (
    select
        user_id,
        song_key,
        local_date,
        ended_at
    from {{ ref('int_person_plays') }}
),

-- Read once more, because DuckDB keeps all columns of what two of its parts read.
qualified_plays as (
    select
        user_id,
        song_key,
        local_date,
        ended_at
    from {{ ref('int_person_plays') }}
    where is_qualified and song_key is not null
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

-- Plays in stretches as long as the gap that is looked for. Of a stretch only the last date can be the one before
-- such a gap, and only the first the one after it: so far fewer rows are put in order than there are plays.
stretches as (
    select
        user_id,
        song_key,
        {{ days_between("date '1970-01-01'", 'local_date') }}
        - mod({{ days_between("date '1970-01-01'", 'local_date') }}, {{ var('rediscovery_gap_days') }}) as stretch,
        min(local_date) as first_date,
        max(local_date) as last_date,
        min(ended_at) as first_at
    from qualified_plays
    group by 1, 2, 3
),

successive as (
    select
        user_id,
        song_key,
        last_date as left_date,
        lead(first_date) over (
            partition by user_id, song_key
            order by stretch
        ) as returned_date,
        lead(first_at) over (
            partition by user_id, song_key
            order by stretch
        ) as returned_at
    from stretches
),

returns as (
    select
        *,
        {{ days_between('left_date', 'returned_date') }} as gap_days
    from successive
    where {{ days_between('left_date', 'returned_date') }} >= {{ var('rediscovery_gap_days') }}
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
        on returns.user_id = back.user_id and returns.returned_date = back.coverage_date
    left join covered_until as gone
        on returns.user_id = gone.user_id and returns.left_date = gone.coverage_date
),

covered_gaps as (
    select *
    from gaps
    where covered_ms * 100 >= gap_ms * {{ var('rediscovery_percent_min') }}
),

counted as (
    select
        covered_gaps.user_id,
        covered_gaps.song_key,
        covered_gaps.returned_at,
        count(case when plays.ended_at < covered_gaps.returned_at then 1 end) as plays_before,
        count(
            case
                when
                    plays.ended_at > covered_gaps.returned_at
                    and {{ days_between('covered_gaps.returned_date', 'plays.local_date') }} <= 90
                    then 1
            end
        ) as plays_90_days
    from covered_gaps
    inner join plays
        on covered_gaps.user_id = plays.user_id and covered_gaps.song_key = plays.song_key
    group by covered_gaps.user_id, covered_gaps.song_key, covered_gaps.returned_at
),

final as (
    select
        cast(covered_gaps.user_id as varchar) as user_id,
        cast(covered_gaps.song_key as varchar) as song_key,
        cast(items.item_name as varchar) as song_name,
        cast(items.artist_name as varchar) as artist_name,
        cast(covered_gaps.returned_at as timestamp(3)) as returned_at,
        cast(covered_gaps.returned_date as date) as returned_date,
        cast(covered_gaps.left_date as date) as left_date,
        cast(covered_gaps.gap_days as bigint) as gap_days,
        cast({{ rate('covered_gaps.covered_ms', 'covered_gaps.gap_ms') }} as double) as covered_rate,
        cast(counted.plays_before as bigint) as plays_before,
        cast(
            case
                when {{ days_between('covered_gaps.returned_date', as_of_date()) }} > 90
                    then counted.plays_90_days
            end as bigint
        ) as plays_90_days
    from covered_gaps
    inner join counted
        on
            covered_gaps.user_id = counted.user_id
            and covered_gaps.song_key = counted.song_key
            and covered_gaps.returned_at = counted.returned_at
    inner join items
        on covered_gaps.user_id = items.user_id and covered_gaps.song_key = items.item
    where counted.plays_before >= {{ var('rediscovery_plays_min') }}
)

select * from final
