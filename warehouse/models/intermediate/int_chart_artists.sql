-- Charts write several artists as one text with commas, and some artists have a comma in their own
-- name. The longest beginning of the text that is the name of a known artist is the first artist;
-- where no beginning is known the text stays as it is.
with

chart_entries as (select * from {{ source('silver', 'chart_entries') }}),

artists as (select * from {{ source('silver', 'artists') }}),

track_artists as (select * from {{ source('silver', 'track_artists') }}),

plays as (select * from {{ source('silver', 'plays') }}),

events as (select * from {{ source('silver', 'listening_events') }}),

names as (
    select artist_name from artists
    union all
    select artist_name from track_artists
    union all
    select artist_name from plays
    union all
    select artist_name from events
),

spellings as (
    select distinct artist_name
    from names
    where artist_name is not null
),

known as (
    select
        {{ normalise('artist_name') }} as artist_key,
        min(artist_name) as artist_name
    from spellings
    group by 1
),

texts as (
    select distinct
        artist_name as chart_artist_name,
        {{ normalise('artist_name') }} as text_key
    from chart_entries
    where position(', ' in artist_name) > 0
),

counted as (
    select
        *,
        (length(text_key) - length(replace(text_key, ', ', ''))) / 2 as commas
    from texts
),

-- Artists with more than three commas in their name are not looked for.
beginnings as (
    select
        chart_artist_name,
        1 as parts,
        split_part(text_key, ', ', 1) as artist_key
    from counted

    union all

    select
        chart_artist_name,
        2 as parts,
        split_part(text_key, ', ', 1) || ', ' || split_part(text_key, ', ', 2) as artist_key
    from counted
    where commas >= 1

    union all

    select
        chart_artist_name,
        3 as parts,
        split_part(text_key, ', ', 1) || ', ' || split_part(text_key, ', ', 2)
        || ', ' || split_part(text_key, ', ', 3) as artist_key
    from counted
    where commas >= 2

    union all

    select
        chart_artist_name,
        4 as parts,
        split_part(text_key, ', ', 1) || ', ' || split_part(text_key, ', ', 2)
        || ', ' || split_part(text_key, ', ', 3) || ', ' || split_part(text_key, ', ', 4) as artist_key
    from counted
    where commas >= 3
),

ranked as (
    select
        beginnings.chart_artist_name,
        known.artist_name,
        row_number() over (
            partition by beginnings.chart_artist_name
            order by beginnings.parts desc
        ) as choice
    from beginnings
    inner join known
        on beginnings.artist_key = known.artist_key
),

final as (
    select
        cast(chart_artist_name as varchar) as chart_artist_name,
        cast(artist_name as varchar) as artist_name
    from ranked
    where choice = 1
)

select * from final
