-- silver.export_files
select * from known_export_files
union all by name
select * from export_file_rows
