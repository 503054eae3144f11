-- Do I listen more when it is cold, wet or dark? Only what goes together, the season taken out, and on how many days.
-- low: the third of the days that is coldest or darkest for its month, or days below 1 mm; high: the other end.
select
    user_id,
    place,
    measure,
    days,
    round(low_minutes, 1) as low_minutes,
    round(high_minutes, 1) as high_minutes,
    round(correlation, 2) as correlation,
    in_words
from listening_by_weather
order by user_id, place, time_zone, measure
