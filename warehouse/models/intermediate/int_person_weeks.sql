-- Of all that was heard in a week only what leads it is kept: the rest is nearly as much as the plays themselves.
with

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

most_plays as (
    select
        user_id,
        kind,
        week_start,
        max(plays) as plays
    from week_items
    group by user_id, kind, week_start
),

most_played as (
    select
        week_items.*,
        row_number() over (
            partition by week_items.user_id, week_items.kind, week_items.week_start
            order by week_items.played_ms desc, week_items.item
        ) as place
    from week_items
    inner join most_plays
        on
            week_items.user_id = most_plays.user_id
            and week_items.kind = most_plays.kind
            and week_items.week_start = most_plays.week_start
            and week_items.plays = most_plays.plays
),

dominant as (
    select
        week_items.*,
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
        cast(most_played.user_id as varchar) as user_id,
        cast(most_played.week_start as date) as week_start,
        cast(most_played.kind as varchar) as kind,
        cast(weeks.played_ms as bigint) as played_ms,
        cast(most_played.item as varchar) as most_played_item,
        cast(most_played.plays as bigint) as most_played_plays,
        cast(most_played.played_ms as bigint) as most_played_ms,
        cast(dominant.item as varchar) as dominant_item,
        cast(dominant.plays as bigint) as dominant_plays,
        cast(dominant.played_ms as bigint) as dominant_ms
    from most_played
    inner join weeks
        on most_played.user_id = weeks.user_id and most_played.week_start = weeks.week_start
    left join dominant
        on
            most_played.user_id = dominant.user_id
            and most_played.kind = dominant.kind
            and most_played.week_start = dominant.week_start
            and dominant.place = 1
    where most_played.place = 1
)

select * from final
