-- Descriptions of tracks, albums, artists and playlists, typed; each row is one of the four, or none
-- where `number_beyond` says which of its numbers is a broken counter. One row per description of a batch.
with

described as (

    select
        contents.file_no,
        contents.seen_at,
        contents.first_at,
        contents.content_key,
        bronze.position = 0 as is_answer,
        bronze.thing,
        bronze.content

    from bronze_api_answers as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    inner join batch_contents as contents
        on files.file_no = contents.file_no
        and bronze.row_number = contents.row_number
        and bronze.content_key = contents.content_key
    where bronze.content is not null

),

typed as (

    select
        * exclude (thing, content),
        json_transform(
            case when thing = 'track' then content end,
            '{"id": "VARCHAR", "uri": "VARCHAR", "name": "VARCHAR", "type": "VARCHAR", "duration_ms": "VARCHAR",
              "explicit": "BOOLEAN", "popularity": "VARCHAR", "track_number": "VARCHAR", "is_local": "BOOLEAN",
              "external_ids": {"isrc": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"},
              "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}],
              "album": {"id": "VARCHAR", "name": "VARCHAR", "album_type": "VARCHAR", "release_date": "VARCHAR",
                        "total_tracks": "VARCHAR", "external_urls": {"spotify": "VARCHAR"},
                        "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}]}}'
        ) as track,
        json_transform(
            case when thing = 'album' then content end,
            '{"id": "VARCHAR", "name": "VARCHAR", "album_type": "VARCHAR", "release_date": "VARCHAR",
              "total_tracks": "VARCHAR", "external_urls": {"spotify": "VARCHAR"},
              "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}],
              "tracks": {"items": [{"id": "VARCHAR", "uri": "VARCHAR", "name": "VARCHAR", "type": "VARCHAR",
                         "duration_ms": "VARCHAR", "explicit": "BOOLEAN", "popularity": "VARCHAR",
                         "track_number": "VARCHAR", "is_local": "BOOLEAN",
                         "external_ids": {"isrc": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"},
                         "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}]}]}}'
        ) as album,
        json_transform(
            case when thing = 'artist' then content end,
            '{"id": "VARCHAR", "name": "VARCHAR", "popularity": "VARCHAR", "genres": ["VARCHAR"],
              "followers": {"total": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"}}'
        ) as artist,
        json_transform(
            case when thing = 'playlist' then content end,
            '{"id": "VARCHAR", "name": "VARCHAR", "snapshot_id": "VARCHAR", "owner": {"id": "VARCHAR"},
              "tracks": {"total": "VARCHAR"}, "items": {"total": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"}}'
        ) as playlist

    from described

),

judged as (

    select
        *,
        case
            when is_beyond(track.duration_ms, most_length_ms()) then 'duration_ms ' || track.duration_ms
            when is_beyond(track.track_number, most_items()) then 'track_number ' || track.track_number
            when is_beyond(track.album.total_tracks, most_items()) then 'total_tracks ' || track.album.total_tracks
            when is_beyond(album.total_tracks, most_items()) then 'total_tracks ' || album.total_tracks
            when is_beyond(artist.followers.total, most_followers()) then 'followers ' || artist.followers.total
            when is_beyond(playlist.items.total, most_items()) then 'items ' || playlist.items.total
            when is_beyond(playlist.tracks.total, most_items()) then 'tracks ' || playlist.tracks.total
        end as number_beyond

    from typed

),

final as (

    -- A refused element describes nothing.
    select
        * exclude (is_answer, track, album, artist, playlist),
        case when number_beyond is null then track end as track,
        case when number_beyond is null then album end as album,
        case when number_beyond is null then artist end as artist,
        case when number_beyond is null or is_answer then playlist end as playlist

    from judged

)

select * from final
