-- Every artist of a song in songs, not only the first.
with

songs as (select * from {{ ref('songs') }}),

track_artists as (select * from {{ ref('bridge_track_artists') }}),

all_artists as (select * from {{ ref('dim_artists') }}),

artist_ids as (
    select artist_id from songs

    union

    select track_artists.artist_id
    from songs
    inner join track_artists
        on songs.song_id = track_artists.track_id
),

final as (
    select
        cast(all_artists.artist_id as varchar) as artist_id,
        cast(all_artists.artist_name as varchar) as name,
        cast(all_artists.url as varchar) as url
    from artist_ids
    inner join all_artists
        on artist_ids.artist_id = all_artists.artist_id
)

select * from final
