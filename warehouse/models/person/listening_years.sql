-- A year is compared with the one before where both are known to be whole: otherwise the change would be one of what
-- was collected, not of what was heard.
with

plays as (
    select
        user_id,
        local_year,
        played_ms,
        song_key
    from {{ ref('int_person_plays') }}
),

item_years as (select * from {{ ref('int_person_item_years') }}),

items as (select * from {{ ref('int_person_items') }}),

coverage as (
    select
        user_id,
        extract(year from coverage_date) as local_year,
        cast(round(covered_hours * 3600000e0) as bigint) as covered_ms
    from {{ ref('listening_coverage') }}
),

years as (
    select
        user_id,
        local_year,
        cast(local_year as varchar) as year,
        count(*) as plays,
        count(case when played_ms is null then 1 end) as unknown_length_plays,
        count(song_key) as song_plays,
        {{ total('played_ms') }} as played_ms
    from plays
    group by user_id, local_year
),

heard as (
    select
        user_id,
        local_year,
        count(case when kind = 'song' then 1 end) as songs,
        count(case when kind = 'artist' then 1 end) as artists,
        count(case when kind = 'album' then 1 end) as albums
    from item_years
    group by user_id, local_year
),

discovered as (
    select
        user_id,
        extract(year from first_date) as local_year,
        count(case when kind = 'song' then 1 end) as new_songs,
        count(case when kind = 'artist' then 1 end) as new_artists
    from items
    group by user_id, extract(year from first_date)
),

ever as (
    select
        user_id,
        count(case when kind = 'song' then 1 end) as songs,
        count(case when kind = 'artist' then 1 end) as artists,
        count(case when kind = 'album' then 1 end) as albums
    from items
    group by user_id
),

covered as (
    select
        user_id,
        local_year,
        {{ total('covered_ms') }} as covered_ms,
        case
            when mod(local_year, 4) = 0 and (mod(local_year, 100) <> 0 or mod(local_year, 400) = 0) then 366
            else 365
        end * cast(86400000 as bigint) as year_ms
    from coverage
    group by user_id, local_year
),

single_years as (
    select
        years.user_id,
        years.year,
        years.plays,
        years.unknown_length_plays,
        years.song_plays,
        years.played_ms,
        coalesce(heard.songs, 0) as songs,
        coalesce(heard.artists, 0) as artists,
        coalesce(heard.albums, 0) as albums,
        coalesce(discovered.new_songs, 0) as new_songs,
        coalesce(discovered.new_artists, 0) as new_artists,
        coalesce({{ rate('covered.covered_ms', 'covered.year_ms') }}, 0e0) as covered_rate,
        case
            when
                covered.covered_ms * 100 >= covered.year_ms * {{ var('compared_year_percent_min') }}
                and covered_before.covered_ms * 100 >= covered_before.year_ms * {{ var('compared_year_percent_min') }}
                then {{ rate('years.played_ms', 'before.played_ms') }} - 1e0
        end as change
    from years
    left join heard
        on years.user_id = heard.user_id and years.local_year = heard.local_year
    left join discovered
        on years.user_id = discovered.user_id and years.local_year = discovered.local_year
    left join covered
        on years.user_id = covered.user_id and years.local_year = covered.local_year
    left join years as before
        on years.user_id = before.user_id and years.local_year = before.local_year + 1
    left join covered as covered_before
        on years.user_id = covered_before.user_id and years.local_year = covered_before.local_year + 1
),

sums as (
    select
        user_id,
        {{ total('plays') }} as plays,
        {{ total('unknown_length_plays') }} as unknown_length_plays,
        {{ total('song_plays') }} as song_plays,
        {{ total('played_ms') }} as played_ms
    from years
    group by user_id
),

all_years as (
    select
        sums.user_id,
        'all' as year,
        sums.plays,
        sums.unknown_length_plays,
        sums.song_plays,
        sums.played_ms,
        coalesce(ever.songs, 0) as songs,
        coalesce(ever.artists, 0) as artists,
        coalesce(ever.albums, 0) as albums,
        coalesce(ever.songs, 0) as new_songs,
        coalesce(ever.artists, 0) as new_artists,
        cast(null as double) as covered_rate,
        cast(null as double) as change
    from sums
    left join ever
        on sums.user_id = ever.user_id
),

rows_of_years as (
    select * from single_years
    union all
    select * from all_years
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(year as varchar) as year,
        cast({{ minutes('played_ms') }} as double) as minutes,
        cast(plays as bigint) as plays,
        cast(unknown_length_plays as bigint) as unknown_length_plays,
        cast(song_plays as bigint) as song_plays,
        cast(songs as bigint) as songs,
        cast(artists as bigint) as artists,
        cast(albums as bigint) as albums,
        cast(new_songs as bigint) as new_songs,
        cast(new_artists as bigint) as new_artists,
        cast({{ rate('song_plays - songs', 'song_plays') }} as double) as repeat_rate,
        cast(change as double) as change,
        cast(covered_rate as double) as covered_rate
    from rows_of_years
)

select * from final
