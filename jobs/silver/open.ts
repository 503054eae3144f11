import { join } from 'node:path';
import { makeFolders } from '../base/disk.ts';
import type { Effects } from '../effects/index.ts';
import { openEmbedded } from '../engine/duckdb/database.ts';
import { readContracts } from '../lake/contracts.ts';
import { isImmutableSilverKey, PREFIX } from '../lake/keys.ts';
import {
  type BronzeFile,
  EMPTY_STATE,
  LAKE_FORMAT,
  type LakeState,
  latestManifest,
  type Manifest,
  readBronzeIndex,
  readSilverFiles,
  type SilverFile,
} from '../lake/manifest.ts';
import { readStreamIndex, type StreamBatch } from '../lake/stream.ts';
import { type Build, LIMITS, type Limits, type Refusals, type TimeTable } from './build.ts';
import { liftedFiles, readRefusals, withoutRefused } from './refusals.ts';
import { asRead, createMacros } from './relations.ts';
import { planCharts } from './tables/charts.ts';
import { planListeningEvents } from './tables/listening-events.ts';
import { planPlays } from './tables/plays.ts';
import { createRefusedRows } from './tables/quarantine.ts';

/** What is committed: the bronze there is, and what silver was made of it. */
export interface Committed {
  base: Manifest | undefined;
  state: LakeState;
  /** Every loaded file. */
  index: readonly BronzeFile[];
  /** Every batch of a stream that is named. */
  batches: readonly StreamBatch[];
  /** Every silver table but table_stats, in the order of their names. */
  tables: readonly string[];
  /** The files of each of them, and of table_stats. */
  silver: ReadonlyMap<string, readonly SilverFile[]>;
  /** Files that silver is made without. */
  refusals: Refusals;
  /** Not in silver yet, or to be tried again. */
  isNew(file: BronzeFile): boolean;
}

/**
 * True where silver is laid out as older versions did it: it must be made anew from bronze before anything is
 * added to it.
 */
export function isOldLayout({ base, silver }: Pick<Committed, 'base' | 'silver'>): boolean {
  if (base === undefined) return false;
  return base.format < LAKE_FORMAT || [...silver.values()].flat().some(({ key }) => !isImmutableSilverKey(key));
}

/** @throws `object_missing`, `manifest_invalid` (65), `manifest_too_new` (78) */
export async function readCommitted({ store, config }: Pick<Effects, 'store' | 'config'>): Promise<Committed> {
  const base = await latestManifest(store);
  const state = base?.state ?? EMPTY_STATE;
  const tables = readContracts()
    .filter(({ layer, table }) => layer === 'silver' && table !== 'table_stats')
    .map(({ table }) => table);
  const silver = new Map<string, SilverFile[]>();
  for (const table of [...tables, 'table_stats']) silver.set(table, await readSilverFiles(store, state, table));
  const index = await readBronzeIndex(store, state);
  const batches = await readStreamIndex(store, state);
  const refusals = await readRefusals(store, state, index, config.memoryMb);
  return {
    ...{ base, state, index, batches, tables, silver, refusals },
    isNew: (file) => file.sequence > state.transformedThrough || refusals.triedAgain.has(file.key),
  };
}

/**
 * Opens a database to build in; close it with `build.db.close()`. Its engine may read bronze and the silver
 * it adds to, and write to the scratch folder; nothing else.
 */
export async function openBuild(
  effects: Effects,
  { index, batches, silver, refusals, isNew, state }: Committed,
  rebuild: Build['rebuild'] = undefined,
  limits: Limits = LIMITS,
): Promise<Build> {
  const { store, config, scratch } = effects;
  const tempDir = join(scratch, 'spill');
  await makeFolders(tempDir);
  const db = await openEmbedded({
    memoryMb: config.memoryMb,
    threads: config.threads,
    tempDir,
    folders: [scratch, store.localFolder(PREFIX.bronze), store.localFolder(PREFIX.silver)],
  });
  try {
    await createMacros(db);
    await createRefusedRows({ db });
  } catch (error) {
    db.close();
    throw error;
  }
  const lifted = liftedFiles(index);
  const standing = index.filter((file) => !lifted.has(file));
  const read = withoutRefused(standing, refusals).map(asRead);
  const isNewBatch = batches.some(({ sequence }) => sequence > state.transformedThrough);
  return { db, effects, index: read, batches, isNewBatch, refusals, lifted, rebuild, committed: silver, isNew, limits };
}

/** The tables that are built by time, in the order in which `transform` builds them. */
export async function planTimeTables(build: Build): Promise<TimeTable[]> {
  return [await planPlays(build), await planListeningEvents(build), await planCharts(build)];
}
