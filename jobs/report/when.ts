import { DAY_MS } from '../base/time.ts';
import { dayLine, timeBars, WEEKDAYS, weekHeatMap } from './charts.ts';
import type { Figure, Section } from './figure.ts';
import {
  dateMs,
  daysBetween,
  formatCount,
  formatDate,
  formatMinutes,
  formatMonth,
  formatPlural,
  formatShare,
  monthsBetween,
} from './format.ts';
import type { Reading } from './reading.ts';

/** Up to this many days a chart by days says more than one by months. */
const DAILY_MAX_DAYS = 92;
const ACTIVE_USERS_MAX_DAYS = 366;

const PLAYS_BY_DATE = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

final as (
    select
        local_date,
        case when source = 'events' then 'events' else 'own' end as origin,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms
    from plays
    group by
        local_date,
        case when source = 'events' then 'events' else 'own' end
)

select * from final
order by local_date, origin desc`;

const PLAYS_BY_WEEKDAY_AND_HOUR = `
with

plays as (select * from fct_plays where {in_reports} and {person}),

final as (
    select
        local_weekday,
        local_hour,
        count(*) as plays,
        cast(coalesce(sum(played_ms), 0) as bigint) as played_ms
    from plays
    group by local_weekday, local_hour
)

select * from final
order by local_weekday, local_hour`;

const ACTIVE_USERS_BY_DATE = `
select
    played_date,
    daily_active_users
from daily_aggregates
order by played_date`;

interface DateRow extends Record<string, string | number> {
  local_date: string;
  origin: string;
  plays: number;
  played_ms: number;
}

/** When people listened: by month (or day), by hour of the week, and how many on each day. */
export async function whenSection(reading: Reading): Promise<Section> {
  const figures = [await listeningOverTime(reading), await hoursOfTheWeek(reading)];
  if (reading.totals.users > 1) figures.push(await activeUsers(reading));
  return { id: 'when', title: 'When', figures };
}

/** How much was heard in each month, or day where there are few. */
export async function listeningOverTime(reading: Reading): Promise<Figure> {
  const rows = await reading.rows<DateRow>(PLAYS_BY_DATE);
  const dates = rows.map((row) => row.local_date);
  const [first, last] = [dates[0]!, dates.at(-1)!];
  const step = (dateMs(last) - dateMs(first)) / DAY_MS < DAILY_MAX_DAYS ? 'day' : 'month';
  const periodOf = (date: string): string => (step === 'day' ? date : `${date.slice(0, 7)}-01`);
  const periods = step === 'day' ? daysBetween(first, last) : monthsBetween(first, last);
  const origins = [...new Set(rows.map((row) => row.origin))].sort().reverse();
  const sums = new Map<string, { plays: number; playedMs: number }>();
  for (const row of rows) {
    const key = `${periodOf(row.local_date)} ${row.origin}`;
    const sum = sums.get(key) ?? { plays: 0, playedMs: 0 };
    sums.set(key, { plays: sum.plays + row.plays, playedMs: sum.playedMs + row.played_ms });
  }
  const numbers = periods.flatMap((period) =>
    origins.map((origin) => ({ period, origin, ...(sums.get(`${period} ${origin}`) ?? { plays: 0, playedMs: 0 }) })),
  );
  const isInHours = step === 'month';
  const unitMs = isInHours ? 3_600_000 : 60_000;
  const amountOf = (row: { plays: number; playedMs: number }): number =>
    reading.isTimed ? row.playedMs / unitMs : row.plays;
  const name = (period: string): string => (step === 'day' ? formatDate(period) : formatMonth(period));
  const totals = periods.map((period) => ({
    period,
    value: numbers.filter((row) => row.period === period).reduce((sum, row) => sum + amountOf(row), 0),
  }));
  const peak = totals.reduce((best, row) => (row.value > best.value ? row : best));
  const peakText = reading.isTimed ? formatMinutes((peak.value * unitMs) / 60_000) : formatPlural(peak.value, 'play');
  const empty = totals.filter((row) => row.value === 0).length;
  return {
    name: `listening-by-${step}`,
    title:
      reading.userId === undefined
        ? reading.isTimed
          ? `Listening time by ${step}`
          : `Plays by ${step}`
        : `${name(peak.period)} was your biggest ${step}`,
    takeaway:
      periods.length === 1
        ? `Everything so far lies in ${name(peak.period)}: ${peakText}.`
        : `The most ${step === 'day' ? 'on' : 'in'} ${name(peak.period)}: ${peakText}.${empty > 0 ? ` Nothing in ${formatPlural(empty, step)} of ${formatCount(periods.length)}.` : ''}`,
    chart: (layout) =>
      timeBars(
        numbers.map((row) => ({
          date: row.period,
          value: amountOf(row),
          ...(origins.length > 1 ? { part: ORIGIN_NAMES[row.origin]! } : {}),
        })),
        reading.isTimed ? (isInHours ? 'hours' : 'minutes') : 'plays',
        step,
        layout,
      ),
    table: {
      columns: [
        { label: step === 'day' ? 'Day' : 'Month', kind: 'text' },
        ...(origins.length > 1 ? [{ label: 'Whose', kind: 'text' as const }] : []),
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      parts: { filter: 'period', values: numbers.map(({ period }) => daysOf(period, step)) },
      rows: numbers.map((row) => [
        name(row.period),
        ...(origins.length > 1 ? [ORIGIN_NAMES[row.origin]!] : []),
        row.plays,
        reading.isTimed ? row.playedMs / 60_000 : null,
      ]),
    },
    notes: [
      `A play counts on the date of the place where it was heard: in the time zone of the play's country, in UTC where the country is unknown.${
        reading.isTimed
          ? ' Time is what was heard, not the length of the tracks; plays of unknown length add none.'
          : ''
      }`,
      ...(reading.isTimed
        ? []
        : [
            'None of these plays says how long a track was heard: recently played and scrobbles never do. So plays are counted instead of time. Load an account export to get times.',
          ]),
      ...(step === 'day'
        ? [`Shown by day, because there are fewer than ${DAILY_MAX_DAYS} days so far; with more it is by month.`]
        : []),
    ],
  };
}

/** First and last day of a period, with a slash between. */
function daysOf(period: string, step: 'day' | 'month'): string {
  if (step === 'day') return `${period}/${period}`;
  const last = new Date(Date.UTC(Number(period.slice(0, 4)), Number(period.slice(5, 7)), 0));
  return `${period}/${last.toISOString().slice(0, 10)}`;
}

const ORIGIN_NAMES: Record<string, string> = { own: 'own listening', events: 'events of many users' };

/** How much was heard in each hour of the week. */
export async function hoursOfTheWeek(reading: Reading): Promise<Figure> {
  const rows = await reading.rows<{ local_weekday: number; local_hour: number; plays: number; played_ms: number }>(
    PLAYS_BY_WEEKDAY_AND_HOUR,
  );
  const byCell = new Map(rows.map((row) => [`${row.local_weekday} ${row.local_hour}`, row]));
  const cells = WEEKDAYS.flatMap((_, index) =>
    Array.from({ length: 24 }, (_, hour) => {
      const row = byCell.get(`${index + 1} ${hour}`);
      const plays = row?.plays ?? 0;
      const minutes = (row?.played_ms ?? 0) / 60_000;
      return { weekday: index + 1, hour, plays, minutes, value: reading.isTimed ? minutes : plays };
    }),
  );
  const total = cells.reduce((sum, cell) => sum + cell.value, 0);
  const peak = cells.reduce((best, cell) => (cell.value > best.value ? cell : best));
  const weekend = cells.filter((cell) => cell.weekday > 5).reduce((sum, cell) => sum + cell.value, 0);
  const inHours = reading.isTimed && peak.value > 600;
  return {
    name: 'hours-of-the-week',
    title:
      reading.userId === undefined
        ? 'Hours of the week'
        : `You listened most on ${WEEKDAYS[peak.weekday - 1]}s at ${clock(peak.hour)}`,
    takeaway: `${reading.userId === undefined ? `Most of all on ${WEEKDAYS[peak.weekday - 1]}s from ${clock(peak.hour)} to ${clock((peak.hour + 1) % 24)}; ` : ''}${formatShare(weekend / total, 0)} of ${reading.isTimed ? formatMinutes(total) : formatPlural(total, 'play')} falls on weekends, which are 2 of 7 days.`,
    chart: (layout) =>
      weekHeatMap(
        cells.map((cell) => ({ ...cell, value: inHours ? cell.value / 60 : cell.value })),
        inHours ? 'hours' : reading.isTimed ? 'minutes' : 'plays',
        layout,
      ),
    table: {
      columns: [
        { label: 'Weekday', kind: 'text' },
        { label: 'Hour', kind: 'text' },
        { label: 'Plays', kind: 'number' },
        { label: 'Minutes', kind: 'number', format: (value) => formatCount(value, 1) },
      ],
      rows: cells.map((cell) => [
        WEEKDAYS[cell.weekday - 1]!,
        clock(cell.hour),
        cell.plays,
        reading.isTimed ? cell.minutes : null,
      ]),
    },
    notes: [
      'The sum of all weeks, by the local time at which a play ended: a play that runs over the full hour counts in the later hour.',
    ],
  };
}

function clock(hour: number): string {
  return `${String(hour).padStart(2, '0')}:00`;
}

async function activeUsers(reading: Reading): Promise<Figure> {
  const all = await reading.rows<{ played_date: string; daily_active_users: number }>(ACTIVE_USERS_BY_DATE);
  const known = new Map(all.map((row) => [row.played_date, row.daily_active_users]));
  const days = daysBetween(all[0]!.played_date, all.at(-1)!.played_date).slice(-ACTIVE_USERS_MAX_DAYS);
  const rows = days.map((date) => ({ date, value: known.get(date) ?? 0 }));
  const peak = rows.reduce((best, row) => (row.value > best.value ? row : best));
  const mean = rows.reduce((sum, row) => sum + row.value, 0) / rows.length;
  return {
    name: 'daily-active-users',
    title: 'Daily active users',
    takeaway: `${formatCount(mean, 1)} of ${formatPlural(reading.totals.users, 'user')} on an average day of ${formatCount(rows.length)}, ${formatCount(peak.value)} at most (${formatDate(peak.date)}).`,
    chart: (layout) => dayLine(rows, 'users', layout),
    table: {
      columns: [
        { label: 'Day', kind: 'text' },
        { label: 'Users', kind: 'number' },
      ],
      rows: rows.map((row) => [formatDate(row.date), row.value]),
    },
    notes: [
      `Users with at least one play on the date, in UTC, so that the same moment is the same day for all of them.${all.length > ACTIVE_USERS_MAX_DAYS ? ` The last ${ACTIVE_USERS_MAX_DAYS} days are shown.` : ''}`,
    ],
  };
}
