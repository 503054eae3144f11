-- A play is split evenly over the genres of its track. Parts are counted in 720,720ths, which
-- 1 to 16 divide: sums of integers do not depend on the order in which rows come.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }} and track_id is not null
),

track_genres as (select * from {{ ref('bridge_track_genres') }}),

genre_counts as (
    select
        track_id,
        count(*) as genres
    from track_genres
    group by track_id
),

by_month as (
    select
        {{ first_day('month', 'played_date') }} as month_start,
        track_id,
        count(*) as plays
    from plays
    group by 1, 2
),

split as (
    select
        by_month.month_start,
        coalesce(track_genres.genre, 'unknown') as genre,
        by_month.plays * coalesce(
            cast(floor(720720e0 / genre_counts.genres) as bigint), 720720
        ) as parts,
        case
            when track_genres.genre is null then by_month.plays
            else 0
        end as plays_without_genre
    from by_month
    left join genre_counts
        on by_month.track_id = genre_counts.track_id
    left join track_genres
        on by_month.track_id = track_genres.track_id
),

by_genre as (
    select
        month_start,
        genre,
        {{ total('parts') }} as parts
    from split
    group by month_start, genre
),

months as (
    select
        month_start,
        {{ total('parts') }} as parts,
        {{ total('plays_without_genre') }} as plays_without_genre
    from split
    group by month_start
),

final as (
    select
        cast(by_genre.month_start as date) as month_start,
        cast(by_genre.genre as varchar) as genre,
        cast(
            cast(by_genre.parts as double) / 720720e0 as double
        ) as weighted_plays,
        cast({{ rate('by_genre.parts', 'months.parts') }} as double) as share,
        cast(
            {{ rate('months.plays_without_genre * 720720', 'months.parts') }}
            as double
        ) as share_without_genre
    from by_genre
    inner join months
        on by_genre.month_start = months.month_start
)

select * from final
