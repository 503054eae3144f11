-- Each song counts for its first artist, so that the numbers of all artists add up to the playlist's songs.
with

entries as (
    select *
    from {{ ref('fct_playlist_entries') }}
    where is_current and track_id is not null
),

playlists as (select * from {{ source('silver', 'playlists') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

counted as (
    select
        entries.playlist_id,
        entries.last_seen_date as snapshot_date,
        tracks.artist_id,
        tracks.artist_name,
        count(distinct entries.track_id) as songs
    from entries
    inner join tracks
        on entries.track_id = tracks.track_id
    where tracks.artist_id is not null
    group by entries.playlist_id, entries.last_seen_date, tracks.artist_id, tracks.artist_name
),

ranked as (
    select
        *,
        row_number() over (
            partition by playlist_id
            order by songs desc, artist_name nulls last, artist_id
        ) as place
    from counted
),

final as (
    select
        cast(ranked.playlist_id as varchar) as playlist_id,
        cast(playlists.playlist_name as varchar) as playlist_name,
        cast(ranked.snapshot_date as date) as snapshot_date,
        cast(ranked.place as integer) as rank,
        cast(ranked.artist_id as varchar) as artist_id,
        cast(ranked.artist_name as varchar) as artist_name,
        cast(ranked.songs as bigint) as songs
    from ranked
    left join playlists
        on ranked.playlist_id = playlists.playlist_id
    where ranked.place <= {{ var('playlist_top_artists_max_rank') }}
)

select * from final
