with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }} and track_id is not null
),

tracks as (select * from {{ ref('dim_tracks') }}),

counted as (
    select
        track_id,
        count(*) as plays,
        count(case when verdict = 'skipped' then 1 end) as skips,
        count(case when verdict = 'finished' then 1 end) as finishes,
        count(case when verdict = 'neutral' then 1 end) as neutral_plays
    from plays
    group by track_id
),

final as (
    select
        cast(counted.track_id as varchar) as track_id,
        cast(tracks.track_name as varchar) as track_name,
        cast(tracks.artist_name as varchar) as artist_name,
        cast(counted.plays as bigint) as plays,
        cast(counted.skips + counted.finishes as bigint) as verdict_plays,
        cast(counted.skips as bigint) as skips,
        cast(counted.finishes as bigint) as finishes,
        cast(counted.neutral_plays as bigint) as neutral_plays,
        cast(
            {{ rate('counted.skips', '(counted.skips + counted.finishes)') }}
            as double
        ) as skip_rate,
        cast(
            {{ wilson_low('counted.skips', '(counted.skips + counted.finishes)') }}
            as double
        ) as skip_rate_low,
        cast(
            {{ wilson_high('counted.skips', '(counted.skips + counted.finishes)') }}
            as double
        ) as skip_rate_high
    from counted
    left join tracks
        on counted.track_id = tracks.track_id
)

select * from final
