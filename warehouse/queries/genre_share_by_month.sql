-- Share of each genre in the plays of each month, a play split evenly over the genres of its track.
-- unknown is the share of plays whose track has no genre; the shares of a month, of plays_of_month each, add
-- up to 1.
select
    month_start,
    genre,
    weighted_plays,
    cast(round(sum(weighted_plays) over (partition by month_start)) as bigint) as plays_of_month,
    share,
    share_without_genre
from genre_distribution
order by month_start, share desc, genre
