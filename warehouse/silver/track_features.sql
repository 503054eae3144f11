-- silver.track_features: all features of a track from one record (Kaggle's data set before all others, then the first by file hash and row), never
-- mixed; popularity is the highest that any record gives.
with

chosen as (

    select
        track_id,
        arg_min(features, {'is_other': shape <> 'kaggle', 'file_no': file_no, 'source_row': source_row}) as features,
        max(popularity) as popularity,
        count(distinct features) > 1 as has_conflict

    from csv_tracks
    where track_id is not null
    group by track_id

),

final as (

    select
        track_id,
        features.danceability,
        features.energy,
        features.key,
        features.loudness_db,
        features.mode,
        features.speechiness,
        features.acousticness,
        features.instrumentalness,
        features.liveness,
        features.valence,
        features.tempo_bpm,
        features.time_signature,
        popularity,
        has_conflict

    from chosen

)

select * from final
