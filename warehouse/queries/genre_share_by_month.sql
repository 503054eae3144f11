-- Share of each genre in the plays of each month, a play split evenly over the genres of its track.
-- unknown is the share of plays whose track has no genre; the shares of a month add up to 1.
select
    month_start,
    genre,
    weighted_plays,
    share,
    share_without_genre
from genre_distribution
order by month_start, share desc, genre
