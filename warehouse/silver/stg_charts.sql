-- Chart rows of all shapes, typed. One row per bronze row; `problem` says why a row is refused, `problem_value` for which value.
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
        try_cast(bronze.record as json) as record

    from bronze_charts_csv as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

texts as (

    select
        *,
        case shape
            when 'charts_daily' then record ->> '$.Position'
            when 'charts_weekly' then record ->> '$.rank'
            when 'charts_top50_daily' then record ->> '$.Position'
            when 'top10s' then cast(row_number() over (partition by file_no, shape, record ->> '$.year' order by source_row) as varchar)
            else cast(source_row as varchar)
        end as rank_text,
        case shape
            when 'charts_daily' then record ->> '$."Track Name"'
            when 'charts_top50_daily' then record ->> '$.Song'
            when 'top50_2019' then coalesce(record ->> '$.TrackName', record ->> '$."Track.Name"')
            when 'top10s' then record ->> '$.title'
            else record ->> '$.track_name'
        end as track_text,
        case shape
            when 'charts_daily' then record ->> '$.Artist'
            when 'charts_weekly' then record ->> '$.artist_names'
            when 'charts_top50_daily' then record ->> '$.Artist'
            when 'top50_2019' then coalesce(record ->> '$.ArtistName', record ->> '$."Artist.Name"')
            when 'top10s' then record ->> '$.artist'
            else record ->> '$."artist(s)_name"'
        end as artist_text,
        case shape
            when 'charts_daily' then record ->> '$.Streams'
            else record ->> '$.streams'
        end as streams_text,
        case shape
            when 'charts_top50_daily' then record ->> '$.Popularity'
            when 'top50_2019' then record ->> '$.Popularity'
            when 'top10s' then record ->> '$.pop'
        end as popularity_text,
        case shape
            when 'charts_top50_daily' then record ->> '$.Duration_MS'
            when 'top50_2019' then text_or_null(coalesce(record ->> '$.Length', record ->> '$."Length."')) || '000'
            when 'top10s' then text_or_null(record ->> '$.dur') || '000'
        end as duration_text,
        case shape
            when 'charts_top50_daily' then record ->> '$.Release_Date'
            when 'spotify_2023' then printf(
                '%04d-%02d-%02d',
                coalesce(parse_whole(record ->> '$.released_year'), 0),
                coalesce(parse_whole(record ->> '$.released_month'), 0),
                coalesce(parse_whole(record ->> '$.released_day'), 0)
            )
        end as release_text,
        case shape
            when 'top50_2019' then record ->> '$.Genre'
            when 'top10s' then record ->> '$."top genre"'
        end as genre_text,
        case shape
            when 'charts_top50_daily' then record ->> '$.Date'
            when 'top10s' then (record ->> '$.year') || '-01-01'
            else period_start
        end as start_text,
        coalesce(record ->> '$.uri', record ->> '$.URL') as link

    from source

),

typed as (

    select
        *,
        parse_date(start_text) as starts_on,
        parse_chart_number(rank_text, most_items()) as rank_number,
        parse_chart_number(streams_text, most_streams()) as streams_number,
        parse_chart_number(popularity_text, most_items()) as popularity_number,
        parse_chart_number(duration_text, most_length_ms()) as duration_number

    from texts

),

final as (

    select
        file_no,
        source_key,
        source_row,

        case
            when shape = 'spotify_2023' then 'most_streamed_2023'
            when shape = 'top10s' then 'top_songs_by_year'
            else chart
        end as chart,
        region,
        starts_on as period_start,
        case
            when shape = 'charts_top50_daily' then cast(starts_on + interval 1 day as date)
            when shape = 'top10s' then cast(starts_on + interval 1 year as date)
            else parse_date(period_end)
        end as period_end,
        try_cast(rank_number as integer) as rank,

        nullif(regexp_extract(link, 'track[:/]([0-9A-Za-z]{22})', 1), '') as track_id,
        text_or_null(track_text) as track_name,
        text_or_null(artist_text) as artist_name,
        streams_number as streams,
        case
            when parse_chart_number(record ->> '$.previous_rank', most_items()) > 0
                then try_cast(parse_chart_number(record ->> '$.previous_rank', most_items()) as integer)
        end as previous_rank,
        try_cast(popularity_number as integer) as popularity,
        duration_number as duration_ms,
        parse_date(release_text) as release_date,
        text_or_null(genre_text) as genre,

        case
            when starts_on is null or not is_possible(starts_on) then 'time_invalid'
            when coalesce(rank_number, 0) not between 1 and 1000000 then 'rank_invalid'
            when text_or_null(track_text) is null then 'track_name_missing'
            when streams_number is null and text_or_null(streams_text) is not null then 'streams_invalid'
            when popularity_number is null and text_or_null(popularity_text) is not null then 'popularity_invalid'
            when duration_number is null and text_or_null(duration_text) is not null then 'duration_invalid'
        end as problem,
        case
            when starts_on is null or not is_possible(starts_on) then start_text
            when coalesce(rank_number, 0) not between 1 and 1000000 then rank_text
            when text_or_null(track_text) is null then track_text
            when streams_number is null and text_or_null(streams_text) is not null then streams_text
            when popularity_number is null and text_or_null(popularity_text) is not null then popularity_text
            else duration_text
        end as problem_value

    from typed

)

select * from final
