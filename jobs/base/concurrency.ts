/**
 * Runs `action` for every item, at most `count` of them at a time, each after the items that it needs. Of
 * those that could begin, the first in order does: one at a time, items that need only earlier ones are taken
 * in their order.
 *
 * After a failure nothing further begins, and what is at work ends before this does: nothing is left running.
 *
 * @param needs items of the same list (by identity) whose action must have ended well; not in a circle
 * @returns results in the order of the items
 * @throws of the failures the one of the earliest item
 */
export async function atMost<T, R>(
  count: number,
  items: readonly T[],
  action: (item: T) => Promise<R>,
  needs: (item: T) => readonly T[] = () => [],
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const failures = new Map<number, unknown>();
  const waiting = new Set(items.keys());
  const done = new Set<T>();
  const running = new Map<number, Promise<void>>();

  const begin = (index: number): Promise<void> => {
    const item = items[index] as T;
    // Behind a promise, so that an action that throws at once fails as any other.
    return Promise.resolve()
      .then(() => action(item))
      .then(
        (result) => {
          results[index] = result;
          done.add(item);
        },
        (error: unknown) => void failures.set(index, error),
      )
      .finally(() => running.delete(index));
  };

  for (;;) {
    for (const index of waiting) {
      if (running.size >= count || failures.size > 0) break;
      if (!needs(items[index] as T).every((need) => done.has(need))) continue;
      waiting.delete(index);
      running.set(index, begin(index));
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  if (failures.size > 0) throw failures.get(Math.min(...failures.keys()));
  if (waiting.size > 0) throw new Error('items wait for what is not there or for each other');
  return results;
}
