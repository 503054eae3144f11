-- A play counts for each genre of its track, so genres do not add up to all plays.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }}
),

track_genres as (select * from {{ ref('bridge_track_genres') }}),

counted as (
    select
        track_genres.genre,
        count(*) as plays,
        count(distinct plays.track_id) as tracks,
        count(case when plays.verdict = 'skipped' then 1 end) as skips,
        count(case when plays.verdict = 'finished' then 1 end) as finishes,
        count(case when plays.verdict = 'neutral' then 1 end) as neutral_plays
    from plays
    inner join track_genres
        on plays.track_id = track_genres.track_id
    group by track_genres.genre
),

final as (
    select
        cast(genre as varchar) as genre,
        cast(tracks as bigint) as tracks,
        cast(plays as bigint) as plays,
        cast(skips + finishes as bigint) as verdict_plays,
        cast(skips as bigint) as skips,
        cast(finishes as bigint) as finishes,
        cast(neutral_plays as bigint) as neutral_plays,
        cast({{ rate('skips', '(skips + finishes)') }} as double) as skip_rate,
        cast(
            {{ wilson_low('skips', '(skips + finishes)') }} as double
        ) as skip_rate_low,
        cast(
            {{ wilson_high('skips', '(skips + finishes)') }} as double
        ) as skip_rate_high
    from counted
)

select * from final
