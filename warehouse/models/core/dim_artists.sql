-- An artist that is known by name only is a row where a track or an album is theirs: the other
-- spellings of an artist that has an id are no artists.
with

artists as (select * from {{ source('silver', 'artists') }}),

identity as (select * from {{ ref('int_artist_identity') }}),

track_facts as (select * from {{ ref('int_track_facts') }}),

track_artists as (select * from {{ source('silver', 'track_artists') }}),

albums as (select * from {{ source('silver', 'albums') }}),

top_items as (select * from {{ source('silver', 'top_items') }}),

album_identity as (select * from {{ ref('int_album_identity') }}),

credited as (
    select source_artist_id from track_facts
    union
    select artist_id as source_artist_id from track_artists
    union
    select primary_artist_id as source_artist_id from albums
    union
    select item_id as source_artist_id from top_items
    where item_type = 'artist'
),

used as (
    select identity.artist_id
    from identity
    inner join credited
        on identity.source_artist_id = credited.source_artist_id

    union

    select album_identity.artist_id
    from album_identity
    left join track_facts
        on album_identity.source_album_id = track_facts.source_album_id
    where not album_identity.is_name_only or track_facts.track_id is not null
),

names as (
    select
        artist_id,
        artist_name,
        row_number() over (
            partition by artist_id
            order by
                case when artist_name is null then 1 else 0 end,
                case when source_artist_id = artist_id then 0 else 1 end,
                source_artist_id
        ) as choice
    from identity
),

descriptions as (
    select
        identity.artist_id,
        artists.genres,
        artists.url,
        artists.followers,
        artists.popularity,
        row_number() over (
            partition by identity.artist_id
            order by
                case when artists.artist_id = identity.artist_id then 0 else 1 end,
                artists.last_seen_at desc nulls last,
                artists.artist_id
        ) as choice
    from artists
    inner join identity
        on artists.artist_id = identity.source_artist_id
),

final as (
    select
        cast(names.artist_id as varchar) as artist_id,
        cast(names.artist_name as varchar) as artist_name,
        cast(descriptions.genres as varchar) as genres,
        cast(descriptions.url as varchar) as url,
        cast(descriptions.followers as bigint) as followers,
        cast(descriptions.popularity as integer) as popularity,
        cast({{ begins_with('names.artist_id', 'name:') }} as boolean) as is_name_only
    from names
    left join descriptions
        on names.artist_id = descriptions.artist_id and descriptions.choice = 1
    left join used
        on names.artist_id = used.artist_id
    where
        names.choice = 1
        and (used.artist_id is not null or not {{ begins_with('names.artist_id', 'name:') }})
)

select * from final
