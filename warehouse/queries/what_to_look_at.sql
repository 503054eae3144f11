-- What is odd about the data and what to do about it: warnings of sums, sources and keys first, then what is well.
select
    status,
    check_name,
    subject,
    observed,
    expected,
    unit,
    message,
    remedy
from data_quality
order by
    case status when 'warning' then 1 else 2 end,
    check_name,
    subject
