import type { Effects } from '../../effects/index.ts';
import type { TimePart } from '../build.ts';
import { monthOf, monthStart } from '../months.ts';
import { isOldLayout, openBuild, planTimeTables, readCommitted } from '../open.ts';
import { isOfData } from '../search.ts';

/**
 * Half-open UTC interval of whole months, dates as `YYYY-MM-DD`, and about how many rows of bronze are in
 * what is to be built of it.
 */
export interface PlannedInterval {
  from: string;
  to: string;
  rows: number;
}

export interface Plan {
  status: 'planned' | 'nothing_new';
  /** In order of time, none overlaps another; empty where one process has it all done sooner. */
  partitions: PlannedInterval[];
}

export const TASKS_MAX = 16;

/**
 * A task must have this many rows to be worth its start: they take 5 s of processor time, a task 1 s before
 * its first row, and a container starts.
 */
export const TASK_ROWS_MIN = 250_000;

/**
 * How `transform` may be fanned out: one `stageTransform` for each interval, then `transform`. Reads, and
 * changes nothing.
 */
export async function planTransform(
  { tasksMax, taskRowsMin = TASK_ROWS_MIN }: { tasksMax: number; taskRowsMin?: number },
  effects: Effects,
): Promise<Plan> {
  const committed = await readCommitted(effects);
  // Where silver is made anew nothing is taken but bronze.
  if (isOldLayout(committed)) return { status: 'planned', partitions: [] };
  if (!committed.index.some(committed.isNew)) return { status: 'nothing_new', partitions: [] };
  const build = await openBuild(effects, committed);
  try {
    const tables = await planTimeTables(build);
    const parts = tables.flatMap((table) => (table.isOfEngine === true ? [] : table.parts));
    return { status: 'planned', partitions: divide(parts, tasksMax, taskRowsMin) };
  } catch (error) {
    // One process has it all done: it looks for the file on which a statement fails.
    if (isOfData(error)) return { status: 'planned', partitions: [] };
    throw error;
  } finally {
    build.db.close();
  }
}

/**
 * Divides parts into at most `tasksMax` intervals of whole months, the largest of them as small as can be. No
 * part is cut.
 *
 * @returns none where there would be a single one, or less than `taskRowsMin` rows for each of two
 */
export function divide(parts: readonly TimePart[], tasksMax: number, taskRowsMin: number): PlannedInterval[] {
  const spans = spansOf(parts);
  const total = spans.reduce((sum, { rows }) => sum + rows, 0);
  const tasks = Math.min(tasksMax, Math.floor(total / taskRowsMin));
  if (tasks < 2) return [];
  let [low, high] = [Math.max(...spans.map(({ rows }) => rows)), total];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (fill(spans, middle).length <= tasks) high = middle;
    else low = middle + 1;
  }
  const intervals = fill(spans, low).map((group) => ({
    from: dateOf(monthStart(group[0]!.from)),
    to: dateOf(monthStart(group.at(-1)!.to)),
    rows: group.reduce((sum, { rows }) => sum + rows, 0),
  }));
  return intervals.length < 2 ? [] : intervals;
}

/** Half-open interval of months, as numbers of months.ts. */
interface Span {
  from: number;
  to: number;
  rows: number;
}

/**
 * Months that some part needs together, ascending: all days and months of a year where the table of plays has
 * that year.
 */
function spansOf(parts: readonly TimePart[]): Span[] {
  const spans: Span[] = [];
  for (const { fromMs, toMs, rows } of parts.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const span = { from: monthOf(fromMs), to: monthOf(toMs - 1) + 1, rows: Math.round(rows) };
    const last = spans.at(-1);
    if (last === undefined || span.from >= last.to) spans.push(span);
    else {
      last.to = Math.max(last.to, span.to);
      last.rows += span.rows;
    }
  }
  return spans;
}

/** Neighbours in groups of at most `rowsMax` rows. */
function fill(spans: readonly Span[], rowsMax: number): Span[][] {
  const groups: Span[][] = [];
  let held = 0;
  for (const span of spans) {
    const last = groups.at(-1);
    if (last === undefined || held + span.rows > rowsMax) {
      groups.push([span]);
      held = span.rows;
    } else {
      last.push(span);
      held += span.rows;
    }
  }
  return groups;
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
