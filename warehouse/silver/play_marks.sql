-- What happened to the rows that share a play with others. One row per row that goes (`is_kept` false) and per row that stays for
-- several (`copies` of them), or beside equal rows of its file (`occurrence` above 1). Copies of a copy belong to the row that stays in
-- the end; there are at most two steps.
with

direct as (

    select file_no, source_row, winner_file_no, winner_row, true as is_of_item, true as is_of_winner
    from play_copies
    where is_going
    union all
    select file_no, source_row, winner_file_no, winner_row, true as is_of_item, true as is_of_winner from play_account_matches
    union all
    select file_no, source_row, winner_file_no, winner_row, is_of_item, is_of_winner from play_item_matches

),

going as (

    select
        direct.file_no,
        direct.source_row,
        coalesce(further.winner_file_no, direct.winner_file_no) as winner_file_no,
        coalesce(further.winner_row, direct.winner_row) as winner_row

    from direct
    left join direct as further
        on direct.winner_file_no = further.file_no
        and direct.winner_row = further.source_row
        and further.is_of_item
    where direct.is_of_item

),

counted as (

    select
        coalesce(further.winner_file_no, direct.winner_file_no) as file_no,
        coalesce(further.winner_row, direct.winner_row) as source_row,
        count(*) + 1 as copies

    from direct
    left join direct as further
        on direct.winner_file_no = further.file_no
        and direct.winner_row = further.source_row
        and further.is_of_winner
    where direct.is_of_winner
    group by all

),

repeated as (

    select file_no, source_row, occurrence
    from play_copies
    where not is_going

),

staying as (

    select
        coalesce(counted.file_no, repeated.file_no) as file_no,
        coalesce(counted.source_row, repeated.source_row) as source_row,
        coalesce(counted.copies, 1) as copies,
        coalesce(repeated.occurrence, 1) as occurrence

    from counted
    full join repeated
        on counted.file_no = repeated.file_no
        and counted.source_row = repeated.source_row

),

marked as (

    select file_no, source_row, winner_file_no, winner_row, false as is_kept, 1 as copies, 1 as occurrence from going
    union all
    select file_no, source_row, file_no as winner_file_no, source_row as winner_row, true as is_kept, copies, occurrence
    from staying
    -- A play whose copy lies in two places keeps its first verdict: it goes.
    where not exists (
        select 1 from going where going.file_no = staying.file_no and going.source_row = staying.source_row
    )

),

final as (

    select
        marked.file_no,
        marked.source_row,
        marked.winner_file_no,
        marked.winner_row,
        marked.is_kept,
        cast(marked.copies as integer) as copies,
        cast(marked.occurrence as integer) as occurrence,
        play_rows.ended_at

    from marked
    inner join play_rows
        on marked.file_no = play_rows.file_no
        and marked.source_row = play_rows.source_row

)

select * from final
