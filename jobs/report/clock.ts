import type { TopLevelSpec } from 'vega-lite';
import type { Figure } from './figure.ts';
import { formatCount, formatMinutes, formatPlural, formatShare } from './format.ts';
import { pixels, pixelText, SPOKEN, spokenMark, withoutTables } from './marts.ts';
import type { Chapter, PersonReading } from './person.ts';
import { color, type Layout } from './theme.ts';
import { traitsInWords } from './traits.ts';

const SEASONS = ['winter', 'spring', 'summer', 'autumn'] as const;
const PARTS_OF_DAY = [
  { name: 'at night', from: 0, to: 6 },
  { name: 'in the morning', from: 6, to: 12 },
  { name: 'in the afternoon', from: 12, to: 18 },
  { name: 'in the evening', from: 18, to: 24 },
] as const;

const CLOCK = `
select
    season,
    local_hour,
    cast(sum(plays) as bigint) as plays,
    sum(minutes) as minutes,
    max(weeks) as weeks
from listening_clock
where user_id = ?
group by season, local_hour
order by season, local_hour`;

interface ClockRow extends Record<string, string | number> {
  season: string;
  local_hour: number;
  plays: number;
  minutes: number;
  weeks: number;
}

/** The hours of a person's day, the seasons, and in words what kind of listener they were each year. */
export async function clockChapter(reading: PersonReading): Promise<Chapter> {
  const absent = withoutTables(reading, 'Your clock', 'listening_clock', 'listening_traits');
  if (absent !== undefined) return { missing: absent };
  const rows = await reading.rows<ClockRow>(CLOCK, [reading.userId]);
  if (rows.length === 0) return { missing: 'Your clock: no play counts yet. Load an account export to fill it.' };
  const traits = await traitsInWords(reading);
  const seasons = SEASONS.filter((season) => rows.some((row) => row.season === season));
  const figures = [
    hoursOfTheDay(reading, rows),
    ...(seasons.length > 1 ? [hoursOfTheSeasons(reading, rows, seasons)] : []),
    ...(traits ? [traits] : []),
  ];
  return { section: { id: 'clock', title: 'Your clock', figures } };
}

interface Amount {
  value: number;
  text: string;
}

function hoursOfTheDay(reading: PersonReading, rows: ClockRow[]): Figure {
  const hours = Array.from({ length: 24 }, (_, hour) => {
    const inHour = rows.filter((row) => row.local_hour === hour);
    return { hour, ...amountOf(reading, inHour), plays: inHour.reduce((sum, row) => sum + row.plays, 0) };
  });
  const total = hours.reduce((sum, row) => sum + row.value, 0);
  const peak = hours.reduce((best, row) => (row.value > best.value ? row : best));
  const parts = PARTS_OF_DAY.map(({ name, from, to }) => ({
    name,
    share: total > 0 ? hours.slice(from, to).reduce((sum, row) => sum + row.value, 0) / total : 0,
  }));
  const most = parts.reduce((best, part) => (part.share > best.share ? part : best));
  return {
    name: 'clock',
    title: `Your hour is ${clockText(peak.hour)} to ${clockText((peak.hour + 1) % 24)}`,
    takeaway: `${peak.text} lie in it. ${formatShare(most.share, 0)} of what you hear, you hear ${most.name}.`,
    chart: (layout) => clockFace(hours, layout),
    table: {
      columns: [
        { label: 'Hour', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      rows: hours.map((row) => [clockText(row.hour), row.plays, reading.isTimed ? row.value : null]),
    },
    notes: [
      'All days together, by the local time at which a play ended: a play that runs over the full hour counts in the later hour. Midnight is on top, noon below.',
    ],
  };
}

function hoursOfTheSeasons(reading: PersonReading, rows: ClockRow[], seasons: readonly string[]): Figure {
  const cells = seasons.flatMap((season) =>
    Array.from({ length: 24 }, (_, hour) => {
      const found = rows.find((row) => row.season === season && row.local_hour === hour);
      const weekly = found === undefined ? 0 : (reading.isTimed ? found.minutes : found.plays) / found.weeks;
      return { season, hour, value: weekly };
    }),
  );
  const sums = seasons.map((season) => ({
    season,
    value: cells.filter((cell) => cell.season === season).reduce((sum, cell) => sum + cell.value, 0),
  }));
  const weekly = (value: number): string =>
    reading.isTimed ? formatMinutes(value) : formatPlural(Math.round(value), 'play');
  const most = sums.reduce((best, row) => (row.value > best.value ? row : best));
  const least = sums.reduce((best, row) => (row.value < best.value ? row : best));
  return {
    name: 'seasons',
    title: `Your season is ${most.season}: ${weekly(most.value)} a week`,
    takeaway: `The quietest is ${least.season}, with ${weekly(least.value)} a week.`,
    chart: (layout) => seasonRows(cells, sums, weekly, layout),
    table: {
      columns: [
        { label: 'Season', kind: 'text' },
        { label: 'Hour', kind: 'text' },
        {
          label: reading.isTimed ? 'Minutes a week' : 'Plays a week',
          kind: 'number',
          format: (value) => formatCount(value, 1),
        },
      ],
      rows: cells.map((cell) => [cell.season, clockText(cell.hour), cell.value]),
    },
    notes: [
      'Seasons are those of the place where you listened, half a year later south of the equator; plays of an unknown country are in none. A week counts where you have a play in it.',
    ],
  };
}

function amountOf(reading: PersonReading, rows: ClockRow[]): Amount {
  const value = rows.reduce((sum, row) => sum + (reading.isTimed ? row.minutes : row.plays), 0);
  return { value, text: reading.isTimed ? formatMinutes(value) : formatPlural(value, 'play') };
}

function clockText(hour: number): string {
  return `${String(hour).padStart(2, '0')}:00`;
}

/** A day as a round: each hour a slice whose area is what was heard in it. */
function clockFace(hours: { hour: number; value: number; text: string }[], layout: Layout): TopLevelSpec {
  const size = layout.kind === 'wide' ? 380 : 300;
  const center = layout.width / 2;
  const outer = size / 2 - 30;
  const inner = 34;
  const most = Math.max(...hours.map((row) => row.value), Number.MIN_VALUE);
  const angle = (hour: number): number => (hour * Math.PI) / 12;
  const values = hours.map((row) => ({
    theta: angle(row.hour) + 0.012,
    theta2: angle(row.hour + 1) - 0.012,
    radius: Math.sqrt(inner ** 2 + (outer ** 2 - inner ** 2) * (row.value / most)),
    inner,
    isPeak: row.value === most,
    spoken: `${clockText(row.hour)}: ${row.text}`,
  }));
  const labels = [0, 3, 6, 9, 12, 15, 18, 21].map((hour) => ({
    x: center + (outer + 16) * Math.sin(angle(hour)),
    y: size / 2 - (outer + 16) * Math.cos(angle(hour)),
    text: String(hour).padStart(2, '0'),
  }));
  const place = { x: { value: center }, y: { value: size / 2 } };
  const scaleless = (field: string) => ({ field, type: 'quantitative' as const, scale: null });
  return {
    width: layout.width - 2,
    height: size,
    config: SPOKEN,
    layer: [
      {
        data: { values: [{ theta: 0, theta2: 2 * Math.PI, radius: outer, inner }] },
        mark: { type: 'arc', color: 'transparent', stroke: color('line'), aria: false },
        encoding: {
          ...place,
          theta: scaleless('theta'),
          theta2: { field: 'theta2' },
          radius: scaleless('radius'),
          radius2: { field: 'inner' },
        },
      },
      {
        data: { values },
        mark: { type: 'arc', cornerRadius: 2 },
        encoding: {
          ...place,
          ...spokenMark(),
          theta: scaleless('theta'),
          theta2: { field: 'theta2' },
          radius: scaleless('radius'),
          radius2: { field: 'inner' },
          color: {
            field: 'isPeak',
            type: 'nominal',
            scale: { domain: [true, false], range: [color('primary'), color('primarySoft')] },
            legend: null,
          },
        },
      },
      {
        data: { values: labels },
        ...pixelText('text', 'x', 'y', { align: 'center', color: color('muted'), fontSize: 12, aria: false }),
      },
    ],
  } as TopLevelSpec;
}

/** A row of 24 bars for each season, all on one scale, with what a week has beside its name. */
function seasonRows(
  cells: { season: string; hour: number; value: number }[],
  sums: { season: string; value: number }[],
  weekly: (value: number) => string,
  layout: Layout,
): TopLevelSpec {
  const isWide = layout.kind === 'wide';
  const left = isWide ? 130 : 0;
  const top = isWide ? 10 : 26;
  const rowPx = isWide ? 84 : 96;
  const pitch = (layout.width - left - 4) / 24;
  const most = Math.max(...cells.map((cell) => cell.value), Number.MIN_VALUE);
  const baseOf = (season: string): number => (sums.findIndex((row) => row.season === season) + 1) * rowPx - 4;
  const bars = cells.map((cell) => ({
    x: left + cell.hour * pitch + pitch * 0.1,
    x2: left + (cell.hour + 1) * pitch - pitch * 0.1,
    y: baseOf(cell.season),
    y2: baseOf(cell.season) - (cell.value / most) * (rowPx - top - 8),
    spoken: `${cell.season}, ${clockText(cell.hour)}: ${weekly(cell.value)} a week`,
  }));
  const lines = sums.map(({ season }) => ({ x: left, x2: layout.width - 4, y: baseOf(season) }));
  const names = sums.map(({ season, value }) => {
    const base = baseOf(season);
    const name = `${season[0]!.toUpperCase()}${season.slice(1)}`;
    const text = `${weekly(value)} a week`;
    return isWide
      ? { nameX: 0, nameY: base - 30, text, textX: 0, textY: base - 12, name }
      : { nameX: 0, nameY: base - rowPx + 18, text, textX: 64, textY: base - rowPx + 18, name };
  });
  const height = sums.length * rowPx + 20;
  const ticks = [0, 6, 12, 18].map((hour) => ({ x: left + hour * pitch, y: height - 10, text: clockText(hour) }));
  return {
    width: layout.width - 2,
    height,
    config: SPOKEN,
    layer: [
      {
        data: { values: lines },
        mark: { type: 'rule', color: color('line'), aria: false },
        encoding: { x: pixels('x'), x2: { field: 'x2' }, y: pixels('y') },
      },
      {
        data: { values: bars },
        mark: { type: 'rect', color: color('primary'), cornerRadius: 1.5 },
        encoding: { x: pixels('x'), x2: { field: 'x2' }, y: pixels('y'), y2: { field: 'y2' }, ...spokenMark() },
      },
      {
        data: { values: names },
        ...pixelText('name', 'nameX', 'nameY', { fontWeight: 600, fontSize: 13, aria: false }),
      },
      {
        data: { values: names },
        ...pixelText('text', 'textX', 'textY', { color: color('muted'), fontSize: 12.5, aria: false }),
      },
      { data: { values: ticks }, ...pixelText('text', 'x', 'y', { color: color('muted'), fontSize: 12, aria: false }) },
    ],
  };
}
