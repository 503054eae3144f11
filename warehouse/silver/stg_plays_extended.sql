-- Plays of extended account exports, typed. One row per bronze row; `problem` says why a row is refused.
--
-- `ts` is the end of a play. Of an offline play it is the moment of the sync: there `offline_timestamp` is the start, where it can be
-- one (offline is true, not after ts, at most 45 days before it: a device must go online every 30 days, and the play is under a day).
with

source as (

    select
        files.file_no,
        files.user_id,
        files.is_video,
        files.loaded_at,
        bronze.* exclude (
            master_metadata_track_name, master_metadata_album_artist_name, master_metadata_album_album_name
        ),
        is_nothing(bronze.master_metadata_track_name, bronze.master_metadata_album_artist_name) as is_nothing,
        case when not is_nothing then bronze.master_metadata_track_name end as master_metadata_track_name,
        case when not is_nothing then bronze.master_metadata_album_artist_name end as master_metadata_album_artist_name,
        case when not is_nothing then bronze.master_metadata_album_album_name end as master_metadata_album_album_name,
        parse_instant(bronze.ts) as given_at,
        parse_length(bronze.ms_played) as given_ms,
        case
            when parse_whole(bronze.offline_timestamp) > 0
                then instant_of_epoch(parse_whole(bronze.offline_timestamp))
        end as given_offline_at,
        coalesce(
            nullif(bronze.audiobook_chapter_uri, ''),
            nullif(bronze.spotify_episode_uri, ''),
            nullif(bronze.spotify_track_uri, ''),
            nullif(bronze.audiobook_uri, '')
        ) as uri,
        nullif(bronze.audiobook_chapter_uri, '') is not null or nullif(bronze.audiobook_uri, '') is not null
        or bronze.audiobook_title is not null as is_chapter,
        nullif(bronze.spotify_episode_uri, '') is not null or bronze.episode_name is not null as is_episode

    from bronze_export_extended as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

timed as (

    select
        *,
        is_offline_start(offline, given_offline_at, given_at, given_ms) as is_offline_start

    from source

),

final as (

    select
        file_no,
        source_key,
        row_number as source_row,
        user_id,
        username_pseudonym as account,
        'export_extended' as source,

        case
            when is_chapter then 'chapter'
            when is_episode then 'episode'
            when track_id_of(uri) is null and (uri is not null or master_metadata_track_name is null) then 'unknown'
            when is_video then 'video'
            else 'track'
        end as content_type,
        uri as content_uri,
        nullif(audiobook_uri, '') as audiobook_uri,
        track_id_of(uri) as track_id,
        case
            when is_chapter then audiobook_chapter_title
            when is_episode then episode_name
            else master_metadata_track_name
        end as track_name,
        case
            when is_chapter then null
            when is_episode then episode_show_name
            else master_metadata_album_artist_name
        end as artist_name,
        case
            when is_chapter then audiobook_title
            when is_episode then episode_show_name
            else master_metadata_album_album_name
        end as album_name,

        case
            when is_offline_start then date_trunc('second', given_offline_at)
            else given_at - to_milliseconds(given_ms)
        end as started_at,
        case
            when is_offline_start then date_trunc('second', given_offline_at) + to_milliseconds(given_ms)
            else given_at
        end as ended_at,
        given_at as reported_at,
        given_offline_at as offline_at,
        given_ms as played_ms,
        cast(null as bigint) as duration_ms,

        device_of(platform) as device,
        nullif(platform, '') as platform,
        country_of(conn_country) as country,
        nullif(reason_start, '') as reason_start,
        nullif(reason_end, '') as reason_end,
        parse_flag(skipped) as is_skipped,
        parse_flag(shuffle) as is_shuffle,
        parse_flag(offline) as is_offline,
        parse_flag(incognito_mode) as is_incognito,
        case
            when is_offline_start then 'offline'
            when parse_flag(offline) then 'sync'
            else 'exact'
        end as time_quality,
        cast(null as varchar) as context_uri,

        case
            when not coalesce(is_possible(given_at), false) then 'time_invalid'
            when given_at > loaded_at + interval 1 day then 'time_future'
            when given_ms is null then 'length_invalid'
            when unread_flag(incognito_mode, skipped, offline, shuffle) is not null then 'flag_invalid'
        end as problem,
        ts as given_time,
        ms_played as given_length,
        unread_flag(incognito_mode, skipped, offline, shuffle) as given_flag

    from timed

)

select * from final
