-- What is needed to tell which rows are the same event. One row per bronze row of the files at hand. Two hashes of the id: together
-- they are as good as the id and a quarter of its size.
select
    cast(file_no as integer) as file_no,
    cast(source_row as bigint) as source_row,
    cast(occurred_at as timestamp) as occurred_at,
    cast(problem as varchar) as problem,
    id_hash(event_id) as id_hash,
    id_check(event_id) as id_check,
    cast(
        facts_of(session_id, track_id, track_name, artist_name, is_skipped, played_ms, device, country) as tinyint
    ) as facts
from stg_events
