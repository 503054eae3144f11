-- Descriptions of tracks, albums, artists and playlists in Web API responses: when each was seen, and where it stands. One row per
-- description, wherever and however often it came. `batch` cuts them into parts of about a megabyte, because the engine's JSON functions
-- hold every document of a step in memory at once, some ten times its size.
with

described as (

    select
        files.file_no,
        files.is_new,
        bronze.row_number,
        bronze.content_key,
        bronze.content_bytes,
        parse_possible_instant(bronze.observed_at) as observed_at

    from bronze_api_answers as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    where bronze.content_key is not null

),

placed as (

    -- In a file that was known before, where there is one: what it describes is no news then.
    select
        content_key,
        max(observed_at) as seen_at,
        min(observed_at) as first_at,
        arg_min(
            {'file_no': file_no, 'row_number': row_number, 'bytes': content_bytes},
            {'is_new': is_new, 'file_no': file_no, 'row_number': row_number}
        ) filter (where content_bytes is not null) as place

    from described
    group by content_key

),

final as (

    select
        place.file_no as file_no,
        place.row_number as row_number,
        content_key,
        seen_at,
        first_at,
        sum(place.bytes) over (order by place.file_no, place.row_number) // 1000000 as batch

    from placed

)

select * from final
