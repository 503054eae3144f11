-- silver.time_zones: the rows of each person's current file.
select
    user_id,
    valid_from,
    valid_to,
    time_zone,
    source_key,
    source_row
from time_zone_rows
where problem is null and is_current
