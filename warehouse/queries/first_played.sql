-- The songs that were new to a listener in the newest month of the data, those that stayed most first.
-- A song is new to a user on the date of its first play by that user.
with

first_plays as (
    select
        user_id,
        song_key,
        min(played_date) as first_date,
        count(*) as plays
    from fct_plays
    where song_key is not null and not is_incognito and not is_implausible
    group by user_id, song_key
),

newest_date as (
    select max(played_date) as played_date from fct_plays
),

newest_month as (
    select dim_dates.month_start
    from newest_date
    inner join dim_dates
        on newest_date.played_date = dim_dates.date_day
)

select
    first_plays.user_id,
    first_plays.first_date,
    dim_songs.song_name,
    dim_songs.artist_name,
    first_plays.plays
from first_plays
inner join newest_month
    on first_plays.first_date >= newest_month.month_start
inner join dim_songs
    on first_plays.song_key = dim_songs.song_key
order by
    first_plays.plays desc,
    first_plays.user_id,
    first_plays.first_date,
    first_plays.song_key
limit 50
