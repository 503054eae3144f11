-- What each source says of an album at a time. One row per observation. Albums known by name only count where a track refers to them.
with

of_tracks as (

    select file_no, seen_at, track.album as album
    from api_things
    where track is not null and track.album.id is not null and lower(coalesce(track.type, 'track')) = 'track'

),

from_tracks as (

    select
        file_no, seen_at, 2 as source_rank, album.id as album_id, nullif(album.name, '') as album_name, album.album_type,
        album.artists, album.release_date as release_text, album.total_tracks, album.external_urls.spotify as url

    from of_tracks

),

from_albums as (

    select
        file_no, seen_at, 2 as source_rank, album.id as album_id, nullif(album.name, '') as album_name,
        album.album_type, album.artists, album.release_date as release_text, album.total_tracks,
        album.external_urls.spotify as url

    from api_things
    where album is not null and album.id is not null

),

from_api as (

    select
        file_no,
        seen_at,
        source_rank,
        album_id,
        album_name,
        lower(nullif(album_type, '')) as album_type,
        coalesce(artists[1].id, name_id(nullif(artists[1].name, ''))) as primary_artist_id,
        release_text,
        try_cast(parse_up_to(total_tracks, most_items()) as integer) as total_tracks,
        url

    from (
        select * from from_tracks
        union all
        select * from from_albums
    )

),

from_csv as (

    select
        file_no,
        cast(null as timestamp) as seen_at,
        1 as source_rank,
        album_id,
        album_name,
        cast(null as varchar) as album_type,
        artists[1].id as primary_artist_id,
        release_text,
        cast(null as integer) as total_tracks,
        cast(null as varchar) as url

    from csv_tracks
    where album_id is not null and track_id is not null

),

final as (

    select * from from_api
    union all
    select * from from_csv
    where not starts_with(album_id, 'name:') or album_id in (select album_id from track_newest where album_id is not null)

)

select * from final
