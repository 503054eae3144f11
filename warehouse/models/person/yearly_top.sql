-- Everything is ranked, so that the rank of the year before is known of what was far down then; the first ranks stay.
with

item_years as (select * from {{ ref('int_person_item_years') }}),

items as (select * from {{ ref('int_person_items') }}),

periods as (
    select
        user_id,
        kind,
        item,
        local_year,
        plays,
        played_ms
    from item_years

    union all

    select
        user_id,
        kind,
        item,
        cast(null as integer) as local_year,
        plays,
        played_ms
    from items
),

ranked as (
    select
        *,
        row_number() over (
            partition by user_id, kind, local_year
            order by played_ms desc, plays desc, item
        ) as minutes_rank,
        row_number() over (
            partition by user_id, kind, local_year
            order by plays desc, played_ms desc, item
        ) as plays_rank
    from periods
),

first_ranks as (
    select
        *,
        'minutes' as measure,
        minutes_rank as place
    from ranked
    where minutes_rank <= {{ var('yearly_top_max_rank') }}

    union all

    select
        *,
        'plays' as measure,
        plays_rank as place
    from ranked
    where plays_rank <= {{ var('yearly_top_max_rank') }}
),

final as (
    select
        cast(first_ranks.user_id as varchar) as user_id,
        cast(coalesce(cast(first_ranks.local_year as varchar), 'all') as varchar) as year,
        cast(first_ranks.kind as varchar) as kind,
        cast(first_ranks.measure as varchar) as measure,
        cast(first_ranks.place as integer) as rank,
        cast(first_ranks.item as varchar) as item,
        cast(items.item_name as varchar) as item_name,
        cast(items.artist_name as varchar) as artist_name,
        cast(
            case
                when first_ranks.measure = 'plays' then cast(first_ranks.plays as double)
                else {{ minutes('first_ranks.played_ms') }}
            end as double
        ) as value,
        cast(first_ranks.plays as bigint) as plays,
        cast({{ minutes('first_ranks.played_ms') }} as double) as minutes,
        cast(
            case when first_ranks.measure = 'plays' then before.plays_rank else before.minutes_rank end as integer
        ) as previous_rank,
        cast(items.first_played_at as timestamp(3)) as first_played_at
    from first_ranks
    inner join items
        on
            first_ranks.user_id = items.user_id
            and first_ranks.kind = items.kind
            and first_ranks.item = items.item
    left join ranked as before
        on
            first_ranks.user_id = before.user_id
            and first_ranks.kind = before.kind
            and first_ranks.item = before.item
            and first_ranks.local_year = before.local_year + 1
)

select * from final
