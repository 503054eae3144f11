-- The 50 artists skipped most surely: by the interval's lower end, so that one skip of one play does not lead.
-- skip_rate = skips / verdict_plays, which are the skipped and the finished plays; low and high are its 95 %
-- Wilson interval; an artist's tracks are those it comes first on.
select
    skip_rate_by_artist.artist_name,
    skip_rate_by_artist.plays,
    skip_rate_by_artist.verdict_plays,
    skip_rate_by_artist.skips,
    skip_rate_by_artist.neutral_plays,
    round(skip_rate_by_artist.skip_rate, 3) as skip_rate,
    round(skip_rate_by_artist.skip_rate_low, 3) as skip_rate_low,
    round(skip_rate_by_artist.skip_rate_high, 3) as skip_rate_high
from skip_rate_by_artist
where skip_rate_by_artist.verdict_plays > 0
order by skip_rate_by_artist.skip_rate_low desc, skip_rate_by_artist.verdict_plays desc, skip_rate_by_artist.artist_id
limit 50
