-- What each source says of an artist at a time. One row per observation. Artists known by name only count where a track or an album
-- in silver refers to them.
with

full_artists as (

    select
        file_no,
        seen_at,
        2 as source_rank,
        artist.id as artist_id,
        nullif(artist.name, '') as artist_name,
        nullif(list_sort(list_distinct(list_transform(artist.genres, lambda genre: lower(genre)))), []) as genres,
        artist.external_urls.spotify as url,
        parse_up_to(artist.followers.total, most_followers()) as followers,
        try_cast(parse_up_to(artist.popularity, 100) as integer) as popularity

    from api_things
    where artist is not null and artist.id is not null

),

mentions as (

    select file_no, seen_at, unnest(track.artists) as artist
    from api_things
    where track is not null and lower(coalesce(track.type, 'track')) = 'track'

    union all

    select file_no, seen_at, unnest(track.album.artists) as artist
    from api_things
    where track is not null and lower(coalesce(track.type, 'track')) = 'track'

    union all

    select file_no, seen_at, unnest(album.artists) as artist
    from api_things
    where album is not null

    union all

    select file_no, seen_at, unnest(track.artists) as artist
    from (
        select file_no, seen_at, unnest(album.tracks.items) as track
        from api_things
        where album is not null
    )

),

mentioned as (

    select
        file_no,
        seen_at,
        2 as source_rank,
        coalesce(artist.id, name_id(nullif(artist.name, ''))) as artist_id,
        nullif(artist.name, '') as artist_name,
        cast(null as varchar []) as genres,
        artist.external_urls.spotify as url,
        cast(null as bigint) as followers,
        cast(null as integer) as popularity

    from mentions
    where coalesce(artist.id, artist.name) is not null

),

named as (

    select
        file_no,
        cast(null as timestamp) as seen_at,
        1 as source_rank,
        unnest(artists) as artist

    from csv_tracks
    where track_id is not null

),

referred as (

    select artist_id from (select unnest(artists).id as artist_id from track_newest)
    union
    select primary_artist_id from album_facts where primary_artist_id is not null

),

from_csv as (

    select
        file_no,
        seen_at,
        source_rank,
        artist.id as artist_id,
        artist.name as artist_name,
        cast(null as varchar []) as genres,
        cast(null as varchar) as url,
        cast(null as bigint) as followers,
        cast(null as integer) as popularity

    from named
    where artist.id in (select artist_id from referred)

),

final as (

    select * from full_artists
    union all
    select * from mentioned
    union all
    select * from from_csv

)

select * from final
