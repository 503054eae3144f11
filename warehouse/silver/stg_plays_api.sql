-- Plays of recently-played answers, typed. One row per item of an answer, empty items included; `source_row` counts them over the file.
--
-- `played_at` is sometimes the start and sometimes the end, so both are it, and the length is unknown.
with

pages as (

    select
        files.file_no,
        files.user_id,
        bronze.source_key,
        bronze.row_number,
        json_extract(bronze.body, '$.items[*]') as items

    from bronze_api_pages as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    where bronze.kind = 'recently_played'

),

items as (

    select
        file_no,
        user_id,
        source_key,
        row_number,
        unnest(range(1, len(items) + 1)) as position,
        unnest(items) as item

    from pages

),

typed as (

    select
        file_no,
        user_id,
        source_key,
        row_number() over (partition by file_no order by row_number, position) as source_row,
        json_transform(
            item,
            '{"played_at": "VARCHAR",
              "context": {"uri": "VARCHAR"},
              "track": {"id": "VARCHAR", "uri": "VARCHAR", "name": "VARCHAR", "duration_ms": "VARCHAR",
                        "artists": [{"name": "VARCHAR"}],
                        "album": {"name": "VARCHAR", "artists": [{"name": "VARCHAR"}]}}}'
        ) as item

    from items

),

final as (

    select
        file_no,
        source_key,
        source_row,
        user_id,
        'api' as source,

        case when coalesce(item.track.uri, item.track.id, item.track.name) is null then 'unknown' else 'track' end as content_type,
        coalesce(item.track.uri, 'spotify:track:' || item.track.id) as content_uri,
        coalesce(item.track.id, track_id_of(item.track.uri), item.track.uri) as track_id,
        item.track.name as track_name,
        coalesce(item.track.album.artists[1].name, item.track.artists[1].name) as artist_name,
        item.track.album.name as album_name,

        parse_instant(item.played_at) as started_at,
        parse_instant(item.played_at) as ended_at,
        parse_instant(item.played_at) as reported_at,
        cast(null as timestamp) as offline_at,
        cast(null as bigint) as played_ms,
        parse_up_to(item.track.duration_ms, most_length_ms()) as duration_ms,

        cast(null as varchar) as device,
        cast(null as varchar) as platform,
        cast(null as varchar) as country,
        cast(null as varchar) as reason_start,
        cast(null as varchar) as reason_end,
        cast(null as boolean) as is_skipped,
        cast(null as boolean) as is_shuffle,
        cast(null as boolean) as is_offline,
        cast(null as boolean) as is_incognito,
        'api' as time_quality,
        item.context.uri as context_uri,

        case
            when not coalesce(is_possible(parse_instant(item.played_at)), false) then 'time_invalid'
            when is_beyond(item.track.duration_ms, most_length_ms()) then 'length_invalid'
        end as problem,
        item.played_at as given_time,
        item.track.duration_ms as given_length

    from typed

)

select * from final
