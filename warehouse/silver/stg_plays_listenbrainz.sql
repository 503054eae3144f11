-- Listens of ListenBrainz, typed. One row per bronze row.
--
-- The time is the start, and nothing says how long the track was heard: so it is the end as well, and the
-- length is unknown. Of several artists the first one counts, as in exports of Spotify.
with

source as (

    select
        files.file_no,
        files.user_id,
        files.loaded_at,
        bronze.source_key,
        bronze.row_number,
        coalesce(said(bronze.first_artist_name), said(bronze.artist_name)) as artist_name,
        said(bronze.release_name) as album_name,
        said(bronze.track_name) as track_name,
        uri_of_link(bronze.spotify_id) as spotify_uri,
        recording_uri(bronze.recording_mbid) as recording_uri,
        said(bronze.listened_at) as given_time,
        parse_scrobble_time(said(bronze.listened_at)) as given_at,
        nullif(
            coalesce(
                parse_up_to(bronze.duration_ms, most_length_ms()),
                parse_up_to(bronze.duration, most_length_ms() / 1000) * 1000
            ),
            0
        ) as duration_ms

    from bronze_listenbrainz_listens as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

final as (

    select
        file_no,
        source_key,
        row_number as source_row,
        user_id,
        cast(null as varchar) as account,
        'listenbrainz' as source,

        'track' as content_type,
        coalesce(spotify_uri, recording_uri) as content_uri,
        cast(null as varchar) as audiobook_uri,
        track_id_of(spotify_uri) as track_id,
        track_name,
        artist_name,
        album_name,

        given_at as started_at,
        given_at as ended_at,
        given_at as reported_at,
        cast(null as timestamp) as offline_at,
        cast(null as bigint) as played_ms,
        duration_ms,

        cast(null as varchar) as device,
        cast(null as varchar) as platform,
        cast(null as varchar) as country,
        cast(null as varchar) as reason_start,
        cast(null as varchar) as reason_end,
        cast(null as boolean) as is_skipped,
        cast(null as boolean) as is_shuffle,
        cast(null as boolean) as is_offline,
        cast(null as boolean) as is_incognito,
        'start' as time_quality,
        cast(null as varchar) as context_uri,

        case
            when given_time is null then 'time_missing'
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
