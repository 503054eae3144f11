-- Rows and bytes of every table of every layer, its newest event, and the change by the last run.
-- Gold is rebuilt by each run, so it has no rows before.
select
    layer,
    table_name,
    rows,
    bytes,
    newest_at,
    rows_before,
    change
from record_counts
order by
    case layer when 'bronze' then 1 when 'silver' then 2 else 3 end,
    table_name
