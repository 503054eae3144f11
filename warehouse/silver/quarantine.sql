-- silver.quarantine, all partitions: what this run refused, and what was refused before and was not judged again. A row that was there
-- before keeps its date of load.
with

refused as (

    select distinct on (source_key, file_name, row_number, code) *
    from refused_rows
    order by source_key, file_name, row_number, code, reason, sample

),

judged as (

    select
        refused.*,
        coalesce(cast(known_quarantine.loaded_on as varchar), run_dates.loaded_on) as loaded_on

    from refused
    cross join run_dates
    left join known_quarantine
        on refused.source_key = known_quarantine.source_key
        and refused.file_name = known_quarantine.file_name
        and refused.row_number = known_quarantine.row_number
        and refused.code = known_quarantine.code

),

kept as (

    select known_quarantine.*
    from known_quarantine
    anti join judged_files
        on known_quarantine.source_key = judged_files.source_key
        and (known_quarantine.row_number = 0) = judged_files.is_refused

),

final as (

    select source, file_name, source_key, row_number, byte_offset, code, reason, sample, loaded_on from judged
    union all
    select source, file_name, source_key, row_number, byte_offset, code, reason, sample, loaded_on from kept

)

select * from final
