-- Rows of account exports, recently played and scrobbles that silver.plays refuses. One row per row.
with

typed as (

    select * from stg_plays_extended
    union all
    select * from stg_plays_account
    union all
    select * from stg_plays_api
    union all
    select * from stg_plays_listenbrainz
    union all
    select * from stg_plays_lastfm

),

final as (

    select
        source_files.kind as source,
        source_files.file_name,
        typed.source_key,
        typed.source_row as row_number,
        cast(null as bigint) as byte_offset,
        typed.problem as code,
        case typed.problem
            when 'time_invalid'
                then 'not a time from '
                || case when typed.source in ('listenbrainz', 'lastfm') then '2002' else '2006' end
                || ' to 2040: ' || shown(typed.given_time)
            when 'time_future' then 'later than the day on which it was loaded: ' || shown(typed.given_time)
            when 'time_missing' then 'no time'
            when 'name_missing' then 'no track or no artist'
            when 'flag_invalid' then 'neither true nor false: ' || shown(typed.given_flag)
            else 'not a whole number of milliseconds from 0 to 10^10: ' || shown(typed.given_length)
        end as reason,
        left(
            to_json({
                'time': typed.given_time, 'played_ms': case when typed.source like 'export%' then typed.given_length end,
                'uri': typed.content_uri, 'track': typed.track_name, 'artist': typed.artist_name
            }),
            500
        ) as sample

    from typed
    inner join source_files on typed.file_no = source_files.file_no
    where typed.problem is not null and source_files.is_judged

)

select * from final
