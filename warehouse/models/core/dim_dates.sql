-- Every date from the first to the last on which something was played, UTC or local.
with

plays as (select * from {{ ref('fct_plays') }}),

played_days as (
    select played_date as date_day from plays

    union all

    select local_date as date_day from plays
),

span as (
    select
        min(date_day) as first_date,
        max(date_day) as last_date
    from played_days
),

day_numbers as (
    {{ day_numbers() }}
),

dates as (
    select {{ add_days('span.first_date', 'day_numbers.day_number') }} as date_day
    from day_numbers
    inner join span
        on
            day_numbers.day_number
            <= {{ days_between('span.first_date', 'span.last_date') }}
),

final as (
    select
        cast(date_day as date) as date_day,
        cast(extract(year from date_day) as integer) as year_number,
        cast(extract(quarter from date_day) as integer) as quarter_of_year,
        cast(extract(month from date_day) as integer) as month_of_year,
        cast(extract(day from date_day) as integer) as day_of_month,
        cast({{ weekday('date_day') }} as integer) as weekday,
        cast(
            case {{ weekday('date_day') }}
                when 1 then 'Monday'
                when 2 then 'Tuesday'
                when 3 then 'Wednesday'
                when 4 then 'Thursday'
                when 5 then 'Friday'
                when 6 then 'Saturday'
                when 7 then 'Sunday'
            end as varchar
        ) as weekday_name,
        cast({{ weekday('date_day') }} >= 6 as boolean) as is_weekend,
        cast({{ first_day('week', 'date_day') }} as date) as week_start,
        cast({{ first_day('month', 'date_day') }} as date) as month_start
    from dates
)

select * from final
