-- Ranks count the plays of songs whose first artist it is.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where
        {{ in_reports() }}
        and artist_id is not null
        and played_date < {{ as_of_date() }}
),

artists as (select * from {{ ref('dim_artists') }}),

{{ ranked_by_period('artist_id') }},

final as (
    select
        cast(ranked.artist_id as varchar) as artist_id,
        cast(ranked.period as varchar) as period,
        cast(ranked.place as integer) as rank,
        cast(artists.artist_name as varchar) as artist_name,
        cast(ranked.plays as bigint) as plays,
        cast({{ minutes('ranked.played_ms') }} as double) as minutes,
        cast(ranked.listeners as bigint) as listeners,
        cast(previous.place as integer) as previous_rank,
        cast(ranked.period_start as date) as period_start,
        cast({{ as_of_date() }} as date) as period_end
    from ranked
    left join ranked as previous
        on
            ranked.period = previous.period
            and ranked.artist_id = previous.artist_id
            and previous.is_current = 0
    left join artists
        on ranked.artist_id = artists.artist_id
    where ranked.is_current = 1
)

select * from final
