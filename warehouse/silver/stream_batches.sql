-- silver.stream_batches, from `batch_entries` (one row per object that a consumer has written and a commit names).
select
    topic,
    partition_number,
    first_offset,
    last_offset,
    kind,
    records,
    late_records,
    repeated_records,
    unreadable_records,
    newest_event_at,
    newest_record_at,
    run_id,
    taken_at
from batch_entries
