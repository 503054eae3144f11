-- Plays of account data that an extended export has too: same user, names, minute in which the stream was reported, and length.
-- One row per account play that goes.
with

kept as (

    select play_rows.*
    from play_rows
    anti join play_copies
        on play_rows.file_no = play_copies.file_no
        and play_rows.source_row = play_copies.source_row
    where play_rows.problem is null

),

extended as (

    select
        kept.file_no,
        kept.source_row,
        kept.user_hash,
        kept.played_ms,
        kept.ended_at,
        date_trunc('minute', kept.reported_at) as reported_minute,
        play_names.name_hash

    from kept
    inner join play_names
        on kept.file_no = play_names.file_no
        and kept.source_row = play_names.source_row
    where kept.source_rank = 1

),

final as (

    select
        account.file_no,
        account.source_row,
        first(extended.file_no order by extended.ended_at, extended.file_no, extended.source_row) as winner_file_no,
        first(extended.source_row order by extended.ended_at, extended.file_no, extended.source_row) as winner_row

    from kept as account
    inner join extended
        on account.user_hash = extended.user_hash
        and account.name_hash = extended.name_hash
        and account.played_ms = extended.played_ms
        and date_trunc('minute', account.reported_at) = extended.reported_minute
    where account.source_rank = 2
    group by account.file_no, account.source_row

)

select * from final
