-- What is usual is the median of what the person plays most in a week: with a mean, one obsession would hide another.
with

weeks as (select * from {{ ref('int_person_weeks') }}),

items as (select * from {{ ref('int_person_items') }}),

in_order as (
    select
        user_id,
        kind,
        most_played_plays as plays,
        row_number() over (
            partition by user_id, kind
            order by most_played_plays, week_start
        ) as place,
        count(*) over (partition by user_id, kind) as places
    from weeks
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

final as (
    select
        cast(weeks.user_id as varchar) as user_id,
        cast(weeks.week_start as date) as week_start,
        cast(weeks.kind as varchar) as kind,
        cast(weeks.dominant_item as varchar) as item,
        cast(items.item_name as varchar) as item_name,
        cast(items.artist_name as varchar) as artist_name,
        cast(weeks.dominant_plays as bigint) as plays,
        cast({{ minutes('weeks.dominant_ms') }} as double) as minutes,
        cast({{ rate('weeks.dominant_ms', 'weeks.played_ms') }} as double) as share,
        cast(usual.plays as double) as usual_plays,
        cast({{ rate('weeks.dominant_plays', 'usual.plays') }} as double) as times_usual
    from weeks
    inner join usual
        on weeks.user_id = usual.user_id and weeks.kind = usual.kind
    inner join items
        on
            weeks.user_id = items.user_id
            and weeks.kind = items.kind
            and weeks.dominant_item = items.item
)

select * from final
