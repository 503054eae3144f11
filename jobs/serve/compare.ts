import type { Figure } from '../report/figure.ts';
import { formatCount, formatPlural, formatShare } from '../report/format.ts';
import { rankedLists } from '../report/rankings.ts';
import type { Reading, Totals } from '../report/reading.ts';
import type { Desk } from './desk.ts';
import { type Filters, filtersInWords, readPeriod } from './filters.ts';
import type { Body } from './overview.ts';

/** Names of the second period in the address. */
export const SECOND_PERIOD = ['from2', 'to2'] as const;

const SHOWN = 10;

const TOP_ARTISTS = `
with

plays as (select * from fct_plays where {in_reports} and {person} and artist_id is not null),

artists as (select * from dim_artists),

counted as (
    select
        artist_id,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms
    from plays
    group by artist_id
)

select
    artists.artist_name,
    counted.plays
from counted
left join artists
    on counted.artist_id = artists.artist_id
order by counted.plays desc, counted.played_ms desc, counted.artist_id
limit ${SHOWN}`;

interface ArtistRow extends Record<string, string | number | null> {
  artist_name: string | null;
  plays: number;
}

/**
 * Two periods side by side, with the same other filters: the first is `from` to `to`, the second `from2` to
 * `to2`. Without dates: the last 365 days of the data, and the 365 before.
 */
export async function comparePage(desk: Desk): Promise<Body> {
  const periods = periodsOf(desk);
  const title = 'Two periods';
  if (periods === undefined)
    return {
      ...{ title, facts: [], headlines: [], sections: [] },
      notices: ['There is no play yet. Give listenlake run an account export, then look again.'],
    };
  const names = periods.map(({ from, to }) => `${from ?? 'the first play'} to ${to ?? 'the last'}`);
  const readings: Reading[] = [];
  const sums = await desk.figure(async () => {
    for (const period of periods) readings.push(await desk.readingOf(period));
    return sumsOf(readings, names);
  });
  const artists = await desk.figure(() => artistsOf(readings, names));
  return {
    title,
    facts: [
      desk.filters.person ?? 'everybody',
      ...names,
      ...filtersInWords({ ...desk.filters, from: undefined, to: undefined }),
    ],
    notices: [],
    headlines: [],
    sections: [
      { id: 'sums', title: 'How much', figures: [sums] },
      { id: 'artists', title: 'Whom', figures: [artists] },
    ],
  };
}

/** The periods of the address, or of the last two years of the data; undefined without any play. */
export function periodsOf({
  edition,
  filters,
  query,
}: Pick<Desk, 'edition' | 'filters' | 'query'>): Filters[] | undefined {
  const last = edition.choices.lastDate;
  const second = readPeriod(query, ...SECOND_PERIOD);
  if (last === undefined) return undefined;
  const isGiven = [filters.from, filters.to, second.from, second.to].some((date) => date !== undefined);
  if (isGiven) return [filters, { ...filters, ...second }];
  const before = (days: number): string => new Date(Date.parse(last) - days * 86_400_000).toISOString().slice(0, 10);
  return [
    { ...filters, from: before(364), to: last },
    { ...filters, from: before(729), to: before(365) },
  ];
}

function sumsOf(readings: readonly Reading[], names: readonly string[]): Figure {
  const lines: [label: string, of: (totals: Totals) => number | null][] = [
    ['Plays', ({ plays }) => plays],
    ['Hours', ({ played_ms }) => (played_ms > 0 ? played_ms / 3_600_000 : null)],
    ['Songs', ({ songs }) => songs],
    ['Artists', ({ artists }) => artists],
    ['Days with plays', ({ days }) => days],
    [
      'Skips in 100 plays with a verdict',
      ({ skipped, finished }) => (skipped + finished > 0 ? (100 * skipped) / (skipped + finished) : null),
    ],
  ];
  const [first, second] = readings.map(({ totals }) => totals) as [Totals, Totals];
  const number = {
    kind: 'number' as const,
    format: (value: number) => formatCount(value, Number.isInteger(value) ? 0 : 1),
  };
  return {
    name: 'two-sums',
    title: 'How much in each',
    takeaway: `${formatPlural(first.plays, 'play')} in the first period, ${formatCount(second.plays)} in the second.`,
    table: {
      columns: [
        { label: 'What', kind: 'text' },
        ...names.map((label) => ({ label, ...number })),
        { label: 'First by second', kind: 'number', format: (value) => formatShare(value, 0) },
      ],
      rows: lines.map(([label, of]) => {
        const [one, two] = [of(first), of(second)];
        return [label, one, two, one === null || two === null || two === 0 ? null : one / two];
      }),
    },
    notes: ['Both periods include their first and last day, by the local dates of the plays.'],
  };
}

async function artistsOf(readings: readonly Reading[], names: readonly string[]): Promise<Figure> {
  const lists: ArtistRow[][] = [];
  for (const { rows } of readings) lists.push(await rows<ArtistRow>(TOP_ARTISTS));
  const panels = lists.map((rows, index) => ({
    title: names[index]!,
    rows: rows.map((row) => ({
      label: row.artist_name ?? '(no name)',
      value: row.plays,
      valueText: formatPlural(row.plays, 'play'),
    })),
  }));
  const shown = panels.filter(({ rows }) => rows.length > 0);
  if (shown.length === 0)
    return {
      name: 'two-artists',
      title: 'Top artists of each',
      missing: 'No play of either period names an artist.',
      notes: [],
    };
  return {
    name: 'two-artists',
    title: 'Top artists of each',
    chart: (layout) => rankedLists(shown, layout),
    table: {
      columns: [
        { label: 'Period', kind: 'text' },
        { label: 'Rank', kind: 'number' },
        { label: 'Artist', kind: 'text' },
        { label: 'Plays', kind: 'number' },
      ],
      rows: lists.flatMap((rows, index) =>
        rows.map((row, place) => [names[index]!, place + 1, row.artist_name, row.plays]),
      ),
    },
    notes: ['Ranked by plays, then by time.'],
  };
}
