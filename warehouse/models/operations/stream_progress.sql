-- How far streams have come into the lake, run by run.
with

batches as (select * from {{ source('silver', 'stream_batches') }}),

events as (
    select
        topic,
        partition_number,
        record_offset,
        copies - 1 as further_copies
    from {{ source('silver', 'listening_events') }}
    where topic is not null and record_offset is not null and copies > 1
),

-- A record that two batches hold is in silver from the one that was taken first.
placed_copies as (
    select
        batches.run_id,
        batches.topic,
        batches.partition_number,
        events.further_copies,
        row_number() over (
            partition by events.topic, events.partition_number, events.record_offset
            order by batches.taken_at, batches.first_offset
        ) as place
    from events
    inner join batches
        on events.topic = batches.topic
        and events.partition_number = batches.partition_number
        and events.record_offset >= batches.first_offset
        and events.record_offset <= batches.last_offset
    where batches.kind = 'batch'
),

copies as (
    select
        run_id,
        topic,
        partition_number,
        sum(further_copies) as further_copies
    from placed_copies
    where place = 1
    group by run_id, topic, partition_number
),

by_run as (
    select
        run_id,
        topic,
        partition_number,
        min(taken_at) as taken_at,
        min(first_offset) as first_offset,
        max(last_offset) as last_offset,
        sum(case when kind = 'batch' then records else 0 end) as records,
        max(newest_event_at) as newest_event_at,
        max(newest_record_at) as newest_record_at,
        sum(late_records) as late,
        sum(repeated_records) as repeated,
        sum(unreadable_records) as unreadable,
        sum(case when kind = 'dead-letters' then records else 0 end) as dead_letters
    from batches
    group by run_id, topic, partition_number
),

final as (
    select
        cast(by_run.run_id as varchar) as run_id,
        cast(by_run.topic as varchar) as topic,
        cast(by_run.partition_number as integer) as partition_number,
        cast(by_run.taken_at as timestamp(3)) as taken_at,
        cast(by_run.first_offset as bigint) as first_offset,
        cast(by_run.last_offset as bigint) as last_offset,
        cast(by_run.records as bigint) as records,
        cast(by_run.newest_event_at as timestamp(3)) as newest_event_at,
        cast(by_run.newest_record_at as timestamp(3)) as newest_record_at,
        cast(by_run.late as bigint) as late,
        cast(by_run.repeated + coalesce(copies.further_copies, 0) as bigint) as duplicates,
        cast(by_run.unreadable as bigint) as unreadable,
        cast(by_run.dead_letters as bigint) as dead_letters
    from by_run
    left join copies
        on by_run.run_id = copies.run_id
        and by_run.topic = copies.topic
        and by_run.partition_number = copies.partition_number
)

select * from final
