-- Accounts of the event files that are new in this run. One row per file and date: rows that are the first of an event nobody had, and others.
with

deliveries as (

    select
        event_marks.file_no,
        event_marks.source_row,
        bool_or(not source_files.is_new) over (
            partition by event_marks.winner_file_no, event_marks.winner_row
        ) as is_known,
        row_number() over (
            partition by event_marks.winner_file_no, event_marks.winner_row
            order by source_files.sequence, event_marks.file_no, event_marks.source_row
        ) as place

    from event_marks
    inner join source_files on event_marks.file_no = source_files.file_no

),

placed as (

    select
        source_files.source_key,
        day_number(event_rows.occurred_at) as part,
        deliveries.file_no is null or (not deliveries.is_known and deliveries.place = 1) as is_first

    from event_rows
    inner join source_files on event_rows.file_no = source_files.file_no
    left join deliveries
        on event_rows.file_no = deliveries.file_no
        and event_rows.source_row = deliveries.source_row
    where event_rows.problem is null and source_files.is_new

),

final as (

    select
        source_key,
        part,
        count_if(is_first) as new_rows,
        count_if(not is_first) as duplicate_rows

    from placed
    group by source_key, part

)

select * from final
