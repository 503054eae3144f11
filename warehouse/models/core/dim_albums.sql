-- An album that is known by its names only is a row where a track is on it.
with

albums as (select * from {{ source('silver', 'albums') }}),

identity as (select * from {{ ref('int_album_identity') }}),

artist_identity as (select * from {{ ref('int_artist_identity') }}),

artists as (select * from {{ ref('dim_artists') }}),

track_facts as (select * from {{ ref('int_track_facts') }}),

used as (
    select distinct identity.album_id
    from identity
    inner join track_facts
        on identity.source_album_id = track_facts.source_album_id
),

names as (
    select
        album_id,
        album_name,
        artist_id,
        row_number() over (
            partition by album_id
            order by
                case when album_name is null then 1 else 0 end,
                case when source_album_id = album_id then 0 else 1 end,
                source_album_id
        ) as choice
    from identity
),

descriptions as (
    select
        identity.album_id,
        albums.album_type,
        albums.primary_artist_id,
        albums.release_date,
        albums.release_precision,
        albums.total_tracks,
        albums.url,
        row_number() over (
            partition by identity.album_id
            order by
                case when albums.album_id = identity.album_id then 0 else 1 end,
                albums.last_seen_at desc nulls last,
                albums.album_id
        ) as choice
    from albums
    inner join identity
        on albums.album_id = identity.source_album_id
),

joined as (
    select
        names.album_id,
        names.album_name,
        descriptions.album_type,
        coalesce(artist_identity.artist_id, names.artist_id) as artist_id,
        descriptions.release_date,
        descriptions.release_precision,
        descriptions.total_tracks,
        descriptions.url
    from names
    left join descriptions
        on names.album_id = descriptions.album_id and descriptions.choice = 1
    left join artist_identity
        on descriptions.primary_artist_id = artist_identity.source_artist_id
    left join used
        on names.album_id = used.album_id
    where
        names.choice = 1
        and (used.album_id is not null or not {{ begins_with('names.album_id', 'name:') }})
),

final as (
    select
        cast(joined.album_id as varchar) as album_id,
        cast(joined.album_name as varchar) as album_name,
        cast(joined.album_type as varchar) as album_type,
        cast(joined.artist_id as varchar) as artist_id,
        cast(artists.artist_name as varchar) as artist_name,
        cast(joined.release_date as date) as release_date,
        cast(joined.release_precision as varchar) as release_precision,
        cast(joined.total_tracks as integer) as total_tracks,
        cast(joined.url as varchar) as url,
        cast({{ begins_with('joined.album_id', 'name:') }} as boolean) as is_name_only
    from joined
    left join artists
        on joined.artist_id = artists.artist_id
)

select * from final
