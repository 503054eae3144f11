-- What a person has ever heard, with the names that the tables of models/person show.
with

item_years as (select * from {{ ref('int_person_item_years') }}),

songs as (select * from {{ ref('dim_songs') }}),

artists as (select * from {{ ref('dim_artists') }}),

albums as (select * from {{ ref('dim_albums') }}),

shows as (select * from {{ ref('dim_shows') }}),

names as (
    select
        'song' as kind,
        song_key as item,
        song_name as item_name,
        artist_name
    from songs

    union all

    select
        'artist' as kind,
        artist_id as item,
        artist_name as item_name,
        artist_name
    from artists

    union all

    select
        'album' as kind,
        album_id as item,
        album_name as item_name,
        artist_name
    from albums

    union all

    select
        'show' as kind,
        show_id as item,
        show_name as item_name,
        cast(null as varchar) as artist_name
    from shows
),

items as (
    select
        user_id,
        kind,
        item,
        {{ total('plays') }} as plays,
        {{ total('played_ms') }} as played_ms,
        min(first_date) as first_date,
        min(first_played_at) as first_played_at,
        max(last_played_at) as last_played_at
    from item_years
    group by user_id, kind, item
),

final as (
    select
        cast(items.user_id as varchar) as user_id,
        cast(items.kind as varchar) as kind,
        cast(items.item as varchar) as item,
        cast(names.item_name as varchar) as item_name,
        cast(names.artist_name as varchar) as artist_name,
        cast(items.plays as bigint) as plays,
        cast(items.played_ms as bigint) as played_ms,
        cast(items.first_date as date) as first_date,
        cast(items.first_played_at as timestamp(3)) as first_played_at,
        cast(items.last_played_at as timestamp(3)) as last_played_at
    from items
    left join names
        on items.kind = names.kind and items.item = names.item
)

select * from final
