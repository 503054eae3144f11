-- Empty where the most popular songs are as good a guess.
with

recommended as (
    select *
    from {{ ref('int_recommended_songs') }}
    where method = 'item_to_item' and period = 'all'
),

quality as (select * from {{ ref('recommendation_quality') }}),

heard as (select * from {{ ref('int_songs_heard') }}),

recordings as (
    select
        song_number,
        track_id,
        max(track_name) as track_name,
        max(artist_name) as artist_name,
        row_number() over (
            partition by song_number
            order by count(*) desc, track_id
        ) as choice
    from heard
    group by song_number, track_id
),

songs as (
    select *
    from recordings
    where choice = 1
),

final as (
    select
        cast(recommended.user_id as varchar) as user_id,
        cast(recommended.place as integer) as rank,
        cast(songs.track_id as varchar) as track_id,
        cast(songs.track_name as varchar) as track_name,
        cast(songs.artist_name as varchar) as artist_name,
        cast(recommended.score as double) as score,
        cast(because.track_id as varchar) as because_track_id,
        cast(because.track_name as varchar) as because_track_name,
        cast(because.artist_name as varchar) as because_artist_name
    from recommended
    inner join quality
        on quality.status = 'published'
    inner join songs
        on recommended.song_number = songs.song_number
    inner join songs as because
        on recommended.because_number = because.song_number
)

select * from final
