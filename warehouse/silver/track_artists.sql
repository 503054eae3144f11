-- silver.track_artists: the artists of a track as its newest description lists them; an artist who is listed twice keeps the first place.
with

listed as (

    select
        track_id,
        unnest(artists) as artist,
        unnest(range(1, len(artists) + 1)) as place

    from track_newest

),

distinct_artists as (

    select
        track_id,
        artist.id as artist_id,
        arg_min(artist.name, place) as artist_name,
        min(place) as first_place

    from listed
    group by track_id, artist.id

),

final as (

    select
        track_id,
        artist_id,
        artist_name,
        row_number() over (partition by track_id order by first_place) as position

    from distinct_artists

)

select * from final
