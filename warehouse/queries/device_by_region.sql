-- What people listen on in each region, the most played device first.
-- share is of the plays of the region (plays_of_region); empty where the source names no country or device.
select
    region,
    device,
    users,
    plays,
    cast(sum(plays) over (partition by region) as bigint) as plays_of_region,
    round(share, 3) as share
from device_by_region
order by region, plays desc, device
