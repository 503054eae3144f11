-- Share of each genre in the plays of each month, a play split evenly over the genres of its track.
-- unknown is the share of plays whose track has no genre; the shares of a month, of plays_of_month each, add
-- up to 1.
select
    genre_distribution.month_start,
    genre_distribution.genre,
    round(genre_distribution.weighted_plays, 1) as weighted_plays,
    cast(
        round(
            sum(genre_distribution.weighted_plays) over (
                partition by genre_distribution.month_start
            )
        ) as bigint
    ) as plays_of_month,
    round(genre_distribution.share, 3) as share,
    round(genre_distribution.share_without_genre, 3) as share_without_genre
from genre_distribution
order by genre_distribution.month_start, genre_distribution.share desc, genre_distribution.genre
