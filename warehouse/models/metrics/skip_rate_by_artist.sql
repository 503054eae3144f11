with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }} and artist_id is not null
),

artists as (select * from {{ ref('dim_artists') }}),

counted as (
    select
        artist_id,
        count(*) as plays,
        count(case when verdict = 'skipped' then 1 end) as skips,
        count(case when verdict = 'finished' then 1 end) as finishes,
        count(case when verdict = 'neutral' then 1 end) as neutral_plays
    from plays
    group by artist_id
),

final as (
    select
        cast(counted.artist_id as varchar) as artist_id,
        cast(artists.artist_name as varchar) as artist_name,
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
    left join artists
        on counted.artist_id = artists.artist_id
)

select * from final
