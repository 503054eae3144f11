-- From when to when each item was on each playlist, as snapshots tell. Between two snapshots nothing is known: an
-- item enters on the date of the first one that has it, and leaves on the date of the first one without it.
with

items as (select * from {{ source('silver', 'playlist_items') }}),

playlists as (select * from {{ source('silver', 'playlists') }}),

identity as (select * from {{ ref('int_track_identity') }}),

-- A place that the API gives nothing for names no item.
identified as (
    select
        playlist_id,
        cast(snapshot_date as date) as snapshot_date,
        position,
        coalesce(item_uri, 'spotify:track:' || track_id) as item_uri,
        item_type,
        track_id,
        item_name,
        added_at
    from items
    where item_uri is not null or track_id is not null
),

-- The newest snapshot of a playlist that was emptied has no item that would tell of it.
snapshots as (
    select
        playlist_id,
        cast(snapshot_date as date) as snapshot_date
    from items

    union distinct

    select
        playlist_id,
        cast(last_seen_at as date) as snapshot_date
    from playlists
    where item_count = 0 and last_seen_at is not null
),

snapshots_in_order as (
    select
        playlist_id,
        snapshot_date,
        row_number() over (
            partition by playlist_id
            order by snapshot_date
        ) as snapshot_number,
        lead(snapshot_date) over (
            partition by playlist_id
            order by snapshot_date
        ) as next_date
    from snapshots
),

-- An item may be on a playlist several times: its occurrences are counted from the top.
occurrences as (
    select
        *,
        row_number() over (
            partition by playlist_id, snapshot_date, item_uri
            order by position
        ) as occurrence
    from identified
),

placed as (
    select
        occurrences.*,
        snapshots_in_order.snapshot_number,
        snapshots_in_order.next_date,
        -- The same number as long as no snapshot is left out.
        snapshots_in_order.snapshot_number - row_number() over (
            partition by occurrences.playlist_id, occurrences.item_uri, occurrences.occurrence
            order by snapshots_in_order.snapshot_number
        ) as stretch
    from occurrences
    inner join snapshots_in_order
        on
            occurrences.playlist_id = snapshots_in_order.playlist_id
            and occurrences.snapshot_date = snapshots_in_order.snapshot_date
),

stretches as (
    select
        playlist_id,
        item_uri,
        occurrence,
        stretch,
        min(snapshot_number) as first_number,
        max(snapshot_number) as last_number,
        min(snapshot_date) as entered_date
    from placed
    group by playlist_id, item_uri, occurrence, stretch
),

final as (
    select
        cast(stretches.playlist_id as varchar) as playlist_id,
        cast(stretches.item_uri as varchar) as item_uri,
        cast(stretches.occurrence as integer) as occurrence,
        cast(stretches.entered_date as date) as entered_date,
        cast(newest.next_date as date) as left_date,
        cast(newest.next_date is null as boolean) as is_current,
        cast(stretches.first_number = 1 as boolean) as is_in_first_snapshot,
        cast(newest.snapshot_date as date) as last_seen_date,
        cast(newest.position as integer) as position,
        cast(newest.item_type as varchar) as item_type,
        cast(identity.track_id as varchar) as track_id,
        cast(newest.item_name as varchar) as item_name,
        cast(newest.added_at as timestamp(3)) as added_at
    from stretches
    inner join placed as newest
        on
            stretches.playlist_id = newest.playlist_id
            and stretches.item_uri = newest.item_uri
            and stretches.occurrence = newest.occurrence
            and stretches.last_number = newest.snapshot_number
    left join identity
        on newest.track_id = identity.source_track_id and newest.item_type <> 'episode'
)

select * from final
