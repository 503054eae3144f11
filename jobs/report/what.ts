import type { Figure, Section } from './figure.ts';
import { formatCount, formatDate, formatMinutes, formatPlural, nameInText } from './format.ts';
import { rankedLists } from './rankings.ts';
import type { Reading } from './reading.ts';
import { topShows } from './shows.ts';

const SHOWN_RANKS = 10;
const PERIODS = [
  { period: '28 days', title: 'Last 28 days' },
  { period: 'year', title: 'Last 365 days' },
  { period: 'all', title: 'All time' },
];

const TOP_TRACKS = `
select
    period,
    rank,
    track_name,
    artist_name,
    plays,
    minutes,
    listeners,
    previous_rank
from top_tracks
where
    rank <= ?
    and period in ('28 days', 'year', 'all')
order by period, rank`;

const TOP_ARTISTS = `
select
    period,
    rank,
    artist_name,
    plays,
    minutes
from artist_rankings
where
    rank <= ?
    and period in ('28 days', 'year', 'all')
order by period, rank`;

interface TrackRow extends Record<string, string | number | null> {
  period: string;
  rank: number;
  track_name: string | null;
  artist_name: string | null;
  plays: number;
  minutes: number;
  listeners: number;
  previous_rank: number | null;
}

interface ArtistRow extends Record<string, string | number | null> {
  period: string;
  rank: number;
  artist_name: string | null;
  plays: number;
  minutes: number;
}

/**
 * What was played most: songs and artists by three lengths of looking back, and shows where any was heard.
 */
export async function whatSection(reading: Reading, asOf: string): Promise<Section> {
  const shows = reading.tables.has('dim_shows') ? await topShows(reading) : undefined;
  return {
    id: 'what',
    title: 'What',
    figures: [await topTracks(reading, asOf), await topArtists(reading, asOf), ...(shows === undefined ? [] : [shows])],
  };
}

async function topTracks(reading: Reading, asOf: string): Promise<Figure> {
  const rows = await reading.rows<TrackRow>(TOP_TRACKS, [SHOWN_RANKS]);
  const first = rows.find((row) => row.period === 'all');
  if (first === undefined) return noTracks('top-tracks', 'Top songs');
  return {
    name: 'top-tracks',
    title: 'Top songs',
    takeaway: `Most played of all: “${nameInText(first.track_name ?? 'a song without a name', 80)}”${first.artist_name ? ` by ${nameInText(first.artist_name, 60)}` : ''}, ${formatPlural(first.plays, 'play')}.`,
    chart: (layout) =>
      rankedLists(
        panelsOf(rows, (row) => ({
          label: row.track_name ?? '(no name)',
          detail: row.artist_name ?? '',
          value: row.plays,
          valueText: formatPlural(row.plays, 'play'),
        })),
        layout,
      ),
    table: {
      columns: [
        { label: 'Period', kind: 'text' },
        { label: 'Rank', kind: 'number' },
        { label: 'Song', kind: 'text' },
        { label: 'Artist', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Listeners', kind: 'number' },
        { label: 'Rank before', kind: 'number' },
      ],
      rows: inPeriodOrder(rows).map((row) => [
        titleOf(row.period),
        row.rank,
        row.track_name,
        row.artist_name,
        row.plays,
        reading.isTimed ? row.minutes : null,
        row.listeners,
        row.previous_rank,
      ]),
    },
    notes: [
      periodNote(rows, asOf),
      'A song is every recording with one title by one first artist; the name is that of the recording played most. Ranked by plays, then by time. "Rank before" is the rank in the equally long period before it.',
    ],
  };
}

async function topArtists(reading: Reading, asOf: string): Promise<Figure> {
  if (!reading.tables.has('artist_rankings')) {
    return {
      name: 'top-artists',
      title: 'Top artists',
      missing: 'The tables are of a version without artist_rankings. Give listenlake run, then look again.',
      notes: [],
    };
  }
  const rows = await reading.rows<ArtistRow>(TOP_ARTISTS, [SHOWN_RANKS]);
  const first = rows.find((row) => row.period === 'all');
  if (first === undefined) return noTracks('top-artists', 'Top artists');
  const time = reading.isTimed ? ` and ${formatMinutes(first.minutes)}` : '';
  return {
    name: 'top-artists',
    title: 'Top artists',
    takeaway: `Most played of all: ${nameInText(first.artist_name ?? 'an artist without a name', 80)}, ${formatPlural(first.plays, 'play')}${time}.`,
    chart: (layout) =>
      rankedLists(
        panelsOf(rows, (row) => ({
          label: row.artist_name ?? '(no name)',
          value: row.plays,
          valueText: formatPlural(row.plays, 'play'),
        })),
        layout,
      ),
    table: {
      columns: [
        { label: 'Period', kind: 'text' },
        { label: 'Rank', kind: 'number' },
        { label: 'Artist', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      rows: inPeriodOrder(rows).map((row) => [
        titleOf(row.period),
        row.rank,
        row.artist_name,
        row.plays,
        reading.isTimed ? row.minutes : null,
      ]),
    },
    notes: [periodNote(rows, asOf), 'A play counts for the first artist of its track.'],
  };
}

function panelsOf<Row extends { period: string }>(
  rows: Row[],
  rankedRow: (row: Row) => Parameters<typeof rankedLists>[0][number]['rows'][number],
) {
  return PERIODS.map(({ period, title }) => ({
    title,
    rows: rows.filter((row) => row.period === period).map(rankedRow),
  })).filter((panel) => panel.rows.length > 0);
}

function inPeriodOrder<Row extends { period: string }>(rows: Row[]): Row[] {
  return PERIODS.flatMap(({ period }) => rows.filter((row) => row.period === period));
}

function titleOf(period: string): string {
  return PERIODS.find((known) => known.period === period)?.title ?? period;
}

function periodNote(rows: { period: string }[], asOf: string): string {
  const empty = PERIODS.filter(({ period }) => !rows.some((row) => row.period === period)).map(({ title }) =>
    title.toLowerCase(),
  );
  const missing =
    empty.length > 0 ? ` Nothing was played in the ${empty.join(' and the ')}, so there is no list for it.` : '';
  return `Days are counted back from ${formatDate(asOf)} (UTC), the end of the data, and never from today.${missing}`;
}

function noTracks(name: string, title: string): Figure {
  return {
    name,
    title,
    missing:
      'No play names a track, so there is nothing to rank. Load the extended account export or recently played: both name the track of each play.',
    notes: [],
  };
}
