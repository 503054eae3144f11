-- Which play a recently-played item or a scrobble may be: same user, same URI or same names, its time in
-- the play's window, and the play of a better source (see `source_rank` in play_rows).
--
-- The window of an exported play begins with the end of the person's previous exported play, at most six
-- hours back, and ends with the play (with the minute that holds the end, in account data), two seconds
-- more on either side: a paused play lasts longer than what was heard of it. For a scrobble, whose time is
-- a start, it begins no later than the play (of a day at most): with a crossfade that is before the
-- previous end. An item's own time is its start or its end, so its window is the same, counted from the
-- item or exported play before it. The window of a listen of ListenBrainz is its second, two seconds more
-- on either side, and that of a scrobble its second. A scrobble that tells only its minute is in a window
-- that any second of the minute is in.
--
-- One row per pair, in the order in which `transform` pairs them off: the nearest end first, one item at
-- most to one play.
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
    anti join play_account_matches
        on play_rows.file_no = play_account_matches.file_no
        and play_rows.source_row = play_account_matches.source_row
    where play_rows.problem is null

),

-- Account data tells only the minute of an end: it is over for sure when the minute is.
ends as (

    select distinct
        user_hash,
        source_rank,
        ended_at,
        ended_at + case when source_rank = 2 then interval 1 minute else interval 0 second end as over_at

    from kept
    where source_rank <= 3

),

exported_ends as (

    select user_hash, over_at, max(max(ended_at)) over (partition by user_hash order by over_at) as latest_end
    from ends
    where source_rank < 3
    group by user_hash, over_at

),

told_ends as (

    select user_hash, over_at, max(max(ended_at)) over (partition by user_hash order by over_at) as latest_end
    from ends
    group by user_hash, over_at

),

told as (

    select
        kept.*,
        greatest(
            coalesce(
                case when kept.source_rank < 3 then exported_ends.latest_end else told_ends.latest_end end,
                kept.ended_at - interval 6 hour
            ),
            kept.ended_at - interval 6 hour
        ) - interval 2 second as opens_at,
        kept.ended_at + case when kept.source_rank = 2 then interval 62 second else interval 2 second end as closes_at

    from kept
    asof left join exported_ends
        on kept.user_hash = exported_ends.user_hash
        and kept.ended_at > exported_ends.over_at
    asof left join told_ends
        on kept.user_hash = told_ends.user_hash
        and kept.ended_at > told_ends.over_at
    where kept.source_rank <= 3

),

windows as (

    select
        * exclude (started_at),
        least(opens_at, greatest(started_at, ended_at - interval 1 day) - interval 2 second) as scrobble_opens_at

    from told

    union all by name

    select
        * exclude (started_at),
        ended_at - interval 2 second as opens_at,
        ended_at + interval 2 second as closes_at,
        ended_at - interval 2 second as scrobble_opens_at

    from kept
    where source_rank = 4

    union all by name

    select
        * exclude (started_at),
        ended_at as opens_at,
        ended_at as closes_at,
        ended_at as scrobble_opens_at

    from kept
    where source_rank = 5

),

items as (

    select
        *,
        ended_at + case when source_rank = 6 then interval '59.999 second' else interval 0 second end as last_at,
        cast(floor(epoch(ended_at) / 3600) as bigint) as hour

    from kept
    where source_rank > 2

),

hourly as (

    -- The hours make it an equality join: a song on repeat would otherwise be compared with all its plays.
    select
        *,
        unnest(range(
            cast(floor(epoch(scrobble_opens_at) / 3600) as bigint),
            cast(floor(epoch(closes_at) / 3600) as bigint) + 1
        )) as hour

    from windows

),

pairs as (

    select
        items.file_no, items.source_row, items.source_rank, items.user_hash, items.ended_at as played_at, items.last_at,
        hourly.file_no as winner_file_no, hourly.source_row as winner_row, hourly.source_rank as winner_rank,
        hourly.ended_at as winner_ended_at, hourly.opens_at, hourly.scrobble_opens_at, hourly.closes_at

    from items
    inner join hourly
        on items.user_hash = hourly.user_hash
        and items.hour = hourly.hour
        and items.content_hash = hourly.content_hash

    union all

    select
        items.file_no, items.source_row, items.source_rank, items.user_hash, items.ended_at as played_at, items.last_at,
        hourly.file_no as winner_file_no, hourly.source_row as winner_row, hourly.source_rank as winner_rank,
        hourly.ended_at as winner_ended_at, hourly.opens_at, hourly.scrobble_opens_at, hourly.closes_at

    from items
    inner join hourly
        on items.user_hash = hourly.user_hash
        and items.hour = hourly.hour
        and items.name_hash = hourly.name_hash

),

final as (

    select distinct
        file_no,
        source_row,
        source_rank,
        winner_file_no,
        winner_row,
        user_hash,
        played_at,
        winner_ended_at

    from pairs
    where source_rank > winner_rank
        and last_at >= case when source_rank = 3 then opens_at else scrobble_opens_at end
        and played_at <= closes_at

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
