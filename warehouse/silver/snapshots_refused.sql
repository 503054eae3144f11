-- Elements of Web API responses that no table takes. One row per element.
select
    snapshot_rows.kind as source,
    source_files.file_name,
    snapshot_rows.source_key,
    snapshot_rows.source_row as row_number,
    cast(null as bigint) as byte_offset,
    snapshot_rows.problem as code,
    case snapshot_rows.problem
        when 'snapshot_time_missing' then 'the response does not say when it was received: keep it as {"polled_at": ..., "body": ...}'
        when 'playlist_unknown' then 'the page does not say of which playlist it is (no href)'
        when 'number_invalid' then 'a number that is out of reach: ' || shown(snapshot_rows.number_beyond)
        else 'an element without id'
    end as reason,
    cast(null as varchar) as sample
from snapshot_rows
inner join source_files on snapshot_rows.file_no = source_files.file_no
where snapshot_rows.problem is not null and source_files.is_judged
