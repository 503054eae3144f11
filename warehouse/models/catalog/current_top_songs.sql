-- What is on each list now: on a playlist in its newest snapshot, on a chart in its newest period.
with

playlist_entries as (
    select *
    from {{ ref('fct_playlist_entries') }}
    where is_current and track_id is not null
),

chart_entries as (
    select *
    from {{ ref('fct_chart_entries') }}
    where track_id is not null
),

playlists as (select * from {{ source('silver', 'playlists') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

newest_charts as (
    select
        chart,
        region,
        max(period_start) as period_start
    from chart_entries
    group by chart, region
),

listed as (
    select
        'playlist' as list_type,
        playlist_entries.playlist_id as list_id,
        playlists.playlist_name as list_name,
        cast(null as varchar) as region,
        playlist_entries.last_seen_date as list_date,
        playlist_entries.track_id,
        playlist_entries.position as place
    from playlist_entries
    left join playlists
        on playlist_entries.playlist_id = playlists.playlist_id

    union all

    select
        'chart' as list_type,
        chart_entries.chart || '/' || chart_entries.region as list_id,
        chart_entries.chart as list_name,
        chart_entries.region,
        chart_entries.period_start as list_date,
        chart_entries.track_id,
        chart_entries.rank as place
    from chart_entries
    inner join newest_charts
        on
            chart_entries.chart = newest_charts.chart
            and chart_entries.region = newest_charts.region
            and chart_entries.period_start = newest_charts.period_start
),

-- Twice on a list, a song is there once.
songs as (
    select
        list_type,
        list_id,
        list_name,
        region,
        list_date,
        track_id,
        min(place) as place
    from listed
    group by list_type, list_id, list_name, region, list_date, track_id
),

ranked as (
    select
        songs.*,
        tracks.track_name,
        tracks.artist_id,
        tracks.artist_name,
        tracks.popularity,
        row_number() over (
            partition by songs.list_type, songs.list_id
            order by tracks.popularity desc nulls last, songs.place, songs.track_id
        ) as popularity_rank
    from songs
    inner join tracks
        on songs.track_id = tracks.track_id
),

final as (
    select
        cast(list_type as varchar) as list_type,
        cast(list_id as varchar) as list_id,
        cast(list_name as varchar) as list_name,
        cast(region as varchar) as region,
        cast(list_date as date) as list_date,
        cast(popularity_rank as integer) as rank,
        cast(track_id as varchar) as song_id,
        cast(track_name as varchar) as name,
        cast(artist_id as varchar) as artist_id,
        cast(artist_name as varchar) as artist_name,
        cast(popularity as integer) as popularity,
        cast(place as integer) as place
    from ranked
)

select * from final
