-- Scrobbles of Last.fm, typed. One row per bronze row with a time.
--
-- The time is the start, and nothing says how long the track was heard: so it is the end as well, and the
-- length is unknown. A track without a time was still playing when the page was taken: `load` does not count
-- it, and it is no scrobble yet.
with

source as (

    select
        files.file_no,
        files.user_id,
        files.loaded_at,
        bronze.source_key,
        bronze.row_number,
        said(bronze.artist) as artist_name,
        said(bronze.album) as album_name,
        said(bronze.track) as track_name,
        recording_uri(bronze.track_mbid) as content_uri,
        coalesce(said(bronze.uts), said(bronze.played_at)) as given_time,
        parse_scrobble_time(coalesce(said(bronze.uts), said(bronze.played_at))) as given_at

    from bronze_lastfm_scrobbles as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    where coalesce(said(bronze.uts), said(bronze.played_at)) is not null

),

final as (

    select
        file_no,
        source_key,
        row_number as source_row,
        user_id,
        cast(null as varchar) as account,
        'lastfm' as source,

        'track' as content_type,
        content_uri,
        cast(null as varchar) as audiobook_uri,
        cast(null as varchar) as track_id,
        track_name,
        artist_name,
        album_name,

        given_at as started_at,
        given_at as ended_at,
        given_at as reported_at,
        cast(null as timestamp) as offline_at,
        cast(null as bigint) as played_ms,
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
        case when is_minute_only(given_time) then 'minute' else 'start' end as time_quality,
        cast(null as varchar) as context_uri,

        case
            when not coalesce(is_possible_scrobble(given_at), false) then 'time_invalid'
            when given_at > loaded_at + interval 1 day then 'time_future'
            when track_name is null or artist_name is null then 'name_missing'
        end as problem,
        given_time,
        cast(null as varchar) as given_length,
        cast(null as varchar) as given_flag

    from source

)

select * from final
