-- Every place of every chart. Files of one chart, one with ids and one without, may tell of a place twice: it is
-- one row where both mean the same track.
with

chart_entries as (select * from {{ source('silver', 'chart_entries') }}),

chart_artists as (select * from {{ ref('int_chart_artists') }}),

track_identity as (select * from {{ ref('int_track_identity') }}),

artist_identity as (select * from {{ ref('int_artist_identity') }}),

tracks as (select * from {{ ref('dim_tracks') }}),

artists as (select * from {{ ref('dim_artists') }}),

-- A chart names its songs every day: names are looked up once for each spelling.
spellings as (
    select distinct
        coalesce(track_id, '') as given_track_id,
        coalesce(track_name, '') as given_track_name,
        coalesce(artist_name, '') as given_artist_name
    from chart_entries
),

-- Of several artists in one text the first, as int_track_mentions has it. A chart of artists names one in a row.
named as (
    select
        spellings.*,
        case
            when spellings.given_track_name = '' then spellings.given_artist_name
            else coalesce(chart_artists.artist_name, spellings.given_artist_name)
        end as first_artist_name
    from spellings
    left join chart_artists
        on spellings.given_artist_name = chart_artists.chart_artist_name
),

keyed as (
    select
        *,
        coalesce(
            nullif(given_track_id, ''),
            'name:' || {{ name_key(normalise('first_artist_name'), normalise('given_track_name')) }}
        ) as source_track_id,
        'name:' || {{ normalise('first_artist_name') }} as source_artist_id
    from named
),

known as (
    select
        keyed.given_track_id,
        keyed.given_track_name,
        keyed.given_artist_name,
        tracks.track_id,
        tracks.song_key,
        case
            when keyed.source_track_id is null then artists.artist_id
            else tracks.artist_id
        end as artist_id,
        coalesce(
            tracks.track_id, keyed.source_track_id, artists.artist_id, keyed.source_artist_id
        ) as entry_key
    from keyed
    left join track_identity
        on keyed.source_track_id = track_identity.source_track_id
    left join tracks
        on track_identity.track_id = tracks.track_id
    left join artist_identity
        on keyed.source_artist_id = artist_identity.source_artist_id
    left join artists
        on artist_identity.artist_id = artists.artist_id
),

places as (
    select
        chart_entries.chart,
        chart_entries.region,
        chart_entries.period_start,
        chart_entries.rank,
        known.entry_key,
        max(chart_entries.period_end) as period_end,
        max(known.track_id) as track_id,
        max(known.song_key) as song_key,
        max(known.artist_id) as artist_id,
        max(chart_entries.track_name) as track_name,
        max(chart_entries.artist_name) as artist_name,
        max(chart_entries.streams) as streams,
        min(chart_entries.previous_rank) as previous_rank,
        max(chart_entries.popularity) as popularity
    from chart_entries
    inner join known
        on
            coalesce(chart_entries.track_id, '') = known.given_track_id
            and coalesce(chart_entries.track_name, '') = known.given_track_name
            and coalesce(chart_entries.artist_name, '') = known.given_artist_name
    group by
        chart_entries.chart,
        chart_entries.region,
        chart_entries.period_start,
        chart_entries.rank,
        known.entry_key
),

final as (
    select
        cast(chart as varchar) as chart,
        cast(region as varchar) as region,
        cast(period_start as date) as period_start,
        cast(period_end as date) as period_end,
        cast(rank as integer) as rank,
        cast(entry_key as varchar) as entry_key,
        cast(track_id as varchar) as track_id,
        cast(song_key as varchar) as song_key,
        cast(artist_id as varchar) as artist_id,
        cast(track_name as varchar) as track_name,
        cast(artist_name as varchar) as artist_name,
        cast(streams as bigint) as streams,
        cast(previous_rank as integer) as previous_rank,
        cast(popularity as integer) as popularity
    from places
)

select * from final
