with

plays as (
    select
        user_id,
        artist_id,
        {{ first_day('month', 'local_date') }} as month_start,
        played_ms
    from {{ ref('int_person_plays') }}
    where artist_id is not null
),

artists as (select * from {{ ref('dim_artists') }}),

months as (
    select
        user_id,
        artist_id,
        month_start,
        count(*) as plays,
        {{ total('played_ms') }} as played_ms
    from plays
    group by user_id, artist_id, month_start
),

ranked as (
    select
        *,
        cast(sum(played_ms) over (partition by user_id, month_start) as bigint) as month_ms,
        row_number() over (
            partition by user_id, month_start
            order by played_ms desc, plays desc, artist_id
        ) as place
    from months
),

final as (
    select
        cast(ranked.user_id as varchar) as user_id,
        cast(ranked.artist_id as varchar) as artist_id,
        cast(artists.artist_name as varchar) as artist_name,
        cast(ranked.month_start as date) as month_start,
        cast(ranked.plays as bigint) as plays,
        cast({{ minutes('ranked.played_ms') }} as double) as minutes,
        cast({{ rate('ranked.played_ms', 'ranked.month_ms') }} as double) as share,
        cast(ranked.place as integer) as rank
    from ranked
    left join artists
        on ranked.artist_id = artists.artist_id
)

select * from final
