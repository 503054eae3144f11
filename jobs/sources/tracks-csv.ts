import type { CsvShape } from './csv.ts';

const FEATURES = [
  'danceability',
  'energy',
  'key',
  'loudness',
  'mode',
  'speechiness',
  'acousticness',
  'instrumentalness',
  'liveness',
  'valence',
  'tempo',
];

/**
 * Tracks with audio features.
 *
 * `kaggle`: "Spotify Tracks Dataset", 20 columns, and an index column before them that is called nothing or `Unnamed: 0`; a track stands once
 * for each of its genres. `tidytuesday`: "Spotify songs", 23 columns; a track stands once for each playlist it was found in.
 */
export const TRACKS_SHAPES: readonly CsvShape[] = [
  {
    name: 'kaggle',
    table: 'tracks_csv',
    columns: [
      'track_id',
      'artists',
      'album_name',
      'track_name',
      'popularity',
      'duration_ms',
      'explicit',
      ...FEATURES,
      'time_signature',
      'track_genre',
    ],
  },
  {
    name: 'tidytuesday',
    table: 'tracks_csv',
    columns: [
      ...[
        'track_id',
        'track_name',
        'track_artist',
        'track_popularity',
        'track_album_id',
        'track_album_name',
        'track_album_release_date',
      ],
      ...['playlist_name', 'playlist_id', 'playlist_genre', 'playlist_subgenre', ...FEATURES, 'duration_ms'],
    ],
  },
];
