-- silver.weather_days. Where several files tell of a day, each value is that of the file that reaches furthest, because it was downloaded
-- last and the newest days are corrected for some days; then that of the first by file hash. It does not matter what is loaded when.
with

reached as (

    select
        *,
        max(weather_date) over (partition by file_no, place, time_zone) as reaches_to

    from weather_rows
    where problem is null

),

ordered as (

    select
        *,
        {'days_before_3000': date '3000-01-01' - reaches_to, 'file_no': file_no, 'source_row': source_row} as rank_key

    from reached

),

final as (

    select
        place,
        min(latitude) as latitude,
        min(longitude) as longitude,
        time_zone,
        weather_date,
        arg_min(temperature_c, rank_key) filter (where temperature_c is not null) as temperature_c,
        arg_min(precipitation_mm, rank_key) filter (where precipitation_mm is not null) as precipitation_mm,
        arg_min(sunshine_s, rank_key) filter (where sunshine_s is not null) as sunshine_s,
        arg_min(weather_code, rank_key) filter (where weather_code is not null) as weather_code

    from ordered
    group by place, time_zone, weather_date

)

select * from final
