-- silver.loaded_files, from `file_entries` (one row per file of the index of bronze; its lists of keys are null where they are not known).
--
-- Files are compared in the order of their loads and not of their content: an export tells all years anew, so that a key that Spotify
-- has added is in files of every year.
with

files as (

    select
        *,
        -- Files of one series: Streaming_History_Audio_2023-2024_5.json and Streaming_History_Audio_2024_6.json.
        kind || ' ' || regexp_replace(lower(file_name), '[^a-z]+', ' ', 'g') as series

    from file_entries

),

-- A key that is new is so in all files of its first load.
unknown_keys as (

    select kind, key, min(sequence) as first_sequence
    from (select kind, sequence, unnest(keys_unknown) as key from files)
    group by kind, key

),

new_keys as (

    select files.entry_no, string_agg(unknown_keys.key, ', ' order by unknown_keys.key) as keys
    from files
    inner join unknown_keys
        on files.kind = unknown_keys.kind
        and files.sequence = unknown_keys.first_sequence
        and list_contains(files.keys_unknown, unknown_keys.key)
    group by files.entry_no

),

-- What was not in every row of a load of a series, and which load of the series it is.
loads as (

    select
        series,
        sequence,
        sum(rows_read) as rows_read,
        flatten(list(list_concat(keys_absent, keys_partial))) as keys_not_always,
        row_number() over (partition by series order by sequence) as load_no

    from files
    where keys_absent is not null
    group by series, sequence

),

absent_keys as (

    select files.entry_no, files.series, loads.load_no, unnest(files.keys_absent) as key
    from files
    inner join loads on files.series = loads.series and files.sequence = loads.sequence

),

-- A few rows may have all of a key that is in some rows only.
missing as (

    select absent_keys.entry_no, absent_keys.key
    from absent_keys
    inner join loads
        on absent_keys.series = loads.series
        and loads.load_no between absent_keys.load_no - 3 and absent_keys.load_no - 1
    group by absent_keys.entry_no, absent_keys.key
    having sum(loads.rows_read) >= 100 and not bool_or(list_contains(loads.keys_not_always, absent_keys.key))

),

missing_keys as (

    select entry_no, string_agg(key, ', ' order by key) as keys
    from missing
    group by entry_no

),

final as (

    select
        files.source_key,
        files.file_name,
        files.kind,
        files.table_name,
        files.user_id,
        files.table_name = 'refused' as is_refused,
        files.loaded_on,
        files.rows_read,
        files.keys_unknown is not null as has_keys,
        new_keys.keys as new_keys,
        missing_keys.keys as missing_keys

    from files
    left join new_keys on files.entry_no = new_keys.entry_no
    left join missing_keys on files.entry_no = missing_keys.entry_no

)

select * from final
