-- How many rows of each judged file of events are refused. One row per file that has any.
select
    event_rows.file_no,
    count(*) as refused_rows
from event_rows
inner join source_files on event_rows.file_no = source_files.file_no
where event_rows.problem is not null and source_files.is_judged
group by event_rows.file_no
