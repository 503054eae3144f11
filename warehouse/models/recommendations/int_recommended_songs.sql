-- What each user is recommended, and what the baseline would name in its place.
--
-- A song's score is the mean of its cosines to the songs that the user heard most in the last 28 days of the period
-- (0 to one that it is no neighbour of). They are added as whole billionths: the sum is the same in every order.
with

heard as (select * from {{ ref('int_songs_heard') }}),

neighbours as (select * from {{ ref('int_song_neighbours') }}),

periods as (
    select
        listed.period,
        listed.days
    from (values ('all', 0), ('before', {{ var('recommendation_days') }})) as listed (period, days)
),

recent as (
    select
        periods.period,
        heard.user_id,
        heard.song_number,
        count(*) as sessions,
        min(heard.days_before_end) as days
    from heard
    inner join periods
        on
            heard.days_before_end >= periods.days
            and heard.days_before_end < periods.days + {{ var('recommendation_days') }}
    group by periods.period, heard.user_id, heard.song_number
),

recent_in_order as (
    select
        *,
        row_number() over (
            partition by period, user_id
            order by sessions desc, days, song_number
        ) as place
    from recent
),

-- Lists are numbered, because the rows that follow are many and numbers are short.
lists as (
    select
        period,
        user_id,
        row_number() over (order by period, user_id) as list_number,
        count(case when place <= {{ var('recommendation_seeds_max') }} then 1 end) as seeds
    from recent_in_order
    group by period, user_id
),

recent_of_lists as (
    select
        lists.list_number,
        recent_in_order.period,
        recent_in_order.song_number,
        recent_in_order.place
    from recent_in_order
    inner join lists
        on
            recent_in_order.period = lists.period
            and recent_in_order.user_id = lists.user_id
),

seeds as (
    select *
    from recent_of_lists
    where place <= {{ var('recommendation_seeds_max') }}
),

contributions as (
    select
        seeds.list_number,
        seeds.place,
        neighbours.neighbour_number as song_number,
        cast(round(neighbours.cosine * 1e9) as bigint) as billionths
    from seeds
    inner join neighbours
        on
            seeds.period = neighbours.period
            and seeds.song_number = neighbours.song_number
),

-- The largest cosine carries the place of its seed in its last three digits, so that of equals the first is largest.
scored as (
    select
        list_number,
        song_number,
        {{ total('billionths') }} as billionths,
        999 - mod(max(billionths * 1000 + 999 - place), 1000) as because_place
    from contributions
    group by list_number, song_number
),

item_to_item as (
    select
        scored.*,
        row_number() over (
            partition by scored.list_number
            order by scored.billionths desc, scored.song_number
        ) as place
    from scored
    left join recent_of_lists
        on
            scored.list_number = recent_of_lists.list_number
            and scored.song_number = recent_of_lists.song_number
    where recent_of_lists.song_number is null
),

popular as (
    select
        song_number,
        row_number() over (
            order by count(distinct user_id) desc, count(*) desc, song_number
        ) as popularity_rank
    from heard
    where days_before_end >= {{ var('recommendation_days') }}
    group by song_number
),

judged as (
    select
        user_id,
        count(*) as songs
    from recent
    where period = 'before'
    group by user_id
),

-- What a user has heard lately takes at most that many of the first places.
baseline as (
    select
        judged.user_id,
        popular.song_number,
        row_number() over (
            partition by judged.user_id
            order by popular.popularity_rank
        ) as place
    from judged
    inner join popular
        on popular.popularity_rank <= judged.songs + {{ var('recommendations_max_rank') }}
    left join recent
        on
            recent.period = 'before'
            and judged.user_id = recent.user_id
            and popular.song_number = recent.song_number
    where recent.song_number is null
),

listed as (
    select
        'item_to_item' as method,
        lists.period,
        lists.user_id,
        item_to_item.place,
        item_to_item.song_number,
        {{ rate('item_to_item.billionths', 'lists.seeds') }} / 1e9 as score,
        seeds.song_number as because_number
    from item_to_item
    inner join lists
        on item_to_item.list_number = lists.list_number
    inner join seeds
        on
            item_to_item.list_number = seeds.list_number
            and item_to_item.because_place = seeds.place
    where item_to_item.place <= {{ var('recommendations_max_rank') }}

    union all

    select
        'popularity' as method,
        'before' as period,
        user_id,
        place,
        song_number,
        cast(null as double) as score,
        cast(null as integer) as because_number
    from baseline
),

final as (
    select
        cast(method as varchar) as method,
        cast(period as varchar) as period,
        cast(user_id as varchar) as user_id,
        cast(place as integer) as place,
        cast(song_number as integer) as song_number,
        cast(round(score, 6) as double) as score,
        cast(because_number as integer) as because_number
    from listed
    where place <= {{ var('recommendations_max_rank') }}
)

select * from final
