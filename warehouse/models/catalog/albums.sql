with

songs as (select * from {{ ref('songs') }}),

all_albums as (select * from {{ ref('dim_albums') }}),

album_ids as (
    select distinct album_id
    from songs
    where album_id is not null
),

final as (
    select
        cast(all_albums.album_id as varchar) as album_id,
        cast(all_albums.album_name as varchar) as name,
        cast(all_albums.release_date as date) as release_date,
        cast(all_albums.total_tracks as integer) as total_tracks,
        cast(all_albums.url as varchar) as url
    from album_ids
    inner join all_albums
        on album_ids.album_id = all_albums.album_id
)

select * from final
