-- What people mean by a song: every recording with one title by one first artist. Version words
-- belong to the title, so a remix is a song of its own.
with

tracks as (select * from {{ ref('dim_tracks') }}),

mentions as (select * from {{ ref('int_track_mentions') }}),

identity as (select * from {{ ref('int_track_identity') }}),

played as (
    select
        identity.track_id,
        {{ total('mentions.plays') }} as plays
    from mentions
    inner join identity
        on mentions.source_track_id = identity.source_track_id
    group by identity.track_id
),

ranked as (
    select
        tracks.*,
        row_number() over (
            partition by tracks.song_key
            order by
                coalesce(played.plays, 0) desc,
                case when tracks.is_described then 0 else 1 end,
                tracks.track_id
        ) as choice,
        count(*) over (partition by tracks.song_key) as recordings
    from tracks
    left join played
        on tracks.track_id = played.track_id
),

final as (
    select
        cast(song_key as varchar) as song_key,
        cast(track_name as varchar) as song_name,
        cast(artist_id as varchar) as artist_id,
        cast(artist_name as varchar) as artist_name,
        cast(recordings as integer) as recordings,
        cast(track_id as varchar) as track_id
    from ranked
    where choice = 1
)

select * from final
