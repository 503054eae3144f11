-- The 20 artists listened to longest, ever.
-- A play counts for the first artist of its track; days counts the dates on which the artist was played.
with

totals as (
    select
        artist_id,
        cast(sum(plays) as bigint) as plays,
        -- In whole milliseconds: a sum of integers is the same in every order.
        cast(sum(round(minutes * 60000e0)) as bigint) as played_ms,
        count(*) as days
    from daily_artist_metrics
    group by artist_id
)

select
    dim_artists.artist_name,
    totals.plays,
    round(cast(totals.played_ms as double) / 60000e0, 1) as minutes,
    totals.days
from totals
inner join dim_artists
    on totals.artist_id = dim_artists.artist_id
order by totals.played_ms desc, totals.plays desc, totals.artist_id
limit 20
