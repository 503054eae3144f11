-- Skip rate of each genre with at least 20 plays that have a verdict, the highest first.
-- skip_rate = skips / verdict_plays, which are the skipped and the finished plays; low and high are its 95 %
-- Wilson interval; a play counts for each genre of its track.
select
    genre,
    plays,
    verdict_plays,
    skips,
    neutral_plays,
    skip_rate,
    skip_rate_low,
    skip_rate_high
from skip_rate_by_genre
where verdict_plays >= 20
order by skip_rate desc, genre
