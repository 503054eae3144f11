-- Rows of weather files that silver.weather_days refuses. One row per row.
select
    source_files.kind as source,
    source_files.file_name,
    weather_rows.source_key,
    weather_rows.source_row as row_number,
    cast(null as bigint) as byte_offset,
    weather_rows.problem as code,
    case weather_rows.problem
        when 'place_invalid' then 'not a latitude and a longitude: '
        when 'time_invalid' then 'not a date: '
        else 'not understood: '
    end || weather_rows.problem_value as reason,
    left(to_json({'place': weather_rows.place, 'weather_date': cast(weather_rows.weather_date as varchar)}), 500) as sample
from weather_rows
inner join source_files on weather_rows.file_no = source_files.file_no
where weather_rows.problem is not null and source_files.is_judged
