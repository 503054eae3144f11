-- Bronze and silver as of the last run that changed them, gold as of this run.
with

table_stats as (select * from {{ source('silver', 'table_stats') }}),

gold_tables as (
    select
        'dim_albums' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('dim_albums') }}

    union all

    select
        'dim_artists' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('dim_artists') }}

    union all

    select
        'dim_countries' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('dim_countries') }}

    union all

    select
        'dim_dates' as table_name,
        count(*) as row_count,
        cast(max(date_day) as timestamp(3)) as newest_at
    from {{ ref('dim_dates') }}

    union all

    select
        'dim_episodes' as table_name,
        count(*) as row_count,
        cast(max(last_heard_at) as timestamp(3)) as newest_at
    from {{ ref('dim_episodes') }}

    union all

    select
        'dim_shows' as table_name,
        count(*) as row_count,
        cast(max(last_heard_at) as timestamp(3)) as newest_at
    from {{ ref('dim_shows') }}

    union all

    select
        'dim_songs' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('dim_songs') }}

    union all

    select
        'dim_tracks' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('dim_tracks') }}

    union all

    select
        'dim_users' as table_name,
        count(*) as row_count,
        cast(max(last_play_at) as timestamp(3)) as newest_at
    from {{ ref('dim_users') }}

    union all

    select
        'bridge_track_artists' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('bridge_track_artists') }}

    union all

    select
        'bridge_track_genres' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('bridge_track_genres') }}

    union all

    select
        'fct_plays' as table_name,
        count(*) as row_count,
        cast(max(ended_at) as timestamp(3)) as newest_at
    from {{ ref('fct_plays') }}

    union all

    select
        'fct_sessions' as table_name,
        count(*) as row_count,
        cast(max(ended_at) as timestamp(3)) as newest_at
    from {{ ref('fct_sessions') }}

    union all

    select
        'daily_aggregates' as table_name,
        count(*) as row_count,
        cast(max(played_date) as timestamp(3)) as newest_at
    from {{ ref('daily_aggregates') }}

    union all

    select
        'daily_track_metrics' as table_name,
        count(*) as row_count,
        cast(max(played_date) as timestamp(3)) as newest_at
    from {{ ref('daily_track_metrics') }}

    union all

    select
        'daily_artist_metrics' as table_name,
        count(*) as row_count,
        cast(max(played_date) as timestamp(3)) as newest_at
    from {{ ref('daily_artist_metrics') }}

    union all

    select
        'top_tracks' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('top_tracks') }}

    union all

    select
        'skip_rate_by_track' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('skip_rate_by_track') }}

    union all

    select
        'skip_rate_by_artist' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('skip_rate_by_artist') }}

    union all

    select
        'skip_rate_by_genre' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('skip_rate_by_genre') }}

    union all

    select
        'genre_distribution' as table_name,
        count(*) as row_count,
        cast(max(month_start) as timestamp(3)) as newest_at
    from {{ ref('genre_distribution') }}

    union all

    select
        'fct_user_activity' as table_name,
        count(*) as row_count,
        cast(max(local_date) as timestamp(3)) as newest_at
    from {{ ref('fct_user_activity') }}

    union all

    select
        'artist_rankings' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('artist_rankings') }}

    union all

    select
        'activity_by_country' as table_name,
        count(*) as row_count,
        cast(max(played_date) as timestamp(3)) as newest_at
    from {{ ref('activity_by_country') }}

    union all

    select
        'peak_hours_by_timezone' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('peak_hours_by_timezone') }}

    union all

    select
        'device_by_region' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('device_by_region') }}

    union all

    select
        'listening_cube' as table_name,
        count(*) as row_count,
        cast(max(local_date) as timestamp(3)) as newest_at
    from {{ ref('listening_cube') }}

    union all

    select
        'unusual_activity' as table_name,
        count(*) as row_count,
        cast(max(local_date) as timestamp(3)) as newest_at
    from {{ ref('unusual_activity') }}

    union all

    select
        'songs' as table_name,
        count(*) as row_count,
        cast(max(added_date) as timestamp(3)) as newest_at
    from {{ ref('songs') }}

    union all

    select
        'artists' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('artists') }}

    union all

    select
        'albums' as table_name,
        count(*) as row_count,
        cast(null as timestamp(3)) as newest_at
    from {{ ref('albums') }}

    union all

    select
        'listening_coverage' as table_name,
        count(*) as row_count,
        cast(max(coverage_date) as timestamp(3)) as newest_at
    from {{ ref('listening_coverage') }}
),

all_tables as (
    select
        layer,
        table_name,
        rows as row_count,
        bytes as byte_count,
        cast(newest_at as timestamp(3)) as newest_at,
        rows_before
    from table_stats

    union all

    select
        'gold' as layer,
        table_name,
        row_count,
        cast(null as bigint) as byte_count,
        newest_at,
        cast(null as bigint) as rows_before
    from gold_tables
),

final as (
    select
        cast(layer as varchar) as layer,
        cast(table_name as varchar) as table_name,
        cast(row_count as bigint) as rows,
        cast(byte_count as bigint) as bytes,
        cast(newest_at as timestamp(3)) as newest_at,
        cast(rows_before as bigint) as rows_before,
        cast(row_count - rows_before as bigint) as change
    from all_tables
)

select * from final
