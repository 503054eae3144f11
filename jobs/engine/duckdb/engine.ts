import { randomBytes } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { type DuckDBConnection, version } from '@duckdb/node-api';
import { atMost } from '../../base/concurrency.ts';
import { isDamage, JobError, stopped } from '../../base/errors.ts';
import { hashObject } from '../../base/hash.ts';
import { CATALOG_KEY, goldKey, PREFIX, type Target } from '../../lake/keys.ts';
import { EMPTY_STATE, type LakeState, latestManifest, type OutputFile } from '../../lake/manifest.ts';
import type { LakeStore } from '../../lake/store.ts';
import { checkColumns } from '../declared-columns.ts';
import type {
  EngineSession,
  Exported,
  ExportRequest,
  QueryOptions,
  Schema,
  SessionRequest,
  SqlEngine,
  SqlValue,
} from '../index.ts';
import { MAX_ROWS } from '../index.ts';
import { catalogTables, fingerprintOf, goldSelect, SCHEMAS, writeCatalog } from './catalog.ts';
import { connectTo, disconnect, refuseUnusablePath } from './connections.ts';
import { literalPath, openEmbedded, quoteName, quoteText, translateDiskError } from './database.ts';
import { closeUnused, openCatalog, type Reader, versionOf } from './reader.ts';
import {
  describeSelect,
  refuseBareProduction,
  runSelect,
  translateSqlError,
  typedSelect,
  unknownTableOf,
} from './select.ts';
import { writeRows } from './write-out.ts';

export interface DuckDbOptions {
  store: LakeStore;
  /** The lake's folder, absolute. */
  root: string;
  /** A private folder on the same disk: catalogs and tables are made there and moved into the lake. */
  scratch: string;
  /** In MiB, for each of the catalog and a session. */
  memoryMb: number;
  threads: number;
  /**
   * Aborted: a query that is at work, which changes nothing, ends at once; a session is left to its owner.
   */
  signal?: AbortSignal | undefined;
}

/** How tables of gold are written. */
const PARQUET_OPTIONS = 'format parquet, compression zstd, row_group_size 122880';
/** Objects are hashed this many at a time. */
const HASHES_AT_ONCE = 8;
/** Each time another process has published meanwhile: what it published is as new as what it had read. */
const PUBLISHES_MAX = 20;
/** How often a query that is to end is told so. */
const INTERRUPT_MS = 100;

/**
 * The engine in this process over a lake in a folder. @throws `lake_path_invalid` (78) for a folder whose
 * name DuckDB cannot open
 */
export async function openDuckDbEngine(options: DuckDbOptions): Promise<SqlEngine> {
  const { store, root, scratch, signal } = options;
  refuseUnusablePath(root);
  /** Object key to the version and hash that were found to agree. */
  const verified = new Map<string, string>();
  let reader: Reader | undefined;
  /** Newest commit, and the catalog that was found to be of it. */
  let seen = '';
  let turn: Promise<unknown> = Promise.resolve();

  /** Catalogs are opened and replaced one at a time; queries on them run side by side. */
  function inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = turn.then(action);
    turn = result.catch(() => undefined);
    return result;
  }

  /**
   * Whoever was asleep between its commit and this must not show readers less than they have seen: the newest
   * commit counts.
   */
  async function publish(given: LakeState): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const there = await store.head(CATALOG_KEY);
      const state = (await latestManifest(store))?.state ?? given;
      const tables = await catalogTables(store, root, state);
      const fingerprint = fingerprintOf(tables);
      if ((await openReader())?.fingerprint === fingerprint) return;
      const aside = join(scratch, `catalog-${randomBytes(6).toString('hex')}.duckdb`);
      try {
        await translateDiskError(() => writeCatalog(aside, tables, fingerprint), join(root, CATALOG_KEY));
        const condition = there === undefined ? ({ ifAbsent: true } as const) : { ifVersion: there.version };
        // A catalog that was replaced meanwhile may be of a newer commit.
        if ((await store.put(CATALOG_KEY, { file: aside }, condition)).status === 'written') return;
      } finally {
        await rm(aside, { force: true });
        await rm(`${aside}.wal`, { force: true });
      }
      if (attempt >= PUBLISHES_MAX) {
        throw new JobError('store_busy', 'tempfail', `other processes keep replacing ${CATALOG_KEY}`, {
          hint: 'try again',
        });
      }
    }
  }

  /**
   * The catalog as it lies there, opened anew when it has been replaced; undefined where there is none that
   * can be read.
   */
  async function openReader(): Promise<Reader | undefined> {
    const path = join(root, CATALOG_KEY);
    const version = await versionOf(path);
    if (reader !== undefined && reader.version === version) return reader;
    if (reader !== undefined) {
      reader.isReplaced = true;
      closeUnused(reader);
      reader = undefined;
    }
    if (version === undefined) return undefined;
    reader = await translateDiskError(() => openCatalog(path, version, options), path);
    return reader;
  }

  /**
   * The catalog of the newest commit: whoever was killed before its publish, published late, or moved the
   * folder, left another one.
   */
  async function currentReader(): Promise<Reader> {
    const manifest = await latestManifest(store);
    const nameOf = (opened: Reader | undefined): string => `${manifest?.sequence ?? 0} ${opened?.version}`;
    let opened = await openReader();
    if (opened === undefined || seen !== nameOf(opened)) {
      await publish(manifest?.state ?? EMPTY_STATE);
      opened = await openReader();
      seen = nameOf(opened);
    }
    if (opened === undefined) throw new Error('the catalog vanished right after it was published');
    opened.queries += 1;
    return opened;
  }

  async function verify(files: readonly OutputFile[]): Promise<void> {
    await atMost(HASHES_AT_ONCE, files, (file) => verifyObject(store, file, verified));
  }

  return {
    dialect: 'duckdb',
    async query(sql, { parameters = [], target = 'dev', maxRows = MAX_ROWS, signal: own }: QueryOptions = {}) {
      const stopping = AbortSignal.any([signal, own].filter((each) => each !== undefined));
      const used = await inTurn(currentReader);
      // A connection for each query: a second statement would cut off the rows of the first.
      let connection: DuckDBConnection | undefined;
      let asking: NodeJS.Timeout | undefined;
      const interrupt = (): void => {
        connection?.interrupt();
        // Between two statements there is none to hear it.
        asking ??= setInterval(interrupt, INTERRUPT_MS);
      };
      stopping.addEventListener('abort', interrupt);
      try {
        connection = await connectTo(used.instance);
        if (stopping.aborted) throw stopped();
        await connection.run(`use ${target === 'prod' ? 'gold_prod' : 'gold_dev'}`);
        if (target === 'dev') await refuseBareProduction(connection, sql);
        return await runSelect(connection, sql, parameters, maxRows);
      } catch (error) {
        if (stopping.aborted) throw stopped();
        const unknown = unknownTableOf(error);
        throw unknown === undefined ? error : await withNearNames(connection!, error as JobError, unknown, target);
      } finally {
        stopping.removeEventListener('abort', interrupt);
        clearInterval(asking);
        if (connection !== undefined) disconnect(connection);
        used.queries -= 1;
        closeUnused(used);
      }
    },
    export: (request) => inTurn(currentReader).then((used) => exportFrom(options, used, request)),
    session: (request) => openSession(options, request, verify),
    publish: (state) => inTurn(() => publish(state)),
    // Tables of a session are objects and nothing else; the catalog is an object, too.
    unusedTables: async () => [],
    async dropTables() {},
    catalogEntries: () => Readable.from([]),
    async close() {
      await turn;
      if (reader !== undefined) {
        reader.isReplaced = true;
        closeUnused(reader);
        reader = undefined;
      }
    },
  };
}

/** Writes a file from a reader of its own: the one of questions may write nowhere. */
async function exportFrom(options: DuckDbOptions, used: Reader, request: ExportRequest): Promise<Exported> {
  const path = join(options.root, CATALOG_KEY);
  let opened: Reader | undefined;
  let connection: DuckDBConnection | undefined;
  try {
    opened = await translateDiskError(() => openCatalog(path, used.version, options, [dirname(request.path)]), path);
    if (opened === undefined) throw new Error('the catalog that was just read cannot be opened');
    connection = await connectTo(opened.instance);
    await connection.run(`use gold_${request.target}`);
    return await writeRows(connection, request);
  } finally {
    if (connection !== undefined) disconnect(connection);
    opened?.instance.closeSync();
    used.queries -= 1;
    closeUnused(used);
  }
}

async function openSession(
  { store, root, scratch, memoryMb, threads }: DuckDbOptions,
  { state, target, runId }: SessionRequest,
  verify: (files: readonly OutputFile[]) => Promise<void>,
): Promise<EngineSession> {
  const known = new Map(
    (await catalogTables(store, root, state)).map((table) => [`${table.schema}.${table.name}`, table]),
  );
  const data = [PREFIX.bronze, PREFIX.silver, PREFIX.gold, PREFIX.state].map((prefix) => join(root, prefix));
  const embedded = await openEmbedded({
    memoryMb,
    threads,
    tempDir: join(scratch, 'spill'),
    folders: [...data, scratch].flatMap((folder) => [folder, literalPath(folder)]),
  });
  for (const schema of [...SCHEMAS, 'run']) await embedded.run(`create schema ${schema}`);
  const mounted = new Set<string>();

  async function mount(name: string, select: string): Promise<void> {
    await embedded.run(`create view ${name} as ${select}`);
    mounted.add(name);
  }

  async function relation(schema: Schema, table: string): Promise<string> {
    const name = `${schema}.${quoteName(table)}`;
    if (mounted.has(name)) return name;
    const found = known.get(`${schema}.${table}`);
    if (found === undefined) throw new Error(`there is no table ${schema}.${table}`);
    await verify(found.files);
    await mount(name, found.select);
    return name;
  }

  /** Reads a table of gold as one of the run. */
  const mountRun = (model: string, key: string): Promise<void> =>
    mount(`run.${quoteName(model)}`, goldSelect(root, key));

  return {
    writer: `duckdb ${version()}, ${PARQUET_OPTIONS}`,
    // Each has the memory to itself, and all threads.
    concurrency: 1,
    relation,
    async singleRows(selects) {
      const rows: SqlValue[][] = [];
      // One after the other: each has the memory to itself.
      for (const { sql } of selects) rows.push(...(await runSelect(embedded.connection, sql, [], 1)).rows);
      return rows;
    },
    columns: async (schema, table) =>
      describeSelect(embedded.connection, `select * from ${await relation(schema, table)}`),
    query: (sql, parameters = []) => runSelect(embedded.connection, sql, parameters, MAX_ROWS),
    describe: (select) => describeSelect(embedded.connection, select),
    async build(request) {
      checkColumns(request, await describeSelect(embedded.connection, request.select));
      const aside = join(scratch, `${request.model}-${randomBytes(6).toString('hex')}.parquet`);
      const key = goldKey(target, runId, request.model);
      try {
        await translateSqlError(() =>
          embedded.run(`copy (${typedSelect(request)}) to ${quoteText(aside)} (${PARQUET_OPTIONS})`),
        );
        const [counted] = await embedded.rows<{ rows: bigint }>(
          `select cast(num_rows as bigint) as rows from parquet_file_metadata(${quoteText(literalPath(aside))})`,
        );
        const file = {
          key,
          rows: Number(counted?.rows),
          bytes: (await stat(aside)).size,
          sha256: await hashObject(aside),
        };
        await store.put(key, { file: aside });
        await mountRun(request.model, key);
        return file;
      } finally {
        await rm(aside, { force: true });
      }
    },
    async take(model, _columns, file) {
      try {
        await verify([file]);
      } catch (error) {
        if (isDamage(error)) return false;
        throw error;
      }
      await mountRun(model, file.key);
      return true;
    },
    async copy(model, _columns, from) {
      await verify([from]);
      const file = { ...from, key: goldKey(target, runId, model) };
      await store.copy(from.key, file.key);
      await verify([file]);
      return file;
    },
    async close() {
      embedded.close();
    },
  };
}

async function verifyObject(store: LakeStore, file: OutputFile, verified: Map<string, string>): Promise<void> {
  const info = await store.head(file.key);
  if (info === undefined) await store.localFile(file.key); // which says that it is missing
  const seen = `${info?.version} ${file.sha256}`;
  if (verified.get(file.key) === seen) return;
  if (info?.bytes !== file.bytes || (await hashObject(await store.localFile(file.key))) !== file.sha256) {
    throw new JobError('object_damaged', 'data', 'the object is not the one that was committed', {
      place: { file: file.key },
      hint: '`listenlake doctor --verify` says what else is, and how to make it again from bronze',
    });
  }
  verified.set(file.key, seen);
}

/** @returns the error with what is there instead, or with how to make it */
async function withNearNames(
  connection: DuckDBConnection,
  error: JobError,
  unknown: string,
  target: Target,
): Promise<JobError> {
  const schema = `gold_${target}`;
  const made = await runSelect(connection, 'select count(*) from duckdb_views() where schema_name = $1', [schema], 1);
  const first = target === 'prod' ? '`listenlake run` makes them' : '`listenlake enrich` makes them';
  const empty = made.rows[0]?.[0] === 0n ? `${schema} has no tables yet: ${first}; ` : '';
  const rows = await runSelect(
    connection,
    `select schema_name || '.' || view_name from duckdb_views() where not internal and schema_name <> 'main'
     order by view_name <> lower($1), jaro_winkler_similarity(view_name, lower($1)) desc, 1 limit 5`,
    [unknown.replace(/^.*\./, '')],
    5,
  );
  const message = error.message.replace(/; Did you mean "[^"]*"\??/, '');
  return new JobError(error.code, error.exit, message, {
    hint: `${empty}near: ${rows.rows.flat().join(', ')}`,
    cause: error,
  });
}
