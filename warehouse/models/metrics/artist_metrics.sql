-- Averages are over the tracks of which the value is known. Tracks count for each of their artists, albums for the
-- first one.
with

artists as (select * from {{ ref('dim_artists') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

track_artists as (select * from {{ ref('bridge_track_artists') }}),

albums as (select * from {{ ref('dim_albums') }}),

appearances as (
    select
        track_artists.artist_id,
        count(*) as track_appearances,
        count(tracks.popularity) as tracks_with_popularity,
        {{ total('tracks.popularity') }} as popularity,
        count(tracks.duration_ms) as tracks_with_duration,
        {{ total('tracks.duration_ms') }} as duration_ms
    from track_artists
    inner join tracks
        on track_artists.track_id = tracks.track_id
    group by track_artists.artist_id
),

releases as (
    select
        artist_id,
        count(*) as albums,
        sum(total_tracks) as total_tracks
    from albums
    where artist_id is not null
    group by artist_id
),

final as (
    select
        cast(artists.artist_id as varchar) as artist_id,
        cast(artists.artist_name as varchar) as artist_name,
        cast(coalesce(appearances.track_appearances, 0) as bigint) as track_appearances,
        cast(
            {{ rate('appearances.popularity', 'appearances.tracks_with_popularity') }} as double
        ) as average_popularity,
        cast(coalesce(appearances.tracks_with_popularity, 0) as bigint) as tracks_with_popularity,
        cast(
            {{ rate('appearances.duration_ms', 'appearances.tracks_with_duration') }} as double
        ) as average_duration_ms,
        cast(coalesce(releases.albums, 0) as bigint) as albums,
        cast(releases.total_tracks as bigint) as total_tracks_in_albums
    from artists
    left join appearances
        on artists.artist_id = appearances.artist_id
    left join releases
        on artists.artist_id = releases.artist_id
)

select * from final
