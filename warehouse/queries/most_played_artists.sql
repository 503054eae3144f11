-- The 20 artists listened to longest, ever.
-- A play counts for the first artist of its track; days counts the dates on which the artist was played.
with

totals as (
    select
        artist_id,
        sum(plays) as plays,
        round(sum(minutes), 1) as minutes,
        count(*) as days
    from daily_artist_metrics
    group by artist_id
)

select
    dim_artists.artist_name,
    totals.plays,
    totals.minutes,
    totals.days
from totals
inner join dim_artists
    on totals.artist_id = dim_artists.artist_id
order by totals.minutes desc, totals.plays desc, totals.artist_id
limit 20
