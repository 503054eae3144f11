import type { TopLevelSpec } from 'vega-lite';
import type { Figure } from '../report/figure.ts';
import { fontFace } from '../report/font.ts';
import { fitText, formatDate, formatPlural, nameInText } from '../report/format.ts';
import { SPOKEN, spokenMark } from '../report/marts.ts';
import { CATEGORIES, color, type Layout } from '../report/theme.ts';
import type { Desk } from './desk.ts';
import type { Row } from './fields.ts';
import { type Filters, periodOf } from './filters.ts';

/** Charts and regions that are drawn, those with the most periods first. */
const LISTS_MAX = 4;
const PERIODS_MAX = 26;
const SONGS = 8;
/** A line leaves the picture below this place. */
const PLACES = 20;

const LISTS = (condition: string): string => `
select
    chart,
    region,
    count(distinct period_start) as periods
from fct_chart_entries
where ${condition}
group by chart, region
having count(distinct period_start) > 1
order by periods desc, chart, region
limit ${LISTS_MAX}`;

const PLACES_OVER_TIME = (condition: string): string => `
with

entries as (
    select *
    from fct_chart_entries
    where chart = ? and region = ? and ${condition}
),

periods as (
    select
        period_start,
        row_number() over (order by period_start desc) as newness
    from entries
    group by period_start
),

newest as (
    select
        entries.entry_key,
        row_number() over (order by entries.rank, entries.entry_key) as place
    from entries
    inner join periods
        on entries.period_start = periods.period_start
    where periods.newness = 1
)

select
    newest.place,
    entries.period_start,
    entries.rank,
    coalesce(entries.track_name, entries.artist_name) as name,
    entries.artist_name,
    entries.streams
from entries
inner join periods
    on entries.period_start = periods.period_start
inner join newest
    on entries.entry_key = newest.entry_key
where newest.place <= ${SONGS} and periods.newness <= ${PERIODS_MAX}
order by entries.period_start, entries.rank, newest.place`;

/** The condition that the filters put on lists: a country is the region of its chart. */
export function listCondition({ country, ...filters }: Filters, column: string) {
  const period = periodOf(filters, column);
  if (country === undefined) return period;
  return {
    condition: `${period.condition} and region = ?`,
    parameters: [...period.parameters, country.toLowerCase()],
  };
}

/** How the songs that are first now have moved, a figure for each chart that has more than one period. */
export async function placesOverTime(desk: Desk): Promise<Figure[]> {
  const { condition, parameters } = listCondition(desk.filters, 'period_start');
  const lists = await desk.rows<Row>(LISTS(condition), parameters);
  return desk.all(
    lists.map(
      (list, index) => () =>
        desk.figure(async () => {
          const values = [String(list.chart), String(list.region)];
          const rows = await desk.rows<Row>(PLACES_OVER_TIME(condition), [...values, ...parameters]);
          return figureOf(`places-${index + 1}`, `${list.chart}, ${list.region}`, rows);
        }),
    ),
  );
}

function figureOf(name: string, list: string, rows: Row[]): Figure {
  const dates = [...new Set(rows.map((row) => String(row.period_start)))];
  const last = rows.filter((row) => row.period_start === dates.at(-1));
  const first = last[0]!;
  return {
    name,
    title: `Places over time: ${list}`,
    takeaway: `“${nameInText(String(first.name), 80)}” is first in the newest of ${formatPlural(dates.length, 'period')}, from ${formatDate(dates.at(-1)!)}.`,
    chart: (layout) => placeLines(rows, dates, layout),
    table: {
      columns: [
        { label: 'From', kind: 'text' },
        { label: 'Place', kind: 'number' },
        { label: 'Song', kind: 'text' },
        { label: 'Artist', kind: 'text' },
        { label: 'Streams', kind: 'number' },
      ],
      rows: rows.map(({ period_start, rank, name: song, artist_name, streams }) => [
        ...[String(period_start), Number(rank), String(song)],
        ...[artist_name === null ? null : String(artist_name), streams === null ? null : Number(streams)],
      ]),
    },
    notes: [
      `The ${SONGS} songs that are first in the newest period, over ${PERIODS_MAX} periods at most. A song is drawn down to place ${PLACES}; the table has its other places too.`,
    ],
  };
}

/** Lines of places, the first at the top; each ends with its name. */
function placeLines(rows: Row[], dates: string[], layout: Layout): TopLevelSpec {
  const isWide = layout.kind === 'wide';
  const namesPx = isWide ? 260 : 130;
  const lowest = Math.min(PLACES, Math.max(...rows.map((row) => Number(row.rank))));
  const values = rows
    .filter((row) => Number(row.rank) <= PLACES)
    .map((row) => ({
      date: String(row.period_start),
      place: Number(row.rank),
      song: `${row.place}`,
      name: fitText(`${row.rank}  ${row.name}`, namesPx - 12, (text) => fontFace(400).width(text, 12.5)),
      spoken: `${row.name}, ${row.period_start}: place ${row.rank}`,
      isLast: row.period_start === dates.at(-1),
    }));
  const every = Math.ceil(dates.length / (isWide ? 8 : 3));
  const x = {
    field: 'date',
    type: 'ordinal' as const,
    title: null,
    scale: { domain: dates, type: 'point' as const, padding: 0.3 },
    axis: {
      values: dates.filter((_, index) => (dates.length - 1 - index) % every === 0),
      labelExpr: "utcFormat(toDate(datum.value), '%-d %b %Y')",
      // Below the point of the last place.
      offset: 12,
      labelFlush: false,
      labelOverlap: true as const,
    },
  };
  const y = {
    field: 'place',
    type: 'quantitative' as const,
    title: 'place',
    scale: { domain: [1, lowest], reverse: true, nice: false, zero: false },
    axis: { values: [1, 5, 10, 15, 20].filter((place) => place <= lowest), grid: true },
  };
  const hue = {
    field: 'song',
    type: 'nominal' as const,
    legend: null,
    scale: { domain: Array.from({ length: SONGS }, (_, index) => `${index + 1}`), range: PLACE_COLOURS },
  };
  return {
    width: layout.width - namesPx - 40,
    height: Math.max(isWide ? 240 : 200, 20 * lowest),
    data: { values },
    config: SPOKEN,
    layer: [
      { mark: { type: 'line', strokeWidth: 2, aria: false }, encoding: { x, y, color: hue } },
      { mark: { type: 'point', size: 52, opacity: 1 }, encoding: { x, y, color: hue, ...spokenMark() } },
      {
        transform: [{ filter: 'datum.isLast' }],
        mark: { type: 'text', align: 'left', dx: 10, fontSize: 12.5, color: color('text'), aria: false },
        encoding: { x, y, text: { field: 'name', type: 'nominal' } },
      },
    ],
  } as TopLevelSpec;
}

const PLACE_COLOURS = CATEGORIES.slice(0, SONGS).map(([light]) => light);
