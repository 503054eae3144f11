-- A recording: ids that share an ISRC are one row. Recordings with one title by one first artist
-- are one song (song_key), which is what people's rankings count.
with

facts as (select * from {{ ref('int_track_facts') }}),

artist_identity as (select * from {{ ref('int_artist_identity') }}),

album_identity as (select * from {{ ref('int_album_identity') }}),

artists as (select * from {{ ref('dim_artists') }}),

albums as (select * from {{ ref('dim_albums') }}),

joined as (
    select
        facts.*,
        artist_identity.artist_id,
        artists.artist_name,
        album_identity.album_id,
        albums.album_name,
        albums.release_date,
        {{ normalise('facts.track_name') }} as title_key,
        {{ normalise('artists.artist_name') }} as artist_key
    from facts
    left join artist_identity
        on facts.source_artist_id = artist_identity.source_artist_id
    left join artists
        on artist_identity.artist_id = artists.artist_id
    left join album_identity
        on facts.source_album_id = album_identity.source_album_id
    left join albums
        on album_identity.album_id = albums.album_id
),

final as (
    select
        cast(track_id as varchar) as track_id,
        cast(track_name as varchar) as track_name,
        cast(
            case
                when artist_key is null or title_key is null then track_id
                else 'name:' || {{ name_key('artist_key', 'title_key') }}
            end as varchar
        ) as song_key,
        cast(artist_id as varchar) as artist_id,
        cast(artist_name as varchar) as artist_name,
        cast(album_id as varchar) as album_id,
        cast(album_name as varchar) as album_name,
        cast(release_date as date) as release_date,
        cast(duration_ms as bigint) as duration_ms,
        cast(is_explicit as boolean) as is_explicit,
        cast(popularity as integer) as popularity,
        cast(isrc as varchar) as isrc,
        cast(url as varchar) as url,
        cast(track_number as integer) as track_number,
        cast(is_local as boolean) as is_local,
        cast(alternate_ids as integer) as alternate_ids,
        cast(is_described as boolean) as is_described
    from joined
)

select * from final
