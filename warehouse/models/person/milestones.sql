-- Of equal plays, days and weeks the earliest is the milestone.
with

-- Read once for each question, because DuckDB keeps all columns of what several of its parts read.
plays as (
    select
        user_id,
        local_date,
        ended_at,
        song_key,
        show_id,
        episode_id
    from {{ ref('int_person_plays') }}
),

artist_plays as (
    select
        user_id,
        local_date,
        ended_at,
        song_key,
        artist_id
    from {{ ref('int_person_plays') }}
),

song_plays as (
    select
        user_id,
        local_date,
        ended_at,
        song_key
    from {{ ref('int_person_plays') }}
),

play_ends as (
    select
        user_id,
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

weeks as (
    select *
    from {{ ref('int_person_weeks') }}
    where kind = 'song'
),

items as (select * from {{ ref('int_person_items') }}),

songs as (
    select *
    from items
    where kind = 'song'
),

shows as (
    select *
    from items
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

-- How many plays had ended before a date (UTC), so that only the plays of a date with a milestone are put in order.
end_dates as (
    select
        user_id,
        cast(ended_at as date) as end_date,
        count(*) as plays
    from play_ends
    group by 1, 2
),

counted_dates as (
    select
        user_id,
        end_date,
        plays,
        cast(sum(plays) over (
            partition by user_id
            order by end_date
            rows between unbounded preceding and current row
        ) as bigint) - plays as plays_before
    from end_dates
),

milestone_dates as (
    select
        user_id,
        end_date,
        plays_before
    from counted_dates
    where plays_before = 0 or mod(plays_before, {{ var('milestone_plays') }}) + plays >= {{ var('milestone_plays') }}
),

-- Of plays that end at once, the number among them says which one it is.
numbered as (
    select
        play_ends.user_id,
        play_ends.ended_at,
        milestone_dates.plays_before + row_number() over (
            partition by play_ends.user_id, milestone_dates.end_date
            order by play_ends.ended_at
        ) as number,
        milestone_dates.plays_before + rank() over (
            partition by play_ends.user_id, milestone_dates.end_date
            order by play_ends.ended_at
        ) as first_number
    from play_ends
    inner join milestone_dates
        on
            play_ends.user_id = milestone_dates.user_id
            and cast(play_ends.ended_at as date) = milestone_dates.end_date
),

nth_ends as (
    select
        user_id,
        ended_at,
        number,
        number - first_number + 1 as place
    from numbered
    where number = 1 or mod(number, {{ var('milestone_plays') }}) = 0
),

at_nth_ends as (
    select
        plays.*,
        nth_ends.number,
        nth_ends.place as wanted_place,
        row_number() over (
            partition by plays.user_id, nth_ends.number
            order by coalesce(plays.song_key, plays.episode_id, plays.show_id, ''), plays.local_date
        ) as place
    from plays
    inner join nth_ends
        on plays.user_id = nth_ends.user_id and plays.ended_at = nth_ends.ended_at
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
    from at_nth_ends
    where place = wanted_place
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

weeks_in_order as (
    select
        *,
        row_number() over (
            partition by user_id
            order by most_played_plays desc, week_start
        ) as place
    from weeks
),

record_weeks as (
    select
        weeks_in_order.user_id,
        weeks_in_order.most_played_item as song_key,
        weeks_in_order.week_start,
        weeks_in_order.most_played_plays as plays,
        min(song_plays.ended_at) as reached_at
    from weeks_in_order
    inner join song_plays
        on
            weeks_in_order.user_id = song_plays.user_id
            and weeks_in_order.most_played_item = song_plays.song_key
            and weeks_in_order.week_start = {{ first_day('week', 'song_plays.local_date') }}
    where weeks_in_order.place = 1
    group by 1, 2, 3, 4
),

artist_ends as (
    select
        items.user_id,
        items.item as artist_id,
        'artist_first' as kind,
        items.first_played_at as reached_at,
        top_artists.rank as number,
        top_artists.value
    from items
    inner join top_artists
        on items.user_id = top_artists.user_id and items.item = top_artists.item
    where items.kind = 'artist'

    union all

    select
        items.user_id,
        items.item as artist_id,
        'artist_last' as kind,
        items.last_played_at as reached_at,
        top_artists.rank as number,
        top_artists.value
    from items
    inner join top_artists
        on items.user_id = top_artists.user_id and items.item = top_artists.item
    where items.kind = 'artist'
),

at_artist_ends as (
    select
        artist_ends.*,
        artist_plays.local_date,
        artist_plays.song_key,
        row_number() over (
            partition by artist_ends.user_id, artist_ends.artist_id, artist_ends.kind
            order by artist_plays.song_key, artist_plays.local_date
        ) as place
    from artist_plays
    inner join artist_ends
        on
            artist_plays.user_id = artist_ends.user_id
            and artist_plays.artist_id = artist_ends.artist_id
            and artist_plays.ended_at = artist_ends.reached_at
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
    from record_weeks

    union all

    select
        user_id,
        kind,
        number,
        artist_id as item,
        local_date,
        reached_at,
        value,
        'minutes' as unit,
        song_key,
        cast(null as varchar) as show_id,
        cast(null as varchar) as episode_id
    from at_artist_ends
    where place = 1
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
