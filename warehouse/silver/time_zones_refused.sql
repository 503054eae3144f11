-- Rows of tables of time zones that silver.time_zones refuses. One row per row.
select
    source_files.kind as source,
    source_files.file_name,
    time_zone_rows.source_key,
    time_zone_rows.source_row as row_number,
    cast(null as bigint) as byte_offset,
    time_zone_rows.problem as code,
    case time_zone_rows.problem
        when 'time_invalid' then 'not dates: '
        else 'not a time zone that the engine knows: '
    end || shown(time_zone_rows.problem_value) as reason,
    left(to_json({'from': cast(time_zone_rows.valid_from as varchar), 'time_zone': time_zone_rows.time_zone}), 500) as sample
from time_zone_rows
inner join source_files on time_zone_rows.file_no = source_files.file_no
where time_zone_rows.problem is not null and source_files.is_judged
