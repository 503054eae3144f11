-- Rows of one source that are one play. One row per row that goes, with the row that stays as `winner_*`:
-- the fullest, then the first by time, file hash and row (file_no is in the order of the hashes).
-- `occurrence` above 1 marks rows that stay beside equal ones.
--
-- Exports: same user, second of the end and length. Web API and scrobbles: within 2 seconds of the one
-- before. Of those, rows with one URI or one name are the same play, and a row with neither is the fullest
-- of them. Account data gives minutes only, so equal rows of one file are plays: the n-th of a file is the
-- n-th of any other file. Equal rows of two accounts are plays, too; a row that does not name its account
-- is of any of them: of the first.
with

exported as (

    select
        play_rows.* replace (coalesce(play_rows.name_hash, play_names.name_hash) as name_hash),
        date_trunc('second', play_rows.ended_at) as moment

    from play_rows
    semi join play_repeats on play_rows.same_hash = play_repeats.same_hash
    left join play_names
        on play_rows.file_no = play_names.file_no
        and play_rows.source_row = play_names.source_row
    where play_rows.problem is null and play_rows.source_rank < 3

),

steps as (

    select
        *,
        coalesce(ended_at - lag(ended_at) over in_time > interval 2 second, true) as is_start

    from play_rows
    where problem is null and source_rank > 2
    window in_time as (partition by user_hash, source_rank order by ended_at, file_no, source_row)

),

items as (

    select
        * exclude (is_start),
        max(case when is_start then ended_at end) over (
            partition by user_hash, source_rank
            order by ended_at, file_no, source_row
            rows between unbounded preceding and current row
        ) as moment

    from steps

),

candidates as (

    select * from exported
    union all
    select * replace (hash(source_rank, user_hash, moment) as same_hash) from items

),

-- Four rounds of the least label join rows over a chain of URIs and names: name, URI, name, URI.
labelled as (

    select *, coalesce(name_hash, content_hash) as label from candidates

),

by_uri as (

    select
        * replace (
            case when has_uri or has_name then min(label) over (partition by same_hash, user_hash, moment, played_ms, content_hash) else label end
            as label
        )

    from labelled

),

by_name as (

    select
        * replace (
            case
                when name_hash is null then label
                else min(label) over (partition by same_hash, user_hash, moment, played_ms, name_hash)
            end as label
        )

    from by_uri

),

by_uri_again as (

    select
        * replace (
            case when has_uri or has_name then min(label) over (partition by same_hash, user_hash, moment, played_ms, content_hash) else label end
            as label
        )

    from by_name

),

by_account as (

    select
        *,
        coalesce(account_hash, min(account_hash) over (partition by same_hash, user_hash, moment, played_ms)) as account_there

    from by_uri_again

),

attributed as (

    select
        * exclude (account_there) replace (
            case
                when has_uri or has_name or source_rank = 2 then label
                else first_value(label) over (
                    partition by same_hash, user_hash, moment, played_ms, account_there
                    order by fullness desc, file_no, source_row
                )
            end as label
        )

    from by_account

),

owned as (

    select
        * replace (
            coalesce(
                account_hash,
                min(account_hash) over (partition by same_hash, user_hash, moment, played_ms, label)
            ) as account_hash
        )

    from attributed

),

counted as (

    select
        *,
        case
            when source_rank = 2
                then row_number() over (
                    partition by same_hash, user_hash, moment, played_ms, label, file_no
                    order by source_row
                )
            else dense_rank() over (
                partition by same_hash, user_hash, moment, played_ms, label
                order by account_hash
            )
        end as occurrence

    from owned

),

ranked as (

    select
        *,
        row_number() over same_play as place,
        first_value(file_no) over same_play as winner_file_no,
        first_value(source_row) over same_play as winner_row

    from counted
    window same_play as (
        -- The hash finds candidates, the columns decide.
        partition by same_hash, source_rank, user_hash, moment, played_ms, label, occurrence
        -- The first of two items: the second is later than the play.
        order by fullness desc, case when source_rank > 2 then ended_at end, file_no, source_row
    )

),

final as (

    select
        cast(file_no as integer) as file_no,
        cast(source_row as bigint) as source_row,
        cast(winner_file_no as integer) as winner_file_no,
        cast(winner_row as bigint) as winner_row,
        cast(occurrence as integer) as occurrence,
        place > 1 as is_going

    from ranked
    where place > 1 or occurrence > 1

)

select * from final
