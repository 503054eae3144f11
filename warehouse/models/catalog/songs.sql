-- Songs of the followed playlists (any snapshot) and of the charts.
with

playlist_items as (select * from {{ source('silver', 'playlist_items') }}),

chart_entries as (select * from {{ source('silver', 'chart_entries') }}),

chart_artists as (select * from {{ ref('int_chart_artists') }}),

identity as (select * from {{ ref('int_track_identity') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

-- Of several artists in one text the first, as int_track_mentions has it: the same name gives the same track.
charted as (
    select
        chart_entries.track_id,
        chart_entries.track_name,
        coalesce(chart_artists.artist_name, chart_entries.artist_name) as artist_name,
        chart_entries.period_start
    from chart_entries
    left join chart_artists
        on chart_entries.artist_name = chart_artists.chart_artist_name
),

listed as (
    select
        track_id as source_track_id,
        cast(added_at as date) as added_date,
        cast(null as date) as charted_date
    from playlist_items
    where track_id is not null and item_type <> 'episode'

    union all

    select
        coalesce(
            track_id,
            'name:' || {{ name_key(normalise('artist_name'), normalise('track_name')) }}
        ) as source_track_id,
        cast(null as date) as added_date,
        period_start as charted_date
    from charted
),

first_dates as (
    select
        identity.track_id,
        min(listed.added_date) as added_date,
        min(listed.charted_date) as charted_date
    from listed
    inner join identity
        on listed.source_track_id = identity.source_track_id
    group by identity.track_id
),

final as (
    select
        cast(tracks.track_id as varchar) as song_id,
        cast(tracks.track_name as varchar) as name,
        cast(tracks.duration_ms as bigint) as duration_ms,
        cast(tracks.url as varchar) as url,
        cast(tracks.popularity as integer) as popularity,
        cast(
            coalesce(first_dates.added_date, first_dates.charted_date) as date
        ) as added_date,
        cast(tracks.album_id as varchar) as album_id,
        cast(tracks.artist_id as varchar) as artist_id
    from first_dates
    inner join tracks
        on first_dates.track_id = tracks.track_id
)

select * from final
