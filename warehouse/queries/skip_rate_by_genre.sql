-- Skip rate of each genre with at least 20 plays that have a verdict, the highest first.
-- skip_rate = skips / verdict_plays, which are the skipped and the finished plays; low and high are its 95 %
-- Wilson interval; a play counts for each genre of its track.
select
    skip_rate_by_genre.genre,
    skip_rate_by_genre.plays,
    skip_rate_by_genre.verdict_plays,
    skip_rate_by_genre.skips,
    skip_rate_by_genre.neutral_plays,
    round(skip_rate_by_genre.skip_rate, 3) as skip_rate,
    round(skip_rate_by_genre.skip_rate_low, 3) as skip_rate_low,
    round(skip_rate_by_genre.skip_rate_high, 3) as skip_rate_high
from skip_rate_by_genre
where skip_rate_by_genre.verdict_plays >= 20
order by skip_rate_by_genre.skip_rate desc, skip_rate_by_genre.genre
