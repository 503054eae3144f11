import type { EngineSession } from '../engine/index.ts';

/**
 * Selects of several tables that are asked for together, where an engine waits and charges by the statement.
 */
const SELECTS_TOGETHER_MAX = 16;

/**
 * Groups of what is asked of tables: each by itself where the engine is this process, and as many in a row as
 * fit into a statement where statements wait for others' machines.
 *
 * @param sizeOf selects of an item
 */
export function askedTogether<T>(
  session: Pick<EngineSession, 'concurrency'>,
  items: readonly T[],
  sizeOf: (item: T) => number,
): T[][] {
  const groups: T[][] = [];
  let selects = 0;
  for (const item of items) {
    const isFull = session.concurrency === 1 || selects + sizeOf(item) > SELECTS_TOGETHER_MAX;
    if (groups.length === 0 || isFull) groups.push([item]);
    else groups.at(-1)!.push(item);
    selects = isFull ? sizeOf(item) : selects + sizeOf(item);
  }
  return groups;
}
