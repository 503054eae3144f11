-- The plays are read once for each kind, because DuckDB keeps all columns of what several of its parts read.
with

counted as (
    select
        user_id,
        'song' as kind,
        song_key as item,
        local_year,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms,
        min(local_date) as first_date,
        min(ended_at) as first_played_at,
        max(ended_at) as last_played_at
    from {{ ref('int_person_plays') }}
    where song_key is not null
    group by user_id, song_key, local_year

    union all

    select
        user_id,
        'artist' as kind,
        artist_id as item,
        local_year,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms,
        min(local_date) as first_date,
        min(ended_at) as first_played_at,
        max(ended_at) as last_played_at
    from {{ ref('int_person_plays') }}
    where artist_id is not null
    group by user_id, artist_id, local_year

    union all

    select
        user_id,
        'album' as kind,
        album_id as item,
        local_year,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms,
        min(local_date) as first_date,
        min(ended_at) as first_played_at,
        max(ended_at) as last_played_at
    from {{ ref('int_person_plays') }}
    where album_id is not null
    group by user_id, album_id, local_year

    union all

    select
        user_id,
        'show' as kind,
        show_id as item,
        local_year,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms,
        min(local_date) as first_date,
        min(ended_at) as first_played_at,
        max(ended_at) as last_played_at
    from {{ ref('int_person_plays') }}
    where show_id is not null
    group by user_id, show_id, local_year
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(kind as varchar) as kind,
        cast(item as varchar) as item,
        cast(local_year as integer) as local_year,
        cast(plays as bigint) as plays,
        cast(played_ms as bigint) as played_ms,
        cast(first_date as date) as first_date,
        cast(first_played_at as timestamp(3)) as first_played_at,
        cast(last_played_at as timestamp(3)) as last_played_at
    from counted
)

select * from final
