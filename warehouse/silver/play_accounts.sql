-- Accounts of the files that are new in this run. One row per file and year of the end: rows that are the first of a play nobody had before, and others.
with

plays as (

    select
        play_marks.winner_file_no,
        play_marks.winner_row,
        bool_or(not source_files.is_new) as is_known,
        arg_min(
            {'file_no': play_marks.file_no, 'source_row': play_marks.source_row},
            {'sequence': source_files.sequence, 'file_no': play_marks.file_no, 'source_row': play_marks.source_row}
        ) as first_row

    from play_marks
    inner join source_files on play_marks.file_no = source_files.file_no
    group by all

),

placed as (

    select
        play_rows.file_no,
        year(play_rows.ended_at) as part,
        play_marks.file_no is null
        or (
            not plays.is_known
            and plays.first_row.file_no = play_rows.file_no
            and plays.first_row.source_row = play_rows.source_row
        ) as is_first

    from play_rows
    inner join source_files on play_rows.file_no = source_files.file_no
    semi join chunk_years
        on year(play_rows.ended_at) = chunk_years.number
    left join play_marks
        on play_rows.file_no = play_marks.file_no
        and play_rows.source_row = play_marks.source_row
    left join plays
        on play_marks.winner_file_no = plays.winner_file_no
        and play_marks.winner_row = plays.winner_row
    where play_rows.problem is null and source_files.is_new

),

final as (

    select
        source_files.source_key,
        cast(placed.part as bigint) as part,
        count_if(placed.is_first) as new_rows,
        count_if(not placed.is_first) as duplicate_rows

    from placed
    inner join source_files on placed.file_no = source_files.file_no
    group by all

)

select * from final
