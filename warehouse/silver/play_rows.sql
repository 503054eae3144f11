-- What is needed to tell which rows are the same play. One row per bronze row of the files at hand.
--
-- `source_rank`: extended export 1, account data 2, Web API 3, ListenBrainz 4, Last.fm 5, Last.fm to the
-- minute 6. Of a play that several tell, the row of the least rank stays.
--
-- `same_hash` is of person, source, second of the end and length: rows of one source that differ in it are
-- different plays.
with

extended as (

    select
        file_no, source_row, user_id, account, 1 as source_rank, started_at, ended_at, reported_at, played_ms, problem,
        hash(content_key(content_uri, artist_name, track_name)) as content_hash,
        cast(null as ubigint) as name_hash,
        content_uri is not null as has_uri,
        track_name is not null as has_name,
        facts_of(track_name, album_name, platform, country, reason_start, reason_end, is_skipped, offline_at) as facts

    from stg_plays_extended

),

account as (

    select
        file_no, source_row, user_id, account, 2 as source_rank, started_at, ended_at, reported_at, played_ms, problem,
        hash(content_key(content_uri, artist_name, track_name)) as content_hash,
        name_hash(case when content_type = 'chapter' then album_name else artist_name end, track_name) as name_hash,
        content_uri is not null as has_uri,
        track_name is not null as has_name,
        facts_of(track_name, album_name, platform, country, reason_start, reason_end, is_skipped, offline_at) as facts

    from stg_plays_account

),

api as (

    select
        file_no, source_row, user_id, account, 3 as source_rank, started_at, ended_at, reported_at, played_ms, problem,
        hash(content_key(content_uri, artist_name, track_name)) as content_hash,
        name_hash(artist_name, track_name) as name_hash,
        content_uri is not null as has_uri,
        track_name is not null as has_name,
        facts_of(track_name, album_name, context_uri, country, reason_start, reason_end, is_skipped, duration_ms) as facts

    from stg_plays_api

),

listenbrainz as (

    select
        file_no, source_row, user_id, account, 4 as source_rank, started_at, ended_at, reported_at, played_ms, problem,
        hash(content_key(content_uri, artist_name, track_name)) as content_hash,
        name_hash(artist_name, track_name) as name_hash,
        content_uri is not null as has_uri,
        track_name is not null as has_name,
        facts_of(track_name, album_name, track_id, duration_ms, null, null, null, null) as facts

    from stg_plays_listenbrainz

),

lastfm as (

    select
        file_no, source_row, user_id, account, case when time_quality = 'minute' then 6 else 5 end as source_rank, started_at, ended_at,
        reported_at, played_ms, problem,
        hash(content_key(content_uri, artist_name, track_name)) as content_hash,
        name_hash(artist_name, track_name) as name_hash,
        content_uri is not null as has_uri,
        track_name is not null as has_name,
        facts_of(track_name, album_name, null, null, null, null, null, null) as facts

    from stg_plays_lastfm

),

final as (

    select * from extended
    union all
    select * from account
    union all
    select * from api
    union all
    select * from listenbrainz
    union all
    select * from lastfm

)

select
    cast(file_no as integer) as file_no,
    cast(source_row as bigint) as source_row,
    cast(hash(user_id) as ubigint) as user_hash,
    case when account is not null then cast(hash(account) as ubigint) end as account_hash,
    cast(source_rank as tinyint) as source_rank,
    cast(started_at as timestamp) as started_at,
    cast(ended_at as timestamp) as ended_at,
    cast(reported_at as timestamp) as reported_at,
    cast(played_ms as bigint) as played_ms,
    cast(problem as varchar) as problem,
    cast(content_hash as ubigint) as content_hash,
    cast(name_hash as ubigint) as name_hash,
    cast(has_uri as boolean) as has_uri,
    cast(has_name as boolean) as has_name,
    -- The URI and the name count more than all other facts together.
    cast(facts + 9 * (cast(has_uri as integer) + cast(has_name as integer)) as tinyint) as fullness,
    cast(hash(source_rank, user_id, epoch_ms(ended_at) // 1000, played_ms) as ubigint) as same_hash
from final
