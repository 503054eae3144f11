-- Accounts of the event files that are new in this run. One row per file and date: rows that are the first of an event nobody had, and others.
with

events as (

    select
        event_marks.winner_file_no,
        event_marks.winner_row,
        bool_or(not source_files.is_new) as is_known,
        arg_min(
            {'file_no': event_marks.file_no, 'source_row': event_marks.source_row},
            {'sequence': source_files.sequence, 'file_no': event_marks.file_no, 'source_row': event_marks.source_row}
        ) as first_row

    from event_marks
    inner join source_files on event_marks.file_no = source_files.file_no
    group by all

),

placed as (

    select
        source_files.source_key,
        epoch_ms(event_rows.occurred_at) // 86400000 as part,
        event_marks.file_no is null
        or (
            not events.is_known
            and events.first_row.file_no = event_rows.file_no
            and events.first_row.source_row = event_rows.source_row
        ) as is_first

    from event_rows
    inner join source_files on event_rows.file_no = source_files.file_no
    left join event_marks
        on event_rows.file_no = event_marks.file_no
        and event_rows.source_row = event_marks.source_row
    left join events
        on event_marks.winner_file_no = events.winner_file_no
        and event_marks.winner_row = events.winner_row
    where event_rows.problem is null and source_files.is_new

),

final as (

    select
        source_key,
        cast(part as bigint) as part,
        count_if(is_first) as new_rows,
        count_if(not is_first) as duplicate_rows

    from placed
    group by all

)

select * from final
