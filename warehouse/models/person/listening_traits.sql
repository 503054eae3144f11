-- Each trait is a part of a whole, both integers, so that a year's value is divided once.
with

plays as (
    select
        user_id,
        local_year,
        local_hour,
        artist_id,
        played_ms,
        verdict
    from {{ ref('int_person_plays') }}
),

-- Read once more, because DuckDB keeps all columns of what two of its parts read.
session_plays as (
    select
        user_id,
        session_id,
        ended_at,
        local_year,
        album_id,
        case when is_shuffle then 1 when not is_shuffle then 0 end as shuffle
    from {{ ref('int_person_plays') }}
    where session_id is not null
),

-- Numbered, because plays are put in order faster by a number than by a text.
albums as (
    select
        user_id,
        item,
        row_number() over (
            order by user_id, item
        ) as album_number
    from {{ ref('int_person_items') }}
    where kind = 'album'
),

artist_years as (
    select
        user_id,
        local_year,
        plays,
        played_ms,
        item
    from {{ ref('int_person_item_years') }}
    where kind = 'artist'
),

years as (
    select
        user_id,
        local_year,
        count(*) as plays,
        {{ total('case when local_hour >= 20 or local_hour < 4 then played_ms end') }} as late_ms,
        {{ total('played_ms') }} as played_ms,
        count(case when verdict = 'finished' then 1 end) as finished,
        count(case when verdict in ('finished', 'skipped') then 1 end) as decided
    from plays
    group by user_id, local_year
),

ranked_artists as (
    select
        *,
        row_number() over (
            partition by user_id, local_year
            order by played_ms desc, plays desc, item
        ) as place
    from artist_years
),

loyalty as (
    select
        user_id,
        local_year,
        {{ total('case when place <= 10 then played_ms end') }} as first_ms,
        {{ total('played_ms') }} as played_ms
    from ranked_artists
    group by user_id, local_year
),

on_albums as (
    select
        session_plays.user_id,
        session_plays.session_id,
        session_plays.ended_at,
        session_plays.local_year,
        session_plays.shuffle,
        coalesce(albums.album_number, 0) as album_number
    from session_plays
    left join albums
        on session_plays.user_id = albums.user_id and session_plays.album_id = albums.item
),

-- Each play beside the one after it, of which the shuffle counts: that is the one that was chosen or drawn.
successive as (
    select
        user_id,
        album_number,
        lead(album_number) over (
            partition by session_id
            order by ended_at, album_number, shuffle
        ) as next_album_number,
        lead(shuffle) over (
            partition by session_id
            order by ended_at, album_number, shuffle
        ) as next_shuffle,
        lead(local_year) over (
            partition by session_id
            order by ended_at, album_number, shuffle
        ) as local_year
    from on_albums
),

pairs as (
    select
        user_id,
        local_year,
        count(case when album_number = next_album_number and next_shuffle = 0 then 1 end) as on_album,
        count(*) as pairs
    from successive
    where album_number > 0 and next_album_number > 0 and next_shuffle is not null
    group by user_id, local_year
),

counted_years as (
    select *
    from years
    where plays >= {{ var('trait_plays_min') }}
),

parts as (
    select
        user_id,
        local_year,
        'early_late' as trait,
        late_ms as part,
        played_ms as whole
    from counted_years

    union all

    select
        counted_years.user_id,
        counted_years.local_year,
        'loyal_roaming' as trait,
        coalesce(loyalty.first_ms, 0) as part,
        coalesce(loyalty.played_ms, 0) as whole
    from counted_years
    left join loyalty
        on counted_years.user_id = loyalty.user_id and counted_years.local_year = loyalty.local_year

    union all

    select
        user_id,
        local_year,
        'finisher_skipper' as trait,
        finished as part,
        decided as whole
    from counted_years

    union all

    select
        counted_years.user_id,
        counted_years.local_year,
        'albums_shuffle' as trait,
        coalesce(pairs.on_album, 0) as part,
        coalesce(pairs.pairs, 0) as whole
    from counted_years
    left join pairs
        on counted_years.user_id = pairs.user_id and counted_years.local_year = pairs.local_year
),

known as (
    select
        *,
        {{ rate('part', 'whole') }} as value
    from parts
    where whole > 0
),

-- With the person's own years only: how many there are, and how many have less of it.
compared as (
    select
        known.user_id,
        known.local_year,
        known.trait,
        known.value,
        count(*) as years,
        count(case when others.value < known.value then 1 end) as years_below
    from known
    inner join known as others
        on known.user_id = others.user_id and known.trait = others.trait
    group by known.user_id, known.local_year, known.trait, known.value
),

judged as (
    select
        *,
        cast(round(100e0 * value) as bigint) as percent,
        case
            when trait = 'early_late' and 3e0 * value > 1e0 then 'late'
            when trait = 'early_late' then 'early'
            when trait = 'loyal_roaming' and value >= 0.5e0 then 'loyal'
            when trait = 'loyal_roaming' then 'roaming'
            when trait = 'finisher_skipper' and value >= 0.5e0 then 'finisher'
            when trait = 'finisher_skipper' then 'skipper'
            when trait = 'albums_shuffle' and value >= 0.5e0 then 'albums'
            else 'shuffle'
        end as side
    from compared
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(local_year as varchar) as year,
        cast(trait as varchar) as trait,
        cast(side as varchar) as side,
        cast(value as double) as value,
        cast(
            case when years >= 3 then {{ rate('years_below', 'years - 1') }} end as double
        ) as percentile,
        cast(
            side || ': ' || cast(percent as varchar) || ' % of '
            || case trait
                when 'early_late' then 'the minutes between 20:00 and 04:00'
                when 'loyal_roaming' then 'the minutes with the ten first artists'
                when 'finisher_skipper' then 'the plays with a verdict heard to the end'
                else 'successive plays on the same album, shuffle off'
            end
            || case
                when years >= 3
                    then
                        ', more than in ' || cast(years_below as varchar) || ' of ' || cast(years - 1 as varchar)
                        || ' other years'
                else ''
            end as varchar
        ) as in_words
    from judged
)

select * from final
