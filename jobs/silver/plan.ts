import type { Effects } from '../effects.ts';
import type { TimePart } from './build.ts';
import { type Month, monthOf, monthStart } from './months.ts';
import { openBuild, planTimeTables, readCommitted } from './open.ts';
import { isOfData } from './search.ts';

/** Half-open UTC interval of whole months, dates as `YYYY-MM-DD`, and about how many rows of bronze are in what is to be built of it. */
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

/** A task must have this many rows to be worth its start: they take 5 s of processor time, a task 1 s before its first row, and a container starts. */
export const TASK_ROWS_MIN = 250_000;

/** How `transform` may be fanned out: one `stageTransform` for each interval, then `transform`. Reads, and changes nothing. */
export async function planTransform(
  { tasksMax, taskRowsMin = TASK_ROWS_MIN }: { tasksMax: number; taskRowsMin?: number },
  effects: Effects,
): Promise<Plan> {
  const committed = await readCommitted(effects);
  if (!committed.index.some(committed.isNew)) return { status: 'nothing_new', partitions: [] };
  const build = await openBuild(effects, committed);
  try {
    const parts = (await planTimeTables(build)).flatMap((table) => table.parts);
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
 * Divides parts into at most `tasksMax` intervals of whole months, the largest of them as small as can be.
 *
 * @returns none where there would be a single one, or less than `taskRowsMin` rows for each of two
 */
export function divide(parts: readonly TimePart[], tasksMax: number, taskRowsMin: number): PlannedInterval[] {
  const rowsOf = new Map<Month, number>();
  for (const { fromMs, rows } of parts)
    rowsOf.set(monthOf(fromMs), (rowsOf.get(monthOf(fromMs)) ?? 0) + Math.round(rows));
  const months = [...rowsOf].sort(([a], [b]) => a - b);
  const total = months.reduce((sum, [, rows]) => sum + rows, 0);
  const tasks = Math.min(tasksMax, Math.floor(total / taskRowsMin));
  if (tasks < 2) return [];
  let [low, high] = [Math.max(...months.map(([, rows]) => rows)), total];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (fill(months, middle).length <= tasks) high = middle;
    else low = middle + 1;
  }
  const intervals = fill(months, low).map((group) => ({
    from: dateOf(monthStart(group[0]![0])),
    to: dateOf(monthStart(group.at(-1)![0] + 1)),
    rows: group.reduce((sum, [, rows]) => sum + rows, 0),
  }));
  return intervals.length < 2 ? [] : intervals;
}

/** Neighbours in groups of at most `rowsMax` rows. */
function fill(months: readonly [Month, number][], rowsMax: number): [Month, number][][] {
  const groups: [Month, number][][] = [];
  let held = 0;
  for (const month of months) {
    const last = groups.at(-1);
    if (last === undefined || held + month[1] > rowsMax) {
      groups.push([month]);
      held = month[1];
    } else {
      last.push(month);
      held += month[1];
    }
  }
  return groups;
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
