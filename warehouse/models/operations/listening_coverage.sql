-- What is known to be whole, by user and day (UTC). Times are milliseconds since 1970 until the last step, so that
-- the engines add and compare the same integers.
with

export_files as (
    select
        user_id,
        source,
        file_number,
        stretch,
        source_key,
        sum(plays) over (partition by source_key) as file_plays,
        {{ epoch_ms('first_at') }} as first_ms,
        {{ epoch_ms('last_at') }} as last_ms
    from {{ source('silver', 'export_files') }}
    where is_music
),

polls as (
    select
        user_id,
        {{ epoch_ms('polled_at') }} as polled_ms,
        {{ epoch_ms('oldest_at') }} as oldest_ms,
        {{ epoch_ms('newest_at') }} as newest_ms,
        is_overflow
    from {{ source('silver', 'capture_polls') }}
),

-- Of one export: a stretch of a file and the next one, and a full file and the one that has the
-- next number. A file that is not full is the last one of its export.
neighbours as (
    select
        files.user_id,
        files.last_ms as from_ms,
        next_files.first_ms as to_ms
    from export_files as files
    inner join export_files as next_files
        on
            files.user_id = next_files.user_id
            and files.source = next_files.source
            and files.last_ms <= next_files.first_ms
            and (
                (
                    files.source_key = next_files.source_key
                    and files.stretch + 1 = next_files.stretch
                )
                or (
                    files.source_key <> next_files.source_key
                    and files.file_plays >= {{ var('export_file_plays_min') }}
                    and files.file_number + 1 = next_files.file_number
                )
            )
),

-- Nothing was played where one of them ends and the next begins, unless that lasts for months: then
-- the export may be the one that lacks something.
seams as (
    select
        user_id,
        from_ms,
        min(to_ms) as to_ms
    from neighbours
    where to_ms <= from_ms + cast({{ var('export_silence_days') }} as bigint) * 86400000
    group by user_id, from_ms

    union all

    select
        files.user_id,
        files.last_ms as from_ms,
        min(next_files.first_ms) as to_ms
    from export_files as files
    inner join export_files as next_files
        on
            files.user_id = next_files.user_id
            and files.source = next_files.source
            and files.last_ms <= next_files.first_ms
            and next_files.first_ms <= files.last_ms + {{ var('export_seam_hours') }} * 3600000
    group by files.user_id, files.source, files.last_ms
),

silences as (
    select
        user_id,
        from_ms,
        to_ms
    from neighbours
    where to_ms > from_ms + cast({{ var('export_silence_days') }} as bigint) * 86400000
),

-- Polls without an overflow between them: each reaches back to what the one before knew.
numbered_polls as (
    select
        *,
        sum(case when is_overflow then 1 else 0 end) over (
            partition by user_id
            order by polled_ms
            rows between unbounded preceding and current row
        ) as chain
    from polls
),

chains as (
    select
        user_id,
        chain,
        min(polled_ms) as first_polled_ms,
        max(polled_ms) as last_polled_ms,
        max(newest_ms) as newest_ms
    from numbered_polls
    group by user_id, chain
),

-- The first poll of a chain reaches back to its oldest play. Of what came after the newest play that was seen before an
-- overflow, an unknown part is lost; where none was seen, of what came after the last poll before it.
chain_spans as (
    select
        chains.user_id,
        case
            when first_polls.oldest_ms < chains.first_polled_ms then first_polls.oldest_ms
            else chains.first_polled_ms
        end as from_ms,
        chains.last_polled_ms,
        coalesce(
            max(chains.newest_ms) over (
                partition by chains.user_id
                order by chains.chain
                rows between unbounded preceding and current row
            ),
            chains.last_polled_ms
        ) as seen_until_ms,
        lead(first_polls.oldest_ms) over (
            partition by chains.user_id
            order by chains.chain
        ) as next_from_ms
    from chains
    inner join polls as first_polls
        on
            chains.user_id = first_polls.user_id
            and chains.first_polled_ms = first_polls.polled_ms
),

overflows as (
    select
        user_id,
        seen_until_ms as from_ms,
        next_from_ms as to_ms
    from chain_spans
    where next_from_ms is not null
),

source_spans as (
    select
        user_id,
        'export' as source,
        first_ms as from_ms,
        last_ms as to_ms
    from export_files

    union all

    select
        user_id,
        'export' as source,
        from_ms,
        to_ms
    from seams

    union all

    select
        user_id,
        'poll' as source,
        from_ms,
        case
            when next_from_ms is null then last_polled_ms
            when seen_until_ms < from_ms then from_ms
            when seen_until_ms < last_polled_ms then seen_until_ms
            else last_polled_ms
        end as to_ms
    from chain_spans
),

spans as (
    select
        user_id,
        source,
        from_ms,
        to_ms
    from source_spans

    union all

    select
        user_id,
        'any' as source,
        from_ms,
        to_ms
    from source_spans
),

reaching_spans as (
    select
        *,
        max(to_ms) over (
            partition by user_id, source
            order by from_ms, to_ms
            rows between unbounded preceding and 1 preceding
        ) as reached_ms
    from spans
),

numbered_spans as (
    select
        *,
        sum(case when from_ms <= reached_ms then 0 else 1 end) over (
            partition by user_id, source
            order by from_ms, to_ms
            rows between unbounded preceding and current row
        ) as island
    from reaching_spans
),

-- Spans that touch or overlap are one.
islands as (
    select
        user_id,
        source,
        min(from_ms) as from_ms,
        max(to_ms) as to_ms
    from numbered_spans
    group by user_id, source, island
),

-- To the end of the data's interval, or of the last day that is known of, where that is later.
reaches as (
    select
        user_id,
        min(from_ms) as first_ms,
        max(to_ms) as last_ms
    from islands
    where source = 'any'
    group by user_id
),

known_dates as (
    select
        user_id,
        {{ date_of_ms('first_ms') }} as first_date,
        {{ date_of_ms('(case when last_ms > first_ms then last_ms - 1 else last_ms end)') }} as end_date
    from reaches
),

date_spans as (
    select
        user_id,
        first_date,
        {{ greater('end_date', add_days(as_of_date(), -1)) }} as last_date
    from known_dates
),

uncovered as (
    select
        user_id,
        to_ms as from_ms,
        lead(from_ms) over (
            partition by user_id
            order by from_ms
        ) as to_ms
    from islands
    where source = 'any'
),

-- Where a poll ends or begins, polls have stopped or had not begun.
causes as (
    select
        uncovered.user_id,
        uncovered.from_ms,
        uncovered.to_ms,
        case
            when max(overflows.from_ms) is not null then 'overflow'
            when max(poll_islands.from_ms) is not null then 'not_polled'
            when max(silences.from_ms) is not null then 'long_silence'
            else 'between_exports'
        end as cause
    from uncovered
    left join overflows
        on
            uncovered.user_id = overflows.user_id
            and uncovered.from_ms < overflows.to_ms
            and uncovered.to_ms > overflows.from_ms
    left join islands as poll_islands
        on
            uncovered.user_id = poll_islands.user_id
            and poll_islands.source = 'poll'
            and (
                uncovered.from_ms = poll_islands.to_ms
                or uncovered.to_ms = poll_islands.from_ms
            )
    left join silences
        on
            uncovered.user_id = silences.user_id
            and uncovered.from_ms < silences.to_ms
            and uncovered.to_ms > silences.from_ms
    where uncovered.to_ms is not null
    group by uncovered.user_id, uncovered.from_ms, uncovered.to_ms
),

day_numbers as (
    {{ day_numbers() }}
),

calendar as (
    select
        date_spans.user_id,
        {{ add_days('date_spans.first_date', 'day_numbers.day_number') }} as coverage_date
    from date_spans
    inner join day_numbers
        on
            day_numbers.day_number
            <= {{ days_between('date_spans.first_date', 'date_spans.last_date') }}
),

days as (
    select
        user_id,
        coverage_date,
        {{ epoch_ms('cast(coverage_date as timestamp(3))') }} as from_ms,
        {{ epoch_ms('cast(coverage_date as timestamp(3))') }} + 86400000 as to_ms
    from calendar
),

gaps as (
    select
        user_id,
        from_ms,
        to_ms,
        cause
    from causes

    union all

    select
        days.user_id,
        min(days.from_ms) as from_ms,
        min(reaches.first_ms) as to_ms,
        'before_first_source' as cause
    from days
    inner join reaches on days.user_id = reaches.user_id
    group by days.user_id

    union all

    select
        days.user_id,
        max(reaches.last_ms) as from_ms,
        max(days.to_ms) as to_ms,
        'after_last_source' as cause
    from days
    inner join reaches on days.user_id = reaches.user_id
    group by days.user_id
),

day_parts as (
    select
        days.user_id,
        days.coverage_date,
        islands.source,
        {{ lesser('islands.to_ms', 'days.to_ms') }}
        - {{ greater('islands.from_ms', 'days.from_ms') }} as part_ms
    from days
    inner join islands
        on
            days.user_id = islands.user_id
            and days.from_ms < islands.to_ms
            and days.to_ms > islands.from_ms
),

covered as (
    select
        user_id,
        coverage_date,
        {{ total("case when source = 'any' then part_ms end") }} as covered_ms,
        {{ total("case when source = 'export' then part_ms end") }} as export_ms,
        {{ total("case when source = 'poll' then part_ms end") }} as poll_ms
    from day_parts
    group by user_id, coverage_date
),

missing as (
    select
        days.user_id,
        days.coverage_date,
        count(*) as gaps,
        max(case when gaps.cause = 'before_first_source' then gaps.cause end) as before_first_source,
        max(case when gaps.cause = 'between_exports' then gaps.cause end) as between_exports,
        max(case when gaps.cause = 'long_silence' then gaps.cause end) as long_silence,
        max(case when gaps.cause = 'not_polled' then gaps.cause end) as not_polled,
        max(case when gaps.cause = 'overflow' then gaps.cause end) as overflow,
        max(case when gaps.cause = 'after_last_source' then gaps.cause end) as after_last_source
    from days
    inner join gaps
        on
            days.user_id = gaps.user_id
            and days.from_ms < gaps.to_ms
            and days.to_ms > gaps.from_ms
    group by days.user_id, days.coverage_date
),

final as (
    select
        cast(days.user_id as varchar) as user_id,
        cast(days.coverage_date as date) as coverage_date,
        cast({{ hours('coalesce(covered.covered_ms, 0)') }} as double) as covered_hours,
        cast({{ hours('coalesce(covered.export_ms, 0)') }} as double) as export_hours,
        cast({{ hours('coalesce(covered.poll_ms, 0)') }} as double) as poll_hours,
        cast(coalesce(missing.gaps, 0) as bigint) as gaps,
        cast({{ hours('86400000 - coalesce(covered.covered_ms, 0)') }} as double) as gap_hours,
        cast(
            nullif(
                substr(
                    coalesce(', ' || missing.before_first_source, '')
                    || coalesce(', ' || missing.between_exports, '')
                    || coalesce(', ' || missing.long_silence, '')
                    || coalesce(', ' || missing.not_polled, '')
                    || coalesce(', ' || missing.overflow, '')
                    || coalesce(', ' || missing.after_last_source, ''),
                    3
                ),
                ''
            ) as varchar
        ) as why
    from days
    left join covered
        on
            days.user_id = covered.user_id
            and days.coverage_date = covered.coverage_date
    left join missing
        on
            days.user_id = missing.user_id
            and days.coverage_date = missing.coverage_date
)

select * from final
