-- Tracks that came out lately, and whether they are played more this week than last.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where
        {{ in_reports() }}
        and track_id is not null
        and played_date >= {{ add_days(as_of_date(), '-2 * ' ~ var('trending_days')) }}
        and played_date < {{ as_of_date() }}
),

tracks as (select * from {{ ref('dim_tracks') }}),

albums as (select * from {{ ref('dim_albums') }}),

-- A date that is a year only says nothing of the last months.
released as (
    select
        tracks.track_id,
        tracks.track_name,
        tracks.artist_id,
        tracks.artist_name,
        albums.release_date,
        albums.release_precision
    from tracks
    inner join albums
        on tracks.album_id = albums.album_id
    where
        albums.release_precision in ('day', 'month')
        and albums.release_date >= {{ add_days(as_of_date(), '-' ~ var('recent_release_days')) }}
        and albums.release_date < {{ as_of_date() }}
),

counted as (
    select
        track_id,
        {{ total("case when played_date >= " ~ add_days(as_of_date(), '-' ~ var('trending_days'))
            ~ " then 1 else 0 end") }} as plays,
        {{ total("case when played_date < " ~ add_days(as_of_date(), '-' ~ var('trending_days'))
            ~ " then 1 else 0 end") }} as previous_plays
    from plays
    group by track_id
),

scored as (
    select
        released.*,
        coalesce(counted.plays, 0) as plays,
        coalesce(counted.previous_plays, 0) as previous_plays,
        cast(coalesce(counted.plays, 0) - coalesce(counted.previous_plays, 0) as double)
        / sqrt(cast(coalesce(counted.previous_plays, 0) + 1 as double)) as trending_score
    from released
    left join counted
        on released.track_id = counted.track_id
),

ranked as (
    select
        *,
        row_number() over (
            order by trending_score desc, plays desc, track_id
        ) as place
    from scored
),

final as (
    select
        cast(place as integer) as rank,
        cast(track_id as varchar) as track_id,
        cast(track_name as varchar) as track_name,
        cast(artist_id as varchar) as artist_id,
        cast(artist_name as varchar) as artist_name,
        cast(release_date as date) as release_date,
        cast(release_precision as varchar) as release_precision,
        cast(plays as bigint) as plays,
        cast(previous_plays as bigint) as previous_plays,
        cast(trending_score as double) as trending_score
    from ranked
)

select * from final
