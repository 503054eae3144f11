-- Days of weather, typed and in one unit each. One row per bronze row; `problem` says why a row is refused, `problem_value` for which
-- value. A value that is not there is null and never 0.
with

source as (

    select
        files.file_no,
        bronze.source_key,
        bronze.row_number as source_row,
        bronze.time_zone as zone_text,
        bronze.date as date_text,
        bronze.temperature as temperature_text,
        bronze.temperature_unit,
        bronze.precipitation as precipitation_text,
        bronze.precipitation_unit,
        bronze.sunshine as sunshine_text,
        bronze.weather_code as code_text,
        bronze.latitude as latitude_text,
        bronze.longitude as longitude_text,
        feature_number(bronze.latitude) as latitude,
        feature_number(bronze.longitude) as longitude,
        feature_number(bronze.temperature) as temperature,
        feature_number(bronze.precipitation) as precipitation,
        feature_number(bronze.sunshine) as sunshine

    from bronze_weather_csv as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

-- Rounded, because a conversion leaves digits that nobody has measured. Adding 0 makes 0 of -0.
measured as (

    select
        *,
        case when latitude between -90 and 90 then round(latitude, 2) + 0.0 end as latitude_degrees,
        case when longitude between -180 and 180 then round(longitude, 2) + 0.0 end as longitude_degrees,
        parse_date(date_text) as weather_date,
        round(case temperature_unit when '°F' then (temperature - 32) * 5 / 9 else temperature end, 2) + 0.0 as celsius,
        round(case precipitation_unit when 'inch' then precipitation * 25.4 else precipitation end, 2) + 0.0 as millimetres,
        round(sunshine) + 0.0 as seconds,
        whole_between(code_text, 0, 99) as weather_code

    from source

),

checked as (

    select
        *,
        -- A value that is there and is not understood.
        list_filter(
            [
                {'name': 'temperature', 'text': temperature_text, 'is_read': celsius between -150 and 100},
                {'name': 'precipitation', 'text': precipitation_text, 'is_read': millimetres between 0 and 10000},
                {'name': 'sunshine', 'text': sunshine_text, 'is_read': seconds between 0 and 90000},
                {'name': 'weather code', 'text': code_text, 'is_read': weather_code is not null}
            ],
            lambda value: not coalesce(value.is_read, false) and number_or_null(value.text) is not null
        )[1] as unread

    from measured

),

final as (

    select
        file_no,
        source_key,
        source_row,

        printf('%.2f,%.2f', latitude_degrees, longitude_degrees) as place,
        latitude_degrees as latitude,
        longitude_degrees as longitude,
        zone_name(zone_text) as time_zone,
        weather_date,
        -- What is no number by the rule for missing ones is none, whatever a cast would make of it.
        case when number_or_null(temperature_text) is not null then celsius end as temperature_c,
        case when number_or_null(precipitation_text) is not null then millimetres end as precipitation_mm,
        case when number_or_null(sunshine_text) is not null then seconds end as sunshine_s,
        weather_code,

        case
            when latitude_degrees is null or longitude_degrees is null then 'place_invalid'
            when coalesce(trim(zone_text), '') = '' then 'place_invalid'
            when weather_date is null then 'time_invalid'
            when unread is not null then 'value_invalid'
        end as problem,
        case
            when latitude_degrees is null or longitude_degrees is null
                then shown(concat_ws(',', latitude_text, longitude_text))
            when coalesce(trim(zone_text), '') = '' then 'no time zone'
            when weather_date is null then shown(date_text)
            else unread.name || ' ' || shown(unread.text)
        end as problem_value

    from checked

)

select * from final
