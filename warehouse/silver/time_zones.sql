-- silver.time_zones: the rows of each person's current file. `load` has refused rows that overlap; where there are some all the same, each
-- ends where the next one begins, because a day in two zones would be every play of it twice.
with

ranked as (

    select
        *,
        row_number() over (partition by user_id, valid_from order by file_no, source_row) as place

    from time_zone_rows
    where problem is null and is_current

),

ordered as (

    select
        *,
        lead(valid_from) over (partition by user_id order by valid_from) as next_from

    from ranked
    where place = 1

),

final as (

    select
        user_id,
        valid_from,
        case when next_from < coalesce(valid_to, date '9999-12-31') then next_from else valid_to end as valid_to,
        time_zone,
        source_key,
        source_row

    from ordered

)

select * from final
