-- The songs that are heard in the same sessions as a song: the cosine of two songs is the sessions with both, divided
-- by the root of the product of the sessions with each.
--
-- What two songs have in common is counted once for both periods. Pairs are bounded: only the first songs of a long
-- session are paired, and a song that was heard once has no neighbour.
with

heard as (
    select *
    from {{ ref('int_songs_heard') }}
    where session_place <= {{ var('recommendation_session_songs_max') }}
),

songs as (
    select
        song_number,
        count(*) as sessions,
        count_if(days_before_end >= {{ var('recommendation_days') }}) as sessions_before
    from heard
    group by song_number
    having count(*) >= {{ var('recommendation_sessions_min') }}
),

linked as (
    select
        heard.session_id,
        heard.song_number,
        case when heard.days_before_end >= {{ var('recommendation_days') }} then 1 else 0 end as is_before
    from heard
    inner join songs
        on heard.song_number = songs.song_number
),

pairs as (
    select
        one.song_number as first_number,
        other.song_number as second_number,
        count(*) as together,
        {{ total('one.is_before * other.is_before') }} as together_before
    from linked as one
    inner join linked as other
        on
            one.session_id = other.session_id
            and one.song_number < other.song_number
    group by one.song_number, other.song_number
    having count(*) >= {{ var('recommendation_sessions_min') }}
),

counted as (
    select
        pairs.first_number,
        pairs.second_number,
        periods.period,
        case when periods.period = 'all' then pairs.together else pairs.together_before end as together,
        case when periods.period = 'all' then one.sessions else one.sessions_before end as first_sessions,
        case when periods.period = 'all' then other.sessions else other.sessions_before end as second_sessions
    from pairs
    cross join (values ('all'), ('before')) as periods (period)
    inner join songs as one
        on pairs.first_number = one.song_number
    inner join songs as other
        on pairs.second_number = other.song_number
),

measured as (
    select
        *,
        cast(together as double) / sqrt(cast(first_sessions as double) * cast(second_sessions as double)) as cosine
    from counted
    where together >= {{ var('recommendation_sessions_min') }}
),

directed as (
    select
        period,
        first_number as song_number,
        second_number as neighbour_number,
        together,
        cosine
    from measured

    union all

    select
        period,
        second_number as song_number,
        first_number as neighbour_number,
        together,
        cosine
    from measured
),

ranked as (
    select
        *,
        row_number() over (
            partition by period, song_number
            order by cosine desc, neighbour_number
        ) as place
    from directed
),

final as (
    select
        cast(period as varchar) as period,
        cast(song_number as integer) as song_number,
        cast(place as integer) as place,
        cast(neighbour_number as integer) as neighbour_number,
        cast(together as bigint) as sessions_together,
        cast(cosine as double) as cosine
    from ranked
    where place <= {{ var('recommendation_neighbours_max') }}
)

select * from final
