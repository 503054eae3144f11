import type { TopLevelSpec } from 'vega-lite';
import { DAY_MS } from '../base/time.ts';
import { WEEKDAYS } from './charts.ts';
import type { Figure } from './figure.ts';
import { dateMs, daysBetween, formatCount, formatDate, formatPlural } from './format.ts';
import { formatHeard, pixels, pixelText, SPOKEN, spokenMark, withoutTables } from './marts.ts';
import type { Chapter, PersonReading } from './person.ts';
import { rankedLists } from './rankings.ts';
import { color, type Layout, SEQUENCE } from './theme.ts';

/** Each year is some 365 marks in two layouts. */
const SHOWN_YEARS = 10;
const SHOWN_STREAKS = 5;
/** Sizes of a colour's step that people read at once. */
const STEP_MINUTES = [1, 2, 5, 10, 15, 30, 60, 90, 120, 180, 240];
const STEP_PLAYS = [1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 40, 50, 100, 200, 500, 1000];

const DAYS = `
with

plays as (
    select *
    from fct_plays
    where {in_reports} and user_id = ?
),

persons as (
    select user_id
    from dim_users
    where has_own_plays
),

final as (
    select
        plays.local_date,
        count(*) as plays,
        cast(coalesce(sum(plays.played_ms), 0) as bigint) as played_ms
    from plays
    inner join persons
        on plays.user_id = persons.user_id
    group by plays.local_date
)

select * from final
order by local_date`;

const STREAKS = `
select
    first_date,
    last_date,
    days,
    is_longest,
    is_current
from listening_streaks
where user_id = ?
order by days desc, first_date`;

interface DayRow extends Record<string, string | number> {
  local_date: string;
  plays: number;
  played_ms: number;
}

/** A run of days in a row with listening. */
export interface StreakRow extends Record<string, string | number | boolean> {
  first_date: string;
  last_date: string;
  days: number;
  is_longest: boolean;
  is_current: boolean;
}

/** A person's runs of days, the longest first. */
export async function readStreaks(reading: PersonReading): Promise<StreakRow[]> {
  return reading.rows<StreakRow>(STREAKS, [reading.userId]);
}

/** A person's days: each as a square of the calendar, and the longest runs of days in a row. */
export async function calendarChapter(reading: PersonReading): Promise<Chapter> {
  const absent = withoutTables(reading, 'Your calendar', 'dim_users', 'listening_streaks');
  if (absent !== undefined) return { missing: absent };
  const days = await reading.rows<DayRow>(DAYS, [reading.userId]);
  if (days.length === 0) return { missing: 'Your calendar: no play counts yet. Load an account export to fill it.' };
  const streaks = await readStreaks(reading);
  const figures = [calendar(reading, days)];
  if (streaks.length > 0) figures.push(longestStreaks(streaks));
  return { section: { id: 'calendar', title: 'Day by day', figures } };
}

function calendar(reading: PersonReading, days: DayRow[]): Figure {
  const amount = (row: DayRow): number => (reading.isTimed ? row.played_ms : row.plays);
  const fullest = days.reduce((best, row) => (amount(row) > amount(best) ? row : best));
  const heard = (row: DayRow): string => formatHeard(reading, { minutes: row.played_ms / 60_000, plays: row.plays });
  const [first, last] = [days[0]!.local_date, days.at(-1)!.local_date];
  const span = (dateMs(last) - dateMs(first)) / DAY_MS + 1;
  const years = [...new Set(days.map((row) => row.local_date.slice(0, 4)))];
  const shownYears = years.slice(-SHOWN_YEARS);
  return {
    name: 'calendar',
    title: `You listened on ${formatPlural(days.length, 'day')} of ${formatCount(span)}`,
    takeaway: `The fullest was ${weekdayOf(fullest.local_date)}, ${formatDate(fullest.local_date)}: ${heard(fullest)}.`,
    chart: (layout) =>
      calendarChart(
        days.map((row) => ({
          date: row.local_date,
          value: reading.isTimed ? row.played_ms / 60_000 : row.plays,
          spoken: `${row.local_date}: ${heard(row)}`,
        })),
        shownYears,
        [first, last],
        reading.isTimed,
        layout,
      ),
    table: {
      columns: [
        { label: 'Day', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      rows: [...days]
        .sort((left, right) => amount(right) - amount(left) || (left.local_date < right.local_date ? -1 : 1))
        .slice(0, 10)
        .map((row) => [formatDate(row.local_date), row.plays, reading.isTimed ? row.played_ms / 60_000 : null]),
      remark: days.length > 10 ? 'The ten fullest days.' : undefined,
    } as Figure['table'],
    notes: [
      `A day is that of the place where you listened. Each column is a week, Monday at its top.${
        shownYears.length < years.length ? ` The last ${SHOWN_YEARS} years are shown.` : ''
      }`,
    ],
  };
}

function longestStreaks(streaks: StreakRow[]): Figure {
  const longest = streaks.find((row) => row.is_longest) ?? streaks[0]!;
  const current = streaks.find((row) => row.is_current);
  const now =
    current === undefined
      ? 'No run reaches to the end of the data.'
      : current.first_date === longest.first_date
        ? 'It still runs.'
        : `The current one: ${formatPlural(current.days, 'day')} since ${formatDate(current.first_date)}.`;
  const shown = streaks.slice(0, SHOWN_STREAKS);
  return {
    name: 'streaks',
    title: `Your longest streak: ${formatPlural(longest.days, 'day')}, ${period(longest)}`,
    takeaway: now,
    chart: (layout) =>
      rankedLists(
        [
          {
            title: 'Streaks',
            rows: shown.map((row) => ({
              label: period(row),
              detail: row.is_current ? 'still runs' : '',
              value: row.days,
              valueText: formatPlural(row.days, 'day'),
            })),
          },
        ],
        layout,
      ),
    table: {
      columns: [
        { label: 'First day', kind: 'text' },
        { label: 'Last day', kind: 'text' },
        { label: 'Days', kind: 'number' },
      ],
      rows: shown.map((row) => [formatDate(row.first_date), formatDate(row.last_date), row.days]),
      ...(streaks.length > shown.length && {
        remark: `Not shown: ${formatPlural(streaks.length - shown.length, 'shorter run')}.`,
      }),
    },
    notes: ['A streak is days in a row with at least one full play, or with one of unknown length.'],
  };
}

/** `3 Mar to 12 Apr 2024`; the first year only where it differs. */
function period({ first_date: first, last_date: last }: { first_date: string; last_date: string }): string {
  if (first === last) return formatDate(first);
  const start = first.slice(0, 4) === last.slice(0, 4) ? formatDate(first).slice(0, -5) : formatDate(first);
  return `${start} to ${formatDate(last)}`;
}

function weekdayOf(date: string): string {
  return WEEKDAYS[weekdayIndex(date)]!;
}

/** 0 on Monday to 6 on Sunday. */
function weekdayIndex(date: string): number {
  return (new Date(dateMs(date)).getUTCDay() + 6) % 7;
}

interface CalendarDay {
  date: string;
  /** Minutes or plays. */
  value: number;
  spoken: string;
}

/** Seven rows of squares for each year, the newest on top; days outside of the data are left blank. */
function calendarChart(
  days: CalendarDay[],
  years: string[],
  [first, last]: [string, string],
  isTimed: boolean,
  layout: Layout,
): TopLevelSpec {
  const isWide = layout.kind === 'wide';
  const left = isWide ? 44 : 0;
  const pitch = Math.floor(((layout.width - left) / 53.2) * 10) / 10;
  const head = isWide ? 22 : 24;
  const block = head + 7 * pitch + (isWide ? 6 : 8);
  const { labels, stepOf } = steps(days, isTimed);
  const known = new Map(days.map((row) => [row.date, row]));
  const newestFirst = [...years].reverse();
  const squares = newestFirst.flatMap((year, index) => {
    const shift = weekdayIndex(`${year}-01-01`);
    const all = daysBetween(`${year}-01-01`, `${year}-12-31`);
    return all.flatMap((date, day) => {
      if (date < first || date > last) return [];
      const row = known.get(date);
      return [
        {
          x: left + (Math.floor((day + shift) / 7) + 0.5) * pitch,
          y: index * block + head + (((day + shift) % 7) + 0.5) * pitch,
          step: labels[stepOf(row?.value ?? 0)]!,
          spoken: row?.spoken ?? `${date}: nothing`,
        },
      ];
    });
  });
  const texts = newestFirst.flatMap((year, index) => {
    const shift = weekdayIndex(`${year}-01-01`);
    const months = (isWide ? MONTHS : MONTHS_NARROW).map((text, month) => {
      const start = (dateMs(`${year}-${String(month + 1).padStart(2, '0')}-01`) - dateMs(`${year}-01-01`)) / DAY_MS;
      return { x: left + Math.ceil((start + shift) / 7) * pitch, y: index * block + head - 9, text };
    });
    return isWide ? months : months.filter(({ text }) => text !== '');
  });
  const names = newestFirst.map((text, index) => ({
    x: 0,
    y: index * block + (isWide ? head + pitch * 3.5 : head - 9),
    text,
  }));
  return {
    width: layout.width - 2,
    height: Math.ceil(newestFirst.length * block),
    // On a phone as well, the labels would be half of the chart's text; the same days speak in the wide one.
    ...(isWide && { config: SPOKEN }),
    layer: [
      {
        data: { values: squares },
        mark: { type: 'square', size: (pitch * 0.86) ** 2, opacity: 1 },
        encoding: {
          x: pixels('x'),
          y: pixels('y'),
          ...(isWide && spokenMark()),
          color: {
            field: 'step',
            type: 'ordinal',
            scale: { domain: labels, range: SEQUENCE.slice(0, labels.length).map(([light]) => light) },
            legend: {
              orient: 'top',
              direction: 'horizontal',
              columns: isWide ? 7 : 4,
              symbolSize: 140,
              symbolOpacity: 1,
              offset: 8,
              columnPadding: 14,
            },
          },
        },
      },
      { data: { values: texts }, ...pixelText('text', 'x', 'y', { color: color('muted'), fontSize: 11, aria: false }) },
      { data: { values: names }, ...pixelText('text', 'x', 'y', { fontWeight: 600, fontSize: 12, aria: false }) },
    ],
  };
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** The year's name stands where January would. */
const MONTHS_NARROW = ['', '', '', 'Apr', '', '', 'Jul', '', '', 'Oct', '', ''];

/**
 * Colours from none to much. Steps are of equal size up to the 95th of a hundred days; the last one is open,
 * so that one long day does not pale all others.
 */
function steps(days: CalendarDay[], isTimed: boolean): { labels: string[]; stepOf: (value: number) => number } {
  const sorted = days.map((row) => row.value).sort((left, right) => left - right);
  const high = sorted[Math.floor(0.95 * (sorted.length - 1))]!;
  const count = SEQUENCE.length - 1;
  const sizes = isTimed ? STEP_MINUTES : STEP_PLAYS;
  const size = sizes.find((step) => step * count >= 0.85 * high) ?? sizes.at(-1)!;
  const stepOf = (value: number): number => (value <= 0 ? 0 : Math.min(count, Math.ceil(value / size)));
  const used = Math.max(1, stepOf(sorted.at(-1)!));
  const name = (value: number): string => (isTimed ? formatStep(value) : formatCount(value));
  const labels = Array.from({ length: used + 1 }, (_, step) => {
    if (step === 0) return 'none';
    return step === count && sorted.at(-1)! > size * count ? `> ${name(size * (count - 1))}` : `≤ ${name(size * step)}`;
  });
  if (!isTimed) labels[used] += ' plays';
  return { labels, stepOf };
}

/** `45 min`, `75 min`, `1.5 h`: whole and half hours in hours. */
function formatStep(minutes: number): string {
  if (minutes < 60 || minutes % 30 !== 0) return `${formatCount(minutes)} min`;
  return `${formatCount(minutes / 60, minutes % 60 === 0 ? 0 : 1)} h`;
}
