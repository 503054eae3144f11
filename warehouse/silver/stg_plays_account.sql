-- Plays of account data exports, typed. One row per bronze row. The time is the end, cut to the minute; there is no URI.
with

source as (

    select
        files.file_no,
        files.user_id,
        files.is_video,
        files.loaded_at,
        bronze.* replace (
            case when not is_nothing(bronze.track_name, bronze.artist_name) then bronze.track_name end as track_name,
            case when not is_nothing(bronze.track_name, bronze.artist_name) then bronze.artist_name end as artist_name
        ),
        parse_instant(bronze.end_time) as given_at,
        parse_length(bronze.ms_played) as given_ms,
        coalesce(bronze.chapter_name, bronze.audiobook_name) is not null as is_chapter,
        coalesce(bronze.episode_name, bronze.podcast_name) is not null as is_episode

    from bronze_export_account as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

final as (

    select
        file_no,
        source_key,
        row_number as source_row,
        user_id,
        cast(null as varchar) as account,
        'export_account' as source,

        case
            when is_chapter then 'chapter'
            when is_episode then 'episode'
            when track_name is null then 'unknown'
            when is_video then 'video'
            else 'track'
        end as content_type,
        cast(null as varchar) as content_uri,
        cast(null as varchar) as audiobook_uri,
        cast(null as varchar) as track_id,
        case when is_chapter then chapter_name when is_episode then episode_name else track_name end as track_name,
        case when is_chapter then author_name when is_episode then podcast_name else artist_name end as artist_name,
        case when is_chapter then audiobook_name when is_episode then podcast_name end as album_name,

        given_at - to_milliseconds(given_ms) as started_at,
        given_at as ended_at,
        given_at as reported_at,
        cast(null as timestamp) as offline_at,
        given_ms as played_ms,
        cast(null as bigint) as duration_ms,

        cast(null as varchar) as device,
        cast(null as varchar) as platform,
        cast(null as varchar) as country,
        cast(null as varchar) as reason_start,
        cast(null as varchar) as reason_end,
        cast(null as boolean) as is_skipped,
        cast(null as boolean) as is_shuffle,
        cast(null as boolean) as is_offline,
        cast(null as boolean) as is_incognito,
        'minute' as time_quality,
        cast(null as varchar) as context_uri,

        case
            when not coalesce(is_possible(given_at), false) then 'time_invalid'
            when given_at > loaded_at + interval 1 day then 'time_future'
            when given_ms is null then 'length_invalid'
        end as problem,
        end_time as given_time,
        ms_played as given_length,
        cast(null as varchar) as given_flag

    from source

)

select * from final
