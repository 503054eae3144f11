-- What the Web API could describe and has not: tracks, albums and artists with the plays they would describe, most played first.
-- One row per collection and id.
with

plays as (

    select * from silver_plays

),

tracks as (

    select * from silver_tracks

),

albums as (

    select * from silver_albums

),

artists as (

    select * from silver_artists

),

credits as (

    select * from silver_track_artists

),

heard as (

    select
        track_id,
        count(*) as plays

    from plays
    where track_id is not null
    group by track_id

),

mentioned as (

    select track_id from heard
    union
    select track_id from silver_playlist_items
    union
    select track_id from silver_saved_tracks
    union
    select track_id from silver_chart_entries

),

wanted_tracks as (

    select
        mentioned.track_id as id,
        coalesce(heard.plays, 0) as plays

    from mentioned
    left join heard on mentioned.track_id = heard.track_id
    left join tracks as known
        on mentioned.track_id = known.track_id
        and known.source = 'api'
        and known.isrc is not null
        and known.album_id is not null
    where mentioned.track_id is not null and known.track_id is null

),

wanted_albums as (

    select
        albums.album_id as id,
        count(plays.play_id) as plays

    from albums
    inner join tracks on albums.album_id = tracks.album_id
    left join plays on tracks.track_id = plays.track_id
    where albums.release_date is null or albums.total_tracks is null
    group by albums.album_id

),

wanted_artists as (

    select
        artists.artist_id as id,
        count(plays.play_id) as plays

    from artists
    inner join credits on artists.artist_id = credits.artist_id
    left join plays on credits.track_id = plays.track_id
    where artists.genres is null
    group by artists.artist_id

),

wanted as (

    select 1 as position, 'tracks' as collection, * from wanted_tracks
    union all
    select 2 as position, 'albums' as collection, * from wanted_albums
    union all
    select 3 as position, 'artists' as collection, * from wanted_artists

),

final as (

    select
        *,
        row_number() over (partition by collection order by plays desc, id) as place

    from wanted
    where id is not null

)

select
    collection,
    id,
    cast(plays as integer) as plays

from final
-- Far beyond what a run can call.
where place <= 200000
order by position, place
