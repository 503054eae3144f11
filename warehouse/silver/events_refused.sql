-- Rows of event files that silver.listening_events refuses. One row per row. The user is left out of the sample.
select
    source_files.kind as source,
    source_files.file_name,
    typed.source_key,
    typed.source_row as row_number,
    cast(null as bigint) as byte_offset,
    typed.problem as code,
    case typed.problem
        when 'value_unreadable'
            then concat('no event in the record at offset ', coalesce(cast(typed.record_offset as varchar), '?'), ' of ', typed.topic, '-', typed.partition_number, ': see bronze.stream')
        when 'event_id_missing' then 'no event_id'
        when 'user_missing' then 'no user_id'
        when 'action_unknown' then 'not play, skip, pause or add_to_playlist: ' || shown(typed.action)
        when 'time_invalid' then 'not a time from 2006 to 2040: ' || shown(typed.given_time)
        when 'time_future' then 'later than the day on which it was loaded: ' || shown(typed.given_time)
        else 'not a whole number of milliseconds from 0 to 10^10: ' || shown(typed.given_length)
    end as reason,
    left(
        to_json({
            'event_id': typed.event_id, 'action': typed.action, 'occurred_at': typed.given_time,
            'played_ms': typed.given_length, 'track_id': typed.track_id
        }),
        500
    ) as sample
from stg_events as typed
inner join source_files on typed.file_no = source_files.file_no
where typed.problem is not null and source_files.is_judged
