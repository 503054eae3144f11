-- Genres of a track by its ids; a track that has none takes those of the tracks of the same
-- normalised artist and title.
with

track_genres as (select * from {{ source('silver', 'track_genres') }}),

identity as (select * from {{ ref('int_track_identity') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

by_id as (
    select
        identity.track_id,
        track_genres.genre,
        -- A genre of the track itself wins over one of its artist.
        max(track_genres.source) as source
    from track_genres
    inner join identity
        on track_genres.track_id = identity.source_track_id
    group by identity.track_id, track_genres.genre
),

normalised as (
    select
        track_id,
        {{ normalise('artist_name') }} as artist_key,
        {{ normalise('track_name') }} as title_key
    from tracks
),

with_genre as (
    select distinct track_id from by_id
),

by_name as (
    select distinct
        bare.track_id,
        by_id.genre,
        'name' as source
    from normalised as bare
    inner join normalised as same_name
        on
            bare.artist_key = same_name.artist_key
            and bare.title_key = same_name.title_key
    inner join by_id
        on same_name.track_id = by_id.track_id
    left join with_genre
        on bare.track_id = with_genre.track_id
    where with_genre.track_id is null
),

all_genres as (
    select * from by_id
    union all
    select * from by_name
),

final as (
    select
        cast(track_id as varchar) as track_id,
        cast(genre as varchar) as genre,
        cast(source as varchar) as source
    from all_genres
)

select * from final
