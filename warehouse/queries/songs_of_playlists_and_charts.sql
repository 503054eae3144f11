-- Songs of the followed playlists and charts with their artist and album, the newest additions first.
-- added_date is when it was first added to a playlist, or first charted.
select
    songs.added_date,
    songs.name as song,
    artists.name as artist,
    albums.name as album,
    albums.release_date,
    songs.popularity,
    songs.url
from songs
left join artists
    on songs.artist_id = artists.artist_id
left join albums
    on songs.album_id = albums.album_id
order by songs.added_date desc nulls last, songs.song_id
limit 100
