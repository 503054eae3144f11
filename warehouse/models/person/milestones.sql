-- Of equal plays, days and weeks the earliest is the milestone.
with

plays as (
    select
        user_id,
        local_date,
        started_at,
        ended_at,
        played_ms,
        song_key,
        show_id,
        episode_id
    from {{ ref('int_person_plays') }}
),

artist_plays as (
    select
        user_id,
        artist_id,
        song_key,
        local_date,
        started_at,
        ended_at
    from {{ ref('int_person_plays') }}
),

day_plays as (
    select
        user_id,
        local_date,
        ended_at,
        played_ms
    from {{ ref('int_person_plays') }}
),

week_plays as (
    select
        user_id,
        song_key,
        {{ first_day('week', 'local_date') }} as week_start,
        ended_at,
        played_ms
    from {{ ref('int_person_plays') }}
    where song_key is not null
),

songs as (
    select *
    from {{ ref('int_person_items') }}
    where kind = 'song'
),

shows as (
    select *
    from {{ ref('int_person_items') }}
    where kind = 'show'
),

episodes as (select * from {{ ref('dim_episodes') }}),

top_artists as (
    select *
    from {{ ref('yearly_top') }}
    where
        year = 'all'
        and kind = 'artist'
        and measure = 'minutes'
        and rank <= 10
),

numbered as (
    select
        *,
        row_number() over (
            partition by user_id
            order by ended_at, started_at, coalesce(song_key, episode_id, ''), local_date
        ) as number
    from plays
),

nth_plays as (
    select
        user_id,
        case when number = 1 then 'first_play' else 'nth_play' end as kind,
        number,
        local_date,
        ended_at as reached_at,
        cast(number as double) as value,
        song_key,
        show_id,
        episode_id
    from numbered
    where number = 1 or mod(number, {{ var('milestone_plays') }}) = 0
),

days as (
    select
        user_id,
        local_date,
        min(ended_at) as reached_at,
        {{ total('played_ms') }} as played_ms
    from day_plays
    group by user_id, local_date
),

days_in_order as (
    select
        *,
        row_number() over (
            partition by user_id
            order by played_ms desc, local_date
        ) as place
    from days
    where played_ms > 0
),

weeks as (
    select
        user_id,
        song_key,
        week_start,
        min(ended_at) as reached_at,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from week_plays
    group by user_id, song_key, week_start
),

weeks_in_order as (
    select
        *,
        row_number() over (
            partition by user_id
            order by plays desc, week_start, played_ms desc, song_key
        ) as place
    from weeks
),

of_top_artists as (
    select
        artist_plays.*,
        top_artists.rank as number,
        top_artists.value,
        row_number() over (
            partition by artist_plays.user_id, artist_plays.artist_id
            order by artist_plays.ended_at, artist_plays.started_at, artist_plays.song_key, artist_plays.local_date
        ) as place,
        count(*) over (partition by artist_plays.user_id, artist_plays.artist_id) as places
    from artist_plays
    inner join top_artists
        on artist_plays.user_id = top_artists.user_id and artist_plays.artist_id = top_artists.item
),

reached as (
    select
        user_id,
        kind,
        number,
        coalesce(song_key, episode_id, show_id) as item,
        local_date,
        reached_at,
        value,
        'plays' as unit,
        song_key,
        show_id,
        episode_id
    from nth_plays

    union all

    select
        user_id,
        'record_day' as kind,
        1 as number,
        cast(null as varchar) as item,
        local_date,
        reached_at,
        {{ minutes('played_ms') }} as value,
        'minutes' as unit,
        cast(null as varchar) as song_key,
        cast(null as varchar) as show_id,
        cast(null as varchar) as episode_id
    from days_in_order
    where place = 1

    union all

    select
        user_id,
        'record_week' as kind,
        1 as number,
        song_key as item,
        week_start as local_date,
        reached_at,
        cast(plays as double) as value,
        'plays' as unit,
        song_key,
        cast(null as varchar) as show_id,
        cast(null as varchar) as episode_id
    from weeks_in_order
    where place = 1

    union all

    select
        user_id,
        'artist_first' as kind,
        number,
        artist_id as item,
        local_date,
        ended_at as reached_at,
        value,
        'minutes' as unit,
        song_key,
        cast(null as varchar) as show_id,
        cast(null as varchar) as episode_id
    from of_top_artists
    where place = 1

    union all

    select
        user_id,
        'artist_last' as kind,
        number,
        artist_id as item,
        local_date,
        ended_at as reached_at,
        value,
        'minutes' as unit,
        song_key,
        cast(null as varchar) as show_id,
        cast(null as varchar) as episode_id
    from of_top_artists
    where place = places
),

final as (
    select
        cast(reached.user_id as varchar) as user_id,
        cast(reached.kind as varchar) as kind,
        cast(reached.number as bigint) as number,
        cast(reached.item as varchar) as item,
        cast(reached.reached_at as timestamp(3)) as reached_at,
        cast(reached.local_date as date) as local_date,
        cast(reached.value as double) as value,
        cast(reached.unit as varchar) as unit,
        cast(
            case
                when songs.item is not null
                    then songs.item_name || coalesce(' by ' || songs.artist_name, '')
                when episodes.episode_name is not null
                    then episodes.episode_name || coalesce(' of ' || shows.item_name, '')
                else shows.item_name
            end as varchar
        ) as what,
        cast(
            reached.kind = 'nth_play'
            and mod(reached.number, {{ var('round_milestone_plays') }}) = 0 as boolean
        ) as is_round
    from reached
    left join songs
        on reached.user_id = songs.user_id and reached.song_key = songs.item
    left join shows
        on reached.user_id = shows.user_id and reached.show_id = shows.item
    left join episodes
        on reached.episode_id = episodes.episode_id
)

select * from final
