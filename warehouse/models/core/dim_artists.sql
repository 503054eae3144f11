with

artists as (select * from {{ source('silver', 'artists') }}),

identity as (select * from {{ ref('int_artist_identity') }}),

names as (
    select
        artist_id,
        artist_name,
        row_number() over (
            partition by artist_id
            order by
                case when artist_name is null then 1 else 0 end,
                case when source_artist_id = artist_id then 0 else 1 end,
                source_artist_id
        ) as choice
    from identity
),

descriptions as (
    select
        identity.artist_id,
        artists.genres,
        artists.url,
        artists.followers,
        artists.popularity,
        row_number() over (
            partition by identity.artist_id
            order by
                case when artists.artist_id = identity.artist_id then 0 else 1 end,
                artists.last_seen_at desc nulls last,
                artists.artist_id
        ) as choice
    from artists
    inner join identity
        on artists.artist_id = identity.source_artist_id
),

final as (
    select
        cast(names.artist_id as varchar) as artist_id,
        cast(names.artist_name as varchar) as artist_name,
        cast(descriptions.genres as varchar) as genres,
        cast(descriptions.url as varchar) as url,
        cast(descriptions.followers as bigint) as followers,
        cast(descriptions.popularity as integer) as popularity,
        cast(starts_with(names.artist_id, 'name:') as boolean) as is_name_only
    from names
    left join descriptions
        on names.artist_id = descriptions.artist_id and descriptions.choice = 1
    where names.choice = 1
)

select * from final
