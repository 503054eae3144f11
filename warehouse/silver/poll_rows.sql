-- Polls of recently played, with what each one brought that no earlier one had. One row per user and moment of a poll.
with

answers as (

    select
        files.file_no,
        coalesce(files.user_id, 'unknown') as user_id,
        bronze.source_key,
        bronze.answer as source_row,
        parse_instant(bronze.observed_at) as polled_at,
        bronze.items

    from bronze_api_answers as bronze
    inner join source_files as files on bronze.source_key = files.source_key
    where bronze.kind = 'recently_played' and bronze.position = 0

),

polls as (

    select
        *,
        row_number() over (partition by user_id, polled_at order by items desc, file_no, source_row) as look

    from answers
    where is_possible(polled_at)

),

items as (

    select
        polls.user_id,
        polls.polled_at,
        polls.look,
        coalesce(bronze.uri, 'spotify:track:' || bronze.id, '') as uri,
        parse_instant(bronze.played_at) as played_at

    from bronze_api_answers as bronze
    inner join polls
        on bronze.source_key = polls.source_key
        and bronze.answer = polls.source_row
    where bronze.position > 0

),

first_seen as (

    select user_id, uri, min(polled_at) as polled_at
    from items
    where is_possible(played_at)
    group by user_id, uri, date_trunc('second', played_at)

),

new_items as (

    select user_id, polled_at, count(*) as new_items
    from first_seen
    group by user_id, polled_at

),

spans as (

    select user_id, polled_at, min(played_at) as oldest_at, max(played_at) as newest_at
    from items
    where look = 1 and is_possible(played_at)
    group by user_id, polled_at

),

joined as (

    select
        polls.user_id,
        polls.polled_at,
        polls.items,
        coalesce(new_items.new_items, 0) as new_items,
        spans.oldest_at,
        spans.newest_at,
        polls.source_key,
        polls.source_row,
        max(spans.newest_at) over (
            partition by polls.user_id
            order by polls.polled_at
            rows between unbounded preceding and 1 preceding
        ) as seen_until

    from polls
    left join new_items on polls.user_id = new_items.user_id and polls.polled_at = new_items.polled_at
    left join spans on polls.user_id = spans.user_id and polls.polled_at = spans.polled_at
    where polls.look = 1

),

final as (

    select
        * exclude (seen_until),
        coalesce(items >= 50 and oldest_at > seen_until, false) as is_overflow

    from joined

)

select * from final
