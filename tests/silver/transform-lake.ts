import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../jobs/base/config.ts';
import { hashObject } from '../../jobs/base/hash.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { type Embedded, openEmbedded, quoteText } from '../../jobs/engine/duckdb/database.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { contractOf, readContracts } from '../../jobs/lake/contracts.ts';
import { makeScratch, openFolderLake } from '../../jobs/lake/folder/store.ts';
import { bronzeKey, silverPartitionPrefix } from '../../jobs/lake/keys.ts';
import {
  appendBronze,
  type BronzeFile,
  commitManifest,
  EMPTY_STATE,
  LAKE_FORMAT,
  latestManifest,
  NO_ACCOUNTS,
  readSilverFiles,
} from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { LIMITS, type Limits } from '../../jobs/silver/build.ts';
import { type TransformInput, type TransformResult, transform } from '../../jobs/transform.ts';
import { IS_SOAK } from '../fixtures/layers.ts';

/** A bronze file to be: rows as `load` would write them, before they have a hash. */
export interface TestFile {
  table: string;
  rows: Record<string, unknown>[];
  name?: string;
  kind?: string;
  userId?: string | null;
  /** What the index counts; default the rows (of responses: their items). */
  readRows?: number;
  /**
   * Makes the committed bytes of those that `load` would write: what is whole by its hash and cannot be read.
   */
  damage?: (bytes: Buffer) => Buffer;
  /** Columns that the object does not have, because an older version wrote it. */
  lacks?: string[];
  /** What the index says of its times; default what `load` would note. */
  periods?: string[];
}

export interface TestLake {
  readonly folder: string;
  readonly effects: Effects;
  /** Adds files in one commit, as one run of `load` does. */
  add(...files: TestFile[]): Promise<void>;
  transform(input?: Partial<TransformInput>, store?: LakeStore, limits?: Limits): Promise<TransformResult>;
  /** Rows of a committed silver table, in the order of its files; timestamps as text. */
  rows(table: string, columns?: string): Promise<Record<string, unknown>[]>;
  /**
   * Table to what identifies its content: file hashes (`bytes`), or its rows without the columns that tell
   * about runs.
   */
  content(): Promise<Record<string, unknown>>;
  /** What readers see, by partition: the hash of the bytes that lie there. */
  hashes(): Promise<Record<string, string>>;
  /** A lake of its own with the same content. */
  copy(): Promise<TestLake>;
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;

/** A lake in a temporary folder, on the real engine. What `load` writes is written here by hand. */
export async function makeTestLake(from?: string): Promise<TestLake> {
  const folder = await mkdtemp(join(tmpdir(), 'listenlake-transform-'));
  if (from !== undefined) await cp(join(from, 'lake'), join(folder, 'lake'), { recursive: true });
  const store = await openFolderLake(join(folder, 'lake'));
  const writer = await openEmbedded({ memoryMb: 512, threads: 1, tempDir: join(folder, 'spill'), folders: [folder] });
  const effects: Effects = {
    config: readConfig({ LISTENLAKE_MEMORY_MB: '256', LISTENLAKE_THREADS: '2' }),
    store,
    // Readers are not what is tested here: they have tests of their own.
    engine: { publish: async () => {} } as unknown as SqlEngine,
    log: createLog('silent'),
    progress: silentProgress,
    scratch: await makeScratch(join(folder, 'lake')),
    now: () => Date.UTC(2026, 10, 21, 12),
    signal: new AbortController().signal,
  };
  let files = 0;

  async function read(table: string, columns = '*'): Promise<Record<string, unknown>[]> {
    const state = (await latestManifest(store))?.state ?? EMPTY_STATE;
    const all: Record<string, unknown>[] = [];
    for (const { key } of await readSilverFiles(store, state, table)) {
      all.push(
        ...(await writer.rows(
          `select ${columns} from read_parquet(${quoteText(await store.localFile(key))}, hive_partitioning = false)`,
        )),
      );
    }
    return all.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])));
  }

  return {
    folder,
    effects,
    async add(...given) {
      const base = await latestManifest(store);
      const state = base?.state ?? EMPTY_STATE;
      const sequence = (base?.sequence ?? 0) + 1;
      const added: BronzeFile[] = [];
      for (const file of given)
        added.push(await putBronze(writer, store, join(folder, `bronze-${(files += 1)}`), file, sequence));
      await commitManifest(store, {
        ...{
          format: base?.format ?? LAKE_FORMAT,
          sequence,
          job: 'load',
          runId: `load-${sequence}`,
          startedAt: '2026-11-21T12:00:00.000Z',
          elapsedMs: 0,
        },
        ...{
          versions: {},
          interval: { from: null, to: null },
          inputs: [],
          outputs: [],
          accounts: NO_ACCOUNTS,
          details: {},
        },
        state: { ...state, bronze: await appendBronze(store, state, added) },
      });
    },
    async transform(input = {}, through = store, limits = LIMITS) {
      return transform({ runId: 'test', loadedOn: '2026-11-21', ...input }, { ...effects, store: through }, limits);
    },
    rows: read,
    async content() {
      const tables: Record<string, unknown> = {};
      for (const { table } of readContracts().filter(({ layer }) => layer === 'silver')) {
        // rows_before is about runs, not about bronze.
        tables[table] = await read(table, table === 'table_stats' ? '* exclude (rows_before, bytes)' : '*');
      }
      return tables;
    },
    async hashes() {
      const state = (await latestManifest(store))?.state ?? EMPTY_STATE;
      const hashes: Record<string, string> = {};
      for (const table of Object.keys(state.silver).filter((name) => name !== 'table_stats')) {
        for (const { key, partition } of await readSilverFiles(store, state, table))
          hashes[silverPartitionPrefix(table, partition)] = await hashObject(await store.localFile(key));
      }
      return hashes;
    },
    copy: () => makeTestLake(folder),
    async close() {
      writer.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A row of an extended export, all keys there. */
export function extendedRow(given: Record<string, unknown>): Record<string, unknown> {
  return {
    ts: '2024-05-01T10:03:00Z',
    platform: 'ios',
    ms_played: 180_000,
    conn_country: 'NL',
    master_metadata_track_name: 'Blue Door',
    master_metadata_album_artist_name: 'The Example',
    master_metadata_album_album_name: 'Doors',
    spotify_track_uri: 'spotify:track:0000000000000000000001',
    reason_start: 'trackdone',
    reason_end: 'trackdone',
    shuffle: false,
    skipped: false,
    offline: false,
    offline_timestamp: null,
    incognito_mode: false,
    ...given,
  };
}

/** One item of a recently-played response. */
export function playedItem(playedAt: string, given: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    played_at: playedAt,
    context: null,
    track: {
      id: '0000000000000000000001',
      uri: 'spotify:track:0000000000000000000001',
      name: 'Blue Door',
      type: 'track',
      duration_ms: 180_000,
      artists: [{ id: 'artist1', name: 'The Example' }],
      album: { id: 'album1', name: 'Doors', album_type: 'album', artists: [{ id: 'artist1', name: 'The Example' }] },
      ...given,
    },
  };
}

/** A file of Web API responses. */
export function pages(
  ...given: { kind: string; observed_at?: string | null; playlist_id?: string; time_range?: string; body: unknown }[]
): TestFile {
  const kinds = new Set(given.map(({ kind }) => kind));
  return {
    table: 'api_pages',
    kind: kinds.size === 1 ? given[0]!.kind : 'api_mixed',
    rows: given.map((page) => ({
      observed_at: null,
      time_range: null,
      playlist_id: null,
      ...page,
      body: JSON.stringify(page.body),
    })),
    readRows: given.reduce((sum, { kind, body }) => sum + itemCount(kind, body as Record<string, unknown>), 0),
  };
}

export function extended(...rows: Record<string, unknown>[]): TestFile {
  return { table: 'export_extended', rows: rows.map(extendedRow) };
}

export function account(...rows: Record<string, unknown>[]): TestFile {
  return {
    table: 'export_account',
    rows: rows.map((row) => ({ end_time: '2024-05-01 10:03', ms_played: 180_000, ...row })),
  };
}

/**
 * Scrobbles of Last.fm at these times: Unix seconds of an ISO time, or, where it is no such time, as text.
 */
export function scrobbles(...rows: [time: string | null, given?: Record<string, unknown>][]): TestFile {
  return {
    table: 'lastfm_scrobbles',
    kind: 'lastfm',
    rows: rows.map(([time, given]) => ({
      ...(time?.endsWith('Z') ? { uts: String(Date.parse(time) / 1000) } : { played_at: time }),
      artist: 'The Example',
      album: 'Doors',
      track: 'Blue Door',
      ...given,
    })),
    // What was still playing is not counted.
    readRows: rows.filter(
      ([time, given]) => time !== null || given?.uts !== undefined || given?.played_at !== undefined,
    ).length,
    periods: [],
  };
}

/** Listens of ListenBrainz at these times. */
export function listens(...rows: [time: string, given?: Record<string, unknown>][]): TestFile {
  return {
    table: 'listenbrainz_listens',
    kind: 'listenbrainz',
    rows: rows.map(([time, given]) => ({
      listened_at: Date.parse(time) / 1000,
      artist_name: 'The Example',
      track_name: 'Blue Door',
      release_name: 'Doors',
      ...given,
    })),
    periods: [],
  };
}

function itemCount(kind: string, body: Record<string, unknown>): number {
  const list =
    kind === 'playlist' ? ((body.items ?? body.tracks) as { items: unknown[] }).items : (body.items ?? body[kind]);
  return Array.isArray(list) ? list.length : 1;
}

async function putBronze(
  writer: Embedded,
  store: LakeStore,
  path: string,
  file: TestFile,
  sequence: number,
): Promise<BronzeFile> {
  const { table } = file;
  const contract = table === 'refused' ? undefined : contractOf('bronze', table);
  const sourceKey = createHash('sha256')
    .update(JSON.stringify([table, file.userId ?? 'me', file.rows]))
    .digest('hex');
  const scalar = (value: unknown): unknown =>
    value === undefined || value === null ? null : typeof value === 'string' ? value : JSON.stringify(value);
  const rows = file.rows.map((row, index) => ({
    ...Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, table === 'refused' ? value : scalar(value)]),
    ),
    source_key: sourceKey,
    row_number: table === 'refused' ? 0 : index + 1,
  }));
  await writeFile(`${path}.ndjson`, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const format = contract?.format ?? 'json';
  if (contract !== undefined && format === 'parquet') {
    const columns = contract.columns.filter(({ name }) => !file.lacks?.includes(name));
    const types = columns.map(({ name, type }) => `${quoteText(name)}: ${quoteText(type)}`).join(', ');
    await writer.run(
      `copy (select * from read_json(${quoteText(`${path}.ndjson`)}, format = 'newline_delimited', columns = {${types}}))
       to ${quoteText(`${path}.parquet`)} (format parquet, compression zstd)`,
    );
  }
  const written = await readFile(format === 'parquet' ? `${path}.parquet` : `${path}.ndjson`);
  const bytes = file.damage?.(written) ?? written;
  const key = bronzeKey(table, sourceKey, format);
  await store.put(key, bytes, { ifAbsent: true });
  const hasUsers = table !== 'listening_events' && !table.endsWith('_csv') && table !== 'refused';
  return {
    key,
    rows: rows.length,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    table,
    sourceKey,
    fileName: file.name ?? `${table}-${sourceKey.slice(0, 8)}`,
    kind: file.kind ?? table,
    userId: hasUsers ? (file.userId ?? 'me') : null,
    readRows: file.readRows ?? rows.length,
    sequence,
    periods: file.periods ?? periodsOf(table, rows),
  };
}

/** Months (with a day around them) or dates of the times in the rows, as `load` notes them. */
function periodsOf(table: string, rows: readonly Record<string, unknown>[]): string[] {
  const texts = JSON.stringify(rows).match(/\d{4}-\d{2}-\d{2}(?=[T "])/g) ?? [];
  const offline = rows.flatMap((row) => {
    const value = Number(row.offline_timestamp ?? 0);
    return value > 1e9 ? [new Date(value < 1e11 ? value * 1000 : value).toISOString().slice(0, 10)] : [];
  });
  const epochs = rows.flatMap((row) =>
    /^\d{12,13}$/.test(String(row.ts)) ? [new Date(Number(row.ts)).toISOString().slice(0, 10)] : [],
  );
  const days = [...texts, ...offline, ...epochs].filter(
    (day) => day >= '2006-01-01' && day < '2041-01-01' && !Number.isNaN(Date.parse(day)),
  );
  if (table === 'listening_events') return [...new Set(days)].sort();
  const near = days.flatMap((day) =>
    [-DAY_MS, 0, DAY_MS].map((ms) => new Date(Date.parse(day) + ms).toISOString().slice(0, 7)),
  );
  return [...new Set(near)].sort();
}

function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'bigint') return Number(value);
  return value;
}

/** Every kind of write of a transform: objects, lists of them, the commit, the hint to it. */
export const WRITES = ['put silver .parquet', 'put state .json', 'put manifests .json', 'put manifests '];

/**
 * A store that notes each write and delete as its kind: what is done, the first folder of its key, and the
 * key's ending.
 */
export function writesNoted(store: LakeStore, writes: string[]): LakeStore {
  const note = (what: string, key: string): void => {
    writes.push(`${what} ${key.split('/')[0]} ${/(\.\w+)?$/.exec(key)![0]}`);
  };
  return {
    ...store,
    async put(key, body, condition) {
      note('put', key);
      return store.put(key, body, condition);
    },
    async delete(key) {
      note('delete', key);
      return store.delete(key);
    },
  };
}

/**
 * Where to stop a run that makes these writes: before the first and the last of each kind, in `make soak`
 * before all.
 */
export function stopsOf(writes: readonly string[]): number[] {
  if (IS_SOAK) return writes.map((_, index) => index + 1);
  const numbers = Map.groupBy(
    writes.map((_, index) => index + 1),
    (number) => writes[number - 1],
  );
  const stops = [...numbers.values()].flatMap((all) => [all[0]!, all.at(-1)!]);
  return [...new Set(stops)].sort((a, b) => a - b);
}

/**
 * A store whose `number`th write or delete fails, and everything after it, as if the process had been killed
 * there.
 */
export function stoppedAt(store: LakeStore, number: number): LakeStore {
  let writes = 0;
  const check = (): void => {
    writes += 1;
    if (writes >= number) throw new Error(`killed at write ${number}`);
  };
  return {
    ...store,
    async put(key, body, condition) {
      check();
      return store.put(key, body, condition);
    },
    async delete(key) {
      check();
      return store.delete(key);
    },
  };
}
