-- Records of tracks files that no table takes. One row per record.
select
    source_files.kind as source,
    source_files.file_name,
    csv_tracks.source_key,
    csv_tracks.source_row as row_number,
    cast(null as bigint) as byte_offset,
    csv_tracks.problem as code,
    case csv_tracks.problem
        when 'track_id_missing' then 'no track_id'
        else 'not understood: ' || csv_tracks.problem_value
    end as reason,
    left(to_json({'track': csv_tracks.track_name, 'album': csv_tracks.album_name}), 500) as sample
from csv_tracks
inner join source_files on csv_tracks.file_no = source_files.file_no
where csv_tracks.problem is not null and source_files.is_judged
