-- The plays of a person's story: what every table in models/person counts. Neither play_id nor started_at, because
-- those tables tell plays apart by their ends, and these columns would cost as much as all others.
with

plays as (
    select *
    from {{ ref('fct_plays') }}
    where {{ in_reports() }} and local_date < {{ as_of_date() }}
),

persons as (
    select *
    from {{ ref('dim_users') }}
    where has_own_plays
),

final as (
    select
        cast(plays.user_id as varchar) as user_id,
        cast(plays.ended_at as timestamp(3)) as ended_at,
        cast(plays.local_date as date) as local_date,
        cast(extract(year from plays.local_date) as integer) as local_year,
        cast(plays.local_hour as integer) as local_hour,
        cast(plays.local_weekday as integer) as local_weekday,
        cast(plays.song_key as varchar) as song_key,
        cast(plays.artist_id as varchar) as artist_id,
        cast(plays.album_id as varchar) as album_id,
        cast(plays.show_id as varchar) as show_id,
        cast(plays.episode_id as varchar) as episode_id,
        cast(plays.session_id as varchar) as session_id,
        cast(plays.played_ms as bigint) as played_ms,
        cast(plays.is_qualified as boolean) as is_qualified,
        cast(plays.verdict as varchar) as verdict,
        cast(plays.is_shuffle as boolean) as is_shuffle,
        cast(plays.country as varchar) as country
    from plays
    inner join persons
        on plays.user_id = persons.user_id
)

select * from final
