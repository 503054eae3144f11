-- Tracks of CSV files, typed. One row per record; `problem` says why a record is refused, `problem_value` for which value. Kaggle's data
-- set names artists in one text, separated by `;`; `kaggle_tracks` as a Python list, with their ids in another; the others name one.
with

source as (

    select
        files.file_no,
        bronze.source_key,
        bronze.row_number as source_row,
        bronze.shape,
        json_transform(
            try_cast(bronze.record as json),
            '{"track_id": "VARCHAR", "id": "VARCHAR", "track_name": "VARCHAR", "name": "VARCHAR",
              "artists": "VARCHAR", "id_artists": "VARCHAR", "artist_ids": "VARCHAR", "track_artist": "VARCHAR",
              "artist_name": "VARCHAR", "album_name": "VARCHAR", "track_album_name": "VARCHAR", "album": "VARCHAR",
              "track_album_id": "VARCHAR", "album_id": "VARCHAR", "track_album_release_date": "VARCHAR",
              "release_date": "VARCHAR", "year": "VARCHAR", "popularity": "VARCHAR", "track_popularity": "VARCHAR",
              "duration_ms": "VARCHAR", "explicit": "VARCHAR", "danceability": "VARCHAR", "energy": "VARCHAR",
              "key": "VARCHAR", "loudness": "VARCHAR", "mode": "VARCHAR", "speechiness": "VARCHAR",
              "acousticness": "VARCHAR", "instrumentalness": "VARCHAR", "liveness": "VARCHAR", "valence": "VARCHAR",
              "tempo": "VARCHAR", "time_signature": "VARCHAR", "track_genre": "VARCHAR", "playlist_genre": "VARCHAR",
              "genre": "VARCHAR"}'
        ) as record

    from bronze_tracks_csv as bronze
    inner join source_files as files on bronze.source_key = files.source_key

),

named as (

    select
        *,
        nullif(trim(coalesce(record.track_id, record.id)), '') as track_id,
        nullif(trim(coalesce(record.track_name, record.name)), '') as track_name,
        nullif(trim(coalesce(record.album_name, record.track_album_name, record.album)), '') as album_name,
        list_filter(
            list_transform(
                case
                    when shape = 'kaggle' then string_split(record.artists, ';')
                    when shape = 'kaggle_tracks' then python_list(record.artists)
                    else [coalesce(record.track_artist, record.artist_name)]
                end,
                lambda name: nullif(trim(name), '')
            ),
            lambda name: name is not null
        ) as artist_names,
        python_list(coalesce(record.id_artists, record.artist_ids)) as artist_ids

    from source

),

measured as (

    select
        *,
        feature_number(record.danceability) as danceability,
        feature_number(record.energy) as energy,
        pitch_class(record.key) as key,
        feature_number(record.loudness) as loudness_db,
        case lower(trim(record.mode))
            when 'major' then 1
            when 'minor' then 0
            else whole_between(record.mode, 0, 1)
        end as mode,
        feature_number(record.speechiness) as speechiness,
        feature_number(record.acousticness) as acousticness,
        feature_number(record.instrumentalness) as instrumentalness,
        feature_number(record.liveness) as liveness,
        feature_number(record.valence) as valence,
        feature_number(record.tempo) as tempo_bpm,
        -- Some write it as a fraction: 4/4.
        whole_between(regexp_replace(record.time_signature, '/\d+$', ''), 0, 64) as time_signature,
        parse_length(plain_number(record.duration_ms)) as duration_ms,
        whole_between(coalesce(record.popularity, record.track_popularity), 0, 100) as popularity,
        coalesce(parse_flag(record.explicit), whole_between(record.explicit, 0, 1) = 1) as is_explicit

    from named

),

checked as (

    select
        *,
        -- A value that is there and is not understood.
        list_filter(
            [
                {'name': 'danceability', 'text': record.danceability, 'is_read': danceability is not null},
                {'name': 'energy', 'text': record.energy, 'is_read': energy is not null},
                {'name': 'key', 'text': record.key, 'is_read': key is not null},
                {'name': 'loudness', 'text': record.loudness, 'is_read': loudness_db is not null},
                {'name': 'mode', 'text': record.mode, 'is_read': mode is not null},
                {'name': 'speechiness', 'text': record.speechiness, 'is_read': speechiness is not null},
                {'name': 'acousticness', 'text': record.acousticness, 'is_read': acousticness is not null},
                {'name': 'instrumentalness', 'text': record.instrumentalness, 'is_read': instrumentalness is not null},
                {'name': 'liveness', 'text': record.liveness, 'is_read': liveness is not null},
                {'name': 'valence', 'text': record.valence, 'is_read': valence is not null},
                {'name': 'tempo', 'text': record.tempo, 'is_read': tempo_bpm is not null},
                {'name': 'time_signature', 'text': record.time_signature, 'is_read': time_signature is not null},
                {'name': 'duration_ms', 'text': record.duration_ms, 'is_read': duration_ms is not null},
                {
                    'name': 'popularity',
                    'text': coalesce(record.popularity, record.track_popularity),
                    'is_read': popularity is not null
                },
                {'name': 'explicit', 'text': record.explicit, 'is_read': is_explicit is not null}
            ],
            lambda value: not value.is_read and number_or_null(value.text) is not null
        )[1] as unread

    from measured

),

final as (

    select
        file_no,
        source_key,
        source_row,
        shape,
        case when unread is null then track_id end as track_id,
        case
            when track_id is null then 'track_id_missing'
            when unread is not null then 'value_invalid'
        end as problem,
        unread.name || ' ' || shown(unread.text) as problem_value,
        track_name,
        album_name,
        coalesce(
            nullif(trim(coalesce(record.track_album_id, record.album_id)), ''),
            case
                when album_name is not null
                    then name_id(coalesce(artist_names[1], '')) || '|' || normalised(album_name)
            end
        ) as album_id,
        list_transform(
            artist_names,
            lambda name, place: {
                'id': case when len(artist_ids) = len(artist_names) then artist_ids[place] else name_id(name) end,
                'name': name,
                'url': cast(null as varchar)
            }
        ) as artists,
        nullif(trim(coalesce(record.track_album_release_date, record.release_date, record.year)), '') as release_text,
        duration_ms,
        is_explicit,
        popularity,
        lower(nullif(trim(coalesce(record.track_genre, record.playlist_genre, record.genre)), '')) as genre,
        {
            'danceability': danceability,
            'energy': energy,
            'key': nullif(key, -1),
            'loudness_db': loudness_db,
            'mode': mode,
            'speechiness': speechiness,
            'acousticness': acousticness,
            'instrumentalness': instrumentalness,
            'liveness': liveness,
            'valence': valence,
            'tempo_bpm': nullif(tempo_bpm, 0),
            'time_signature': nullif(time_signature, 0)
        } as features

    from checked

)

select * from final
