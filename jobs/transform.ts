import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Effects, stopIfAsked } from './effects.ts';
import { type Embedded, openEmbedded } from './engine/embedded.ts';
import { JobError } from './errors.ts';
import { contractOf, readContracts } from './lake/contracts.ts';
import { type PartitionValues, PREFIX } from './lake/keys.ts';
import {
  type Accounts,
  type BronzeFile,
  commitManifest,
  EMPTY_STATE,
  type LakeState,
  latestManifest,
  type Manifest,
  NO_ACCOUNTS,
  putState,
  readBronzeIndex,
  readSilverFiles,
  type SilverFile,
} from './lake/manifest.ts';
import { type Build, type Built, LIMITS, type Limits } from './silver/build.ts';
import { buildCatalogue } from './silver/catalogue.ts';
import { buildCharts } from './silver/charts.ts';
import { buildExportFiles } from './silver/export-files.ts';
import { buildListeningEvents } from './silver/listening-events.ts';
import { buildLookUps, isLookUpChange } from './silver/look-ups.ts';
import type { StagedPartition } from './silver/partition.ts';
import { buildPlays } from './silver/plays.ts';
import { buildQuarantine, countRefused, createRefusedRows } from './silver/quarantine.ts';
import { createMacros } from './silver/relations.ts';
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

/** What became of the rows of one file that is new in silver. `read = new + duplicate + quarantined`. */
export interface FileAccounts extends Accounts {
  fileName: string;
  kind: string;
}

export interface TableChange {
  table: string;
  rowsBefore: number;
  rowsAfter: number;
  /** Partitions (whole tables: 1) that were written because their content changed. */
  written: number;
  /** Partitions that have no rows any more. */
  removed: number;
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
}

/**
 * Bronze to silver. Silver is a function of bronze: the order of loading, the number of runs and kills do not show in it (but for
 * `loaded_on` in quarantine and `rows_before` in table_stats, which are about runs).
 *
 * Only partitions that new bronze touches are built, each from all bronze rows that may fall into it, written aside, and put where
 * their content differs from what is there; one manifest commits all of them. Killed before the commit, the next run does it again.
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
  const base = await latestManifest(store);
  const state = base?.state ?? EMPTY_STATE;
  const index = await readBronzeIndex(store, state);
  const isNew = (file: BronzeFile): boolean => file.sequence > state.transformedThrough;
  // Where something was removed from bronze, no one knows from bronze what silver has of it.
  const rebuild = rebuildInterval(state.removal === 'silver' ? { ...input, rebuild: true } : input);
  const tables = readContracts()
    .filter(({ layer, table }) => layer === 'silver' && table !== 'table_stats')
    .map(({ table }) => table);
  const committed = new Map<string, SilverFile[]>();
  for (const table of [...tables, 'table_stats']) committed.set(table, await readSilverFiles(store, state, table));
  if (!index.some(isNew) && rebuild === undefined) return nothingNew(base, tables, committed);

  const knownQuarantine = await knownPaths(effects, committed.get('quarantine') ?? [], rebuild !== undefined);
  const db = await openDatabase(effects, index);
  try {
    await createMacros(db);
    await createRefusedRows({ db });
    const build: Build = { db, effects, index, rebuild, committed, isNew, limits };
    const built: Built[] = [];
    for (const builder of [buildPlays, buildExportFiles, buildListeningEvents, buildCharts, buildCatalogue]) {
      stopIfAsked(effects.signal);
      built.push(await builder(build));
    }
    const staged = [
      ...built.flatMap((each) => each.staged),
      ...(await buildQuarantine(build, input.loadedOn, knownQuarantine)),
    ];
    const refused = await countRefused(build);
    const files = accountFiles(index.filter(isNew), built, refused.bySource);
    const changes = staged.filter((part) => isChange(part, committed));
    const lists = tables.map((table) => listOf(table, committed.get(table) ?? [], changes));
    const stagedPaths = new Map(staged.map(({ key, path }) => [key, path]));
    const localPath = async ({ key }: SilverFile): Promise<string> => stagedPaths.get(key) ?? store.localFile(key);
    const stats = await stageStatistics(effects, db, state, index, lists, committed, localPath);
    const lookUps =
      isLookUpChange(lists) || rebuild !== undefined ? await buildLookUps(db, lists, localPath) : undefined;
    if (isChange(stats, committed)) changes.push(stats);
    // A rebuild also mends objects that no longer are what was committed: what is the same is put again.
    if (rebuild !== undefined)
      await putChanges(
        effects,
        [...staged, stats].filter((part) => part.rows > 0 && !changes.includes(part)),
      );
    if (changes.length === 0 && files.length === 0 && state.removal !== 'silver')
      return nothingNew(base, tables, committed);
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
      details: { files, quarantined: refused.byCode },
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
    return {
      status: 'transformed',
      sequence,
      files,
      accounts,
      tables: lists.filter(({ table }) => table !== 'table_stats').map((list) => changeOf(list, changes)),
      quarantined: refused.byCode,
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

/** The engine may read bronze and the silver it adds to, and write to the scratch folder; nothing else. */
async function openDatabase({ store, config, scratch }: Effects, index: readonly BronzeFile[]): Promise<Embedded> {
  const tempDir = join(scratch, 'spill');
  await mkdir(tempDir, { recursive: true });
  const folders = new Set<string>();
  // Files of a table lie in one folder, so one of them tells. Where the objects themselves are read, silver lies beside bronze.
  for (const file of new Map(index.map((each) => [each.table, each])).values()) {
    const path = await store.localFile(file.key);
    folders.add(dirname(path));
    if (path.endsWith(file.key)) folders.add(join(path.slice(0, -file.key.length), PREFIX.silver));
  }
  return openEmbedded({
    memoryMb: config.memoryMb,
    threads: config.threads,
    tempDir,
    folders: [scratch, ...folders],
  });
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

/** Per new file: every row is the first of something, another one, or refused. @throws `accounts_broken` (70) */
function accountFiles(
  fresh: readonly BronzeFile[],
  built: readonly Built[],
  refused: ReadonlyMap<string, number>,
): FileAccounts[] {
  const placed = new Map<string, { newRows: number; duplicateRows: number }>();
  for (const { sourceKey, newRows, duplicateRows } of built.flatMap((each) => each.placed)) {
    const sum = placed.get(sourceKey) ?? { newRows: 0, duplicateRows: 0 };
    placed.set(sourceKey, { newRows: sum.newRows + newRows, duplicateRows: sum.duplicateRows + duplicateRows });
  }
  return fresh.map((file) => {
    const isRefused = file.table === 'refused';
    const rows = isRefused ? undefined : placed.get(file.sourceKey);
    const account: FileAccounts = {
      fileName: file.fileName,
      kind: file.kind,
      read: file.readRows,
      new: rows?.newRows ?? 0,
      duplicate: rows?.duplicateRows ?? 0,
      quarantined: refused.get(`${isRefused} ${file.sourceKey}`) ?? 0,
    };
    if (account.read !== account.new + account.duplicate + account.quarantined) {
      throw new JobError(
        'accounts_broken',
        'software',
        `read ${account.read} is not new ${account.new} + duplicate ${account.duplicate} + quarantined ${account.quarantined}`,
        {
          place: { file: file.fileName },
          hint: 'nothing was committed; please report this with the shape of the file',
        },
      );
    }
    return account;
  });
}

function isChange(part: StagedPartition, committed: ReadonlyMap<string, readonly SilverFile[]>): boolean {
  const there = committed.get(part.table)?.find(({ key }) => key === part.key);
  return part.rows === 0 ? there !== undefined : there?.sha256 !== part.sha256 || there.rows !== part.rows;
}

/** The file list of a table after the changes, in partition order. */
function listOf(table: string, before: readonly SilverFile[], changes: readonly StagedPartition[]): TableLists {
  const files = new Map(before.map((file) => [file.key, file]));
  for (const { table: own, key, rows, bytes, sha256, partition } of changes) {
    if (own !== table) continue;
    if (rows === 0) files.delete(key);
    else files.set(key, { key, rows, bytes, sha256, partition });
  }
  const columns = contractOf('silver', table).partition.map(({ name }) => name);
  const after = [...files.values()].sort((a, b) => comparePartitions(a.partition, b.partition, columns));
  return { table, before, after };
}

function comparePartitions(a: PartitionValues, b: PartitionValues, columns: readonly string[]): number {
  for (const column of columns) {
    const [left, right] = [a[column] ?? '', b[column] ?? ''];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

async function stageStatistics(
  { store, scratch }: Effects,
  db: Embedded,
  state: LakeState,
  index: readonly BronzeFile[],
  lists: readonly TableLists[],
  committed: ReadonlyMap<string, readonly SilverFile[]>,
  localPath: (file: SilverFile) => Promise<string>,
): Promise<StagedPartition> {
  const stats = committed.get('table_stats')?.[0];
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

function changeOf({ table, before, after }: TableLists, changes: readonly StagedPartition[]): TableChange {
  const own = changes.filter((change) => change.table === table);
  return {
    table,
    rowsBefore: before.reduce((sum, { rows }) => sum + rows, 0),
    rowsAfter: after.reduce((sum, { rows }) => sum + rows, 0),
    written: own.filter(({ rows }) => rows > 0).length,
    removed: own.filter(({ rows }) => rows === 0).length,
  };
}

function nothingNew(
  base: Manifest | undefined,
  tables: readonly string[],
  committed: ReadonlyMap<string, readonly SilverFile[]>,
): TransformResult {
  return {
    status: 'nothing_new',
    sequence: base?.sequence ?? 0,
    files: [],
    accounts: NO_ACCOUNTS,
    tables: tables.map((table) =>
      changeOf({ table, before: committed.get(table) ?? [], after: committed.get(table) ?? [] }, []),
    ),
    quarantined: {},
  };
}

function addAccounts(sum: Accounts, file: Accounts): Accounts {
  return {
    read: sum.read + file.read,
    new: sum.new + file.new,
    duplicate: sum.duplicate + file.duplicate,
    quarantined: sum.quarantined + file.quarantined,
  };
}
