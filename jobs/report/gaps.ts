import type { SqlEngine, SqlValue } from '../engine/index.ts';
import type { Target } from '../lake/keys.ts';

/** Why a stretch of time is not covered: the values of `why` in listening_coverage. */
export type Cause =
  | 'before_first_source'
  | 'between_exports'
  | 'long_silence'
  | 'not_polled'
  | 'overflow'
  | 'after_last_source';

/** Days in a row of one user that lack something for the same cause. */
export interface Gap {
  userId: string;
  /** First and last day (UTC, both inclusive), YYYY-MM-DD. */
  from: string;
  to: string;
  /** Hours without cover in them. */
  hours: number;
  /** In the order of the table, one at least. */
  causes: Cause[];
}

/** What listening_coverage says in few numbers. Dates are UTC. */
export interface Coverage {
  users: number;
  /** Rows: users times their days. */
  days: number;
  firstDate: string | null;
  lastDate: string | null;
  /** Covered hours of all hours from the first source to the last day's end; null without a row. */
  coveredShare: number | null;
  /**
   * Open gaps there are, and the hours in them; the time before the first source and the rest of the last
   * covered day are none.
   */
  gaps: number;
  gapHours: number;
  /** The longest open gaps, at most `GAPS_MAX`, longest first. */
  longestGaps: Gap[];
}

const GAPS_MAX = 20;
const DAY_HOURS = 24;

const TOTALS = `
select
    count(*) as days,
    count(distinct user_id) as users,
    min(coverage_date) as first_date,
    max(coverage_date) as last_date,
    coalesce(sum(covered_hours), 0e0) as covered_hours
from listening_coverage`;

/**
 * SQL condition: a row of listening_coverage has an open gap. What lies before the first source was never
 * promised, and a day that is covered up to some hour may just not be over.
 */
export const IS_OPEN = `(
    why like '%between_exports%' or why like '%long_silence%' or why like '%not_polled%' or why like '%overflow%'
    or (why like '%after_last_source%' and covered_hours = 0e0)
)`;

/** Neighbouring days with the same cause are one stretch. */
const GAPS = `
with

days as (
    select
        user_id,
        coverage_date,
        gap_hours,
        why,
        date_diff('day', date '1970-01-01', coverage_date) as day_number
    from listening_coverage
    where ${IS_OPEN}
),

numbered as (
    select
        *,
        day_number - row_number() over (
            partition by user_id, why
            order by coverage_date
        ) as stretch
    from days
),

final as (
    select
        user_id,
        why,
        min(coverage_date) as first_date,
        max(coverage_date) as last_date,
        sum(gap_hours) as gap_hours
    from numbered
    group by user_id, why, stretch
)

select
    *,
    count(*) over () as all_gaps,
    sum(gap_hours) over () as all_hours
from final
order by gap_hours desc, first_date, user_id
limit ${GAPS_MAX}`;

/** What to do about a gap, by its cause. */
export const REMEDIES: Readonly<Record<Cause, string>> = Object.freeze({
  before_first_source: 'request the extended streaming history: it goes back to the first play',
  between_exports: 'load the other files of the export, or request a new account export',
  long_silence: 'nothing to do where nothing was played; else load an older export, or request a new one',
  not_polled: 'request an account export; from now on poll every half hour',
  overflow: 'request an account export; poll every half hour, at least',
  after_last_source: 'poll again (listenlake extract recently-played), or request an account export',
});

/** What people read instead of the cause's name. */
export const CAUSE_TEXTS: Readonly<Record<Cause, string>> = Object.freeze({
  before_first_source: 'before the first export or poll',
  between_exports: 'between two exports',
  long_silence: 'an export without a play for months',
  not_polled: 'nobody polled',
  overflow: 'more than 50 plays between two polls',
  after_last_source: 'after the last export or poll',
});

/** Nothing is known to be covered. */
export const NO_COVERAGE: Coverage = Object.freeze({
  users: 0,
  days: 0,
  firstDate: null,
  lastDate: null,
  coveredShare: null,
  gaps: 0,
  gapHours: 0,
  longestGaps: [],
});

/** Sums the published listening_coverage of one target up. @throws what `SqlEngine.query` throws */
export async function readCoverage(engine: SqlEngine, target: Target): Promise<Coverage> {
  const [totals] = await rowsOf(engine, target, TOTALS);
  const days = Number(totals!.days);
  if (days === 0) return NO_COVERAGE;
  const gaps = await rowsOf(engine, target, GAPS);
  return {
    users: Number(totals!.users),
    days,
    firstDate: String(totals!.first_date).slice(0, 10),
    lastDate: String(totals!.last_date).slice(0, 10),
    coveredShare: Number(totals!.covered_hours) / (days * DAY_HOURS),
    gaps: Number(gaps[0]?.all_gaps ?? 0),
    gapHours: Number(gaps[0]?.all_hours ?? 0),
    longestGaps: gaps.map((row) => ({
      userId: String(row.user_id),
      from: String(row.first_date).slice(0, 10),
      to: String(row.last_date).slice(0, 10),
      hours: Number(row.gap_hours),
      causes: String(row.why).split(', ') as Cause[],
    })),
  };
}

/** Rows of a query by the names of its columns. @throws what `SqlEngine.query` throws */
export async function rowsOf(engine: SqlEngine, target: Target, sql: string): Promise<Record<string, SqlValue>[]> {
  const { columns, rows } = await engine.query(sql, { target });
  return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index] ?? null])));
}
