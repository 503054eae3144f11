-- silver.plays of an interval: every typed row that is kept, with the number of rows that are this play.
--
-- `play_marks` holds the rows that other rows are a copy of, and those copies; a row it does not name is a play of one row.
with

typed as (

    select * from stg_plays_extended
    union all
    select * from stg_plays_account
    union all
    select * from stg_plays_api
    union all
    select * from stg_plays_listenbrainz
    union all
    select * from stg_plays_lastfm

),

marks as (

    select *
    from play_marks
    where ended_at >= interval_start() and ended_at < interval_end()

),

final as (

    select
        left(
            md5(
                concat(
                    typed.user_id,
                    '|',
                    content_key(typed.content_uri, typed.artist_name, typed.track_name),
                    '|',
                    epoch_ms(typed.ended_at) // 1000,
                    '|',
                    typed.played_ms,
                    -- the second of two equal plays: of account data, which tells no seconds, or of another account
                    case when marks.occurrence > 1 then '|' || marks.occurrence else '' end
                )
            ),
            20
        ) as play_id,
        typed.* exclude (file_no, account, problem, given_time, given_length, given_flag),
        coalesce(marks.copies, 1) as copies

    from typed
    left join marks
        on typed.file_no = marks.file_no
        and typed.source_row = marks.source_row
    where typed.problem is null
        and typed.ended_at >= interval_start()
        and typed.ended_at < interval_end()
        and coalesce(marks.is_kept, true)

)

select * from final
