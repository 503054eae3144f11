-- Rows of one source that are the same play as a better row: same user, content, end to the second and length. One row per row that
-- goes; `winner_*` is the row that stays: the fullest, then the first by file hash and row (file_no is in the order of the hashes).
with

repeated as (

    select same_hash
    from play_rows
    where problem is null
    group by same_hash
    having count(*) > 1

),

ranked as (

    select
        play_rows.*,
        row_number() over same_play as place,
        first_value(file_no) over same_play as winner_file_no,
        first_value(source_row) over same_play as winner_row

    from play_rows
    semi join repeated on play_rows.same_hash = repeated.same_hash
    where problem is null
    window same_play as (
        -- The hash finds candidates, the columns decide.
        partition by same_hash, source_rank, user_hash, content_hash, date_trunc('second', ended_at), played_ms
        order by facts desc, file_no, source_row
    )

),

final as (

    select file_no, source_row, winner_file_no, winner_row
    from ranked
    where place > 1

)

select * from final
