-- From when to when each file of an account export tells of listening. One row per file at hand with a play in it.
--
-- The time is the one of the report: an offline play tells that the device was in touch when it was synced, not that the file
-- reaches back to its start.
with

rows_of_files as (

    select file_no, 'export_extended' as source, content_type, reported_at, played_ms
    from stg_plays_extended
    where problem is null
    union all
    select file_no, 'export_account' as source, content_type, reported_at, played_ms
    from stg_plays_account
    where problem is null

),

spans as (

    select
        file_no,
        source,
        bool_or(content_type in ('track', 'unknown')) as is_music,
        count(*) as plays,
        min(reported_at - to_milliseconds(least(played_ms, 86400000))) as first_at,
        max(reported_at) as last_at

    from rows_of_files
    group by file_no, source

),

final as (

    select
        coalesce(files.user_id, 'unknown') as user_id,
        spans.source,
        try_cast(
            regexp_extract(files.file_name, '(?:_|StreamingHistory)([0-9]{1,3})\.json$', 1) as integer
        ) as file_number,
        spans.is_music,
        spans.plays,
        spans.first_at,
        spans.last_at,
        files.source_key

    from spans
    inner join source_files as files on spans.file_no = files.file_no

)

select * from final
