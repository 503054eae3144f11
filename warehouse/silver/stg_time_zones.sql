-- Tables of time zones, typed. One row per bronze row; `problem` says why a row is refused, `problem_value` for which value. A person's
-- newest file is current: it takes the place of all before. Of several that were loaded at once it is the last by its name.
with

ranked_files as (

    select
        *,
        row_number() over (partition by user_id order by sequence desc, file_name desc, file_no) = 1 as is_current

    from source_files

),

typed as (

    select
        files.file_no,
        bronze.source_key,
        bronze.row_number as source_row,
        files.user_id,
        files.is_new,
        files.is_current,
        bronze.valid_from as from_text,
        bronze.valid_to as to_text,
        bronze.time_zone as zone_text,
        parse_date(bronze.valid_from) as valid_from,
        parse_date(bronze.valid_to) as valid_to,
        zone_name(bronze.time_zone) as time_zone

    from bronze_time_zones_csv as bronze
    inner join ranked_files as files on bronze.source_key = files.source_key

),

final as (

    select
        * exclude (from_text, to_text, zone_text),
        -- `load` has checked all of it. A zone that is newer than the engine would stop every model that asks for it.
        case
            when valid_from is null or (valid_to is null and to_text is not null) then 'time_invalid'
            when valid_to <= valid_from then 'time_invalid'
            when time_zone is null or time_zone not in (select name from pg_timezone_names()) then 'time_zone_unknown'
        end as problem,
        case
            when valid_from is null or (valid_to is null and to_text is not null) or valid_to <= valid_from
                then concat_ws(' to ', from_text, to_text)
            else zone_text
        end as problem_value

    from typed

)

select * from final
