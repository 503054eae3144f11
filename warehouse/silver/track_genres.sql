-- silver.track_genres: genres of tracks files, and genres of a track's artists where the API still says them.
with

of_artists as (

    select artist_id, unnest(newest(seen_at, source_rank, genres)) as genre
    from artist_facts
    group by artist_id

),

pairs as (

    select track_id, genre, 'tracks_csv' as source
    from csv_tracks
    where track_id is not null and genre is not null

    union all

    select listed.track_id, of_artists.genre, 'artist' as source
    from (select track_id, unnest(artists).id as artist_id from track_newest) as listed
    inner join of_artists on listed.artist_id = of_artists.artist_id

),

final as (

    select track_id, genre, max(source) as source
    from pairs
    where genre <> ''
    group by track_id, genre

)

select * from final
