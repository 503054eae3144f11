-- Plays of account data and of an extended export that are one play: same user, minute of the report and length, and one name, or one
-- side without name and URI. They are matched one to one. One row per row that goes: an extended export beats account data, but a row
-- with neither name nor URI joins the one that has them.
with

kept as (

    select
        play_rows.* replace (coalesce(play_rows.name_hash, play_names.name_hash) as name_hash),
        date_trunc('minute', play_rows.reported_at) as minute

    from play_rows
    left join play_names
        on play_rows.file_no = play_names.file_no
        and play_rows.source_row = play_names.source_row
    anti join (select file_no, source_row from play_copies where is_going) as going
        on play_rows.file_no = going.file_no
        and play_rows.source_row = going.source_row
    where play_rows.problem is null and play_rows.source_rank < 3

),

account as (

    select
        *,
        row_number() over (
            partition by user_hash, minute, played_ms, name_hash
            order by file_no, source_row
        ) as place

    from kept
    where source_rank = 2

),

extended as (

    select
        *,
        row_number() over (
            partition by user_hash, minute, played_ms, name_hash
            order by ended_at, file_no, source_row
        ) as place

    from kept
    semi join account
        on kept.user_hash = account.user_hash
        and kept.minute = account.minute
        and kept.played_ms = account.played_ms
    where kept.source_rank = 1

),

by_name as (

    select
        account.file_no,
        account.source_row,
        extended.file_no as winner_file_no,
        extended.source_row as winner_row

    from account
    inner join extended
        on account.user_hash = extended.user_hash
        and account.minute = extended.minute
        and account.played_ms = extended.played_ms
        and account.name_hash = extended.name_hash
        and account.place = extended.place

),

-- What has found no play of its name, each side counted over minute and length.
account_left as (

    select
        * replace (
            row_number() over (
                partition by user_hash, minute, played_ms, has_name
                order by file_no, source_row
            ) as place
        )

    from account
    anti join by_name on account.file_no = by_name.file_no and account.source_row = by_name.source_row

),

extended_left as (

    select
        * exclude (place),
        has_uri or has_name as is_attributed,
        row_number() over (
            partition by user_hash, minute, played_ms, has_uri or has_name
            order by ended_at, file_no, source_row
        ) as place

    from extended
    anti join by_name on extended.file_no = by_name.winner_file_no and extended.source_row = by_name.winner_row

),

extended_without as (

    select
        extended_left.file_no,
        extended_left.source_row,
        account_left.file_no as winner_file_no,
        account_left.source_row as winner_row

    from extended_left
    inner join account_left
        on extended_left.user_hash = account_left.user_hash
        and extended_left.minute = account_left.minute
        and extended_left.played_ms = account_left.played_ms
        and extended_left.place = account_left.place
    where account_left.has_name and not extended_left.is_attributed

),

extended_for_nameless as (

    select
        * replace (
            row_number() over (
                partition by user_hash, minute, played_ms
                order by fullness desc, ended_at, file_no, source_row
            ) as place
        )

    from extended_left
    anti join extended_without
        on extended_left.file_no = extended_without.file_no
        and extended_left.source_row = extended_without.source_row

),

account_without as (

    select
        account_left.file_no,
        account_left.source_row,
        extended_for_nameless.file_no as winner_file_no,
        extended_for_nameless.source_row as winner_row

    from account_left
    inner join extended_for_nameless
        on account_left.user_hash = extended_for_nameless.user_hash
        and account_left.minute = extended_for_nameless.minute
        and account_left.played_ms = extended_for_nameless.played_ms
        and account_left.place = extended_for_nameless.place
    where not account_left.has_name

),

-- A nameless row of one account export and a play that only another one names.
rows_of_play as (

    select account.file_no as play_file_no, account.source_row as play_row, account.file_no
    from account
    where account.has_name

    union

    select winner_file_no as play_file_no, winner_row as play_row, file_no
    from play_copies
    where is_going

),

nameless as (

    select
        account_left.* exclude (place),
        row_number() over (
            partition by account_left.user_hash, account_left.minute, account_left.played_ms, account_left.file_no
            order by account_left.source_row
        ) as place

    from account_left
    anti join account_without
        on account_left.file_no = account_without.file_no
        and account_left.source_row = account_without.source_row
    where not account_left.has_name

),

pairs as (

    select
        nameless.file_no,
        nameless.source_row,
        nameless.place,
        account.file_no as play_file_no,
        account.source_row as play_row,
        row_number() over (
            partition by nameless.file_no, nameless.source_row
            order by account.fullness desc, account.file_no, account.source_row
        ) as play_place

    from nameless
    inner join account
        on nameless.user_hash = account.user_hash
        and nameless.minute = account.minute
        and nameless.played_ms = account.played_ms
    anti join rows_of_play
        on account.file_no = rows_of_play.play_file_no
        and account.source_row = rows_of_play.play_row
        and nameless.file_no = rows_of_play.file_no
    where account.has_name

),

account_twins as (

    select
        pairs.file_no,
        pairs.source_row,
        coalesce(by_name.winner_file_no, pairs.play_file_no) as winner_file_no,
        coalesce(by_name.winner_row, pairs.play_row) as winner_row

    from pairs
    left join by_name
        on pairs.play_file_no = by_name.file_no
        and pairs.play_row = by_name.source_row
    where pairs.place = pairs.play_place

),

final as (

    select * from by_name
    union all
    select * from extended_without
    union all
    select * from account_without
    union all
    select * from account_twins

)

select
    cast(file_no as integer) as file_no,
    cast(source_row as bigint) as source_row,
    cast(winner_file_no as integer) as winner_file_no,
    cast(winner_row as bigint) as winner_row
from final
