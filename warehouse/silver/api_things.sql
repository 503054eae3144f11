-- Descriptions of tracks, albums, artists and playlists, typed; each row is one of the four. One row per description of a batch.
with

described as (

    select
        contents.file_no,
        contents.seen_at,
        contents.first_at,
        bronze.thing,
        bronze.content

    from bronze_api_answers as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    inner join batch_contents as contents
        on files.file_no = contents.file_no
        and bronze.row_number = contents.row_number

),

final as (

    select
        file_no,
        seen_at,
        first_at,
        json_transform(
            case when thing = 'track' then content end,
            '{"id": "VARCHAR", "uri": "VARCHAR", "name": "VARCHAR", "type": "VARCHAR", "duration_ms": "DOUBLE",
              "explicit": "BOOLEAN", "popularity": "DOUBLE", "track_number": "DOUBLE", "is_local": "BOOLEAN",
              "external_ids": {"isrc": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"},
              "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}],
              "album": {"id": "VARCHAR", "name": "VARCHAR", "album_type": "VARCHAR", "release_date": "VARCHAR",
                        "total_tracks": "DOUBLE", "external_urls": {"spotify": "VARCHAR"},
                        "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}]}}'
        ) as track,
        json_transform(
            case when thing = 'album' then content end,
            '{"id": "VARCHAR", "name": "VARCHAR", "album_type": "VARCHAR", "release_date": "VARCHAR",
              "total_tracks": "DOUBLE", "external_urls": {"spotify": "VARCHAR"},
              "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}],
              "tracks": {"items": [{"id": "VARCHAR", "uri": "VARCHAR", "name": "VARCHAR", "type": "VARCHAR",
                         "duration_ms": "DOUBLE", "explicit": "BOOLEAN", "popularity": "DOUBLE",
                         "track_number": "DOUBLE", "is_local": "BOOLEAN",
                         "external_ids": {"isrc": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"},
                         "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}]}]}}'
        ) as album,
        json_transform(
            case when thing = 'artist' then content end,
            '{"id": "VARCHAR", "name": "VARCHAR", "popularity": "DOUBLE", "genres": ["VARCHAR"],
              "followers": {"total": "DOUBLE"}, "external_urls": {"spotify": "VARCHAR"}}'
        ) as artist,
        json_transform(
            case when thing = 'playlist' then content end,
            '{"id": "VARCHAR", "name": "VARCHAR", "snapshot_id": "VARCHAR", "owner": {"id": "VARCHAR"},
              "tracks": {"total": "DOUBLE"}, "items": {"total": "DOUBLE"}, "external_urls": {"spotify": "VARCHAR"}}'
        ) as playlist

    from described

)

select * from final
