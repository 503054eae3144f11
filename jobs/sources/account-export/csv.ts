import type { CsvSource } from '../../bronze/source.ts';
import { ACCOUNT_EXPORT, EXTENDED_EXPORT } from './rows.ts';

/** Columns that rows of the extended history may have under their own names. */
const EXTENDED_COLUMNS = [
  ...['platform', 'conn_country', 'reason_start', 'reason_end', 'shuffle', 'skipped', 'offline', 'offline_timestamp'],
  ...['incognito_mode', 'username', 'episode_name', 'episode_show_name', 'spotify_episode_uri', 'spotify_track_uri'],
];

/**
 * Listening as CSV. `spotify_history.csv` (Kaggle) is an extended history with short names, whose URI is only
 * the id; an export that somebody saved as CSV has the export's own names.
 */
export const EXPORT_CSV: readonly CsvSource[] = [
  {
    name: 'spotify_history',
    what: 'an extended streaming history',
    table: EXTENDED_EXPORT.table,
    columns: ['spotify_track_uri', 'ts', 'ms_played', 'track_name', 'artist_name'],
    optional: [...EXTENDED_COLUMNS, 'album_name'],
    rows: {
      source: EXTENDED_EXPORT,
      keyOf: new Map([
        ['track_name', 'master_metadata_track_name'],
        ['artist_name', 'master_metadata_album_artist_name'],
        ['album_name', 'master_metadata_album_album_name'],
      ]),
      cellOf: (key, text) =>
        key === 'spotify_track_uri' && /^[0-9A-Za-z]{22}$/.test(text) ? `spotify:track:${text}` : text,
    },
  },
  {
    name: 'export_extended',
    what: 'an extended streaming history',
    table: EXTENDED_EXPORT.table,
    columns: ['ts', 'ms_played', 'master_metadata_track_name', 'master_metadata_album_artist_name'],
    optional: EXTENDED_COLUMNS,
    rows: { source: EXTENDED_EXPORT, keyOf: new Map() },
  },
  {
    name: 'export_account',
    what: 'a streaming history of account data',
    table: ACCOUNT_EXPORT.table,
    columns: ['endTime', 'artistName', 'trackName', 'msPlayed'],
    rows: { source: ACCOUNT_EXPORT, keyOf: new Map() },
  },
];
