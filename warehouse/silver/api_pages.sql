-- Web API responses with the list that each of them holds. One row per response. Field names of before and after February 2026
-- (`tracks`/`items`). `rows_before` counts the elements of the file's earlier responses; `batch` cuts the responses into parts of about
-- a megabyte, because the engine's JSON functions hold every document of a step in memory at once, some ten times its size.
with

pages as (

    select
        files.file_no,
        files.user_id,
        bronze.source_key,
        bronze.row_number,
        bronze.kind,
        bronze.time_range,
        bronze.observed_at,
        bronze.playlist_id,
        bronze.body,
        case
            when bronze.kind = 'playlist' and json_type(bronze.body, '$.items.items') = 'ARRAY' then '$.items'
            when bronze.kind = 'playlist' then '$.tracks'
            else '$'
        end as page_path,
        case
            when bronze.kind = 'playlist' and json_type(bronze.body, '$.items.items') = 'ARRAY' then '$.items.items'
            when bronze.kind = 'playlist' then '$.tracks.items'
            when bronze.kind not in ('tracks', 'albums', 'artists') then '$.items'
            -- followed artists stand one level deeper
            when bronze.kind = 'artists' and json_type(bronze.body, '$.artists.items') = 'ARRAY' then '$.artists.items'
            when json_type(bronze.body, '$.' || bronze.kind) = 'ARRAY' then '$.' || bronze.kind
        end as list_path

    from bronze_api_pages as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

counted as (

    select
        pages.*,
        -- a single track, album or artist is its own and only element
        case when list_path is null then 1 else coalesce(json_array_length(body, list_path), 0) end as elements

    from pages

),

final as (

    select
        counted.*,
        coalesce(sum(elements) over (
            partition by file_no order by row_number rows between unbounded preceding and 1 preceding
        ), 0) as rows_before,
        sum(length(body)) over (order by file_no, row_number) // 1000000 as batch

    from counted

)

select * from final
