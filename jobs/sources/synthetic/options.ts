import { JobError } from '../../base/errors.ts';
import { DAY_MS } from '../../base/time.ts';

/** What a data set is a pure function of: the same options give the same bytes. */
export interface SyntheticOptions {
  /** Whole number, 0 to 2^53 - 1. */
  seed: number;
  /** Users of the event stream; 0 = no events. */
  users: number;
  /** UTC days of events before `end`; 0 = no events. */
  days: number;
  /** Tracks of the catalogue, at least 1. */
  tracks: number;
  /** Exclusive end, UTC midnight, e.g. `2026-11-01`. */
  end: string;
  /** Distinct plays of the person's export; 0 = none. */
  exportPlays: number;
  /** Years of the export before `end`; a fraction is fine. */
  exportYears: number;
  /**
   * Recorded polls of recently played before `end`, one every ten minutes, in full; 0 = two weeks of short
   * ones.
   */
  polls?: number;
  /** Plant what is known to be wrong with real files. */
  faults: boolean;
}

export type ExportOptions = Pick<
  SyntheticOptions,
  'seed' | 'tracks' | 'end' | 'exportPlays' | 'exportYears' | 'faults'
>;

export type EventOptions = Pick<SyntheticOptions, 'seed' | 'users' | 'days' | 'tracks' | 'end' | 'faults'>;

export type PollOptions = Pick<SyntheticOptions, 'seed' | 'tracks' | 'end'> & { polls: number };

/** No listening can be older than the service itself. */
const FIRST_DAY = '2008-10-07';

/**
 * Checks the options and gives the exclusive end in Unix milliseconds.
 *
 * @throws JobError `options_invalid` (usage; a retry does not help): a value out of range, a date that does
 *   not exist
 */
export function endOfDataset(options: ExportOptions & Partial<SyntheticOptions>): number {
  whole('seed', options.seed, 0, Number.MAX_SAFE_INTEGER);
  whole('users', options.users ?? 0, 0, 1_000_000);
  whole('days', options.days ?? 0, 0, 3_660);
  whole('tracks', options.tracks, 1, 1_000_000);
  whole('polls', options.polls ?? 0, 0, 1_000_000);
  whole('exportPlays', options.exportPlays, 0, 20_000_000);

  const endMs = /^\d{4}-\d{2}-\d{2}$/.test(options.end) ? Date.parse(`${options.end}T00:00:00Z`) : Number.NaN;
  // Date.parse takes 2026-02-30 for 2 March: only what reads back the same is a date.
  if (Number.isNaN(endMs) || new Date(endMs).toISOString().slice(0, 10) !== options.end) {
    throw invalid('end', options.end, 'a date such as 2026-11-01');
  }
  if (endMs > Date.UTC(2100, 0, 1)) throw invalid('end', options.end, 'a date up to 2100-01-01');
  const firstMs = Date.parse(FIRST_DAY);
  if (endMs - (options.days ?? 0) * DAY_MS < firstMs) {
    throw invalid('days', options.days, `days that begin on or after ${FIRST_DAY}`);
  }
  if (options.exportPlays > 0) {
    const days = exportDays(options.exportYears);
    if (!(days >= 1) || endMs - days * DAY_MS < firstMs) {
      throw invalid('exportYears', options.exportYears, `more than 0 years, beginning on or after ${FIRST_DAY}`);
    }
    // Even a day of nothing but skips has no room for more.
    if (options.exportPlays / days > 20_000) {
      throw invalid('exportPlays', options.exportPlays, `at most 20000 plays a day, so ${days * 20_000} in that time`);
    }
  }
  return endMs;
}

/** Whole days that an export of so many years covers. */
export function exportDays(years: number): number {
  return Math.round(years * 365.25);
}

function whole(name: string, value: number, from: number, to: number): void {
  if (!Number.isSafeInteger(value) || value < from || value > to) {
    throw invalid(name, value, `a whole number from ${from} to ${to}`);
  }
}

function invalid(name: string, value: unknown, expected: string): JobError {
  return new JobError('options_invalid', 'usage', `${name} is ${JSON.stringify(value) ?? String(value)}`, {
    hint: `expected ${expected}`,
  });
}
