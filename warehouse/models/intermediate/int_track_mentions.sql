-- Every way in which plays, events, charts, playlists, the library and top lists name a
-- track. Where a source gives no id, the normalised artist and title make one.
with

plays as (select * from {{ source('silver', 'plays') }}),

events as (select * from {{ source('silver', 'listening_events') }}),

chart_entries as (select * from {{ source('silver', 'chart_entries') }}),

chart_artists as (select * from {{ ref('int_chart_artists') }}),

playlist_items as (select * from {{ source('silver', 'playlist_items') }}),

saved_tracks as (select * from {{ source('silver', 'saved_tracks') }}),

top_items as (select * from {{ source('silver', 'top_items') }}),

mentions as (
    -- An episode, a chapter or a video without a track id is no track.
    select
        track_id,
        track_name,
        artist_name,
        album_name,
        duration_ms,
        cast(null as integer) as popularity,
        cast(ended_at as timestamp(3)) as seen_at,
        1 as plays
    from plays
    where track_id is not null or content_type in ('track', 'unknown')

    union all

    select
        track_id,
        track_name,
        artist_name,
        cast(null as varchar) as album_name,
        cast(null as bigint) as duration_ms,
        cast(null as integer) as popularity,
        cast(occurred_at as timestamp(3)) as seen_at,
        1 as plays
    from events
    where action = 'play'

    union all

    select
        chart_entries.track_id,
        chart_entries.track_name,
        coalesce(chart_artists.artist_name, chart_entries.artist_name) as artist_name,
        cast(null as varchar) as album_name,
        chart_entries.duration_ms,
        chart_entries.popularity,
        cast(chart_entries.period_start as timestamp(3)) as seen_at,
        0 as plays
    from chart_entries
    left join chart_artists
        on chart_entries.artist_name = chart_artists.chart_artist_name

    union all

    select
        track_id,
        item_name as track_name,
        cast(null as varchar) as artist_name,
        cast(null as varchar) as album_name,
        cast(null as bigint) as duration_ms,
        cast(null as integer) as popularity,
        cast(cast(snapshot_date as date) as timestamp(3)) as seen_at,
        0 as plays
    from playlist_items
    where track_id is not null and item_type <> 'episode'

    union all

    select
        track_id,
        track_name,
        cast(null as varchar) as artist_name,
        cast(null as varchar) as album_name,
        cast(null as bigint) as duration_ms,
        cast(null as integer) as popularity,
        cast(cast(snapshot_date as date) as timestamp(3)) as seen_at,
        0 as plays
    from saved_tracks

    union all

    select
        item_id as track_id,
        item_name as track_name,
        cast(null as varchar) as artist_name,
        cast(null as varchar) as album_name,
        cast(null as bigint) as duration_ms,
        cast(null as integer) as popularity,
        cast(cast(snapshot_date as date) as timestamp(3)) as seen_at,
        0 as plays
    from top_items
    where item_type = 'track'
),

spellings as (
    select
        track_id,
        track_name,
        artist_name,
        album_name,
        max(duration_ms) as duration_ms,
        max(popularity) as popularity,
        max(seen_at) as newest_at,
        sum(plays) as plays
    from mentions
    group by track_id, track_name, artist_name, album_name
),

normalised as (
    select
        *,
        {{ normalise('track_name') }} as title_key,
        {{ normalise('artist_name') }} as artist_key,
        {{ normalise('album_name') }} as album_title_key
    from spellings
),

keyed as (
    select
        *,
        {{ name_key('artist_key', 'title_key') }} as track_key,
        {{ name_key('artist_key', 'album_title_key') }} as album_key
    from normalised
),

identified as (
    select
        *,
        coalesce(track_id, 'name:' || track_key) as source_track_id
    from keyed
    where track_id is not null or track_key is not null
),

final as (
    select
        cast(source_track_id as varchar) as source_track_id,
        cast(
            row_number() over (
                partition by source_track_id
                order by
                    newest_at desc,
                    track_name,
                    artist_name,
                    album_name,
                    track_id
            ) as integer
        ) as spelling_number,
        cast(track_id is null as boolean) as is_name_only,
        cast(track_name as varchar) as track_name,
        cast(artist_name as varchar) as artist_name,
        cast(album_name as varchar) as album_name,
        cast(track_key as varchar) as track_key,
        cast(artist_key as varchar) as artist_key,
        cast(album_key as varchar) as album_key,
        cast(duration_ms as bigint) as duration_ms,
        cast(popularity as integer) as popularity,
        cast(newest_at as timestamp(3)) as newest_at,
        cast(plays as bigint) as plays
    from identified
)

select * from final
