-- Things that Web API responses hold, typed. One row per element of a response, null elements included; `source_row` counts them over
-- the file. Field names of before and after February 2026 (`track`/`item`). `api_batch` is a part of `api_pages`.
with

lists as (

    select
        * exclude (observed_at, playlist_id, body),
        parse_possible_instant(observed_at) as observed_at,
        coalesce(playlist_id, case when kind = 'playlist' then body ->> '$.id' end) as playlist_id,
        coalesce(parse_up_to(json_extract_string(body, page_path || '.offset'), most_items()), 0) as page_offset,
        parse_up_to(json_extract_string(body, page_path || '.total'), most_items()) as page_total,
        -- a path that is no constant gives JSON, one that is `[*]` a list of it
        case
            when list_path is null then [try_cast(body as json)]
            else try_cast(json_extract(body, list_path) as json[])
        end as list

    from api_batch

),

elements as (

    select
        * exclude (list),
        unnest(range(1, len(list) + 1)) as position,
        unnest(list) as element

    from lists

),

parts as (

    select
        * exclude (element),
        rows_before + position as source_row,
        json_type(element) = 'OBJECT' as is_object,
        element ->> '$.added_at' as added_text,
        case
            when kind in ('recently_played', 'playlist', 'playlist_items', 'saved_tracks')
                then coalesce(
                    json_object_or_null(json_extract(element, '$.track')),
                    json_object_or_null(json_extract(element, '$.item'))
                )
            when kind in ('tracks', 'top_tracks') then json_object_or_null(element)
        end as track,
        case
            when kind = 'saved_albums' then json_object_or_null(json_extract(element, '$.album'))
            when kind = 'albums' then json_object_or_null(element)
        end as album,
        case when kind in ('artists', 'top_artists') then json_object_or_null(element) end as artist,
        case when kind = 'playlists' then json_object_or_null(element) end as playlist,
        json_extract(element, '$.is_local') = 'true' as is_local_item

    from elements

),

typed as (

    select
        file_no,
        source_key,
        source_row,
        user_id,
        kind,
        observed_at,
        time_range,
        playlist_id,
        page_total,
        page_offset + position as position,
        is_object,
        is_local_item,
        parse_added_at(added_text) as added_at,
        json_transform(
            track,
            '{"id": "VARCHAR", "uri": "VARCHAR", "name": "VARCHAR", "type": "VARCHAR", "duration_ms": "VARCHAR",
              "explicit": "BOOLEAN", "popularity": "VARCHAR", "track_number": "VARCHAR", "is_local": "BOOLEAN",
              "external_ids": {"isrc": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"},
              "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}],
              "album": {"id": "VARCHAR", "name": "VARCHAR", "album_type": "VARCHAR", "release_date": "VARCHAR",
                        "total_tracks": "VARCHAR", "external_urls": {"spotify": "VARCHAR"},
                        "artists": [{"id": "VARCHAR", "name": "VARCHAR", "external_urls": {"spotify": "VARCHAR"}}]}}'
        ) as track,
        json_transform(
            album,
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
            artist,
            '{"id": "VARCHAR", "name": "VARCHAR", "popularity": "VARCHAR", "genres": ["VARCHAR"],
              "followers": {"total": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"}}'
        ) as artist,
        json_transform(
            playlist,
            '{"id": "VARCHAR", "name": "VARCHAR", "snapshot_id": "VARCHAR", "owner": {"id": "VARCHAR"},
              "tracks": {"total": "VARCHAR"}, "items": {"total": "VARCHAR"}, "external_urls": {"spotify": "VARCHAR"}}'
        ) as playlist

    from parts

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
        * exclude (track, album, artist, playlist),
        case when number_beyond is null then track end as track,
        case when number_beyond is null then album end as album,
        case when number_beyond is null then artist end as artist,
        case when number_beyond is null then playlist end as playlist

    from judged

)

select * from final
