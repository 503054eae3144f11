import { randomBytes } from 'node:crypto';
import type { AwsOptions } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';
import { readContracts } from '../../lake/contracts.ts';
import type { Target } from '../../lake/keys.ts';
import { EMPTY_STATE, type LakeState, latestManifest, readSilverFiles } from '../../lake/manifest.ts';
import type { LakeStore } from '../../lake/store.ts';
import { CHECK_RESULTS } from '../check-results.ts';
import { checkColumns } from '../declared-columns.ts';
import {
  type DeclaredColumn,
  type EngineSession,
  MAX_ROWS,
  type QueryOptions,
  type ResultColumn,
  type ResultSet,
  type Schema,
  type SessionRequest,
  type SqlEngine,
  type SqlValue,
} from '../index.ts';
import { buildTable, copyTable, takeTable } from './build.ts';
import { databasePrefix, listedOnce, openCatalog } from './catalog.ts';
import { type StatementRunner, statementRunner } from './client.ts';
import { exportRows, type WriterOptions } from './export.ts';
import { ICEBERG_DATABASE, withdrawIceberg, writeIceberg } from './iceberg.ts';
import type { PublishedPlaces } from './places.ts';
import { publishNewest, TARGETS, unusedTables } from './publish.ts';
import { goldRelation, type Relation, runTable, sourceRelation, verifyGold } from './relations.ts';
import { areUnchanged } from './silver.ts';
import {
  batchesOf,
  bound,
  identifier,
  namedTables,
  nearNames,
  readingStatement,
  type Shift,
  type Token,
  withDatabases,
} from './sql.ts';
import { openWork } from './work.ts';

export interface AthenaOptions extends AwsOptions {
  store: LakeStore;
  /**
   * `name` of terraform/: databases are `<name>_silver` (hyphens as underscores), workgroups `<name>-dev` and
   * `<name>-prod`.
   */
  name: string;
  /** Workgroup of queries, where it is not the one of their target. */
  workGroup?: string;
  writer?: WriterOptions;
  /** Aborted: the queries at work are cancelled. */
  signal?: AbortSignal;
  /** How long a query may wait for its turn; default 10 minutes. */
  queueTimeoutMs?: number;
  /** Statements of a session at work together; default `STATEMENTS_AT_ONCE`. */
  statementConcurrency?: number;
}

/**
 * Each waits a second or two whatever it reads, so most of a run is waiting. Athena counts running and queued
 * statements of the whole account against its quota, differently by region
 * (docs.aws.amazon.com/athena/latest/ug/service-limits.html; its example is 25): a run leaves room for
 * people's questions and for a second run.
 */
const STATEMENTS_AT_ONCE = 8;
/** Athena does not say when it changes within a version. */
const WRITER = 'athena 3, parquet zstd';
/** Databases whose tables describe the lake. */
const LAYER_DATABASES = ['bronze', 'silver', 'gold_dev', 'gold_prod'];
const NEAR_NAMES = 5;
/** A question that another commit has overtaken is asked this often. */
const ANSWERS_MAX = 3;

interface Parts extends PublishedPlaces {
  runner: StatementRunner;
  statementConcurrency: number;
  workGroupOf(target: Target): string;
}

/**
 * The engine on Athena and Glue, over a lake on S3. Databases, workgroups and the tables of bronze and silver
 * are made by `terraform/`.
 *
 * What differs from the engine in the process: partitions of silver and tables of gold are published a few at
 * a time, each of them in one step. So a session compares what it reads of silver with its state first, and
 * at its end (`close`) finds out whether anybody has written to it since, which is a `commit_conflict`:
 * nothing that was read from two states is ever committed, or answered by `query`. A table of gold may be
 * several objects, its `OutputFile` then has their prefix as key, the sum of their bytes, and as hash the one
 * of the lines `<name> <bytes> <version>`.
 */
export function openAthenaEngine(options: AthenaOptions): SqlEngine {
  const { store, name } = options;
  const prefix = databasePrefix(name);
  /** Targets that this engine has built for: it must be able to publish them. */
  const built = new Set<Target>();
  const instance = randomBytes(8).toString('hex');
  let queries = 0;
  let seenSequence = -1;
  let seenState: LakeState = EMPTY_STATE;
  let publishing: Promise<void> | undefined;
  const parts: Parts = {
    store,
    runner: statementRunner(options),
    statementConcurrency: options.statementConcurrency ?? STATEMENTS_AT_ONCE,
    catalog: openCatalog(options),
    lakeUri: store.uri.replace(/\/+$/, ''),
    databaseOf: (layer) => `${prefix}${layer}`,
    workGroupOf: (target) => `${name}-${target}`,
    publishIfAllowed() {
      // One for all who ask at once: a second one would sign the same partitions again, and who has looked in
      // between would see a change.
      publishing ??= publishNewest(parts, seenState, built)
        .catch((error: unknown) => {
          // A reader that cannot mend the catalog reads gold as it was published before; silver is compared
          // before it is read.
          if (!(error instanceof JobError && /^catalog_(altered|denied)$/.test(error.code))) throw error;
        })
        .finally(() => {
          publishing = undefined;
        });
      return publishing;
    },
  };
  const { runner, catalog } = parts;

  async function refresh(): Promise<void> {
    const manifest = await latestManifest(store);
    if ((manifest?.sequence ?? 0) === seenSequence) return;
    seenState = manifest?.state ?? EMPTY_STATE;
    await parts.publishIfAllowed();
    seenSequence = manifest?.sequence ?? 0;
  }

  /**
   * Answers from one state: a question about silver that somebody has written to meanwhile is asked again.
   */
  async function query(
    sql: string,
    { parameters = [], target = 'dev', maxRows = MAX_ROWS, signal }: QueryOptions = {},
  ): Promise<ResultSet> {
    const tokens = readingStatement(sql);
    for (let attempt = 1; attempt <= ANSWERS_MAX; attempt += 1) {
      await refresh();
      const state = seenState;
      const names = tableNames(state);
      const isTable = (layer: string, table: string): boolean => names.includes(`${layer}.${table}`);
      const { relations, marks } = await readerRelations(parts, state, tokens, target);
      const qualified = withDatabases(tokens, prefix, isTable, relations);
      queries += 1;
      let [answer, failure]: [answer?: ResultSet, failure?: unknown] = [];
      try {
        const finished = await runner.run({
          ...bound(qualified.sql, parameters),
          database: parts.databaseOf(`gold_${target}`),
          workGroup: options.workGroup ?? parts.workGroupOf(target),
          identity: [instance, queries],
          isRepeatable: true,
          signal,
        });
        answer = await runner.results(finished, maxRows);
      } catch (error) {
        failure = worded(error, prefix, names, qualified.shifts);
      }
      if (!(await areUnchanged(parts, marks))) continue;
      if (answer === undefined) throw failure;
      return answer;
    }
    throw new JobError('commit_conflict', 'tempfail', 'silver changes faster than this question is answered', {
      hint: 'run it again',
    });
  }

  return {
    dialect: 'athena',
    query,
    export: (request) => exportRows(query, request, options.writer),
    session: async (request) => openSession(parts, request, built),
    openWork: () => openWork(parts),
    publish: (state) => publishNewest(parts, state, built),
    unusedTables: (states, madeBefore) => unusedTables(parts, states, madeBefore),
    async dropTables(names) {
      const databases = Map.groupBy(names, (table) => table.slice(0, table.indexOf('.')));
      for (const [database, tables] of databases) {
        await catalog.drop(
          database,
          tables.map((table) => table.slice(database.length + 1)),
        );
      }
    },
    withdrawIceberg: () => withdrawIceberg(parts),
    async *catalogEntries() {
      const hasIceberg = (await latestManifest(store))?.state.iceberg !== undefined;
      for (const layer of hasIceberg ? [...LAYER_DATABASES, ICEBERG_DATABASE] : LAYER_DATABASES) {
        const database = parts.databaseOf(layer);
        for (const [table, found] of await catalog.all(database))
          yield { name: `${database}.${table}`, text: JSON.stringify(found) };
      }
    },
    async close() {
      runner.close();
      catalog.close();
    },
  };
}

/**
 * What stands for the tables that a reader's statement names, as the state has them; those of gold are looked
 * at and named as they are. `marks` are of the tables of silver among them.
 *
 * @throws `object_missing`, `object_damaged` (65) for an object that is gone or, in gold, not the committed
 *   one
 */
async function readerRelations(
  parts: Parts,
  state: LakeState,
  tokens: readonly Token[],
  target: Target,
): Promise<{ relations: ReadonlyMap<string, string>; marks: ReadonlyMap<string, string> }> {
  const relations = new Map<string, string>();
  const marks = new Map<string, string>();
  const { layers, names, isPlain } = namedTables(tokens);
  if (!isPlain) return { relations, marks };
  for (const [key, { layer, table }] of layers) {
    const isKnown = readContracts().some((one) => one.layer === layer && one.table === table);
    if ((layer === 'bronze' || layer === 'silver') && (isKnown || table === CHECK_RESULTS)) {
      const { text, mark } = await sourceRelation(parts, state, layer, table);
      if (mark !== undefined) marks.set(table, mark);
      if (text.startsWith('(')) relations.set(key, text);
    }
  }
  for (const each of TARGETS) {
    for (const [model, file] of Object.entries(state.gold[each]?.tables ?? {})) {
      if (layers.has(`gold_${each}.${model}`) || (each === target && names.has(model))) await verifyGold(parts, file);
    }
  }
  return { relations, marks };
}

/** Rows of the largest table of silver: a model that is built for the first time may have as many. */
async function largestOfSilver(store: LakeStore, state: LakeState): Promise<number> {
  const tables = await Promise.all(Object.keys(state.silver).map((table) => readSilverFiles(store, state, table)));
  return Math.max(0, ...tables.map((files) => files.reduce((sum, { rows }) => sum + rows, 0)));
}

async function openSession(
  parts: Parts,
  { state, target, runId }: SessionRequest,
  built: Set<Target>,
): Promise<EngineSession> {
  const { runner, databaseOf, workGroupOf } = parts;
  let find = listedOnce(parts.catalog);
  const places: Parts = {
    ...parts,
    catalog: { ...parts.catalog, find: (database, table) => find(database, table) },
    async publishIfAllowed() {
      await parts.publishIfAllowed();
      find = listedOnce(parts.catalog);
    },
  };
  const statement = { database: databaseOf(`gold_${target}`), workGroup: workGroupOf(target) };
  const relations = new Map<string, Promise<Relation>>();
  /** Tables of silver that this session has read, as they were then. */
  const marks = new Map<string, string>();
  /** Statement to how often this session has asked it. */
  const asked = new Map<string, number>();
  /** Rows of the largest table of silver, once somebody has asked. */
  let silverRows: Promise<number> | undefined;

  async function open(schema: Schema, table: string): Promise<Relation> {
    if (schema === 'bronze' || schema === 'silver') {
      const relation = await sourceRelation(places, state, schema, table);
      if (relation.mark !== undefined) marks.set(table, relation.mark);
      return relation;
    }
    const version = state.gold[schema === 'gold_prod' ? 'prod' : 'dev'];
    const file = version?.tables[table];
    if (schema === 'run' || version === undefined || file === undefined) {
      throw new Error(`there is no table ${schema}.${table}`);
    }
    return goldRelation(places, schema === 'gold_prod' ? 'prod' : 'dev', version, table, file);
  }

  /** Looked at once, also for those who ask at the same time; what failed is looked at again. */
  function relationOf(schema: Schema, table: string): Promise<Relation> {
    const key = `${schema}.${table}`;
    const known = relations.get(key);
    if (known !== undefined) return known;
    const relation = open(schema, table);
    relations.set(key, relation);
    relation.catch(() => relations.delete(key));
    return relation;
  }

  async function select(sql: string, parameters: readonly SqlValue[], maxRows: number): Promise<ResultSet> {
    // Not the how many-th of all: which comes first is chance.
    const times = (asked.get(sql) ?? 0) + 1;
    asked.set(sql, times);
    const finished = await runner.run({
      ...statement,
      ...bound(sql, parameters),
      identity: [runId, 'query', times],
      isRepeatable: true,
    });
    return runner.results(finished, maxRows);
  }

  async function describe(sql: string): Promise<ResultColumn[]> {
    return (await select(`select * from (${sql}\n) as described limit 0`, [], 0)).columns;
  }

  /** Reads a table of gold as one of the run: Glue has it by the run's name. */
  function setRun(model: string, columns: readonly DeclaredColumn[]): void {
    const text = `${identifier(statement.database)}.${identifier(runTable(model, runId))}`;
    relations.set(`run.${model}`, Promise.resolve({ text, columns }));
  }

  return {
    writer: WRITER,
    concurrency: parts.statementConcurrency,
    relation: async (schema, table) => (await relationOf(schema, table)).text,
    columns: async (schema, table) => [...(await relationOf(schema, table)).columns],
    async singleRows(selects) {
      const rows: SqlValue[][] = [];
      for (const batch of batchesOf(selects)) {
        const joined = batch.map(({ sql }, index) => `(${sql}\n) as part_${index}`).join('\ncross join ');
        const [row = []] = (await select(`select * from ${joined}`, [], 1)).rows;
        let at = 0;
        for (const { columns } of batch) {
          rows.push(row.slice(at, at + columns));
          at += columns;
        }
      }
      return rows;
    },
    query: (sql, parameters = []) => select(sql, parameters, MAX_ROWS),
    describe,
    async build(request) {
      // The same models have been built before: nobody need pay for asking again.
      if (request.areColumnsKnown !== true) checkColumns(request, await describe(request.select));
      built.add(target);
      const name = runTable(request.model, runId);
      silverRows ??= largestOfSilver(parts.store, state);
      const rowsExpected = state.gold[target]?.tables[request.model]?.rows ?? (await silverRows);
      const file = await buildTable(parts, statement, { ...request, target, runId, name, rowsExpected });
      setRun(request.model, request.columns);
      return file;
    },
    async take(model, columns, file) {
      built.add(target);
      const isWhole = await takeTable(parts, statement.database, { name: runTable(model, runId), columns, file });
      if (isWhole) setRun(model, columns);
      return isWhole;
    },
    async copy(model, columns, from) {
      built.add(target);
      const name = runTable(model, runId);
      return copyTable(parts, statement.database, { model, columns, from, target, runId, name });
    },
    async copyAsIceberg(model, known) {
      const relation = await relationOf('gold_prod', model);
      return writeIceberg(parts, statement, { model, known, relation, runId });
    },
    // Tables of the run stay: publishing needs their columns, and `gc` takes them when their version is gone.
    async close() {
      if (await areUnchanged(parts, marks)) return;
      throw new JobError('commit_conflict', 'tempfail', 'others have published silver while it was read', {
        hint: 'run it again; nothing was changed',
      });
    },
  };
}

/**
 * The engine's words with our names in them, its places in the statement as it was given, and near names for
 * an unknown table.
 */
function worded(error: unknown, prefix: string, names: readonly string[], shifts: readonly Shift[]): unknown {
  if (!(error instanceof JobError) || error.code !== 'sql_invalid') return error;
  const message = error.message
    .replaceAll(/awsdatacatalog\./gi, '')
    .replaceAll(prefix, '')
    .replace(/\(line (\d+), column (\d+)\)$/, (_, line: string, column: string) => {
      const before = shifts.filter((shift) => shift.line === Number(line) && shift.column <= Number(column));
      return `(line ${line}, column ${before.reduce((at, { added }) => at - added, Number(column))})`;
    });
  const unknown = /Table '?([\w.]+)'? does not exist/i.exec(message)?.[1];
  const hint = unknown === undefined ? error.hint : `near: ${nearNames(unknown, names, NEAR_NAMES).join(', ')}`;
  return new JobError(error.code, error.exit, message, { ...(hint !== undefined && { hint }), cause: error });
}

function tableNames(state: LakeState): string[] {
  const gold = TARGETS.flatMap((target) =>
    Object.keys(state.gold[target]?.tables ?? {}).map((model) => `gold_${target}.${model}`),
  );
  return [...readContracts().map(({ layer, table }) => `${layer}.${table}`), `silver.${CHECK_RESULTS}`, ...gold];
}
