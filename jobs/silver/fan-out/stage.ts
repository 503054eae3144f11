import { type Effects, stopIfAsked } from '../../effects/index.ts';
import { messageOf } from '../../engine/duckdb/database.ts';
import { LIMITS, type Limits } from '../build.ts';
import { openBuild, planTimeTables, readCommitted } from '../open.ts';
import { isOfData } from '../search.ts';
import { openStaging } from './staging.ts';

export interface StageResult {
  /** `staged` also where everything was staged already. */
  status: 'staged' | 'nothing_new';
  /** Partitions of the interval that are staged now. */
  partitions: number;
  /** Those of them that this run has built. */
  built: number;
}

/**
 * Builds the partitions by time of `[fromMs, toMs)` that new bronze touches, as `transform` would, and stages
 * them: a transform over the same bronze takes them. It commits nothing and needs no lease, so several may
 * run at once, also on the same interval; killed, it is run again. Tables that are not partitioned by time
 * are left to the transform.
 *
 * Where a statement fails on data, what is staged by then stays, and the rest is left to the transform, which
 * finds the file.
 *
 * @param fromMs inclusive, `toMs` exclusive, UTC, Unix ms; partitions that lie in it in part are left out
 * @param limits how much is held at once; another value gives the same partitions
 * @throws `object_damaged`, `object_missing` (65) for bronze that is not whole; `disk_full` (74)
 */
export async function stageTransform(
  { fromMs, toMs }: { fromMs: number; toMs: number },
  effects: Effects,
  limits: Limits = LIMITS,
): Promise<StageResult> {
  const committed = await readCommitted(effects);
  if (!committed.index.some(committed.isNew)) return { status: 'nothing_new', partitions: 0, built: 0 };
  const build = await openBuild(effects, committed, undefined, limits);
  let [partitions, built] = [0, 0];
  try {
    const staging = await openStaging(build);
    for (const table of await planTimeTables(build)) {
      stopIfAsked(effects.signal);
      if (table.isOfEngine === true) continue;
      const own = table.parts.filter((part) => part.fromMs >= fromMs && part.toMs <= toMs);
      const there = await staging.staged(own);
      const wanted = own.filter(({ number }) => !there.has(number));
      partitions += there.size;
      if (wanted.length === 0) continue;
      const work = await table.build(
        wanted.map(({ number }) => number),
        undefined,
      );
      await staging.put(wanted, work);
      partitions += wanted.length;
      built += wanted.length;
    }
  } catch (error) {
    if (!isOfData(error)) throw error;
    effects.log.warn({ reason: messageOf(error) }, 'a statement fails on a file: the transform will find it');
  } finally {
    build.db.close();
  }
  return { status: 'staged', partitions, built };
}
