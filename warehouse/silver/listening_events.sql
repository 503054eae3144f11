-- silver.listening_events of an interval: every typed event that is kept, with the number of its deliveries.
with

marks as (

    select *
    from event_marks
    where ended_at >= interval_start() and ended_at < interval_end()

),

final as (

    select
        typed.event_id,
        typed.user_id,
        typed.session_id,
        typed.track_id,
        typed.track_name,
        typed.artist_name,
        typed.action,
        typed.is_skipped,
        typed.occurred_at,
        typed.played_ms,
        typed.device,
        typed.country,
        typed.source,
        typed.topic,
        typed.partition_number,
        typed.record_offset,
        coalesce(marks.copies, 1) as copies,
        typed.source_key,
        typed.source_row

    from stg_events as typed
    left join marks
        on typed.file_no = marks.file_no
        and typed.source_row = marks.source_row
    where typed.problem is null
        and typed.occurred_at >= interval_start()
        and typed.occurred_at < interval_end()
        and coalesce(marks.is_kept, true)

)

select * from final
