import { instantSql } from '../../bronze/periods.ts';
import type { CsvSource, RowSource, Source } from '../../bronze/source.ts';
import { sinkFiles } from './sink.ts';

/**
 * Events of many users, one JSON object a line (or one array of them): the generator's files, and what other
 * systems write in the same shape.
 */
export const LISTENING_EVENTS: RowSource = {
  table: 'listening_events',
  kind: 'listening_events',
  name: /^events?[-_.]/i,
  required: ['event_id', 'user_id', 'action', 'occurred_at'],
  typical: ['event_id', 'occurred_at', 'session_id'],
  isList: false,
  keyOf: (column) => column,
  daysSql: `select ${instantSql('occurred_at')} as moment`,
  people: ['user_id'],
  period: 'day',
};

/**
 * Events without an id of their own are known by who listened to what and when: rows that are equal in that
 * are one event. The id is made of the pseudonym, so that nobody finds an address by trying.
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

/** Columns of events besides; names of people are dropped as everywhere. */
const EVENT_COLUMNS = ['country', 'username'];
/** What events are called in CSV files, and in the contract. */
const EVENT_KEYS = [
  ['ms_played', 'played_ms'],
  ['skipped', 'is_skipped'],
  ['song_name', 'track_name'],
] as const;
const TIME_COLUMNS = ['listen_time', 'timestamp', 'played_at', 'listened_at'];

/** Events as CSV: files with a user, a track and a time in each row. */
const CSV: readonly CsvSource[] = [
  {
    name: 'listening_events',
    what: 'listening events',
    table: LISTENING_EVENTS.table,
    columns: ['event_id', 'user_id', 'action', 'occurred_at'],
    optional: [...EVENT_COLUMNS, 'session_id'],
    rows: { source: LISTENING_EVENTS, keyOf: new Map() },
  },
  ...TIME_COLUMNS.map(
    (time): CsvSource => ({
      name: 'listening_events',
      what: 'listening events',
      table: LISTENING_EVENTS.table,
      columns: ['user_id', 'track_id', time],
      optional: EVENT_COLUMNS,
      rows: { source: NAMELESS_EVENTS, keyOf: new Map([...EVENT_KEYS, [time, 'occurred_at']]) },
    }),
  ),
];

/** Event streams of services that many people use. */
export const EVENTS: Source = {
  name: 'events',
  tables: [{ name: LISTENING_EVENTS.table, isOwn: false, userColumn: 'user_id' }],
  rows: [LISTENING_EVENTS],
  csv: CSV,
  documents: sinkFiles(LISTENING_EVENTS),
};
