-- What is usual is the median of what the person plays most in a week: with a mean, one obsession would hide another.
with

items as (select * from {{ ref('int_person_items') }}),

plays as (
    select
        user_id,
        {{ first_day('week', 'local_date') }} as week_start,
        played_ms
    from {{ ref('int_person_plays') }}
),

weeks as (
    select
        user_id,
        week_start,
        {{ total('played_ms') }} as played_ms
    from plays
    group by user_id, week_start
),

week_items as (
    select
        user_id,
        'song' as kind,
        song_key as item,
        {{ first_day('week', 'local_date') }} as week_start,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from {{ ref('int_person_plays') }}
    where song_key is not null
    group by user_id, song_key, {{ first_day('week', 'local_date') }}

    union all

    select
        user_id,
        'artist' as kind,
        artist_id as item,
        {{ first_day('week', 'local_date') }} as week_start,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from {{ ref('int_person_plays') }}
    where artist_id is not null
    group by user_id, artist_id, {{ first_day('week', 'local_date') }}
),

most_played as (
    select
        user_id,
        kind,
        week_start,
        max(plays) as plays
    from week_items
    group by user_id, kind, week_start
),

in_order as (
    select
        user_id,
        kind,
        plays,
        row_number() over (
            partition by user_id, kind
            order by plays, week_start
        ) as place,
        count(*) over (partition by user_id, kind) as places
    from most_played
),

-- The middle one, or the mean of the two in the middle.
usual as (
    select
        user_id,
        kind,
        {{ rate('sum(plays)', 'count(*)') }} as plays
    from in_order
    where 2 * place between places and places + 2
    group by user_id, kind
),

candidates as (
    select
        week_items.*,
        weeks.played_ms as week_ms,
        row_number() over (
            partition by week_items.user_id, week_items.kind, week_items.week_start
            order by week_items.played_ms desc, week_items.plays desc, week_items.item
        ) as place
    from week_items
    inner join weeks
        on week_items.user_id = weeks.user_id and week_items.week_start = weeks.week_start
    where
        weeks.played_ms > 0
        and week_items.plays >= {{ var('obsession_plays_min') }}
        and week_items.played_ms * 100 >= weeks.played_ms * {{ var('obsession_percent_min') }}
),

final as (
    select
        cast(candidates.user_id as varchar) as user_id,
        cast(candidates.week_start as date) as week_start,
        cast(candidates.kind as varchar) as kind,
        cast(candidates.item as varchar) as item,
        cast(items.item_name as varchar) as item_name,
        cast(items.artist_name as varchar) as artist_name,
        cast(candidates.plays as bigint) as plays,
        cast({{ minutes('candidates.played_ms') }} as double) as minutes,
        cast({{ rate('candidates.played_ms', 'candidates.week_ms') }} as double) as share,
        cast(usual.plays as double) as usual_plays,
        cast({{ rate('candidates.plays', 'usual.plays') }} as double) as times_usual
    from candidates
    inner join usual
        on candidates.user_id = usual.user_id and candidates.kind = usual.kind
    inner join items
        on
            candidates.user_id = items.user_id
            and candidates.kind = items.kind
            and candidates.item = items.item
    where candidates.place = 1
)

select * from final
