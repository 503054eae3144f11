-- Chart rows of all shapes, typed. One row per bronze row; `problem` says why a row is refused, `problem_value` for which value.
-- No two shapes give a column of one name two meanings, so a value is what any of its names holds.
with

source as (

    select
        files.file_no,
        bronze.source_key,
        bronze.row_number as source_row,
        bronze.shape,
        bronze.chart,
        bronze.region,
        bronze.period_start,
        bronze.period_end,
        -- Not a struct: its fields would not tell `Artist` and `artist` apart.
        try_cast(try_cast(bronze.record as json) as map(varchar, varchar)) as record

    from bronze_charts_csv as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

-- Only for the short lists whose rank is the place in the file: a window over all charts would hold them all.
places as (

    select
        file_no,
        source_row,
        row_number() over (
            partition by file_no, case shape when 'top10s' then record['year'] else record['country'] end
            order by source_row
        ) as place,
        -- The hyphens between the parts are of many kinds.
        max(regexp_replace(regexp_extract(trim(record['added']), '^\d{4}\D{1,3}\d{2}\D{1,3}\d{2}'), '\D+', '-', 'g'))
            over (partition by file_no) as newest_day

    from source
    where shape in ('top10s', 'top50_by_country')

),

texts as (

    select
        source.*,
        case
            when shape in ('top10s', 'top50_by_country') then cast(places.place as varchar)
            when shape in ('spotify_2023', 'top50_2019') then cast(source.source_row as varchar)
            else coalesce(record['Position'], record['rank'], record['daily_rank'], record['All Time Rank'])
        end as rank_text,
        case shape
            when 'charts_by_region' then case trim(record['chart'])
                when 'top200' then 'top200_daily'
                when 'viral50' then 'viral50_daily'
            end
            when 'spotify_2023' then 'most_streamed_2023'
            when 'top10s' then 'top_songs_by_year'
            else chart
        end as chart_name,
        case
            when shape in ('charts_by_region', 'charts_daily_regions', 'charts_top50_countries', 'top50_by_country')
                then lower(trim(coalesce(record['region'], record['Region'], record['country'])))
            else region
        end as place_text,
        coalesce(
            record['track_name'], record['Track Name'], record['Song'], record['TrackName'], record['Track.Name'],
            record['title'], record['name'], record['Track']
        ) as track_text,
        coalesce(
            record['artist_names'], record['artist_name'], record['Artist'], record['ArtistName'], record['Artist.Name'],
            record['artist'], record['artists'], record['artist(s)_name']
        ) as artist_text,
        coalesce(record['streams'], record['Streams'], record['Spotify Streams']) as streams_text,
        coalesce(record['Popularity'], record['popularity'], record['pop']) as popularity_text,
        coalesce(
            record['Duration_MS'],
            record['duration_ms'],
            text_or_null(coalesce(record['Length'], record['Length.'], record['dur'])) || '000'
        ) as duration_text,
        case shape
            when 'spotify_2023' then printf(
                '%04d-%02d-%02d',
                coalesce(parse_whole(record['released_year']), 0),
                coalesce(parse_whole(record['released_month']), 0),
                coalesce(parse_whole(record['released_day']), 0)
            )
            else coalesce(record['Release_Date'], record['album_release_date'])
        end as release_text,
        coalesce(record['Genre'], record['top genre']) as genre_text,
        case shape
            when 'top50_by_country' then coalesce(period_start, places.newest_day)
            when 'top10s' then record['year'] || '-01-01'
            else coalesce(period_start, left(coalesce(record['Date'], record['date'], record['snapshot_date']), 10))
        end as start_text,
        coalesce(record['uri'], record['URL'], record['url'], 'track:' || record['spotify_id']) as link

    from source
    left join places on source.file_no = places.file_no and source.source_row = places.source_row

),

typed as (

    select
        texts.*,
        case
            when texts.place_text in ('', 'global') then 'global'
            when texts.place_text like 'city:%' then texts.place_text
            else coalesce(
                region_names.code,
                case when regexp_full_match(texts.place_text, '[a-z]{2}') then texts.place_text end
            )
        end as place,
        parse_date(texts.start_text) as starts_on,
        parse_chart_number(texts.rank_text, most_items()) as rank_number,
        parse_chart_number(texts.streams_text, most_streams()) as streams_number,
        parse_chart_number(texts.popularity_text, most_items()) as popularity_number,
        parse_chart_number(texts.duration_text, most_length_ms()) as duration_number,
        nullif(regexp_extract(texts.link, 'track[:/]([0-9A-Za-z]{22})', 1), '') as track_id,
        case when trim(texts.track_text) <> '' then texts.track_text end as track_name,
        case when trim(texts.artist_text) <> '' then texts.artist_text end as artist_name

    from texts
    left join region_names on texts.place_text = region_names.name

),

final as (

    select
        file_no,
        source_key,
        source_row,

        chart_name as chart,
        place as region,
        starts_on as period_start,
        case
            when period_end is not null then parse_date(period_end)
            when shape = 'top10s' then cast(starts_on + interval 1 year as date)
            else cast(starts_on + interval 1 day as date)
        end as period_end,
        try_cast(rank_number as integer) as rank,

        track_id,
        track_name,
        artist_name,
        streams_number as streams,
        case
            when parse_chart_number(record['previous_rank'], most_items()) > 0
                then try_cast(parse_chart_number(record['previous_rank'], most_items()) as integer)
        end as previous_rank,
        try_cast(popularity_number as integer) as popularity,
        duration_number as duration_ms,
        coalesce(
            parse_date(release_text),
            parse_date(left(cast(try_strptime(record['Release Date'], '%m/%d/%Y') as varchar), 10))
        ) as release_date,
        text_or_null(genre_text) as genre,
        -- What has the rank: the same in every file that names it.
        coalesce(
            track_id,
            concat_ws('|', normalised(coalesce(track_name, '')), normalised(coalesce(artist_name, '')))
        ) as entry,

        case
            when starts_on is null or not is_possible(starts_on) then 'time_invalid'
            when chart_name is null then 'chart_unknown'
            when place is null then 'region_unknown'
            when coalesce(rank_number, 0) not between 1 and 1000000 then 'rank_invalid'
            when shape = 'charts_artists' and artist_name is null then 'artist_name_missing'
            when shape <> 'charts_artists' and track_name is null then 'track_name_missing'
            when streams_number is null and text_or_null(streams_text) is not null then 'streams_invalid'
            when popularity_number is null and text_or_null(popularity_text) is not null then 'popularity_invalid'
            when duration_number is null and text_or_null(duration_text) is not null then 'duration_invalid'
        end as problem,
        case
            when starts_on is null or not is_possible(starts_on) then start_text
            when chart_name is null then record['chart']
            when place is null then place_text
            when coalesce(rank_number, 0) not between 1 and 1000000 then rank_text
            when shape = 'charts_artists' and artist_name is null then artist_text
            when shape <> 'charts_artists' and track_name is null then track_text
            when streams_number is null and text_or_null(streams_text) is not null then streams_text
            when popularity_number is null and text_or_null(popularity_text) is not null then popularity_text
            else duration_text
        end as problem_value

    from typed

)

select * from final
