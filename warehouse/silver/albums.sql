-- silver.albums: the newest value of each attribute; a date and its precision come from the same text, the most exact of the newest.
with

dated as (

    select
        *,
        case
            when parse_release_date(release_text) is not null
                then {'date': parse_release_date(release_text), 'precision': release_precision_of(release_text)}
        end as release

    from album_facts

),

final as (

    select
        album_id,
        newest(seen_at, source_rank, album_name) as album_name,
        newest(seen_at, source_rank, album_type) as album_type,
        newest(seen_at, source_rank, primary_artist_id) as primary_artist_id,
        newest(seen_at, source_rank, release).date as release_date,
        newest(seen_at, source_rank, release).precision as release_precision,
        newest(seen_at, source_rank, total_tracks) as total_tracks,
        newest(seen_at, source_rank, url) as url,
        max(seen_at) as last_seen_at,
        case max(source_rank) when 2 then 'api' else 'tracks_csv' end as source

    from dated
    group by album_id

)

select * from final
