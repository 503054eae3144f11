-- Bronze and silver as of the last run that changed them, gold as of this run.
--
-- Each table of gold, and what says how new it is.
{%- set tables = [
    ['dim_albums', 'null'],
    ['dim_artists', 'null'],
    ['dim_countries', 'null'],
    ['dim_dates', 'max(date_day)'],
    ['dim_episodes', 'max(last_heard_at)'],
    ['dim_shows', 'max(last_heard_at)'],
    ['dim_songs', 'null'],
    ['dim_tracks', 'null'],
    ['dim_tracks_history', 'max(valid_from)'],
    ['dim_users', 'max(last_play_at)'],
    ['bridge_track_artists', 'null'],
    ['bridge_track_genres', 'null'],
    ['fct_plays', 'max(ended_at)'],
    ['fct_sessions', 'max(ended_at)'],
    ['fct_playlist_entries', 'max(entered_date)'],
    ['fct_chart_entries', 'max(period_start)'],
    ['fct_user_activity', 'max(local_date)'],
    ['daily_aggregates', 'max(played_date)'],
    ['daily_track_metrics', 'max(played_date)'],
    ['daily_artist_metrics', 'max(played_date)'],
    ['top_tracks', 'null'],
    ['artist_rankings', 'null'],
    ['skip_rate_by_track', 'null'],
    ['skip_rate_by_artist', 'null'],
    ['skip_rate_by_genre', 'null'],
    ['genre_distribution', 'max(month_start)'],
    ['activity_by_country', 'max(played_date)'],
    ['peak_hours_by_timezone', 'null'],
    ['device_by_region', 'null'],
    ['listening_cube', 'max(local_date)'],
    ['unusual_activity', 'max(local_date)'],
    ['artist_metrics', 'null'],
    ['new_release_trending', 'null'],
    ['popularity_recent_vs_older', 'null'],
    ['popularity_trends', 'max(week_start)'],
    ['current_top_songs', 'null'],
    ['playlist_top_artists', 'null'],
    ['songs', 'max(added_date)'],
    ['artists', 'null'],
    ['albums', 'null'],
    ['model_features', 'max(started_at)'],
    ['recommendation_quality', 'null'],
    ['track_recommendations', 'null'],
    ['listening_years', 'null'],
    ['yearly_top', 'null'],
    ['listening_streaks', 'max(last_date)'],
    ['milestones', 'max(reached_at)'],
    ['discoveries', 'max(first_date)'],
    ['obsessions', 'max(week_start)'],
    ['rediscoveries', 'max(returned_at)'],
    ['artist_evolution', 'max(month_start)'],
    ['listening_by_weather', 'null'],
    ['listening_clock', 'null'],
    ['listening_traits', 'null'],
    ['listening_coverage', 'max(coverage_date)'],
    ['data_quality', 'null'],
    ['stream_progress', 'max(newest_event_at)'],
] %}
with

table_stats as (select * from {{ source('silver', 'table_stats') }}),

gold_tables as (
{%- for table, newest in tables %}
    select
        '{{ table }}' as table_name,
        count(*) as row_count,
        cast({{ newest }} as timestamp(3)) as newest_at
    from {{ ref(table) }}
{%- if not loop.last %}

    union all
{% endif %}
{%- endfor %}
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
