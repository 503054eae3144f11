import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { check } from '../jobs/check.ts';
import { readConfig } from '../jobs/config.ts';
import type { Effects } from '../jobs/effects.ts';
import { type Embedded, openEmbedded, quoteName, quoteText } from '../jobs/engine/embedded.ts';
import type { SqlEngine } from '../jobs/engine/index.ts';
import { openEngine } from '../jobs/engine/open.ts';
import { type Project, readProject } from '../jobs/engine/project.ts';
import { enrich } from '../jobs/enrich.ts';
import { type Contract, contractOf } from '../jobs/lake/contracts.ts';
import { openFolderLake } from '../jobs/lake/folder.ts';
import { type PartitionValues, silverKey, silverPartitionPrefix } from '../jobs/lake/keys.ts';
import {
  commitManifest,
  EMPTY_STATE,
  LAKE_FORMAT,
  type LakeState,
  latestManifest,
  type Manifest,
  NO_ACCOUNTS,
  putState,
  type SilverFile,
} from '../jobs/lake/manifest.ts';
import type { LakeStore } from '../jobs/lake/store.ts';
import { createLog } from '../jobs/log.ts';
import { silentProgress } from '../jobs/progress.ts';
import { publishDev } from '../jobs/promote.ts';

/** Columns of one row by name; columns left out get a default of their type, or null where the contract lets them be; partition columns are computed. */
export type Row = Record<string, unknown>;

/** A lake in a temporary folder with real files, a real engine and a clock that stands still. */
export interface LakeFixture {
  root: string;
  store: LakeStore;
  engine: SqlEngine;
  effects: Effects;
  /** Writes silver tables as one file a partition and commits them as a transform would; other tables stay. */
  commitSilver(tables: Record<string, readonly Row[]>): Promise<LakeState>;
  commitState(state: LakeState): Promise<Manifest>;
  state(): Promise<LakeState>;
  /** A further engine over the same folder, as another command would have it. */
  openEngine(): Promise<SqlEngine>;
  close(): Promise<void>;
}

export const CLOCK_MS = Date.UTC(2026, 10, 21, 6, 54);

/** @param name of the lake's folder; may hold characters that are awkward in paths */
export async function openLakeFixture(name = 'lake'): Promise<LakeFixture> {
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-'));
  const root = join(folder, name);
  const store = await openFolderLake(root);
  const config = readConfig({ LISTENLAKE_LAKE: root, LISTENLAKE_MEMORY_MB: '256', LISTENLAKE_THREADS: '2' });
  const engines: SqlEngine[] = [];
  let scratches = 0;
  const open = async (): Promise<SqlEngine> => {
    const scratch = join(root, '.staging', `${process.pid}-test-${scratches++}`);
    await mkdir(scratch, { recursive: true });
    const engine = await openEngine(store, { config, scratch });
    engines.push(engine);
    return engine;
  };
  const engine = await open();
  const writer = await openEmbedded({ memoryMb: 256, threads: 2, tempDir: join(folder, 'spill'), folders: [folder] });
  const commitState = async (state: LakeState): Promise<Manifest> => {
    const manifest = manifestOf(((await latestManifest(store))?.sequence ?? 0) + 1, state);
    if (!(await commitManifest(store, manifest))) throw new Error('somebody else committed');
    return manifest;
  };
  const effects: Effects = {
    config,
    store,
    engine,
    log: createLog('silent'),
    progress: silentProgress,
    scratch: join(root, '.staging', `${process.pid}-test-0`),
    now: () => CLOCK_MS,
    signal: new AbortController().signal,
  };
  return {
    root,
    store,
    engine,
    effects,
    commitState,
    openEngine: open,
    async commitSilver(tables) {
      const base = await latestManifest(store);
      const state = base?.state ?? EMPTY_STATE;
      const silver = { ...state.silver };
      for (const [table, rows] of Object.entries(tables)) {
        silver[table] = await putState(store, 'silver', await writeSilver(writer, store, folder, table, rows));
      }
      return (await commitState({ ...state, silver, silverSequence: (base?.sequence ?? 0) + 1 })).state;
    },
    async state() {
      return (await latestManifest(store))?.state ?? EMPTY_STATE;
    },
    async close() {
      for (const opened of engines) await opened.close();
      writer.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A warehouse folder of literal files (path inside it to text), read as the real one is. */
export function projectOf(files: Record<string, string>): Project {
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-project-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return readProject(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One object a partition, as `transform` writes them. */
export async function writeSilver(
  writer: Embedded,
  store: LakeStore,
  folder: string,
  table: string,
  rows: readonly Row[],
): Promise<SilverFile[]> {
  const contract = contractOf('silver', table);
  const groups = Map.groupBy(rows, (row) => silverPartitionPrefix(table, partitionOf(contract, row)));
  const files: SilverFile[] = [];
  for (const [prefix, group] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const aside = join(folder, `${createHash('sha256').update(prefix).digest('hex')}.parquet`);
    await writer.run(`copy (${selectRows(contract, group)}) to ${quoteText(aside)} (format parquet, compression zstd)`);
    const sha256 = createHash('sha256').update(readFileSync(aside)).digest('hex');
    const partition = partitionOf(contract, group[0]!);
    const key = silverKey(table, partition, sha256);
    files.push({ key, rows: group.length, bytes: statSync(aside).size, sha256, partition });
    await store.put(key, { file: aside }, { ifAbsent: true });
    rmSync(aside, { force: true });
  }
  return files;
}

/** Rows of a contract's columns as one select of literals, every value cast. */
export function selectRows(contract: Pick<Contract, 'columns' | 'partition'>, rows: readonly Row[]): string {
  const known = new Set([...contract.columns, ...contract.partition].map(({ name }) => name));
  for (const name of rows.flatMap((row) => Object.keys(row))) {
    if (!known.has(name)) throw new Error(`there is no column ${name}`);
  }
  const values = rows.map(
    (row) => `(${contract.columns.map((column) => literal(givenOrDefault(column, row))).join(', ')})`,
  );
  const names = contract.columns.map(({ name }) => quoteName(name)).join(', ');
  const typed = contract.columns.map(
    ({ name, type }) =>
      `cast(${quoteName(name)} as ${type === 'timestamp' ? 'timestamp_ms' : type}) as ${quoteName(name)}`,
  );
  const none = `(${contract.columns.map(() => 'null').join(', ')})`;
  const where = rows.length === 0 ? ' where false' : '';
  return `select ${typed.join(', ')} from (values ${values.length === 0 ? none : values.join(', ')}) as given (${names})${where}`;
}

const DEFAULTS = {
  varchar: '',
  boolean: false,
  integer: 1,
  bigint: 1,
  double: 0,
  timestamp: '2026-01-01 00:00:00.000',
  date: '2026-01-01',
} as const;

function givenOrDefault(column: Contract['columns'][number], row: Row): unknown {
  if (row[column.name] !== undefined) return row[column.name];
  return column.nullable ? null : DEFAULTS[column.type];
}

function literal(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'string' ? quoteText(value) : String(value);
}

function partitionOf(contract: Contract, row: Row): PartitionValues {
  const column = contract.columns.find(({ name }) => name === contract.partition[0]?.from);
  const from = column === undefined ? '2026-01-01' : String(givenOrDefault(column, row));
  return Object.fromEntries(
    contract.partition.map(({ name }) => {
      if (row[name] !== undefined) return [name, row[name] as string]; // as given, even where it is wrong
      if (name === 'year') return [name, Number(from.slice(0, 4))];
      if (name === 'month') return [name, Number(from.slice(5, 7))];
      return [name, from.slice(0, 10)];
    }),
  );
}

function manifestOf(sequence: number, state: LakeState): Manifest {
  return {
    format: LAKE_FORMAT,
    sequence,
    job: 'test',
    runId: `test-${sequence}`,
    startedAt: new Date(CLOCK_MS).toISOString(),
    elapsedMs: 0,
    versions: {},
    interval: { from: null, to: null },
    inputs: [],
    outputs: [],
    accounts: NO_ACCOUNTS,
    details: {},
    state,
  };
}

/** Gold of what silver holds, shown as prod whatever its tests find: literal rows need not be whole listening. */
export async function publishProd(
  effects: Effects,
  { runId, asOf, project = readProject() }: { runId: string; asOf: string; project?: Project },
): Promise<void> {
  await enrich({ runId: `${runId}-dev`, asOf, project }, effects);
  await check({ scope: 'gold', target: 'dev', runId, project }, effects);
  const base = await latestManifest(effects.store);
  await publishDev(effects, base, project, { job: 'promote', runId, startedAt: effects.now() });
}
