import { JobError } from '../errors.ts';
import type { ChartPlace, CsvShape } from './csv.ts';

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/**
 * Charts. `charts_daily` and `charts_weekly` are downloads of Spotify's chart pages, whose date and region stand only in the file name:
 * `regional-<region>-daily-<date>.csv`, `regional-<region>-weekly-<last day>.csv` (a chart week is Friday to Thursday, named by its
 * Thursday) and the older `regional-<region>-weekly-<first day>--<day after the last>.csv`. `charts_top50_daily` has the date in each record. The others
 * are lists of a whole year; their rank is the record's number.
 */
export const CHARTS_SHAPES: readonly CsvShape[] = [
  {
    name: 'charts_daily',
    table: 'charts_csv',
    columns: ['Position', 'Track Name', 'Artist', 'Streams', 'URL'],
    place: placeOfRegional,
  },
  {
    name: 'charts_weekly',
    table: 'charts_csv',
    columns: ['rank', 'uri', 'artist_names', 'track_name', 'peak_rank', 'previous_rank', 'weeks_on_chart', 'streams'],
    place: placeOfRegional,
  },
  {
    name: 'charts_top50_daily',
    table: 'charts_csv',
    columns: ['Date', 'Position', 'Song', 'Artist', 'Popularity'],
    place: () => ({ chart: 'top50_daily', region: 'global', periodStart: null, periodEnd: null }),
    periodOf: (record) => (DATE.test(record.Date ?? '') ? record.Date!.slice(0, 7) : undefined),
  },
  {
    name: 'spotify_2023',
    table: 'charts_csv',
    columns: ['track_name', 'artist(s)_name', 'released_year', 'in_spotify_playlists', 'streams'],
    place: () => ({ chart: 'spotify_2023', region: 'global', periodStart: '2023-01-01', periodEnd: '2024-01-01' }),
  },
  {
    name: 'top50_2019',
    table: 'charts_csv',
    columns: ['TrackName', 'ArtistName', 'Genre', 'BeatsPerMinute', 'Popularity'],
    place: () => ({ chart: 'top50_2019', region: 'global', periodStart: '2019-01-01', periodEnd: '2020-01-01' }),
  },
  // The public file of 2019 has dots and its own order: Track.Name, Artist.Name, ...
  {
    name: 'top50_2019',
    table: 'charts_csv',
    columns: ['Track.Name', 'Artist.Name', 'Genre', 'Beats.Per.Minute', 'Popularity'],
    place: () => ({ chart: 'top50_2019', region: 'global', periodStart: '2019-01-01', periodEnd: '2020-01-01' }),
  },
  {
    name: 'top10s',
    table: 'charts_csv',
    columns: ['title', 'artist', 'top genre', 'year', 'bpm', 'pop'],
    place: () => ({ chart: 'top10s', region: 'global', periodStart: null, periodEnd: null }),
    periodOf: (record) => (/^\d{4}$/.test(record.year ?? '') ? `${record.year}-01` : undefined),
  },
];

/** True where each record of the kind says its date (or does not); elsewhere the file's name, or the kind itself, says it for all of them. */
export function isDatedByRecord(kind: string): boolean {
  return CHARTS_SHAPES.some((shape) => shape.name === kind && shape.periodOf !== undefined);
}

function placeOfRegional(fileName: string): ChartPlace {
  const name = fileName.slice(fileName.lastIndexOf('/') + 1);
  const found = /([a-z]{2,6})-(daily|weekly)-(\d{4}-\d{2}-\d{2})(?:--(\d{4}-\d{2}-\d{2}))?/.exec(name);
  const first = found === null ? undefined : dayOf(found[3]!);
  const last = found?.[4] === undefined ? undefined : dayOf(found[4]);
  if (found === null || first === undefined || (found[4] !== undefined && (last === undefined || last <= first))) {
    throw new JobError(
      'chart_date_missing',
      'data',
      'the date and region of this chart stand only in its file name, and this name has none',
      {
        hint: 'name it as it was downloaded, like regional-global-daily-2020-01-01.csv',
      },
    );
  }
  const [start, end] =
    found[2] === 'daily' ? [first, first + 1] : last === undefined ? [first - 6, first + 1] : [first, last];
  return { chart: `top200_${found[2]}`, region: found[1]!, periodStart: dateOf(start), periodEnd: dateOf(end) };
}

/** Days since 1970 of a date that exists. */
function dayOf(date: string): number | undefined {
  const ms = Date.parse(`${date}T00:00:00Z`);
  return Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== date ? undefined : ms / DAY_MS;
}

function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
