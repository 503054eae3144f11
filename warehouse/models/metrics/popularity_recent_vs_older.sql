-- Songs that came out in the last months against all others, by what Spotify calls popularity.
with

tracks as (select * from {{ ref('dim_tracks') }}),

albums as (select * from {{ ref('dim_albums') }}),

-- A song is as old as its first recording: an old one on a new record is no new song.
songs as (
    select
        tracks.song_key,
        min(case when albums.release_precision in ('day', 'month') then albums.release_date end) as first_date,
        min(case when albums.release_precision = 'year' then albums.release_date end) as first_year,
        max(tracks.popularity) as popularity
    from tracks
    inner join albums
        on tracks.album_id = albums.album_id
    where albums.release_date is not null and albums.release_date < {{ as_of_date() }}
    group by tracks.song_key
),

-- A date that is a year only is never recent; beside a full date it tells no more than its year.
aged as (
    select
        song_key,
        popularity,
        case
            when
                first_date >= {{ add_days(as_of_date(), '-' ~ var('recent_release_days')) }}
                and (
                    first_year is null
                    or extract(year from first_year) >= extract(year from first_date)
                ) then 'recent'
            else 'older'
        end as released
    from songs
),

counted as (
    select
        released,
        count(*) as songs,
        count(popularity) as songs_with_popularity,
        {{ total('popularity') }} as popularity
    from aged
    group by released
),

in_order as (
    select
        released,
        popularity,
        row_number() over (
            partition by released
            order by popularity, song_key
        ) as place,
        count(*) over (partition by released) as places
    from aged
    where popularity is not null
),

-- The one in the middle, or the two of an even count.
medians as (
    select
        released,
        {{ rate(total('popularity'), 'count(*)') }} as median_popularity
    from in_order
    where 2 * place between places and places + 2
    group by released
),

ages as (
    select listed.released
    from (values ('recent'), ('older')) as listed (released)
),

final as (
    select
        cast(ages.released as varchar) as released,
        cast(coalesce(counted.songs, 0) as bigint) as songs,
        cast(
            {{ rate('counted.popularity', 'counted.songs_with_popularity') }} as double
        ) as average_popularity,
        cast(medians.median_popularity as double) as median_popularity,
        cast(
            coalesce(counted.songs - counted.songs_with_popularity, 0) as bigint
        ) as songs_without_popularity
    from ages
    left join counted
        on ages.released = counted.released
    left join medians
        on ages.released = medians.released
)

select * from final
