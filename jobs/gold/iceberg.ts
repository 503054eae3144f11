import { atMost } from '../base/concurrency.ts';
import { count } from '../base/words.ts';
import { commitWork } from '../effects/commit.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import type { IcebergCopy, IcebergTable } from '../lake/iceberg.ts';
import { EMPTY_STATE, hashOf, type LakeState, latestManifest, objectsOf } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { originOf } from './versions.ts';

/** What became of the copy. */
export interface CopyResult {
  /** `withdrawn`: there is none any more. */
  status: 'copied' | 'nothing_new' | 'withdrawn';
  /** Tables that were written; the others show their table of prod already. */
  written: number;
}

/**
 * Makes the copy of prod as Iceberg tables show the prod of the newest commit (decision 35): tables that it
 * does not show yet, or that are not whole, are written, and one commit names all of them. Killed anywhere,
 * readers of the copy keep what they had, and the next call goes on.
 *
 * @param isWanted false: takes the copy away, its objects are then `gc`'s; undefined: keeps up a copy that is
 *   there
 * @returns undefined where there is no copy, and none is wanted or the lake has no engine for one
 * @throws `catalog_missing` (78); `object_damaged` (65) for a table of prod; `engine_failed`,
 *   `engine_timeout` (69; retry helps); `commit_conflict`, `lease_lost` (75; retry helps): prod is published
 *   whatever happens here
 */
export async function copyProd(
  work: { job: string; runId: string },
  isWanted: boolean | undefined,
  effects: Effects,
): Promise<CopyResult | undefined> {
  const { engine, store, progress, now } = effects;
  if (engine.withdrawIceberg === undefined) return undefined;
  const startedAt = now();
  const base = await latestManifest(store);
  const state = base?.state ?? EMPTY_STATE;
  const { iceberg: shown, ...withoutCopy } = state;
  if (isWanted === false) {
    if (shown !== undefined) {
      const details = { step: 'iceberg', tables: 0 };
      await commitWork(effects, { ...work, startedAt, base, state: withoutCopy, details });
    }
    await engine.withdrawIceberg();
    return shown && { status: 'withdrawn', written: 0 };
  }
  const { prod } = state.gold;
  if (prod === undefined || (shown === undefined && isWanted === undefined)) return undefined;
  const kept = await keptTables(store, state);
  const missing = Object.keys(prod.tables).filter((model) => kept[model] === undefined);
  const isSame = missing.length === 0 && shown?.runId === prod.runId;
  if (isSame && Object.keys(shown.tables).length === Object.keys(kept).length)
    return { status: 'nothing_new', written: 0 };

  const written = missing.length === 0 ? {} : await writeTables(state, missing, work.runId, effects);
  const iceberg: IcebergCopy = { runId: prod.runId, tables: { ...kept, ...written } };
  const outputs = Object.values(written).map(({ key, rows, bytes, sha256 }) => ({ key, rows, bytes, sha256 }));
  const details = { step: 'iceberg', tables: outputs.length };
  await commitWork(effects, { ...work, startedAt, base, state: { ...state, iceberg }, outputs, details });
  progress.end(`${count(outputs.length, 'table')} of gold_prod as Iceberg tables`);
  return { status: 'copied', written: outputs.length };
}

/** Tables of the copy that show the table that prod has, and are whole. */
async function keptTables(store: LakeStore, { gold, iceberg }: LakeState): Promise<IcebergCopy['tables']> {
  const kept: IcebergCopy['tables'] = {};
  for (const [model, file] of Object.entries(gold.prod?.tables ?? {})) {
    const table = iceberg?.tables[model];
    if (table?.origin !== originOf(file)) continue;
    if (hashOf(table.key, await objectsOf(store, table.key)) === table.sha256) kept[model] = table;
  }
  return kept;
}

async function writeTables(
  state: LakeState,
  models: readonly string[],
  runId: string,
  { engine, progress, signal }: Effects,
): Promise<IcebergCopy['tables']> {
  const session = await engine.session({ state, target: 'prod', runId });
  try {
    progress.start('iceberg', models.length);
    let done = 0;
    const tables = await atMost(session.concurrency, models, async (model) => {
      stopIfAsked(signal);
      progress.update(done, model);
      const file = state.gold.prod!.tables[model]!;
      const table = await session.copyAsIceberg!(model, state.iceberg?.tables[model]);
      if (table.rows !== file.rows)
        throw new Error(`${model} has ${file.rows} rows, and ${table.rows} as an Iceberg table`);
      done += 1;
      return [model, { ...table, origin: originOf(file) } satisfies IcebergTable] as const;
    });
    return Object.fromEntries(tables);
  } finally {
    await session.close();
  }
}
