-- Which track a track id means: ids that share a recording code (ISRC) are one track, and a
-- track known only by artist and title is the one of that name that was played the most.
with

tracks as (select * from {{ source('silver', 'tracks') }}),

mentions as (select * from {{ ref('int_track_mentions') }}),

tracks_keyed as (
    select
        track_id,
        source,
        nullif(isrc, '') as isrc,
        {{ normalise('primary_artist_name') }} as artist_key,
        {{ normalise('track_name') }} as title_key
    from tracks
),

recordings as (
    select
        isrc,
        track_id,
        row_number() over (
            partition by isrc
            order by case when source = 'api' then 0 else 1 end, track_id
        ) as choice
    from tracks_keyed
    where isrc is not null
),

described as (
    select
        tracks_keyed.track_id as source_track_id,
        coalesce(recordings.track_id, tracks_keyed.track_id) as track_id,
        {{ name_key('tracks_keyed.artist_key', 'tracks_keyed.title_key') }} as track_key
    from tracks_keyed
    left join recordings
        on tracks_keyed.isrc = recordings.isrc and recordings.choice = 1
),

mentioned as (
    select distinct source_track_id
    from mentions
    where not is_name_only
),

with_id as (
    select
        source_track_id,
        track_id,
        case when source_track_id = track_id then 'id' else 'isrc' end as matched_by
    from described

    union all

    select
        mentioned.source_track_id,
        mentioned.source_track_id as track_id,
        'id' as matched_by
    from mentioned
    left join described
        on mentioned.source_track_id = described.source_track_id
    where described.source_track_id is null
),

names as (
    select
        track_id,
        track_key,
        0 as plays,
        1 as is_described
    from described
    where track_key is not null

    union all

    select
        with_id.track_id,
        mentions.track_key,
        mentions.plays,
        0 as is_described
    from mentions
    inner join with_id
        on mentions.source_track_id = with_id.source_track_id
    where not mentions.is_name_only and mentions.track_key is not null
),

tracks_of_name as (
    select
        track_key,
        track_id,
        row_number() over (
            partition by track_key
            order by sum(plays) desc, max(is_described) desc, track_id
        ) as choice
    from names
    group by track_key, track_id
),

-- An id that a source gives wins over the same text made from names.
without_id as (
    select distinct
        mentions.source_track_id,
        coalesce(tracks_of_name.track_id, mentions.source_track_id) as track_id,
        case
            when tracks_of_name.track_id is null then 'none'
            else 'name'
        end as matched_by
    from mentions
    left join tracks_of_name
        on
            mentions.track_key = tracks_of_name.track_key
            and tracks_of_name.choice = 1
    left join with_id
        on mentions.source_track_id = with_id.source_track_id
    where mentions.is_name_only and with_id.source_track_id is null
),

all_ids as (
    select * from with_id
    union all
    select * from without_id
),

final as (
    select
        cast(source_track_id as varchar) as source_track_id,
        cast(track_id as varchar) as track_id,
        cast(matched_by as varchar) as matched_by
    from all_ids
)

select * from final
