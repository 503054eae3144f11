-- Each source's own rhythm: how long nothing has come in, and how its last week compares with the eight before.
{% set date_before = 'lag(event_date) over (partition by table_name, part order by event_date)' -%}
with

plays as (
    select
        user_id,
        cast(ended_at as date) as event_date
    from {{ source('silver', 'plays') }}
),

events as (
    select
        source,
        cast(occurred_at as date) as event_date
    from {{ source('silver', 'listening_events') }}
),

polls as (
    select
        user_id,
        cast(polled_at as date) as event_date
    from {{ source('silver', 'capture_polls') }}
),

all_days as (
    select
        'plays' as table_name,
        user_id as part,
        event_date,
        count(*) as row_count
    from plays
    group by user_id, event_date

    union all

    select
        'listening_events' as table_name,
        source as part,
        event_date,
        count(*) as row_count
    from events
    group by source, event_date

    union all

    select
        'capture_polls' as table_name,
        user_id as part,
        event_date,
        count(*) as row_count
    from polls
    group by user_id, event_date
),

days as (
    select
        *,
        {{ days_between(date_before, 'event_date') }} - 1 as empty_days,
        max(event_date) over (partition by table_name, part) as newest_date
    from all_days
    where event_date < {{ as_of_date() }}
),

sources as (
    select
        table_name,
        part,
        newest_date,
        {{ days_between('newest_date', as_of_date()) }} - 1 as silent_days,
        coalesce(max(empty_days), 0) as longest_empty_days
    from days
    group by table_name, part, newest_date
),

-- Week 0 ends with the newest day.
numbered as (
    select
        *,
        {{ days_between('event_date', 'newest_date') }} as age_days
    from days
),

weeks as (
    select
        table_name,
        part,
        cast((age_days - mod(age_days, 7)) / 7 as integer) as week_number,
        {{ total('row_count') }} as row_count
    from numbered
    where age_days < 7 * (1 + {{ var('quality_weeks') }})
    group by 1, 2, 3
),

weeks_ranked as (
    select
        *,
        row_number() over (
            partition by table_name, part
            order by row_count
        ) as place,
        count(*) over (partition by table_name, part) as weeks
    from weeks
    where week_number > 0
),

-- Weeks without a row are left out: nothing says that they were covered. The median is the lower one of two.
usual as (
    select
        table_name,
        part,
        weeks,
        min(row_count) as least,
        max(row_count) as most,
        max(case when 2 * place between weeks and weeks + 1 then row_count end) as median
    from weeks_ranked
    group by table_name, part, weeks
),

final as (
    select
        cast(sources.table_name as varchar) as table_name,
        cast(sources.part as varchar) as part,
        cast(sources.newest_date as date) as newest_date,
        cast(sources.silent_days as bigint) as silent_days,
        cast(
            case sources.table_name
                when 'plays' then {{ var('quality_silent_days_plays') }}
                when 'capture_polls' then {{ var('quality_silent_days') }}
                else {{ greater(var('quality_silent_days'), '2 * sources.longest_empty_days') }}
            end as bigint
        ) as silent_days_max,
        cast(weeks.row_count as bigint) as week_rows,
        cast(coalesce(usual.weeks, 0) as bigint) as weeks_before,
        cast(usual.median as bigint) as week_rows_median,
        cast(usual.least as bigint) as week_rows_least,
        cast(usual.most as bigint) as week_rows_most
    from sources
    inner join weeks
        on
            sources.table_name = weeks.table_name
            and sources.part = weeks.part
            and weeks.week_number = 0
    left join usual
        on
            sources.table_name = usual.table_name
            and sources.part = usual.part
)

select * from final
