-- Dates of silver.listening_events that the judged files touch: of their own rows, and of the rows that are the same event as one of
-- theirs. One row per date, with the rows that are kept of it.
with

touched as (

    select distinct
        event_marks.winner_file_no,
        event_marks.winner_row

    from event_marks
    inner join source_files on event_marks.file_no = source_files.file_no
    where source_files.is_judged

),

of_rows as (

    select day_number(event_rows.occurred_at) as day

    from event_rows
    inner join source_files on event_rows.file_no = source_files.file_no
    where event_rows.problem is null and source_files.is_judged

),

of_copies as (

    select day_number(event_marks.ended_at) as day

    from event_marks
    inner join touched
        on event_marks.winner_file_no = touched.winner_file_no
        and event_marks.winner_row = touched.winner_row

),

dates as (

    select day from of_rows
    union
    select day from of_copies

),

dropped as (

    select
        day_number(ended_at) as day,
        count(*) as n

    from event_marks
    where not is_kept
    group by day_number(ended_at)

),

counted as (

    select
        day_number(occurred_at) as day,
        count(*) as n

    from event_rows
    where problem is null
    group by day_number(occurred_at)

),

final as (

    select
        dates.day,
        counted.n - coalesce(dropped.n, 0) as kept_rows

    from dates
    inner join counted on dates.day = counted.day
    left join dropped on dates.day = dropped.day

)

select * from final
