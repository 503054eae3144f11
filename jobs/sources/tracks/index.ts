import type { CsvSource, Source } from '../../bronze/source.ts';

const TABLE = 'tracks_csv';

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
 * Tracks with audio features, as data sets of Kaggle have them.
 *
 * `kaggle`: "Spotify Tracks Dataset" (`dataset.csv`), 20 columns, and an index column before them that is
 * called nothing or `Unnamed: 0`; a track stands once for each of its genres. `tidytuesday`:
 * `spotify_songs.csv`, 23 columns; a track stands once for each playlist it was found in. `kaggle_tracks`:
 * `tracks.csv`, `data.csv`, `tracks_features.csv`, with the artists as a Python list. `kaggle_features`:
 * `SpotifyFeatures.csv` and its relatives, with the key as a note (`C#`), the mode as a word, the time
 * signature as a fraction (`4/4`).
 */
const TRACKS_SHAPES: readonly CsvSource[] = [
  {
    name: 'kaggle',
    what: 'tracks with audio features',
    table: TABLE,
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
    what: 'tracks with audio features',
    table: TABLE,
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
  {
    name: 'kaggle_tracks',
    what: 'tracks with audio features',
    table: TABLE,
    columns: ['id', 'name', 'artists', ...FEATURES],
    optional: [
      ...['popularity', 'duration_ms', 'explicit', 'time_signature', 'year', 'release_date'],
      ...['id_artists', 'artist_ids', 'album', 'album_id'],
    ],
  },
  {
    name: 'kaggle_features',
    what: 'tracks with audio features',
    table: TABLE,
    columns: ['track_id', 'track_name', 'artist_name', ...FEATURES],
    optional: ['genre', 'popularity', 'duration_ms', 'time_signature', 'year'],
  },
];

/** Data sets that describe tracks. */
export const TRACKS: Source = { name: 'tracks', tables: [{ name: TABLE, isOwn: false }], csv: TRACKS_SHAPES };
