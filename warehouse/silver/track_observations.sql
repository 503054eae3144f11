-- silver.track_observations. A description that leaves a value out does not take it back: what was said last
-- still holds.
with

carried as (

    select
        track_id,
        source_rank,
        seen_at,
        last_value(track_name ignore nulls) over until_now as track_name,
        last_value(popularity ignore nulls) over until_now as popularity,
        last_value(duration_ms ignore nulls) over until_now as duration_ms

    from track_sightings
    window until_now as (
        partition by track_id, source_rank
        order by seen_at nulls first
        rows between unbounded preceding and current row
    )

),

compared as (

    select
        *,
        lag({'name': track_name, 'popularity': popularity, 'length': duration_ms}) over (
            partition by track_id, source_rank
            order by seen_at nulls first
        ) as before

    from carried

),

final as (

    select
        track_id,
        seen_at,
        case source_rank when 2 then 'api' else 'tracks_csv' end as source,
        track_name,
        popularity,
        duration_ms

    from compared
    where
        (track_name is not null or popularity is not null or duration_ms is not null)
        and (
            before is null
            or track_name is distinct from before.name
            or popularity is distinct from before.popularity
            or duration_ms is distinct from before.length
        )

)

select * from final
