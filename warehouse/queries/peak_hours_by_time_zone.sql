-- The three busiest hours of the week in each time zone, in its own local time (weekday 1 is Monday).
with

ranked as (
    select
        *,
        row_number() over (
            partition by time_zone
            order by plays desc, local_weekday, local_hour
        ) as rank
    from peak_hours_by_timezone
)

select
    time_zone,
    rank,
    local_weekday,
    local_hour,
    plays,
    round(minutes, 1) as minutes
from ranked
where rank <= 3
order by time_zone, rank
