-- Which songs were heard in which sessions: what recommendations are made from, and judged by. A song is told by
-- the names that plays give, because the Web API knows more of some songs, and none of that is to be learned from.
with

plays as (
    select
        user_id,
        session_id,
        play_id,
        ended_at,
        track_name,
        artist_name,
        coalesce(
            track_id,
            'name:' || {{ name_key(normalise('artist_name'), normalise('track_name')) }}
        ) as track_id
    from {{ ref('int_training_plays') }}
    where
        (track_id is not null or content_type in ('track', 'unknown'))
        and ended_at < cast({{ as_of_date() }} as timestamp(3))
),

spellings as (
    select
        track_id,
        track_name,
        artist_name,
        row_number() over (
            partition by track_id
            order by max(ended_at) desc, track_name, artist_name
        ) as choice
    from plays
    where track_id is not null
    group by track_id, track_name, artist_name
),

keyed as (
    select
        track_id,
        track_name,
        artist_name,
        {{ normalise('artist_name') }} as artist_key,
        {{ normalise('track_name') }} as title_key
    from spellings
    where choice = 1
),

-- As in dim_songs: a recording whose title or artist nobody tells is a song of its own.
tracks as (
    select
        *,
        case
            when artist_key is not null and title_key is not null then {{ name_key('artist_key', 'title_key') }}
            else track_id
        end as song_key
    from keyed
),

songs as (
    select
        song_key,
        row_number() over (order by song_key) as song_number
    from tracks
    group by song_key
),

heard as (
    select
        plays.user_id,
        plays.session_id,
        songs.song_number,
        songs.song_key,
        plays.track_id,
        tracks.track_name,
        tracks.artist_name,
        plays.ended_at,
        max(cast(plays.ended_at as date)) over (partition by plays.user_id) as last_date,
        row_number() over (
            partition by plays.user_id, plays.session_id, songs.song_number
            order by plays.ended_at, plays.play_id
        ) as choice
    from plays
    inner join tracks
        on plays.track_id = tracks.track_id
    inner join songs
        on tracks.song_key = songs.song_key
),

placed as (
    select
        *,
        row_number() over (
            partition by user_id, session_id
            order by ended_at, song_number
        ) as session_place
    from heard
    where choice = 1
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(session_id as varchar) as session_id,
        cast(song_number as integer) as song_number,
        cast(song_key as varchar) as song_key,
        cast(track_id as varchar) as track_id,
        cast(track_name as varchar) as track_name,
        cast(artist_name as varchar) as artist_name,
        cast(session_place as integer) as session_place,
        cast({{ days_between('cast(ended_at as date)', 'last_date') }} as integer) as days_before_end
    from placed
)

select * from final
