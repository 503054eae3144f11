-- Songs that I found and kept: first heard after my first 90 days, and played on a day from 31 to 365 after that.
-- plays_365_days are the plays of the year that followed; what was found less than a year ago is open yet.
select
    user_id,
    first_date,
    item_name as song_name,
    artist_name,
    plays_30_days,
    plays_365_days
from discoveries
where kind = 'song' and stayed and not is_at_start
order by plays_365_days desc, user_id, first_date, item
limit 50
