import type { TopLevelSpec } from 'vega-lite';
import { shareAreas } from './charts.ts';
import type { Figure } from './figure.ts';
import { fontFace } from './font.ts';
import {
  fitText,
  formatCount,
  formatDate,
  formatMonth,
  formatPlural,
  formatShare,
  monthsBetween,
  nameInText,
} from './format.ts';
import { formatHeard, pixels, pixelText, withoutTables } from './marts.ts';
import type { Chapter, PersonReading } from './person.ts';
import { rankedLists } from './rankings.ts';
import { color, type Layout } from './theme.ts';

/** So many artists of each year, and so many of all months together. */
const SHOWN_RANKS = 8;
const SHOWN_PARTS = 7;
const SHOWN_OBSESSIONS = 6;
/** Columns of names that are still read: about a dozen characters each. */
const SHOWN_YEARS = { wide: 7, narrow: 3 } as const;

const BY_YEAR = `
with

months as (select * from artist_evolution where user_id = ?),

years as (
    select
        substr(cast(month_start as varchar), 1, 4) as year,
        artist_id,
        max(artist_name) as artist_name,
        sum(minutes) as minutes,
        cast(sum(plays) as bigint) as plays
    from months
    group by substr(cast(month_start as varchar), 1, 4), artist_id
),

ranked as (
    select
        *,
        row_number() over (partition by year order by minutes desc, plays desc, artist_id) as place
    from years
)

select * from ranked
where place <= ?
order by year, place`;

const BY_MONTH = `
select
    month_start,
    artist_id,
    artist_name,
    minutes,
    plays
from artist_evolution
where user_id = ?
order by month_start, rank`;

const OBSESSIONS = `
select
    kind,
    week_start,
    item,
    item_name,
    artist_name,
    plays,
    minutes,
    share,
    times_usual,
    count(*) over (partition by kind) as weeks
from obsessions
where user_id = ?
order by share desc, plays desc, week_start, kind`;

interface YearRow extends Record<string, string | number | null> {
  year: string;
  artist_id: string;
  artist_name: string | null;
  minutes: number;
  plays: number;
  place: number;
}

interface MonthRow extends Record<string, string | number | null> {
  month_start: string;
  artist_id: string;
  artist_name: string | null;
  minutes: number;
  plays: number;
}

interface ObsessionRow extends Record<string, string | number | null> {
  kind: string;
  week_start: string;
  item: string;
  item_name: string | null;
  artist_name: string | null;
  plays: number;
  minutes: number;
  share: number;
  times_usual: number;
  weeks: number;
}

/**
 * How a person's first artists changed over the years (over the months of a single year), and what took over
 * a week.
 */
export async function artistsChapter(reading: PersonReading): Promise<Chapter> {
  const absent = withoutTables(reading, 'Your artists over time', 'artist_evolution', 'obsessions');
  if (absent !== undefined) return { missing: absent };
  const years = await reading.rows<YearRow>(BY_YEAR, [reading.userId, SHOWN_RANKS]);
  if (years.length === 0) {
    return { missing: 'Your artists over time: no play names an artist. An account export or recently played does.' };
  }
  const isOneYear = years[0]!.year === years.at(-1)!.year;
  const evolution = isOneYear ? await monthsOfArtists(reading) : yearsOfArtists(reading, years);
  const obsessions = await reading.rows<ObsessionRow>(OBSESSIONS, [reading.userId]);
  const figures = [...(evolution ? [evolution] : []), ...(obsessions.length > 0 ? [weeksOfObsession(obsessions)] : [])];
  if (figures.length === 0) {
    return {
      missing: 'Your artists over time: all plays are of one month. Come back with more, or load a longer export.',
    };
  }
  return { section: { id: 'artists', title: 'Artists that came and stayed', figures } };
}

function yearsOfArtists(reading: PersonReading, rows: YearRow[]): Figure {
  const years = [...new Set(rows.map((row) => row.year))];
  const firsts = rows.filter((row) => row.place === 1);
  const reigns = new Map<string, YearRow[]>();
  for (const row of firsts) reigns.set(row.artist_id, [...(reigns.get(row.artist_id) ?? []), row]);
  const longest = [...reigns.values()].reduce((best, reign) => (reign.length > best.length ? reign : best));
  const name = nameInText(longest[0]!.artist_name ?? 'an artist without a name', 80);
  const newest = firsts.at(-1)!;
  return {
    name: 'artists-by-year',
    title:
      longest.length === years.length
        ? `${name} led every year`
        : longest.length > 1
          ? `${name} led in ${formatCount(longest.length)} of ${formatPlural(years.length, 'year')}`
          : `A new favourite in each of ${formatPlural(years.length, 'year')}`,
    takeaway: `In ${newest.year} it is ${nameInText(newest.artist_name ?? 'an artist without a name', 80)}, with ${formatHeard(reading, newest)}.`,
    chart: (layout) => rankFlow(rows, years.slice(-SHOWN_YEARS[layout.kind]), layout),
    table: {
      columns: [
        { label: 'Year', kind: 'text' },
        { label: 'Rank', kind: 'number' },
        { label: 'Artist', kind: 'text' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Plays', kind: 'number' },
      ],
      rows: rows.map((row) => [row.year, row.place, row.artist_name, reading.isTimed ? row.minutes : null, row.plays]),
    },
    notes: [
      `The ${SHOWN_RANKS} artists of each year, by time heard, then by plays. A line joins an artist's places in one year and the next one with listening; who is new among them has a darker frame.`,
    ],
  };
}

/** A column of names for each year, joined by lines where an artist is in both of two columns. */
function rankFlow(rows: YearRow[], years: string[], layout: Layout): TopLevelSpec {
  const pitch = Math.floor((layout.width - 4) / years.length);
  const isWide = layout.kind === 'wide';
  const width = Math.min(200, Math.floor(pitch * (isWide ? 0.8 : 0.9)));
  const [inset, fontSize] = isWide ? [8, 12] : [6, 11];
  const head = 28;
  const rowPx = 38;
  const face = fontFace(400);
  const boxes = rows
    .filter((row) => years.includes(row.year))
    .map((row) => {
      const column = years.indexOf(row.year);
      const before = rows.find((other) => other.year === years[column - 1] && other.artist_id === row.artist_id);
      const x = column * pitch;
      const y = head + (row.place - 0.5) * rowPx;
      return {
        x,
        x2: x + width,
        y,
        top: y - 14,
        bottom: y + 14,
        textX: x + inset,
        text: fitText(row.artist_name ?? '(no name)', width - 2 * inset, (text) => face.width(text, fontSize)),
        isNew: column > 0 && before === undefined,
        ...(before && { fromX: x - pitch + width, fromY: head + (before.place - 0.5) * rowPx }),
      };
    });
  const heads = years.map((text, column) => ({ x: column * pitch, y: 10, text }));
  return {
    width: layout.width - 4,
    height: head + rowPx * Math.max(...rows.map((row) => row.place)),
    layer: [
      {
        data: { values: boxes.filter((box) => 'fromX' in box) },
        mark: { type: 'rule', color: color('primary'), strokeWidth: 2 },
        encoding: { x: pixels('fromX'), y: pixels('fromY'), x2: { field: 'x' }, y2: { field: 'y' } },
      },
      {
        data: { values: boxes },
        mark: { type: 'rect', cornerRadius: 5, color: color('primarySoft'), strokeWidth: 1.5 },
        encoding: {
          x: pixels('x'),
          x2: { field: 'x2' },
          y: pixels('top'),
          y2: { field: 'bottom' },
          stroke: {
            field: 'isNew',
            type: 'nominal',
            scale: { domain: [true, false], range: [color('primary'), color('primarySoft')] },
            legend: null,
          },
        },
      },
      { data: { values: boxes }, ...pixelText('text', 'textX', 'y', { fontSize }) },
      {
        data: { values: heads },
        ...pixelText('text', 'x', 'y', { color: color('muted'), fontWeight: 600, fontSize: 13 }),
      },
    ],
  };
}

/** Undefined where all plays are of one month: then nothing has changed yet. */
async function monthsOfArtists(reading: PersonReading): Promise<Figure | undefined> {
  const rows = await reading.rows<MonthRow>(BY_MONTH, [reading.userId]);
  const months = monthsBetween(rows[0]!.month_start, rows.at(-1)!.month_start);
  if (months.length < 2) return undefined;
  const amount = (row: MonthRow): number => (reading.isTimed ? row.minutes : row.plays);
  const sums = new Map<string, { name: string; value: number }>();
  for (const row of rows) {
    const sum = sums.get(row.artist_id)?.value ?? 0;
    sums.set(row.artist_id, { name: row.artist_name ?? '(no name)', value: sum + amount(row) });
  }
  const first = [...sums].sort(([, left], [, right]) => right.value - left.value).slice(0, SHOWN_PARTS);
  // Two artists may share a name, and a part of the chart is known by its name.
  const parts = first.map(([id, { name }], index) => ({
    id,
    name: first.slice(0, index).some(([, other]) => other.name === name) ? `${name} (${index + 1})` : name,
  }));
  const all = [...parts.map(({ name }) => name), 'all others'];
  const shares = months.flatMap((month) => {
    const inMonth = rows.filter((row) => row.month_start === month);
    const whole = inMonth.reduce((sum, row) => sum + amount(row), 0);
    const own = parts.map(({ id, name }) => ({
      date: month,
      part: name,
      share:
        whole > 0
          ? inMonth.filter((row) => row.artist_id === id).reduce((sum, row) => sum + amount(row), 0) / whole
          : 0,
    }));
    const rest = whole > 0 ? 1 - own.reduce((sum, row) => sum + row.share, 0) : 0;
    return [...own, { date: month, part: 'all others', share: Math.max(0, rest) }];
  });
  const total = [...sums.values()].reduce((sum, { value }) => sum + value, 0);
  const [, top] = first[0]!;
  return {
    name: 'artists-by-month',
    title: `${nameInText(top.name, 80)} filled ${formatShare(total > 0 ? top.value / total : 0, 0)} of your music`,
    takeaway: `${formatPlural(sums.size, 'artist')} in ${formatPlural(months.length, 'month')}; the first ${parts.length} are shown by month.`,
    chart: (layout) => shareAreas(shares, all, layout),
    table: {
      columns: [
        { label: 'Month', kind: 'text' },
        { label: 'Artist', kind: 'text' },
        { label: 'Share', kind: 'number', format: (value) => formatShare(value) },
      ],
      rows: shares.map((row) => [formatMonth(row.date), row.part, row.share]),
    },
    notes: ['Shares of what has an artist. A play counts for the first artist of its song.'],
  };
}

function weeksOfObsession(rows: ObsessionRow[]): Figure {
  const shown = (['song', 'artist'] as const)
    .map((kind) => strongest(rows.filter((row) => row.kind === kind)).slice(0, SHOWN_OBSESSIONS))
    .filter((list) => list.length > 0);
  const first = shown[0]![0]!;
  const what = nameInText(first.item_name ?? 'something without a name', 80);
  const by = first.kind === 'song' && first.artist_name ? ` by ${nameInText(first.artist_name, 60)}` : '';
  const weeks = shown.map((list) =>
    formatPlural(list[0]!.weeks, `week of one ${list[0]!.kind}`, `weeks of one ${list[0]!.kind}`),
  );
  return {
    name: 'obsessions',
    title: `In one week ${formatShare(first.share, 0)} of what you heard was ${what}${by}`,
    takeaway: `That was the week of ${formatDate(first.week_start)}: ${formatPlural(first.plays, 'play')}. In all ${weeks.join(' and ')}.`,
    chart: (layout) =>
      rankedLists(
        shown.map((list) => ({
          title: list[0]!.kind === 'song' ? 'Songs that took over a week' : 'Artists that took over a week',
          rows: list.map((row) => ({
            label: row.item_name ?? '(no name)',
            value: row.share,
            valueText: `${formatShare(row.share, 0)} of a week`,
            below: row.kind === 'song' ? (row.artist_name ?? '') : formatPlural(row.plays, 'play'),
            belowEnd: row.times > 1 ? formatPlural(row.times, 'week') : formatDate(row.week_start),
          })),
        })),
        layout,
      ),
    table: {
      columns: [
        { label: 'Kind', kind: 'text' },
        { label: 'Name', kind: 'text' },
        { label: 'Artist', kind: 'text' },
        { label: 'Weeks', kind: 'number' },
        { label: 'Strongest week', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
        { label: 'Share of the week', kind: 'number', format: (value) => formatShare(value) },
        { label: 'Times the usual', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      rows: shown
        .flat()
        .map((row) => [
          row.kind,
          row.item_name,
          row.kind === 'song' ? row.artist_name : null,
          row.times,
          formatDate(row.week_start),
          row.plays,
          row.minutes,
          row.share,
          row.times_usual,
        ]),
    },
    notes: [
      'Shares and plays are those of the strongest week. A song or an artist takes over a week (from Monday) with at least five plays and a tenth of all minutes. The usual is the middle one of your weeks, by the plays of what was played most.',
    ],
  };
}

/** The strongest week of each song or artist, with the number of weeks that it took over. */
function strongest(rows: ObsessionRow[]): (ObsessionRow & { times: number })[] {
  const firsts = new Map<string, ObsessionRow & { times: number }>();
  for (const row of rows) {
    const known = firsts.get(row.item);
    if (known === undefined) firsts.set(row.item, { ...row, times: 1 });
    else known.times += 1;
  }
  return [...firsts.values()];
}
