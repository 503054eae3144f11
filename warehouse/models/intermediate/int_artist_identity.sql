-- Which artist an artist id means. An id made from a name (name:<normalised name>) means the
-- real artist of that name when there is exactly one, and otherwise stands for itself.
with

artists as (select * from {{ source('silver', 'artists') }}),

track_artists as (select * from {{ source('silver', 'track_artists') }}),

tracks as (select * from {{ source('silver', 'tracks') }}),

albums as (select * from {{ source('silver', 'albums') }}),

top_items as (select * from {{ source('silver', 'top_items') }}),

mentions as (select * from {{ ref('int_track_mentions') }}),

candidates as (
    select
        artist_id as source_artist_id,
        artist_name,
        1 as priority,
        cast(last_seen_at as timestamp(3)) as seen_at
    from artists

    union all

    select
        artist_id as source_artist_id,
        artist_name,
        2 as priority,
        cast(null as timestamp(3)) as seen_at
    from track_artists

    union all

    select
        item_id as source_artist_id,
        item_name as artist_name,
        2 as priority,
        cast(cast(snapshot_date as date) as timestamp(3)) as seen_at
    from top_items
    where item_type = 'artist'

    union all

    select
        coalesce(
            primary_artist_id,
            'name:' || {{ normalise('primary_artist_name') }}
        ) as source_artist_id,
        primary_artist_name as artist_name,
        3 as priority,
        cast(last_seen_at as timestamp(3)) as seen_at
    from tracks

    union all

    select
        primary_artist_id as source_artist_id,
        cast(null as varchar) as artist_name,
        4 as priority,
        cast(null as timestamp(3)) as seen_at
    from albums

    union all

    select
        'name:' || artist_key as source_artist_id,
        artist_name,
        5 as priority,
        newest_at as seen_at
    from mentions
),

ranked as (
    select
        *,
        row_number() over (
            partition by source_artist_id
            order by
                case when artist_name is null then 1 else 0 end,
                priority,
                seen_at desc nulls last,
                artist_name
        ) as choice
    from candidates
    where source_artist_id is not null
),

keyed as (
    select
        source_artist_id,
        artist_name,
        {{ begins_with('source_artist_id', 'name:') }} as is_name_only,
        coalesce(
            {{ normalise('artist_name') }},
            case
                when {{ begins_with('source_artist_id', 'name:') }}
                    then substr(source_artist_id, 6)
            end
        ) as artist_key
    from ranked
    where choice = 1
),

only_artist_of_name as (
    select
        artist_key,
        min(source_artist_id) as artist_id
    from keyed
    where not is_name_only and artist_key is not null
    group by artist_key
    having count(*) = 1
),

final as (
    select
        cast(keyed.source_artist_id as varchar) as source_artist_id,
        cast(
            case
                when not keyed.is_name_only then keyed.source_artist_id
                else coalesce(
                    only_artist_of_name.artist_id,
                    'name:' || keyed.artist_key
                )
            end as varchar
        ) as artist_id,
        cast(keyed.artist_name as varchar) as artist_name,
        cast(keyed.artist_key as varchar) as artist_key,
        cast(keyed.is_name_only as boolean) as is_name_only
    from keyed
    left join only_artist_of_name
        on keyed.artist_key = only_artist_of_name.artist_key
)

select * from final
