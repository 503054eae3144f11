-- How good recommendations are: told from what lies before the last 28 days of each user, and looked up there.
with

heard as (select * from {{ ref('int_songs_heard') }}),

recommended as (
    select *
    from {{ ref('int_recommended_songs') }}
    where period = 'before'
),

heard_totals as (
    select
        count(*) as rows_heard,
        count(
            distinct case
                when
                    days_before_end >= {{ var('recommendation_days') }}
                    and days_before_end < 2 * {{ var('recommendation_days') }}
                    then user_id
            end
        ) as users
    from heard
),

held_out as (
    select
        user_id,
        song_number,
        session_id,
        row_number() over (
            partition by user_id, song_number
            order by days_before_end desc, session_id
        ) as choice
    from heard
    where days_before_end < {{ var('recommendation_days') }}
),

hits as (
    select
        recommended.method,
        recommended.user_id,
        case
            when heard_totals.users >= {{ var('recommendation_users_min') }} then recommended.user_id
            else held_out.session_id
        end as cluster_id
    from recommended
    inner join held_out
        on
            recommended.user_id = held_out.user_id
            and recommended.song_number = held_out.song_number
            and held_out.choice = 1
    cross join heard_totals
),

clusters as (
    select
        cluster_id,
        count_if(method = 'item_to_item') - count_if(method = 'popularity') as difference
    from hits
    group by cluster_id
),

-- Counted by case: count_if of nothing is null on DuckDB, and 0 on Trino.
cluster_totals as (
    select
        count(case when difference <> 0 then 1 end) as clusters,
        {{ total('difference') }} as difference,
        {{ total('difference * difference') }} as squares
    from clusters
),

hit_totals as (
    select
        count(case when method = 'item_to_item' then 1 end) as hits,
        count(case when method = 'popularity' then 1 end) as popularity_hits,
        count(distinct case when method = 'item_to_item' then user_id end) as users_with_hit,
        count(distinct case when method = 'popularity' then user_id end) as popularity_users_with_hit
    from hits
),

measured as (
    select
        heard_totals.rows_heard,
        heard_totals.users,
        heard_totals.users * {{ var('recommendations_max_rank') }} as places,
        hit_totals.hits,
        hit_totals.popularity_hits,
        hit_totals.users_with_hit,
        hit_totals.popularity_users_with_hit,
        cluster_totals.clusters,
        cluster_totals.difference,
        1.959963984540054e0 * sqrt(cast(cluster_totals.squares as double)) as margin
    from heard_totals
    cross join hit_totals
    cross join cluster_totals
),

final as (
    select
        cast(
            case
                when rows_heard = 0 then 'no_plays'
                when users = 0 then 'too_short'
                when clusters < {{ var('recommendation_clusters_min') }} then 'too_few'
                when cast(difference as double) <= margin then 'not_better'
                else 'published'
            end as varchar
        ) as status,
        cast(users as bigint) as users,
        cast(hits as bigint) as hits,
        cast(popularity_hits as bigint) as popularity_hits,
        cast({{ rate('hits', 'places') }} as double) as hit_rate,
        cast({{ rate('popularity_hits', 'places') }} as double) as popularity_hit_rate,
        cast({{ rate('difference', 'places') }} as double) as hit_rate_difference,
        cast((cast(difference as double) - margin) / nullif(cast(places as double), 0e0) as double)
            as hit_rate_difference_low,
        cast((cast(difference as double) + margin) / nullif(cast(places as double), 0e0) as double)
            as hit_rate_difference_high,
        cast({{ rate('users_with_hit', 'users') }} as double) as users_with_hit_rate,
        cast({{ rate('popularity_users_with_hit', 'users') }} as double) as popularity_users_with_hit_rate,
        cast(clusters as bigint) as clusters
    from measured
)

select * from final
