-- Which plays of an export a recently-played item may be: same user, same URI or same names, and its time in the play's window. The
-- window begins with the end of the person's previous exported play, at most six hours back, and ends with the play (with the minute
-- that holds the end, in account data), two seconds more on either side: a paused play lasts longer than what was heard of it.
--
-- One row per pair, in the order in which `transform` pairs them off: the nearest end first, one item at most to one play.
with

kept as (

    select
        play_rows.* exclude (name_hash),
        coalesce(play_rows.name_hash, play_names.name_hash) as name_hash

    from play_rows
    left join play_names
        on play_rows.file_no = play_names.file_no
        and play_rows.source_row = play_names.source_row
    anti join (select file_no, source_row from play_copies where is_going) as going
        on play_rows.file_no = going.file_no
        and play_rows.source_row = going.source_row
    where play_rows.problem is null

),

exported as (

    select kept.*
    from kept
    anti join play_account_matches
        on kept.file_no = play_account_matches.file_no
        and kept.source_row = play_account_matches.source_row
    where source_rank < 3

),

ends as (

    select user_hash, ended_at, lag(ended_at) over (partition by user_hash order by ended_at) as previous_end
    from (select distinct user_hash, ended_at from exported)

),

windows as (

    select
        exported.*,
        greatest(
            coalesce(ends.previous_end, exported.ended_at - interval 6 hour),
            exported.ended_at - interval 6 hour
        ) - interval 2 second as opens_at,
        exported.ended_at + case when source_rank = 2 then interval 62 second else interval 2 second end as closes_at

    from exported
    inner join ends
        on exported.user_hash = ends.user_hash
        and exported.ended_at = ends.ended_at

),

api as (

    select
        kept.*,
        cast(floor(epoch(ended_at) / 3600) as bigint) as hour
    from kept
    where source_rank = 3

),

hourly as (

    -- The hours make it an equality join: a song on repeat would otherwise be compared with all its plays.
    select
        *,
        unnest(range(
            cast(floor(epoch(opens_at) / 3600) as bigint),
            cast(floor(epoch(closes_at) / 3600) as bigint) + 1
        )) as hour

    from windows

),

pairs as (

    select api.file_no, api.source_row, hourly.file_no as winner_file_no, hourly.source_row as winner_row,
        api.user_hash, api.ended_at as played_at, hourly.ended_at as winner_ended_at, hourly.opens_at, hourly.closes_at
    from api
    inner join hourly
        on api.user_hash = hourly.user_hash
        and api.hour = hourly.hour
        and api.content_hash = hourly.content_hash

    union all

    select api.file_no, api.source_row, hourly.file_no as winner_file_no, hourly.source_row as winner_row,
        api.user_hash, api.ended_at as played_at, hourly.ended_at as winner_ended_at, hourly.opens_at, hourly.closes_at
    from api
    inner join hourly
        on api.user_hash = hourly.user_hash
        and api.hour = hourly.hour
        and api.name_hash = hourly.name_hash

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
    where played_at >= opens_at and played_at <= closes_at

)

select * from final
order by
    user_hash,
    played_at,
    file_no,
    source_row,
    abs(epoch_ms(winner_ended_at) - epoch_ms(played_at)),
    winner_ended_at,
    winner_file_no,
    winner_row
