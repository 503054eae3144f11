-- silver.artists: the newest value of each attribute.
select
    artist_id,
    newest(seen_at, source_rank, artist_name) as artist_name,
    array_to_string(newest(seen_at, source_rank, genres), ';') as genres,
    newest(seen_at, source_rank, url) as url,
    newest(seen_at, source_rank, followers) as followers,
    newest(seen_at, source_rank, popularity) as popularity,
    max(seen_at) as last_seen_at,
    case max(source_rank) when 2 then 'api' else 'tracks_csv' end as source
from artist_facts
group by artist_id
