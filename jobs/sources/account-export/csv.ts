import type { RowSource } from '../../bronze/rows.ts';
import type { CsvShape } from '../../formats/csv.ts';
import { LISTENING_EVENTS } from '../events/index.ts';
import { ACCOUNT_EXPORT, EXTENDED_EXPORT } from './index.ts';

/** Columns that rows of the extended history may have under their own names. */
const EXTENDED_COLUMNS = [
  ...['platform', 'conn_country', 'reason_start', 'reason_end', 'shuffle', 'skipped', 'offline', 'offline_timestamp'],
  ...['incognito_mode', 'username', 'episode_name', 'episode_show_name', 'spotify_episode_uri', 'spotify_track_uri'],
];
/** Columns of events besides; names of people are dropped as everywhere. */
const EVENT_COLUMNS = ['country', 'username'];
/** What events are called in CSV files, and in the contract. */
const EVENT_KEYS = [
  ['ms_played', 'played_ms'],
  ['skipped', 'is_skipped'],
  ['song_name', 'track_name'],
] as const;
const TIME_COLUMNS = ['listen_time', 'timestamp', 'played_at', 'listened_at'];

/**
 * Events without an id of their own are known by who listened to what when: rows that are equal in that are one event. The id holds the
 * pseudonym, so that nobody finds an address by trying.
 */
const NAMELESS_EVENTS: RowSource = {
  ...LISTENING_EVENTS,
  required: ['user_id', 'track_id', 'occurred_at'],
  derived: {
    action: () => `'play'`,
    source: () => `'csv'`,
    event_id: (pseudonyms) =>
      `'csv-' || substr(sha256(concat_ws('|', ${pseudonyms.id('user_id')}, track_id, occurred_at)), 1, 32)`,
  },
};

/**
 * Listening as CSV. `spotify_history.csv` (Kaggle) is an extended history with short names, whose URI is only the id; an export that somebody
 * saved as CSV has the export's own names. Files with a user, a track and a time in each row are events of many users.
 */
export const PLAYS_SHAPES: readonly CsvShape[] = [
  {
    name: 'spotify_history',
    what: 'an extended streaming history',
    table: 'export_extended',
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
    table: 'export_extended',
    columns: ['ts', 'ms_played', 'master_metadata_track_name', 'master_metadata_album_artist_name'],
    optional: EXTENDED_COLUMNS,
    rows: { source: EXTENDED_EXPORT, keyOf: new Map() },
  },
  {
    name: 'export_account',
    what: 'a streaming history of account data',
    table: 'export_account',
    columns: ['endTime', 'artistName', 'trackName', 'msPlayed'],
    rows: { source: ACCOUNT_EXPORT, keyOf: new Map() },
  },
  {
    name: 'listening_events',
    what: 'listening events',
    table: 'listening_events',
    columns: ['event_id', 'user_id', 'action', 'occurred_at'],
    optional: [...EVENT_COLUMNS, 'session_id'],
    rows: { source: LISTENING_EVENTS, keyOf: new Map() },
  },
  ...TIME_COLUMNS.map(
    (time): CsvShape => ({
      name: 'listening_events',
      what: 'listening events',
      table: 'listening_events',
      columns: ['user_id', 'track_id', time],
      optional: EVENT_COLUMNS,
      rows: { source: NAMELESS_EVENTS, keyOf: new Map([...EVENT_KEYS, [time, 'occurred_at']]) },
    }),
  ),
  {
    name: 'lastfm',
    what: 'scrobbles of Last.fm',
    table: 'export_account',
    columns: ['uts', 'artist', 'track'],
    optional: ['utc_time'],
    remedy: 'they name neither a Spotify track nor how long it was heard: load the export of Spotify itself',
  },
];
