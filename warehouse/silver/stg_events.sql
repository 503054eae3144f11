-- Listening events, typed. One row per bronze row; `problem` says why a row is refused.
with

source as (

    select
        files.file_no,
        files.loaded_at,
        bronze.*,
        parse_instant(bronze.occurred_at) as given_at,
        parse_length(bronze.played_ms) as given_ms

    from bronze_listening_events as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

final as (

    select
        file_no,
        source_key,
        row_number as source_row,
        nullif(event_id, '') as event_id,
        nullif(user_id, '') as user_id,
        nullif(session_id, '') as session_id,

        nullif(track_id, '') as track_id,
        nullif(track_name, '') as track_name,
        nullif(artist_name, '') as artist_name,
        action,
        parse_flag(is_skipped) as is_skipped,
        given_at as occurred_at,
        given_ms as played_ms,

        nullif(device, '') as device,
        country_of(country) as country,
        coalesce(nullif(source, ''), 'file') as source,
        nullif(topic, '') as topic,
        try_cast(parse_whole(partition_number) as integer) as partition_number,
        parse_whole(record_offset) as record_offset,

        case
            -- A record of a stream whose value was no event: only its place is known.
            when topic is not null and coalesce(event_id, user_id, action, occurred_at) is null then 'value_unreadable'
            when nullif(event_id, '') is null then 'event_id_missing'
            when nullif(user_id, '') is null then 'user_missing'
            when coalesce(action, '') not in ('play', 'skip', 'pause', 'add_to_playlist') then 'action_unknown'
            when not coalesce(is_possible(given_at), false) then 'time_invalid'
            when given_at > loaded_at + interval '1' day then 'time_future'
            when played_ms is not null and given_ms is null then 'length_invalid'
        end as problem,
        occurred_at as given_time,
        played_ms as given_length

    from source

)

select * from final
