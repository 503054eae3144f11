import { JobError } from '../../base/errors.ts';
import { DAY_MS } from '../../base/time.ts';
import { ownName } from '../../bronze/own-name.ts';
import type { CsvSource, NamedContent, Source } from '../../bronze/source.ts';

const TABLE = 'charts_csv';
/** A date that begins a text; the hyphens between its parts are of many kinds, some of several bytes. */
const DATE = /^(\d{4})\D{1,3}(0[1-9]|1[0-2])\D{1,3}\d{2}/;

type Subject = 'regional' | 'viral' | 'artist' | 'album' | 'city';
type Pace = 'daily' | 'weekly';

/**
 * Where and when a chart is of. Dates are `YYYY-MM-DD`; the end is exclusive. Null where each record says it.
 */
interface ChartPlace {
  chart: string;
  region: string;
  periodStart: string | null;
  periodEnd: string | null;
}

const AS_DOWNLOADED = 'name it as it was downloaded, like regional-global-daily-2020-01-01.csv';
const SITE_TRACK = ['rank', 'uri', 'artist_names', 'track_name', 'peak_rank', 'previous_rank'];
const SITE_ARTIST = ['rank', 'uri', 'artist_name', 'peak_rank', 'previous_rank'];
const TOP50_BY_COUNTRY = ['title', 'artist', 'top genre', 'year', 'bpm', 'pop', 'country'];
const TOP50_DAILY = { chart: 'top50_daily', region: '' };
const LENGTH: Readonly<Record<Pace, string>> = { daily: 'days_on_chart', weekly: 'weeks_on_chart' };

/**
 * Charts. Downloads of Spotify's chart site say their chart, region and date only in the file name
 * (`placeOfSite`): the older ones with `Position` (viral charts without `Streams`), those since 2021 with
 * `rank` and `days_on_chart` or `weeks_on_chart`. Collections of such charts (`charts.csv`, `data.csv`,
 * `universal_top_spotify_songs.csv` of Kaggle, daily top 50) have the date in each record. Others are lists
 * of a whole year, whose rank is the record's number where they have none.
 */
const CHARTS_SHAPES: readonly CsvSource[] = [
  siteShape('charts_daily', ['Position', 'Track Name', 'Artist', 'Streams', 'URL'], ['regional'], undefined),
  siteShape('charts_viral', ['Position', 'Track Name', 'Artist', 'URL'], ['viral'], undefined),
  ...(['daily', 'weekly'] as const).flatMap((pace) => [
    siteShape(`charts_${pace}`, [...SITE_TRACK, LENGTH[pace], 'streams'], ['regional', 'city'], pace),
    siteShape('charts_viral', [...SITE_TRACK, LENGTH[pace]], ['viral', 'city'], pace),
    siteShape('charts_artists', [...SITE_ARTIST, LENGTH[pace]], ['artist'], pace),
    {
      name: 'charts_albums',
      what: 'a chart of albums',
      table: TABLE,
      columns: ['rank', 'uri', 'artist_names', 'album_name', 'peak_rank', 'previous_rank', LENGTH[pace]],
      remedy: 'charts of tracks and of artists are read',
    },
  ]),
  {
    name: 'charts_top50_daily',
    what: 'daily top 50 charts',
    table: TABLE,
    columns: ['Date', 'Position', 'Song', 'Artist', 'Popularity'],
    nameSays: () => named({ chart: 'top50_daily', region: 'global', periodStart: null, periodEnd: null }),
    periodOf: (record) => monthOf(record.Date),
  },
  {
    name: 'charts_top50_countries',
    what: 'daily top 50 charts by country',
    table: TABLE,
    columns: ['spotify_id', 'name', 'artists', 'daily_rank', 'country', 'snapshot_date'],
    optional: ['daily_movement', 'weekly_movement'],
    nameSays: () => named({ chart: 'top50_daily', region: '', periodStart: null, periodEnd: null }),
    periodOf: (record) => monthOf(record.snapshot_date),
  },
  {
    name: 'charts_by_region',
    what: 'charts by region and date',
    table: TABLE,
    columns: ['title', 'rank', 'date', 'artist', 'url', 'region', 'chart', 'streams'],
    optional: ['trend'],
    nameSays: () => named({ chart: '', region: '', periodStart: null, periodEnd: null }),
    periodOf: (record) => monthOf(record.date),
  },
  {
    name: 'charts_daily_regions',
    what: 'daily charts by region and date',
    table: TABLE,
    columns: ['Position', 'Track Name', 'Artist', 'Streams', 'URL', 'Date', 'Region'],
    nameSays: () => named({ chart: 'top200_daily', region: '', periodStart: null, periodEnd: null }),
    periodOf: (record) => monthOf(record.Date),
  },
  {
    name: 'most_streamed_2024',
    what: 'the most streamed songs of 2024',
    table: TABLE,
    columns: ['Track', 'Artist', 'Release Date', 'All Time Rank', 'Spotify Streams'],
    nameSays: () => named({ chart: 'most_streamed_2024', region: 'global', ...year(2024) }),
  },
  {
    name: 'spotify_2023',
    what: 'the most streamed songs of 2023',
    table: TABLE,
    columns: ['track_name', 'artist(s)_name', 'released_year', 'in_spotify_playlists', 'streams'],
    optional: ['released_month', 'released_day'],
    nameSays: () => named({ chart: 'spotify_2023', region: 'global', ...year(2023) }),
  },
  {
    // The public file has dots and its own order (Track.Name, Artist.Name, ...).
    name: 'top50_2019',
    what: 'the top 50 songs of 2019',
    table: TABLE,
    columns: ['TrackName', 'ArtistName', 'Genre', 'BeatsPerMinute', 'Popularity'],
    optional: ['Length'],
    nameSays: () => named({ chart: 'top50_2019', region: 'global', ...year(2019) }),
  },
  {
    name: 'top10s',
    what: 'top songs by year',
    table: TABLE,
    columns: ['title', 'artist', 'top genre', 'year', 'bpm', 'pop'],
    nameSays: () => named({ chart: 'top10s', region: 'global', periodStart: null, periodEnd: null }),
    periodOf: (record) => (/^\d{4}$/.test(record.year ?? '') ? `${record.year}-01` : undefined),
  },
  {
    // `top50contry.csv`: the year is that of the song. Where its name says no day, it is that on which the
    // newest song was added.
    name: 'top50_by_country',
    what: 'top 50 songs by country',
    table: TABLE,
    columns: [...TOP50_BY_COUNTRY, 'added'],
    nameSays: (fileName) =>
      named(placeByDateInName(fileName) ?? { ...TOP50_DAILY, periodStart: null, periodEnd: null }),
    periodOf: (record) => monthOf(record.added?.trim()),
  },
  {
    name: 'top50_by_country',
    what: 'top 50 songs by country',
    table: TABLE,
    columns: TOP50_BY_COUNTRY,
    nameSays: (fileName) => named(placeByDateInName(fileName) ?? dateMissing()),
  },
];

/** Charts of Spotify, as downloaded from its chart site and as others collect them. */
export const CHARTS: Source = {
  name: 'charts',
  tables: [{ name: TABLE, isOwn: false, isSameName: (storedName, name) => ownName(storedName) === ownName(name) }],
  csv: CHARTS_SHAPES,
};

/**
 * True where each record of the kind says its date (or does not); elsewhere the file's name, or the kind
 * itself, says it for all of them.
 */
export function isDatedByRecord(kind: string): boolean {
  return CHARTS_SHAPES.some((shape) => shape.name === kind && shape.periodOf !== undefined);
}

/** What a place says of every record of its file. */
function named({ chart, region, periodStart, periodEnd }: ChartPlace): NamedContent {
  return {
    columns: { chart, region, period_start: periodStart, period_end: periodEnd },
    periods: periodStart === null ? [] : [periodStart.slice(0, 7)],
  };
}

/** A download of the chart site. `pace` undefined: its columns do not say. */
function siteShape(
  name: string,
  columns: readonly string[],
  subjects: readonly Subject[],
  pace: Pace | undefined,
): CsvSource {
  const what = `a chart of Spotify's chart site (${subjects.join(', ')})`;
  const nameSays = (fileName: string): NamedContent => named(placeOfSite(fileName, subjects, pace));
  return { name, what, table: TABLE, columns, nameSays };
}

/**
 * What the name of a download says: `regional-<region>-daily-<date>.csv`, `regional-<region>-weekly-<last
 * day>.csv` (a chart week is Friday to Thursday, named by its Thursday), the older
 * `regional-<region>-weekly-<first day>--<day after the last>.csv`, the same with `viral-` and `artist-`, and
 * `citytoptrack-<city>-weekly-<date>.csv`. Without a subject (`global-daily-<date>.csv`) it is the one of the
 * columns.
 *
 * @throws `chart_date_missing`, `chart_place_unknown`, `chart_name_mismatch` (65)
 */
function placeOfSite(fileName: string, subjects: readonly Subject[], pace: Pace | undefined): ChartPlace {
  const name = ownName(fileName).toLowerCase();
  const found = /-(daily|weekly)-(\d{4}-\d{2}-\d{2})(?:--(\d{4}-\d{2}-\d{2}))?/.exec(name);
  const first = dayOf(found?.[2]);
  const last = dayOf(found?.[3]);
  if (found === null || first === undefined || (found[3] !== undefined && (last === undefined || last <= first))) {
    const what = 'the date and region of this chart stand only in its file name, and this name has none';
    throw new JobError('chart_date_missing', 'data', what, { hint: AS_DOWNLOADED });
  }
  const before = name.slice(0, found.index);
  const named = /(?:^|[^a-z])(regional|viral|artist|album|city[a-z]*)-([a-z][a-z-]*)$/.exec(before);
  const word = named?.[1] ?? subjects[0]!;
  const subject = (word.startsWith('city') ? 'city' : word) as Subject;
  if (!subjects.includes(subject) || (pace !== undefined && pace !== found[1])) {
    const columns = `its columns are those of a ${pace ?? ''} chart (${subjects.join(', ')})`;
    throw new JobError('chart_name_mismatch', 'data', `its name says ${subject} and ${found[1]}, ${columns}`, {
      hint: 'give it the name that it was downloaded with',
    });
  }
  const [start, end] =
    found[1] === 'daily' ? [first, first + 1] : last === undefined ? [first - 6, first + 1] : [first, last];
  return {
    chart: `${chartOf(subject, word)}_${found[1]}`,
    region: regionOf(subject, named?.[2] ?? before),
    periodStart: dateOf(start),
    periodEnd: dateOf(end),
  };
}

function chartOf(subject: Subject, word: string): string {
  const city = word === 'citypulsetrack' ? 'city_pulse' : 'city_top';
  return { regional: 'top200', viral: 'viral50', artist: 'artists', album: 'albums', city }[subject];
}

/** @throws `chart_place_unknown` (65) */
function regionOf(subject: Subject, place: string): string {
  if (subject === 'city') return `city:${place}`;
  if (/^(global|[a-z]{2})$/.test(place)) return place;
  const what = `${JSON.stringify(place.slice(0, 40))} in its name is neither global nor a country code of two letters`;
  throw new JobError('chart_place_unknown', 'data', what, { hint: AS_DOWNLOADED });
}

function placeByDateInName(fileName: string): ChartPlace | undefined {
  const day = dayOf(/\d{4}-\d{2}-\d{2}/.exec(ownName(fileName))?.[0]);
  return day === undefined ? undefined : { ...TOP50_DAILY, periodStart: dateOf(day), periodEnd: dateOf(day + 1) };
}

function dateMissing(): never {
  throw new JobError('chart_date_missing', 'data', 'nothing in this list of charts says of which day it is', {
    hint: 'put the day it was taken into its name, like top50-by-country-2020-01-31.csv',
  });
}

function monthOf(date: string | undefined): string | undefined {
  const found = DATE.exec(date ?? '');
  return found === null ? undefined : `${found[1]}-${found[2]}`;
}

function year(number: number): Pick<ChartPlace, 'periodStart' | 'periodEnd'> {
  return { periodStart: `${number}-01-01`, periodEnd: `${number + 1}-01-01` };
}

/** Days since 1970 of a date that exists. */
function dayOf(date: string | undefined): number | undefined {
  const ms = Date.parse(`${date}T00:00:00Z`);
  return Number.isNaN(ms) || dateOf(ms / DAY_MS) !== date ? undefined : ms / DAY_MS;
}

function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
