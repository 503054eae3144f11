-- Where a person's own table says that the clock was, date by date, with its distance from UTC.
with

time_zones as (select * from {{ source('silver', 'time_zones') }}),

day_numbers as (
    {{ day_numbers() }}
),

-- Every date that a play can have: from the first scrobbles to the last year that silver takes for possible.
dates as (
    select {{ add_days("date '2002-01-01'", 'day_number') }} as zone_date
    from day_numbers
    where day_number < {{ days_between("date '2002-01-01'", "date '2041-01-01'") }}
),

own_dates as (
    select
        time_zones.user_id,
        time_zones.time_zone,
        dates.zone_date,
        cast(dates.zone_date as timestamp(3)) as day_start,
        cast({{ add_days('dates.zone_date', 1) }} as timestamp(3)) as day_end
    from time_zones
    inner join dates
        on
            time_zones.valid_from <= dates.zone_date
            and (time_zones.valid_to is null or time_zones.valid_to > dates.zone_date)
),

final as (
    select
        cast(user_id as varchar) as user_id,
        cast(zone_date as date) as zone_date,
        cast(time_zone as varchar) as time_zone,
        cast({{ epoch_ms(local_time('day_start', 'time_zone')) }} - {{ epoch_ms('day_start') }} as bigint) as start_ms,
        cast({{ epoch_ms(local_time('day_end', 'time_zone')) }} - {{ epoch_ms('day_end') }} as bigint) as end_ms
    from own_dates
)

select * from final
