-- Dates in a row have one distance to their number in the order of dates.
with

plays as (
    select
        user_id,
        local_date
    from {{ ref('int_person_plays') }}
    where is_qualified or played_ms is null
),

dates as (
    select distinct
        user_id,
        local_date
    from plays
),

numbered as (
    select
        user_id,
        local_date,
        {{ days_between("date '1970-01-01'", 'local_date') }}
        - row_number() over (
            partition by user_id
            order by local_date
        ) as run_number
    from dates
),

runs as (
    select
        user_id,
        min(local_date) as first_date,
        max(local_date) as last_date,
        count(*) as days
    from numbered
    group by user_id, run_number
),

ranked as (
    select
        *,
        row_number() over (
            partition by user_id
            order by days desc, first_date
        ) as place
    from runs
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(first_date as date) as first_date,
        cast(last_date as date) as last_date,
        cast(days as bigint) as days,
        cast(place = 1 as boolean) as is_longest,
        cast(last_date >= {{ add_days(as_of_date(), -1) }} as boolean) as is_current
    from ranked
)

select * from final
