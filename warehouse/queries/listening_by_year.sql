-- Each year of a person in numbers: hours, plays, songs, what was new, and how much was repeated.
-- repeat_rate = 1 - songs / song_plays; change is against the minutes of the year before, where both are covered.
select
    user_id,
    year,
    round(minutes / 60e0, 1) as hours,
    plays,
    song_plays,
    songs,
    artists,
    new_songs,
    new_artists,
    round(repeat_rate, 3) as repeat_rate,
    round(change, 3) as change
from listening_years
order by user_id, year
