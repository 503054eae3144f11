-- silver.chart_entries. Where two files have the same place of the same chart with the same song (or artist), the first by file hash is
-- kept. Rows that differ are kept all: songs may share a rank.
with

ranked as (

    select
        chart_rows.*,
        row_number() over (partition by chart, region, period_start, rank, entry order by file_no, source_row) as place

    from chart_rows
    where chart_rows.problem is null

),

final as (

    select * exclude (file_no, entry, problem, problem_value, place)
    from ranked
    where place = 1

)

select * from final
