-- The newest value of each week, against the week before. Observations tell changes only, so between two of them the
-- earlier value holds; after the last one nothing is claimed.
with

observations as (
    select *
    from {{ source('silver', 'track_observations') }}
    where seen_at is not null and popularity is not null
),

tracks as (select * from {{ ref('dim_tracks') }}),

-- Charts of a month or a year have no week.
chart_entries as (
    select *
    from {{ ref('fct_chart_entries') }}
    where
        track_id is not null
        and {{ days_between('period_start', 'period_end') }} <= 7
),

day_numbers as (
    {{ day_numbers() }}
),

-- Only of the track's own id, as in dim_tracks.
said as (
    select
        observations.track_id,
        cast(observations.seen_at as timestamp(3)) as said_at,
        observations.popularity
    from observations
    inner join tracks
        on observations.track_id = tracks.track_id

    union all

    select
        track_id,
        cast(period_start as timestamp(3)) as said_at,
        popularity
    from chart_entries
    where popularity is not null
),

said_in_week as (
    select
        track_id,
        popularity,
        {{ first_day('week', 'said_at') }} as week_start,
        row_number() over (
            partition by track_id, {{ first_day('week', 'said_at') }}
            order by said_at desc, popularity desc
        ) as choice
    from said
),

points as (
    select
        track_id,
        popularity,
        week_start,
        lead(week_start) over (
            partition by track_id
            order by week_start
        ) as next_week
    from said_in_week
    where choice = 1
),

-- How many weeks a value holds.
stays as (
    select
        *,
        coalesce(cast({{ days_between('week_start', 'next_week') }} / 7 as bigint), 1) as weeks
    from points
),

lengths as (
    select distinct weeks
    from stays
),

weeks_of_stays as (
    select
        lengths.weeks,
        day_numbers.day_number as week_number
    from lengths
    inner join day_numbers
        on day_numbers.day_number < lengths.weeks
),

popularities as (
    select
        'popularity' as series,
        cast(null as varchar) as chart,
        cast(null as varchar) as region,
        stays.track_id,
        {{ add_days('stays.week_start', '7 * weeks_of_stays.week_number') }} as week_start,
        stays.popularity,
        cast(null as integer) as rank
    from stays
    inner join weeks_of_stays
        on stays.weeks = weeks_of_stays.weeks
),

charted_in_week as (
    select
        chart,
        region,
        track_id,
        rank,
        {{ first_day('week', 'period_start') }} as week_start,
        row_number() over (
            partition by chart, region, track_id, {{ first_day('week', 'period_start') }}
            order by period_start desc, rank
        ) as choice
    from chart_entries
),

ranks as (
    select
        chart || '/' || region as series,
        chart,
        region,
        track_id,
        week_start,
        cast(null as integer) as popularity,
        rank
    from charted_in_week
    where choice = 1
),

series as (
    select * from popularities
    union all
    select * from ranks
),

compared as (
    select
        *,
        lag(week_start) over (
            partition by series, track_id
            order by week_start
        ) as week_before,
        lag(popularity) over (
            partition by series, track_id
            order by week_start
        ) as popularity_before,
        lag(rank) over (
            partition by series, track_id
            order by week_start
        ) as rank_before
    from series
),

final as (
    select
        cast(series as varchar) as series,
        cast(chart as varchar) as chart,
        cast(region as varchar) as region,
        cast(track_id as varchar) as track_id,
        cast(week_start as date) as week_start,
        cast(popularity as integer) as popularity,
        cast(rank as integer) as rank,
        cast(
            case
                when week_before = {{ add_days('week_start', -7) }}
                    then coalesce(popularity - popularity_before, rank_before - rank)
            end as integer
        ) as change
    from compared
)

select * from final
