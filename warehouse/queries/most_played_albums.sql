-- The 20 albums with the most plays, and how many of their tracks (recordings) were played.
-- The album is that of the track's own id; private sessions are left out.
select
    dim_albums.album_name,
    dim_albums.artist_name,
    dim_albums.release_date,
    count(*) as plays,
    count(distinct fct_plays.track_id) as tracks_played
from fct_plays
inner join dim_albums
    on fct_plays.album_id = dim_albums.album_id
where not fct_plays.is_incognito and not fct_plays.is_implausible
group by
    dim_albums.album_id,
    dim_albums.album_name,
    dim_albums.artist_name,
    dim_albums.release_date
order by plays desc, dim_albums.album_id
limit 20
