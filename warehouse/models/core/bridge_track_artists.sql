-- Artists of a track, its first artist at position 1. Ids that mean the same artist or the
-- same track are merged, so positions are counted anew.
with

track_artists as (select * from {{ source('silver', 'track_artists') }}),

track_identity as (select * from {{ ref('int_track_identity') }}),

artist_identity as (select * from {{ ref('int_artist_identity') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

credits as (
    select
        track_id,
        artist_id,
        0 as position
    from tracks
    where artist_id is not null

    union all

    select
        track_identity.track_id,
        artist_identity.artist_id,
        track_artists.position
    from track_artists
    inner join track_identity
        on track_artists.track_id = track_identity.source_track_id
    inner join artist_identity
        on track_artists.artist_id = artist_identity.source_artist_id
),

merged as (
    select
        track_id,
        artist_id,
        min(position) as position
    from credits
    group by track_id, artist_id
),

final as (
    select
        cast(track_id as varchar) as track_id,
        cast(artist_id as varchar) as artist_id,
        cast(
            row_number() over (
                partition by track_id
                order by position, artist_id
            ) as integer
        ) as position
    from merged
)

select * from final
