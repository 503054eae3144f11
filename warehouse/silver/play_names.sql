-- Names of the extended plays that are compared by name, and of no others: those that lie near a play of
-- another source, that end in the six hours after a Web API item or a scrobble, or that share their moment
-- and length with a row of other content.
with

others as (

    select
        user_hash,
        cast(floor(epoch(ended_at) / 60) as bigint) as ended_minute,
        cast(floor(epoch(started_at) / 60) as bigint) as started_minute

    from play_rows
    where source_rank > 1 and problem is null

),

minutes as (

    select distinct user_hash, minute
    from (
        select user_hash, unnest([ended_minute - 1, ended_minute, ended_minute + 1]) as minute from others
        union all
        select user_hash, unnest([started_minute - 1, started_minute, started_minute + 1]) as minute from others
    )

),

item_hours as (

    select distinct
        user_hash,
        unnest(range(
            cast(floor((epoch(ended_at) - 2) / 3600) as bigint),
            cast(floor((epoch(ended_at) + 361 * 60) / 3600) as bigint) + 1
        )) as hour

    from play_rows
    where source_rank > 2 and problem is null

),

near as (

    select play_rows.file_no, play_rows.source_row
    from play_rows
    semi join minutes
        on play_rows.user_hash = minutes.user_hash
        and cast(floor(epoch(play_rows.ended_at) / 60) as bigint) = minutes.minute
    where play_rows.source_rank = 1 and play_rows.problem is null

    union

    select play_rows.file_no, play_rows.source_row
    from play_rows
    semi join minutes
        on play_rows.user_hash = minutes.user_hash
        and cast(floor(epoch(play_rows.started_at) / 60) as bigint) = minutes.minute
    where play_rows.source_rank = 1 and play_rows.problem is null

    union

    select play_rows.file_no, play_rows.source_row
    from play_rows
    semi join minutes
        on play_rows.user_hash = minutes.user_hash
        and cast(floor(epoch(play_rows.reported_at) / 60) as bigint) = minutes.minute
    where play_rows.source_rank = 1 and play_rows.problem is null

    union

    select play_rows.file_no, play_rows.source_row
    from play_rows
    semi join item_hours
        on play_rows.user_hash = item_hours.user_hash
        and cast(floor(epoch(play_rows.ended_at) / 3600) as bigint) = item_hours.hour
    where play_rows.source_rank = 1 and play_rows.problem is null

    union

    select play_rows.file_no, play_rows.source_row
    from play_rows
    semi join (select same_hash from play_repeats where is_mixed) as mixed on play_rows.same_hash = mixed.same_hash
    where play_rows.source_rank = 1 and play_rows.problem is null

),

final as (

    select
        stg_plays_extended.file_no,
        stg_plays_extended.source_row,
        name_hash(
            case when content_type = 'chapter' then album_name else artist_name end,
            track_name
        ) as name_hash

    from stg_plays_extended
    semi join near
        on stg_plays_extended.file_no = near.file_no
        and stg_plays_extended.source_row = near.source_row

)

select * from final
