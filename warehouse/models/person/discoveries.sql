-- The first play itself is none of those that follow.
{% set days_known = days_between('items.first_date', 'plays.local_date') -%}
with

-- Numbered, because counting by a number takes half of the time of counting by two texts.
items as (
    select
        *,
        row_number() over (
            order by user_id, kind, item
        ) as item_number
    from {{ ref('int_person_items') }}
    where kind in ('song', 'artist')
),

plays as (
    select
        user_id,
        local_date
    from {{ ref('int_person_plays') }}
),

starts as (
    select
        user_id,
        min(local_date) as start_date
    from plays
    group by user_id
),

counted as (
    select
        items.item_number,
        count(case when {{ days_known }} <= 30 then 1 end) - 1 as plays_30_days,
        count(case when {{ days_known }} <= 90 then 1 end) - 1 as plays_90_days,
        count(case when {{ days_known }} <= 365 then 1 end) - 1 as plays_365_days
    from {{ ref('int_person_plays') }} as plays
    inner join items
        on
            plays.user_id = items.user_id
            and plays.song_key = items.item
            and items.kind = 'song'
    group by items.item_number

    union all

    select
        items.item_number,
        count(case when {{ days_known }} <= 30 then 1 end) - 1 as plays_30_days,
        count(case when {{ days_known }} <= 90 then 1 end) - 1 as plays_90_days,
        count(case when {{ days_known }} <= 365 then 1 end) - 1 as plays_365_days
    from {{ ref('int_person_plays') }} as plays
    inner join items
        on
            plays.user_id = items.user_id
            and plays.artist_id = items.item
            and items.kind = 'artist'
    group by items.item_number
),

followed as (
    select
        items.*,
        counted.plays_30_days,
        counted.plays_90_days,
        counted.plays_365_days,
        {{ days_between('starts.start_date', 'items.first_date') }} as days_after_start,
        -- Whole days between the first date and as_of: the window of n days is over where there are n.
        {{ days_between('items.first_date', as_of_date()) }} - 1 as days_known
    from items
    inner join starts
        on items.user_id = starts.user_id
    inner join counted
        on items.item_number = counted.item_number
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(kind as varchar) as kind,
        cast(item as varchar) as item,
        cast(item_name as varchar) as item_name,
        cast(artist_name as varchar) as artist_name,
        cast(first_played_at as timestamp(3)) as first_played_at,
        cast(first_date as date) as first_date,
        cast(case when days_known >= 30 then plays_30_days end as bigint) as plays_30_days,
        cast(case when days_known >= 90 then plays_90_days end as bigint) as plays_90_days,
        cast(case when days_known >= 365 then plays_365_days end as bigint) as plays_365_days,
        cast(case when days_known >= 365 then plays_365_days > plays_30_days end as boolean) as stayed,
        cast(days_after_start < {{ var('discovery_start_days') }} as boolean) as is_at_start
    from followed
)

select * from final
