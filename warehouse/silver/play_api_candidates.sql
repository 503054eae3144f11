-- Which plays of an export a recently-played item may be: same user, same URI or same names, and its time within a minute of the
-- end or the start (of the minute that holds it, in account data). One row per pair, in the order in which `transform` pairs them off:
-- one item at most to one play.
with

kept as (

    select
        play_rows.* exclude (name_hash),
        coalesce(play_rows.name_hash, play_names.name_hash) as name_hash

    from play_rows
    left join play_names
        on play_rows.file_no = play_names.file_no
        and play_rows.source_row = play_names.source_row
    anti join play_copies
        on play_rows.file_no = play_copies.file_no
        and play_rows.source_row = play_copies.source_row
    where play_rows.problem is null

),

exported as (

    select
        kept.*,
        case when source_rank = 2 then 119999 else 60000 end as reach_ms,
        -- A "play" of more than a day is a paused one: its start says nothing.
        played_ms < 86400000 as has_start

    from kept
    anti join play_account_matches
        on kept.file_no = play_account_matches.file_no
        and kept.source_row = play_account_matches.source_row
    where source_rank < 3

),

api as (

    select
        kept.*,
        cast(floor(epoch(ended_at) / 60) as bigint) as minute
    from kept
    where source_rank = 3

),

moments as (

    select *, cast(floor(epoch(ended_at) / 60) as bigint) as minute, ended_at as moment from exported
    union all
    select *, cast(floor(epoch(started_at) / 60) as bigint) as minute, started_at as moment from exported where has_start

),

near as (

    -- The nearby minutes make it an equality join: a song on repeat would otherwise be compared with all its plays.
    select *, unnest([minute - 1, minute, minute + 1, minute + 2]) as near_minute from moments

),

pairs as (

    select api.file_no, api.source_row, near.file_no as winner_file_no, near.source_row as winner_row,
        api.user_hash, api.ended_at as played_at, near.ended_at as winner_ended_at, near.source_rank,
        api.content_hash, near.moment, near.reach_ms
    from api
    inner join near
        on api.user_hash = near.user_hash
        and api.minute = near.near_minute
        and api.content_hash = near.content_hash

    union all

    select api.file_no, api.source_row, near.file_no as winner_file_no, near.source_row as winner_row,
        api.user_hash, api.ended_at as played_at, near.ended_at as winner_ended_at, near.source_rank,
        api.content_hash, near.moment, near.reach_ms
    from api
    inner join near
        on api.user_hash = near.user_hash
        and api.minute = near.near_minute
        and api.name_hash = near.name_hash

),

final as (

    select distinct
        file_no,
        source_row,
        winner_file_no,
        winner_row,
        user_hash,
        played_at,
        winner_ended_at

    from pairs
    where epoch_ms(played_at) - epoch_ms(moment) between -60000 and reach_ms

)

select * from final
order by user_hash, played_at, file_no, source_row, winner_ended_at, winner_file_no, winner_row
