-- Whether songs released in the last 90 days are more popular than older ones.
-- Average and median are of the songs whose popularity is known.
select
    released,
    songs,
    songs_without_popularity,
    round(average_popularity, 1) as average_popularity,
    round(median_popularity, 1) as median_popularity
from popularity_recent_vs_older
order by released desc
