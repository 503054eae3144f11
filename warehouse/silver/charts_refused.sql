-- Rows of chart files that silver.chart_entries refuses. One row per row.
select
    source_files.kind as source,
    source_files.file_name,
    chart_rows.source_key,
    chart_rows.source_row as row_number,
    cast(null as bigint) as byte_offset,
    chart_rows.problem as code,
    case chart_rows.problem
        when 'time_invalid' then 'not a date from 2006 to 2040: '
        when 'chart_unknown' then 'neither top200 nor viral50: '
        when 'region_unknown' then 'neither global nor the name or code of a country: '
        when 'track_name_missing' then 'no track name: '
        when 'artist_name_missing' then 'no artist name: '
        else 'not a whole number: '
    end || shown(chart_rows.problem_value) as reason,
    left(
        to_json({
            'chart': chart_rows.chart, 'period_start': cast(chart_rows.period_start as varchar), 'rank': chart_rows.rank,
            'track': chart_rows.track_name, 'artist': chart_rows.artist_name
        }),
        500
    ) as sample
from chart_rows
inner join source_files on chart_rows.file_no = source_files.file_no
where chart_rows.problem is not null and source_files.is_judged
