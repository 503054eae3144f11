-- Ranks count songs and show the recording that is played most (dim_songs).
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where
        {{ in_reports() }}
        and track_id is not null
        and played_date < {{ as_of_date() }}
),

songs as (select * from {{ ref('dim_songs') }}),

{{ ranked_by_period('song_key') }},

final as (
    select
        cast(ranked.period as varchar) as period,
        cast(ranked.place as integer) as rank,
        cast(ranked.song_key as varchar) as song_key,
        cast(songs.track_id as varchar) as track_id,
        cast(songs.song_name as varchar) as track_name,
        cast(songs.artist_name as varchar) as artist_name,
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
            and ranked.song_key = previous.song_key
            and previous.is_current = 0
    left join songs
        on ranked.song_key = songs.song_key
    where
        ranked.is_current = 1
        and ranked.place <= {{ var('top_tracks_max_rank') }}
)

select * from final
