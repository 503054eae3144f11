-- What was said of a track at each time, as far as it can tell of a change. One row per track, source and
-- time; of a track of which all descriptions of a source agree, the first time alone. `source_rank` 2 is the
-- API, 1 a tracks file, which knows no time.
with

states as (

    select
        track_id,
        source_rank,
        max(track_name) as track_name,
        max(popularity) as popularity,
        max(duration_ms) as duration_ms,
        -- Without a time somewhere it may have been said before all that have one.
        case when count(first_at) = count(*) then min(first_at) end as seen_at,
        source_rank = 2
        and (
            min(track_name) <> max(track_name) or count(track_name) not in (0, count(*))
            or min(popularity) <> max(popularity) or count(popularity) not in (0, count(*))
            or min(duration_ms) <> max(duration_ms) or count(duration_ms) not in (0, count(*))
        ) as is_changing

    from track_facts
    group by track_id, source_rank

),

changing_facts as (

    select
        facts.track_id,
        facts.content_key,
        facts.first_at,
        facts.track_name,
        facts.popularity,
        facts.duration_ms

    from track_facts as facts
    inner join states on facts.track_id = states.track_id and facts.source_rank = states.source_rank
    where coalesce(states.is_changing, false)

),

-- The same description comes with every poll that shows the track: numbers take a fifth of the memory of its hash.
contents as (

    select
        content_key,
        min(first_at) as first_at,
        row_number() over () as content_no

    from changing_facts
    group by content_key

),

times as (

    select distinct
        contents.content_no,
        coalesce(parse_possible_instant(bronze.observed_at), contents.first_at) as seen_at

    from bronze_api_answers as bronze
    inner join contents on bronze.content_key = contents.content_key

),

changing as (

    select
        facts.track_id,
        2 as source_rank,
        times.seen_at,
        max(facts.track_name) as track_name,
        max(facts.popularity) as popularity,
        max(facts.duration_ms) as duration_ms

    from changing_facts as facts
    inner join contents on facts.content_key = contents.content_key
    inner join times on contents.content_no = times.content_no
    group by facts.track_id, times.seen_at

),

final as (

    select track_id, source_rank, seen_at, track_name, popularity, duration_ms
    from changing

    union all

    select track_id, source_rank, seen_at, track_name, popularity, duration_ms
    from states
    where not coalesce(is_changing, false)

)

select * from final
