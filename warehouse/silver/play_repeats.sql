-- Moments at which an export reports a length more than once. One row per `same_hash`; `is_mixed` where the rows are not all of one
-- content, so that only their names can tell whether they are one play.
with

final as (

    select
        same_hash,
        min(content_hash) <> max(content_hash) as is_mixed

    from play_rows
    where problem is null and source_rank < 3
    group by same_hash
    having count(*) > 1

)

select * from final
