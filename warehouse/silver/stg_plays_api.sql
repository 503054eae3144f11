-- Plays of recently-played answers, typed. One row per item of an answer, empty items included.
--
-- `played_at` is sometimes the start and sometimes the end, so both are it, and the length is unknown.
with

items as (

    select
        files.file_no,
        files.user_id,
        files.loaded_at,
        bronze.*

    from bronze_api_answers as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    where bronze.kind = 'recently_played' and bronze.position > 0

),

final as (

    select
        file_no,
        source_key,
        row_number as source_row,
        user_id,
        cast(null as varchar) as account,
        'api' as source,

        case when coalesce(uri, id, name) is null then 'unknown' else 'track' end as content_type,
        coalesce(uri, 'spotify:track:' || id) as content_uri,
        cast(null as varchar) as audiobook_uri,
        coalesce(id, track_id_of(uri), uri) as track_id,
        name as track_name,
        coalesce(album_artist_name, artist_name) as artist_name,
        album_name,

        parse_instant(played_at) as started_at,
        parse_instant(played_at) as ended_at,
        parse_instant(played_at) as reported_at,
        cast(null as timestamp) as offline_at,
        cast(null as bigint) as played_ms,
        parse_up_to(items.duration_ms, most_length_ms()) as duration_ms,

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
        context_uri,

        case
            when not coalesce(is_possible(parse_instant(played_at)), false) then 'time_invalid'
            when parse_instant(played_at) > loaded_at + interval 1 day then 'time_future'
            when is_beyond(items.duration_ms, most_length_ms()) then 'length_invalid'
        end as problem,
        played_at as given_time,
        items.duration_ms as given_length,
        cast(null as varchar) as given_flag

    from items

)

select * from final
