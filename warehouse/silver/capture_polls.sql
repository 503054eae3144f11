-- silver.capture_polls
select * from poll_rows
