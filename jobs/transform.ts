import { type Effects, stopIfAsked } from './effects.ts';
import type { Embedded } from './engine/embedded.ts';
import { JobError } from './errors.ts';
import { PREFIX } from './lake/keys.ts';
import {
  type Accounts,
  commitManifest,
  type LakeState,
  type Manifest,
  NO_ACCOUNTS,
  putState,
  type SilverFile,
} from './lake/manifest.ts';
import { accountFiles, addAccounts, type FileAccounts } from './silver/accounts.ts';
import { type Build, type Built, LIMITS, type Limits, type TimeTable } from './silver/build.ts';
import { buildCatalogue } from './silver/catalogue.ts';
import { changeOf, inPartitionOrder, isChange, listOf, type TableChange } from './silver/changes.ts';
import { buildExportFiles } from './silver/export-files.ts';
import { buildLookUps, isLookUpChange } from './silver/look-ups.ts';
import { type Committed, openBuild, planTimeTables, readCommitted } from './silver/open.ts';
import type { StagedPartition } from './silver/partition.ts';
import { buildQuarantine, countRefused } from './silver/quarantine.ts';
import { openStaging, type Staging } from './silver/staging.ts';
import { buildStatistics, type TableLists } from './silver/statistics.ts';

export interface TransformInput {
  runId: string;
  /** Date of this run (UTC), `YYYY-MM-DD`: the partition of quarantine for what is refused now for the first time. */
  loadedOn: string;
  /** Rebuild the partitions that overlap `[from, to)`, besides those that new bronze touches. ISO instants; an open end is absent. */
  from?: string | undefined;
  to?: string | undefined;
  /** Rebuild everything. */
  rebuild?: boolean | undefined;
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
}

/**
 * Bronze to silver. Silver is a function of bronze: the order of loading, the number of runs and kills do not show in it (but for
 * `loaded_on` in quarantine and `rows_before` in table_stats, which are about runs).
 *
 * Only partitions that new bronze touches are built, each from all bronze rows that may fall into it, written aside, and put where
 * their content differs from what is there; one manifest commits all of them. Killed before the commit, the next run does it again.
 * Partitions that were staged from the same bronze are taken instead of built; a rebuild trusts nothing but bronze.
 *
 * @param limits how much is held at once; another value gives the same tables
 * @throws `commit_conflict` (75; retry helps) when another run has committed meanwhile; `accounts_broken` (70) when rows of a file are
 *   not accounted for; `object_damaged`, `object_missing` (65) for bronze that is not whole; `disk_full`, `memory_full` (74)
 */
export async function transform(
  input: TransformInput,
  effects: Effects,
  limits: Limits = LIMITS,
): Promise<TransformResult> {
  const { store } = effects;
  const startedAt = effects.now();
  const there = await readCommitted(effects);
  const { base, state, index, tables, silver: committed, isNew } = there;
  // Where something was removed from bronze, no one knows from bronze what silver has of it.
  const rebuild = rebuildInterval(state.removal === 'silver' ? { ...input, rebuild: true } : input);
  if (!index.some(isNew) && rebuild === undefined) return nothingNew(there, effects);

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
    // A rebuild also mends objects that no longer are what was committed: what is the same is put again.
    if (rebuild !== undefined)
      await putChanges(
        effects,
        [...staged, stats].filter((part) => part.rows > 0 && !changes.includes(part)),
      );
    if (changes.length === 0 && files.length === 0 && state.removal !== 'silver') return nothingNew(there, effects);
    lists.push(listOf('table_stats', committed.get('table_stats') ?? [], changes));

    await putChanges(effects, changes);
    const accounts = files.reduce(addAccounts, NO_ACCOUNTS);
    const sequence = (base?.sequence ?? 0) + 1;
    const next: LakeState = {
      ...state,
      ...(state.removal === 'silver' && { removal: 'purge' }),
      transformedThrough: index.reduce((newest, file) => Math.max(newest, file.sequence), state.transformedThrough),
      silverSequence: changes.length > 0 ? sequence : state.silverSequence,
      silver: { ...state.silver, ...(await putLists(effects, lists)) },
      ...(lookUps && { lookUps: await putState(store, 'look_ups', lookUps) }),
    };
    const manifest: Manifest = {
      format: 1,
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
    if (!(await commitManifest(store, manifest))) {
      throw new JobError(
        'commit_conflict',
        'tempfail',
        'another run has committed meanwhile; silver was not changed for readers',
        {
          hint: 'run it again',
        },
      );
    }
    await effects.engine.publish(manifest.state);
    await sweep(effects, lists);
    await clear(effects, staging);
    return {
      status: 'transformed',
      sequence,
      files,
      accounts,
      tables: lists.filter(({ table }) => table !== 'table_stats').map((list) => changeOf(list, changes)),
      quarantined: refusedByCode,
      taken: work.taken,
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

interface Work {
  staged: StagedPartition[];
  files: FileAccounts[];
  refusedByCode: Record<string, number>;
  taken: number;
}

/**
 * Builds every table aside, but for what can be taken from `staging`. Accounts that do not add up because of what was taken are no
 * reason to fail: then everything is built here.
 */
async function buildSilver(
  build: Build,
  loadedOn: string,
  known: readonly { path: string; loadedOn: string }[],
  staging: Staging | undefined,
): Promise<Work> {
  const { db, effects, index, isNew } = build;
  const built: (Built & { taken?: number })[] = [];
  for (const table of await planTimeTables(build)) {
    stopIfAsked(effects.signal);
    built.push(await buildTable(table, staging));
  }
  for (const builder of [buildExportFiles, buildCatalogue]) {
    stopIfAsked(effects.signal);
    built.push(await builder(build));
  }
  const quarantine = await buildQuarantine(build, loadedOn, known);
  const refused = await countRefused(build);
  const taken = built.reduce((sum, each) => sum + (each.taken ?? 0), 0);
  try {
    const files = accountFiles(index.filter(isNew), built, refused.bySource);
    return {
      staged: [...built.flatMap(({ staged }) => staged), ...quarantine],
      files,
      refusedByCode: refused.byCode,
      taken,
    };
  } catch (error) {
    if (taken === 0 || !(error instanceof JobError && error.code === 'accounts_broken')) throw error;
    effects.log.warn({ reason: error.message, ...error.place }, 'what was staged does not add up: it is built again');
    await db.run('delete from refused_rows');
    return buildSilver(build, loadedOn, known, undefined);
  }
}

async function buildTable(table: TimeTable, staging: Staging | undefined): Promise<Built & { taken: number }> {
  const taken = (await staging?.take(table.parts)) ?? [];
  const had = new Set(taken.map(({ number }) => number));
  const wanted = new Set([...table.parts.map(({ number }) => number), ...taken.flatMap(({ also }) => also)]);
  const built = await table.build(
    [...wanted].filter((number) => !had.has(number)).sort((a, b) => a - b),
    had,
  );
  const staged = [...taken.flatMap(({ partition }) => partition ?? []), ...built.staged];
  return {
    staged: staged.sort(inPartitionOrder(table.table)),
    placed: [...taken.flatMap(({ placed }) => placed), ...built.placed],
    taken: taken.length,
  };
}

/** @param isMending an object that is gone is one whose rows are made again, only the day of their first refusal is not known any more */
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

/** Puts what changed, one atomic replacement for each partition. Partitions without rows are deleted after the commit. */
async function putChanges({ store, progress, signal }: Effects, changes: readonly StagedPartition[]): Promise<void> {
  progress.start('put', changes.length);
  for (const [done, { key, path }] of changes.entries()) {
    stopIfAsked(signal);
    if (path !== undefined) await store.put(key, { file: path });
    progress.update(done + 1);
  }
  progress.end(`${changes.length} objects`);
}

async function putLists({ store }: Effects, lists: readonly TableLists[]): Promise<Record<string, string>> {
  const keys: Record<string, string> = {};
  for (const { table, before, after } of lists) {
    if (after.length > 0 || before.length > 0) keys[table] = await putState(store, 'silver', after);
  }
  return keys;
}

/** Deletes partitions that the commit does not name: emptied ones, and those that a killed run put but never committed. */
async function sweep({ store }: Effects, lists: readonly TableLists[]): Promise<void> {
  for (const { table, after } of lists) {
    const named = new Set(after.map(({ key }) => key));
    const own = new RegExp(`^${PREFIX.silver}${table}/(?:[a-z_]+=[0-9A-Za-z_-]+/)*part-0\\.parquet$`);
    for await (const { key } of store.list(`${PREFIX.silver}${table}/`)) {
      if (!named.has(key) && own.test(key)) await store.delete(key);
    }
  }
}

/** Removes what was staged. What stays is never used, and collected some day: no reason to fail after the commit. */
async function clear({ log }: Effects, staging: Staging): Promise<void> {
  try {
    await staging.clear();
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    log.warn({ reason: error.message }, 'staged partitions that are of no use any more could not be removed');
  }
}

/** Shows readers what is committed: a run that ended between its commit and its publish has left them with the version before. */
async function nothingNew({ base, tables, silver }: Committed, { engine }: Effects): Promise<TransformResult> {
  if (base !== undefined) await engine.publish(base.state);
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
  };
}
