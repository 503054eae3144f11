-- From when to when each file of an account export tells of listening. One row per file at hand with a play in it, and per stretch
-- of listening in it that no month without a play interrupts.
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

days as (

    select
        file_no,
        source,
        cast(reported_at as date) as reported_on,
        bool_or(content_type in ('track', 'unknown')) as is_music,
        count(*) as plays,
        min(reported_at - to_milliseconds(least(played_ms, 86400000))) as first_at,
        max(reported_at) as last_at

    from rows_of_files
    group by file_no, source, reported_on

),

numbered as (

    select
        *,
        count_if(is_after_a_month) over (
            partition by file_no, source
            order by reported_on
            rows between unbounded preceding and current row
        ) + 1 as stretch

    from (
        select
            *,
            coalesce(
                reported_on - lag(reported_on) over (partition by file_no, source order by reported_on) > 31,
                false
            ) as is_after_a_month
        from days
    )

),

spans as (

    select
        file_no,
        source,
        stretch,
        bool_or(bool_or(is_music)) over (partition by file_no, source) as is_music,
        sum(plays) as plays,
        min(first_at) as first_at,
        max(last_at) as last_at

    from numbered
    group by file_no, source, stretch

),

named as (

    select
        *,
        regexp_extract(file_name, '[^/]*$') as own_name

    from source_files

),

final as (

    select
        coalesce(files.user_id, 'unknown') as user_id,
        spans.source,
        -- The names of before 2021 (endsong_0) count in no order of time.
        try_cast(
            regexp_extract(
                files.own_name, '^(?:Streaming_History_Audio_.*_|StreamingHistory(?:_music_)?)([0-9]{1,3})\.json$', 1
            ) as integer
        ) as file_number,
        spans.stretch,
        spans.is_music,
        spans.plays,
        spans.first_at,
        spans.last_at,
        files.source_key

    from spans
    inner join named as files on spans.file_no = files.file_no

)

select * from final
