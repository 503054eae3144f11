-- What each source says of a track, and when it did so first and last. One row per description; `source_rank` 2 is the API, 1 a tracks file.
with

full_tracks as (

    select
        file_no,
        content_key,
        seen_at,
        first_at,
        track,
        track.album.id as album_id,
        track.album.name as album_name

    from api_things
    where track is not null and lower(coalesce(track.type, 'track')) = 'track'

),

-- Tracks inside an album say less of themselves and nothing of the album.
album_lists as (

    select
        file_no,
        content_key,
        seen_at,
        first_at,
        album.id as album_id,
        album.name as album_name,
        unnest(album.tracks.items) as track

    from api_things
    where album is not null

),

api_tracks as (

    select
        file_no, content_key, seen_at, first_at, album_id, album_name,
        track.id, track.uri, track.name, track.duration_ms, track.explicit, track.popularity, track.track_number, track.is_local,
        track.external_ids, track.external_urls, track.artists

    from full_tracks

    union all

    select
        file_no, content_key, seen_at, first_at, album_id, album_name,
        track.id, track.uri, track.name, track.duration_ms, track.explicit, track.popularity, track.track_number, track.is_local,
        track.external_ids, track.external_urls, track.artists

    from album_lists

),

from_api as (

    select
        file_no,
        content_key,
        seen_at,
        first_at,
        2 as source_rank,
        coalesce(id, uri) as track_id,
        nullif(name, '') as track_name,
        album_id,
        nullif(album_name, '') as album_name,
        list_filter(
            list_transform(
                artists,
                lambda artist: {
                    'id': coalesce(artist.id, name_id(nullif(artist.name, ''))),
                    'name': nullif(artist.name, ''),
                    'url': artist.external_urls.spotify
                }
            ),
            lambda artist: artist.id is not null
        ) as artists,
        parse_up_to(duration_ms, most_length_ms()) as duration_ms,
        explicit as is_explicit,
        try_cast(parse_up_to(popularity, 100) as integer) as popularity,
        upper(nullif(external_ids.isrc, '')) as isrc,
        external_urls.spotify as url,
        try_cast(parse_up_to(track_number, most_items()) as integer) as track_number,
        is_local

    from api_tracks
    where coalesce(id, uri) is not null

),

from_csv as (

    select
        file_no,
        cast(null as varchar) as content_key,
        cast(null as timestamp) as seen_at,
        cast(null as timestamp) as first_at,
        1 as source_rank,
        track_id,
        track_name,
        album_id,
        album_name,
        artists,
        duration_ms,
        is_explicit,
        popularity,
        cast(null as varchar) as isrc,
        cast(null as varchar) as url,
        cast(null as integer) as track_number,
        cast(null as boolean) as is_local

    from csv_tracks
    where track_id is not null

),

final as (

    select * from from_api
    union all
    select * from from_csv

)

select * from final
