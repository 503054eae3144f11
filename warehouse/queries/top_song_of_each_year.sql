-- My top song of each year, by minutes and by plays.
-- previous_rank is its rank in the year before; empty when it was not played then.
select
    user_id,
    year,
    measure,
    item_name as song_name,
    artist_name,
    plays,
    round(minutes, 1) as minutes,
    previous_rank
from yearly_top
where kind = 'song' and rank = 1
order by user_id, year, measure
