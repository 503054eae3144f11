-- Tracks of CSV files, typed. One row per record. Kaggle names artists in one text, separated by `;`; tidytuesday names one.
with

source as (

    select
        files.file_no,
        bronze.source_key,
        bronze.row_number as source_row,
        bronze.shape,
        json_transform(
            try_cast(bronze.record as json),
            '{"track_id": "VARCHAR", "track_name": "VARCHAR", "artists": "VARCHAR", "track_artist": "VARCHAR",
              "album_name": "VARCHAR", "track_album_name": "VARCHAR", "track_album_id": "VARCHAR",
              "track_album_release_date": "VARCHAR", "popularity": "VARCHAR", "track_popularity": "VARCHAR",
              "duration_ms": "VARCHAR", "explicit": "VARCHAR", "danceability": "VARCHAR", "energy": "VARCHAR",
              "key": "VARCHAR", "loudness": "VARCHAR", "mode": "VARCHAR", "speechiness": "VARCHAR",
              "acousticness": "VARCHAR", "instrumentalness": "VARCHAR", "liveness": "VARCHAR", "valence": "VARCHAR",
              "tempo": "VARCHAR", "time_signature": "VARCHAR", "track_genre": "VARCHAR", "playlist_genre": "VARCHAR"}'
        ) as record

    from bronze_tracks_csv as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

named as (

    select
        *,
        nullif(trim(record.track_name), '') as track_name,
        nullif(trim(coalesce(record.album_name, record.track_album_name)), '') as album_name,
        list_filter(
            list_transform(
                case when shape = 'kaggle' then string_split(record.artists, ';') else [record.track_artist] end,
                lambda name: nullif(trim(name), '')
            ),
            lambda name: name is not null
        ) as artist_names

    from source

),

final as (

    select
        file_no,
        source_key,
        source_row,
        shape,
        nullif(trim(record.track_id), '') as track_id,
        case when nullif(trim(record.track_id), '') is null then 'track_id_missing' end as problem,
        track_name,
        album_name,
        coalesce(
            nullif(trim(record.track_album_id), ''),
            case
                when album_name is not null
                    then name_id(coalesce(artist_names[1], '')) || '|' || normalised(album_name)
            end
        ) as album_id,
        list_transform(
            artist_names, lambda name: {'id': name_id(name), 'name': name, 'url': cast(null as varchar)}
        ) as artists,
        nullif(trim(record.track_album_release_date), '') as release_text,
        parse_length(record.duration_ms) as duration_ms,
        parse_flag(record.explicit) as is_explicit,
        case
            when parse_whole(coalesce(record.popularity, record.track_popularity)) between 0 and 100
                then try_cast(parse_whole(coalesce(record.popularity, record.track_popularity)) as integer)
        end as popularity,
        lower(nullif(trim(coalesce(record.track_genre, record.playlist_genre)), '')) as genre,
        {
            'danceability': parse_feature(record.danceability),
            'energy': parse_feature(record.energy),
            'key': case when parse_whole(record.key) between 0 and 11 then try_cast(parse_whole(record.key) as integer) end,
            'loudness_db': parse_feature(record.loudness),
            'mode': case when parse_whole(record.mode) between 0 and 1 then try_cast(parse_whole(record.mode) as integer) end,
            'speechiness': parse_feature(record.speechiness),
            'acousticness': parse_feature(record.acousticness),
            'instrumentalness': parse_feature(record.instrumentalness),
            'liveness': parse_feature(record.liveness),
            'valence': parse_feature(record.valence),
            'tempo_bpm': nullif(parse_feature(record.tempo), 0),
            'time_signature': case
                when parse_whole(record.time_signature) between 1 and 64 then try_cast(parse_whole(record.time_signature) as integer)
            end
        } as features

    from named

)

select * from final
