import { JobError } from './base/errors.ts';
import { hashObject } from './base/hash.ts';
import { count } from './base/words.ts';
import { publishAgain, refuseOvertaken } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import type { Embedded } from './engine/duckdb/database.ts';
import {
  type Accounts,
  commitManifest,
  LAKE_FORMAT,
  type LakeState,
  type Manifest,
  NO_ACCOUNTS,
  putState,
  type SilverFile,
} from './lake/manifest.ts';
import { addAccounts, type FileAccounts } from './silver/accounts.ts';
import { type Build, LIMITS, type Limits } from './silver/build.ts';
import { changeOf, isChange, listOf, type TableChange } from './silver/changes.ts';
import { openStaging, type Staging } from './silver/fan-out/staging.ts';
import { type Committed, isOldLayout, openBuild, readCommitted } from './silver/open.ts';
import type { StagedPartition } from './silver/partition.ts';
import { putRefusals } from './silver/refusals.ts';
import { searchRefusals, withRefusals } from './silver/search.ts';
import { buildStatistics, type TableLists } from './silver/statistics.ts';
import { buildSilver } from './silver/tables/index.ts';
import { buildLookUps, isLookUpChange } from './silver/tables/look-ups.ts';
import { replayBatches } from './stream/replay.ts';
import { takeBatches } from './stream/take.ts';

export interface TransformInput {
  runId: string;
  /**
   * Date of this run (UTC), `YYYY-MM-DD`: the partition of quarantine for what is refused now for the first
   * time.
   */
  loadedOn: string;
  /**
   * Rebuild the partitions that overlap `[from, to)`, besides those that new bronze touches. ISO instants; an
   * open end is absent.
   */
  from?: string | undefined;
  to?: string | undefined;
  /** Rebuild everything. */
  rebuild?: boolean | undefined;
  /** Make the events of streams anew from their batches first, and then everything. */
  replay?: boolean | undefined;
}

export interface TransformResult {
  status: 'transformed' | 'nothing_new';
  /** Sequence of the commit; of the newest one where there was nothing to do. */
  sequence: number;
  files: FileAccounts[];
  accounts: Accounts;
  /** Every silver table but table_stats, in the order of their names. */
  tables: TableChange[];
  /** Refused rows and files of this run, by the code of the reason. */
  quarantined: Record<string, number>;
  /** Time partitions that were taken as `transform --stage` had built them. */
  taken: number;
  /** Silver was of an older layout, and was made anew from bronze. */
  isUpgrade: boolean;
}

/**
 * A build of what a search has left may fail on files that it could not see before; more often it is no
 * file's fault.
 */
const SEARCHES_MAX = 3;

/**
 * Bronze to silver. Silver is a function of bronze: the order of loading, the number of runs and kills do not
 * show in it (but for `loaded_on` in quarantine and `rows_before` in table_stats, which are about runs).
 *
 * Only partitions that new bronze touches are built, each from all bronze rows that may fall into it. Those
 * whose content differs from what is there are put as new objects beside the old ones; one manifest commits
 * all of them. Killed before the commit, readers keep the old version and the next run does it again. `gc`
 * collects what was replaced. Partitions that were staged from the same bronze are taken instead of built; a
 * rebuild trusts nothing but bronze. A lake whose silver is of an older layout is rebuilt.
 *
 * What consumers of streams have written is taken into bronze first (`takeBatches`), in commits of its own.
 *
 * A file on which a statement fails is found and refused whole, and everything is built without it.
 *
 * @param limits how much is held at once; another value gives the same tables
 * @throws `commit_conflict`, `lease_lost` (75; retry helps) when another run has committed or begun
 *   meanwhile; `accounts_broken` (70) when rows of a file are not accounted for; `object_damaged`,
 *   `object_missing` (65) for bronze that is not whole; `disk_full`, `memory_full` (74)
 */
export async function transform(
  given: TransformInput,
  effects: Effects,
  limits: Limits = LIMITS,
): Promise<TransformResult> {
  await takeBatches(given.runId, effects);
  if (given.replay === true) await replayBatches(given.runId, effects);
  const input = given.replay === true ? { ...given, rebuild: true } : given;
  let there = await readCommitted(effects);
  let asked = input;
  const buildAll = (build: Build): Promise<unknown> => buildSilver(build, input.loadedOn, [], undefined);
  for (let searches = 0; ; searches += 1) {
    try {
      return await transformCommitted(asked, effects, limits, there);
    } catch (error) {
      if (searches === SEARCHES_MAX) throw error;
      const refused = await searchRefusals(error, { effects, limits, there, buildAll });
      // A file that was in silver already may have rows in any partition.
      if (there.index.some((file) => refused.has(file.key) && !there.isNew(file))) asked = { ...input, rebuild: true };
      there = withRefusals(there, refused);
    }
  }
}

async function transformCommitted(
  input: TransformInput,
  effects: Effects,
  limits: Limits,
  there: Committed,
): Promise<TransformResult> {
  const { store } = effects;
  const startedAt = effects.now();
  const { base, index, tables, silver: committed, isNew } = there;
  const { refusals: _, ...state } = there.state;
  const isUpgrade = isOldLayout(there);
  // Where something was removed from bronze, no one knows from bronze what silver has of it.
  const rebuild = rebuildInterval(state.removal === 'silver' || isUpgrade ? { ...input, rebuild: true } : input);
  const isNewBatch = there.batches.some(({ sequence }) => sequence > state.transformedThrough);
  if (!index.some(isNew) && !isNewBatch && rebuild === undefined) return nothingNew(effects, there);

  const known = await knownPaths(effects, committed.get('quarantine') ?? [], rebuild !== undefined);
  const build = await openBuild(effects, there, rebuild, limits);
  const { db } = build;
  try {
    const staging = await openStaging(build);
    const work = await buildSilver(build, input.loadedOn, known, rebuild === undefined ? staging : undefined);
    const { staged, files, refusedByCode } = work;
    const changes = staged.filter((part) => isChange(part, committed));
    const lists = tables.map((table) => listOf(table, committed.get(table) ?? [], changes));
    const stagedPaths = new Map(staged.map(({ key, path }) => [key, path]));
    const localPath = async ({ key }: SilverFile): Promise<string> => stagedPaths.get(key) ?? store.localFile(key);
    const stats = await stageStatistics(effects, db, there, lists, localPath);
    const lookUps =
      isLookUpChange(lists) || rebuild !== undefined ? await buildLookUps(db, lists, localPath) : undefined;
    if (isChange(stats, committed)) changes.push(stats);
    await refuseOvertaken(effects, base);
    // A rebuild also mends objects that no longer are what was committed: what is the same is looked at
    // again.
    if (rebuild !== undefined)
      await putChanges(
        effects,
        [...staged, stats].filter((part) => part.rows > 0 && !changes.includes(part)),
      );
    if (changes.length === 0 && files.length === 0 && !isNewBatch && state.removal !== 'silver' && !isUpgrade)
      return nothingNew(effects, there);
    lists.push(listOf('table_stats', committed.get('table_stats') ?? [], changes));

    await putChanges(effects, changes);
    const accounts = files.reduce(addAccounts, NO_ACCOUNTS);
    const sequence = (base?.sequence ?? 0) + 1;
    const next: LakeState = {
      ...state,
      ...(state.removal === 'silver' && { removal: 'purge' }),
      transformedThrough: [...index, ...there.batches].reduce(
        (newest, { sequence: own }) => Math.max(newest, own),
        state.transformedThrough,
      ),
      silverSequence: changes.length > 0 ? sequence : state.silverSequence,
      silver: { ...state.silver, ...(await putLists(effects, lists)) },
      ...(lookUps && { lookUps: await putState(store, 'look_ups', lookUps) }),
      ...(await putRefusals(store, there.refusals)),
    };
    const manifest: Manifest = {
      format: LAKE_FORMAT,
      sequence,
      job: 'transform',
      runId: input.runId,
      startedAt: new Date(startedAt).toISOString(),
      elapsedMs: effects.now() - startedAt,
      versions: { node: process.version },
      interval: { from: input.from ?? null, to: input.to ?? null },
      inputs: index.filter(isNew).map(({ sourceKey }) => sourceKey),
      outputs: changes
        .filter(({ rows }) => rows > 0)
        .map(({ key, rows, bytes, sha256 }) => ({ key, rows, bytes, sha256 })),
      accounts,
      details: { files, quarantined: refusedByCode },
      state: next,
    };
    await refuseOvertaken(effects, base);
    if (!(await commitManifest(store, manifest))) {
      throw new JobError('commit_conflict', 'tempfail', 'another run has committed meanwhile; silver was not changed', {
        hint: 'run it again',
      });
    }
    await effects.engine.publish(manifest.state);
    await clear(effects, manifest, staging);
    return {
      status: 'transformed',
      sequence,
      files,
      accounts,
      tables: lists.filter(({ table }) => table !== 'table_stats').map((list) => changeOf(list, changes)),
      quarantined: refusedByCode,
      taken: work.taken,
      isUpgrade,
    };
  } finally {
    db.close();
  }
}

function rebuildInterval(input: TransformInput): Build['rebuild'] {
  if (input.rebuild === true) return { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  if (input.from === undefined && input.to === undefined) return undefined;
  return {
    fromMs: input.from === undefined ? Number.NEGATIVE_INFINITY : Date.parse(input.from),
    toMs: input.to === undefined ? Number.POSITIVE_INFINITY : Date.parse(input.to),
  };
}

/**
 * @param isMending an object that is gone is one whose rows are made again, only the day of their first
 *   refusal is not known any more
 */
async function knownPaths(
  { store }: Effects,
  files: readonly SilverFile[],
  isMending: boolean,
): Promise<{ path: string; loadedOn: string }[]> {
  const known: { path: string; loadedOn: string }[] = [];
  for (const { key, partition } of files) {
    if (isMending && (await store.head(key)) === undefined) continue;
    known.push({ path: await store.localFile(key), loadedOn: String(partition.loaded_on) });
  }
  return known;
}

async function stageStatistics(
  { store, scratch }: Effects,
  db: Embedded,
  { state, index, silver }: Committed,
  lists: readonly TableLists[],
  localPath: (file: SilverFile) => Promise<string>,
): Promise<StagedPartition> {
  const stats = silver.get('table_stats')?.[0];
  const isThere = stats !== undefined && (await store.head(stats.key)) !== undefined;
  return buildStatistics(db, {
    index,
    transformedThrough: state.transformedThrough,
    lists,
    committedStats: isThere ? await store.localFile(stats.key) : undefined,
    localPath,
    scratch,
  });
}

/**
 * Puts objects beside those that readers see: the commit makes them tables. One that is there already is left
 * alone, unless its bytes are not the ones that its key says: then it is mended.
 */
async function putChanges({ store, progress, signal }: Effects, changes: readonly StagedPartition[]): Promise<void> {
  progress.start('write', changes.length);
  for (const [done, { key, path, sha256 }] of changes.entries()) {
    stopIfAsked(signal);
    if (path !== undefined) {
      const { status } = await store.put(key, { file: path }, { ifAbsent: true });
      if (status === 'conflict' && (await hashObject(await store.localFile(key))) !== sha256)
        await store.put(key, { file: path });
    }
    progress.update(done + 1);
  }
  progress.end(`${count(changes.length, 'file')} of silver`);
}

async function putLists({ store }: Effects, lists: readonly TableLists[]): Promise<Record<string, string>> {
  const keys: Record<string, string> = {};
  for (const { table, before, after } of lists) {
    if (after.length > 0 || before.length > 0) keys[table] = await putState(store, 'silver', after);
  }
  return keys;
}

/**
 * Removes what was staged. What stays is never used, and collected some day: no reason to fail after the
 * commit.
 */
async function clear(effects: Effects, own: Manifest, staging: Staging): Promise<void> {
  const { log } = effects;
  try {
    await refuseOvertaken(effects, own);
    await staging.clear();
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    log.warn({ reason: error.message }, 'staged partitions that are of no use any more could not be removed');
  }
}

async function nothingNew(effects: Effects, { base, tables, silver }: Committed): Promise<TransformResult> {
  if (base !== undefined) await publishAgain(effects, base);
  return {
    status: 'nothing_new',
    sequence: base?.sequence ?? 0,
    files: [],
    accounts: NO_ACCOUNTS,
    tables: tables.map((table) =>
      changeOf({ table, before: silver.get(table) ?? [], after: silver.get(table) ?? [] }, []),
    ),
    quarantined: {},
    taken: 0,
    isUpgrade: false,
  };
}
