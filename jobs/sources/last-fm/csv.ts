import type { CsvSource } from '../../bronze/source.ts';
import { SCROBBLES } from './rows.ts';

/** `31 Dec 2025 21:38`: what Last.fm's API says beside the seconds, and all that some exporters keep. */
const DATE_TEXT = /^\d{1,2} [A-Z][a-z]{2} \d{4},? \d{2}:\d{2}$/;

/**
 * Scrobbles as exporters write them. "Last.fm export" has the Unix seconds and MusicBrainz ids
 * (https://lastfm.ghan.nl/export/); `lastfm-to-csv` has the minute only, and no header
 * (https://github.com/benfoxall/lastfm-to-csv), which some people add.
 */
export const SCROBBLES_CSV: readonly CsvSource[] = [
  {
    name: 'lastfm',
    what: 'scrobbles of Last.fm',
    table: SCROBBLES.table,
    columns: ['uts', 'artist', 'track'],
    optional: ['utc_time', 'artist_mbid', 'album', 'album_mbid', 'track_mbid'],
    rows: { source: SCROBBLES, keyOf: new Map([['utc_time', 'played_at']]) },
  },
  {
    name: 'lastfm',
    what: 'scrobbles of Last.fm',
    table: SCROBBLES.table,
    columns: ['artist', 'album', 'track', 'date'],
    headless: {
      columns: ['artist', 'album', 'track', 'date'],
      // The track that was playing has no date.
      fits: (records) =>
        records.every(({ length, 3: date }) => length === 4 && (date === '' || DATE_TEXT.test(date!))) &&
        records.some(({ 3: date }) => date !== ''),
    },
    rows: { source: SCROBBLES, keyOf: new Map([['date', 'played_at']]) },
  },
];
