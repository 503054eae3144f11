-- Which album an album id means. An id made from names (name:<artist>|<album>) means the real
-- album of those names when there is exactly one, and otherwise stands for itself.
with

albums as (select * from {{ source('silver', 'albums') }}),

tracks as (select * from {{ source('silver', 'tracks') }}),

mentions as (select * from {{ ref('int_track_mentions') }}),

artist_identity as (select * from {{ ref('int_artist_identity') }}),

tracks_keyed as (
    select
        *,
        {{ normalise('primary_artist_name') }} as artist_key,
        {{ normalise('album_name') }} as album_title_key
    from tracks
),

candidates as (
    select
        albums.album_id as source_album_id,
        albums.album_name,
        artist_identity.artist_key,
        1 as priority,
        cast(albums.last_seen_at as timestamp(3)) as seen_at
    from albums
    left join artist_identity
        on albums.primary_artist_id = artist_identity.source_artist_id

    union all

    select
        coalesce(
            album_id,
            'name:' || {{ name_key('artist_key', 'album_title_key') }}
        ) as source_album_id,
        album_name,
        artist_key,
        2 as priority,
        cast(last_seen_at as timestamp(3)) as seen_at
    from tracks_keyed

    union all

    select
        'name:' || album_key as source_album_id,
        album_name,
        artist_key,
        3 as priority,
        newest_at as seen_at
    from mentions
),

ranked as (
    select
        *,
        row_number() over (
            partition by source_album_id
            order by
                case when album_name is null then 1 else 0 end,
                priority,
                seen_at desc nulls last,
                album_name,
                artist_key
        ) as choice
    from candidates
    where source_album_id is not null
),

normalised as (
    select
        source_album_id,
        album_name,
        artist_key,
        {{ begins_with('source_album_id', 'name:') }} as is_name_only,
        {{ normalise('album_name') }} as album_title_key
    from ranked
    where choice = 1
),

keyed as (
    select
        *,
        coalesce(
            {{ name_key('artist_key', 'album_title_key') }},
            case when is_name_only then substr(source_album_id, 6) end
        ) as album_key
    from normalised
),

only_album_of_names as (
    select
        album_key,
        min(source_album_id) as album_id
    from keyed
    where not is_name_only and album_key is not null
    group by album_key
    having count(*) = 1
),

final as (
    select
        cast(keyed.source_album_id as varchar) as source_album_id,
        cast(
            case
                when not keyed.is_name_only then keyed.source_album_id
                else coalesce(
                    only_album_of_names.album_id,
                    'name:' || keyed.album_key
                )
            end as varchar
        ) as album_id,
        cast(keyed.album_name as varchar) as album_name,
        cast(artist_identity.artist_id as varchar) as artist_id,
        cast(keyed.album_key as varchar) as album_key,
        cast(keyed.is_name_only as boolean) as is_name_only
    from keyed
    left join only_album_of_names
        on keyed.album_key = only_album_of_names.album_key
    left join artist_identity
        on 'name:' || keyed.artist_key = artist_identity.source_artist_id
)

select * from final
