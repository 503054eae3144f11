-- What is known of each track before its artist and album are looked up. Attributes come from
-- the description of the track's own id; what is missing there comes from the newest play,
-- event, chart or playlist that names it.
with

described_tracks as (select * from {{ source('silver', 'tracks') }}),

mentions as (select * from {{ ref('int_track_mentions') }}),

identity as (select * from {{ ref('int_track_identity') }}),

ids as (
    select
        track_id,
        sum(
            case
                when source_track_id <> track_id and matched_by = 'isrc' then 1
                else 0
            end
        ) as alternate_ids
    from identity
    group by track_id
),

ranked_mentions as (
    select
        identity.track_id,
        mentions.track_name,
        mentions.artist_name,
        mentions.album_name,
        mentions.artist_key,
        mentions.album_key,
        max(mentions.duration_ms) over (
            partition by identity.track_id
        ) as duration_ms,
        max(mentions.popularity) over (
            partition by identity.track_id
        ) as popularity,
        row_number() over (
            partition by identity.track_id
            order by
                case when mentions.track_name is null then 1 else 0 end,
                case when mentions.artist_name is null then 1 else 0 end,
                mentions.newest_at desc,
                mentions.track_name,
                mentions.artist_name,
                mentions.album_name nulls last,
                mentions.source_track_id
        ) as choice
    from mentions
    inner join identity
        on mentions.source_track_id = identity.source_track_id
),

described as (
    select
        *,
        {{ normalise('primary_artist_name') }} as artist_key,
        {{ normalise('album_name') }} as album_title_key
    from described_tracks
),

joined as (
    select
        ids.track_id,
        ids.alternate_ids,
        coalesce(described.track_name, named.track_name) as track_name,
        coalesce(
            described.primary_artist_id,
            'name:' || described.artist_key,
            'name:' || named.artist_key
        ) as source_artist_id,
        coalesce(
            described.album_id,
            'name:' || {{ name_key('described.artist_key', 'described.album_title_key') }},
            'name:' || named.album_key
        ) as source_album_id,
        coalesce(described.duration_ms, named.duration_ms) as duration_ms,
        described.is_explicit,
        coalesce(described.popularity, named.popularity) as popularity,
        described.isrc,
        described.url,
        described.track_number,
        described.is_local,
        described.track_id is not null as is_described
    from ids
    left join described
        on ids.track_id = described.track_id
    left join ranked_mentions as named
        on ids.track_id = named.track_id and named.choice = 1
),

final as (
    select
        cast(track_id as varchar) as track_id,
        cast(track_name as varchar) as track_name,
        cast(source_artist_id as varchar) as source_artist_id,
        cast(source_album_id as varchar) as source_album_id,
        cast(duration_ms as bigint) as duration_ms,
        cast(is_explicit as boolean) as is_explicit,
        cast(popularity as integer) as popularity,
        cast(isrc as varchar) as isrc,
        cast(url as varchar) as url,
        cast(track_number as integer) as track_number,
        cast(is_local as boolean) as is_local,
        cast(alternate_ids as integer) as alternate_ids,
        cast(is_described as boolean) as is_described
    from joined
)

select * from final
