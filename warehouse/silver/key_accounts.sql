-- Accounts of the files that are new in this run, from `placed_rows` (one row per row of old and new files, with the key of the table
-- it feeds; null where the table has no such row). One row per file: rows that are the first of a key nobody had before, and others.
with

keys as (

    select
        placed_rows.key,
        bool_or(not source_files.is_new) as is_known,
        arg_min(
            {'file_no': placed_rows.file_no, 'source_row': placed_rows.source_row},
            {'sequence': source_files.sequence, 'file_no': placed_rows.file_no, 'source_row': placed_rows.source_row}
        ) as first_row

    from placed_rows
    inner join source_files on placed_rows.file_no = source_files.file_no
    where placed_rows.key is not null
    group by placed_rows.key

),

placed as (

    select
        source_files.source_key,
        placed_rows.part,
        coalesce(
            not keys.is_known
            and known_keys.key is null
            and keys.first_row.file_no = placed_rows.file_no
            and keys.first_row.source_row = placed_rows.source_row,
            false
        ) as is_first

    from placed_rows
    inner join source_files on placed_rows.file_no = source_files.file_no
    left join keys on placed_rows.key = keys.key
    left join known_keys on placed_rows.key = known_keys.key
    where source_files.is_new

),

final as (

    select
        source_key,
        cast(part as bigint) as part,
        count_if(is_first) as new_rows,
        count_if(not is_first) as duplicate_rows

    from placed
    group by all

)

select * from final
