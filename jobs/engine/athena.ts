import { randomBytes } from 'node:crypto';
import type { AwsOptions } from '../aws.ts';
import { JobError } from '../errors.ts';
import { readContracts } from '../lake/contracts.ts';
import { goldTablePrefix, type Target } from '../lake/keys.ts';
import { EMPTY_STATE, hashOf, type LakeState, latestManifest, type OutputFile, objectsOf } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { databasePrefix, goldTable, listedOnce, openCatalog } from './athena-catalog.ts';
import { type StatementRunner, statementRunner } from './athena-client.ts';
import { publishTarget, TARGETS, unusedTables } from './athena-publish.ts';
import { goldRelation, type Places, type Relation, runTable, sourceRelation, verifyGold } from './athena-relations.ts';
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
} from './athena-sql.ts';
import { CHECK_RESULTS } from './check-results.ts';
import {
  type BuildRequest,
  type EngineSession,
  MAX_ROWS,
  type ResultColumn,
  type ResultSet,
  type Schema,
  type SessionRequest,
  type SqlEngine,
  type SqlValue,
} from './index.ts';

export interface AthenaOptions extends AwsOptions {
  store: LakeStore;
  /** `name` of terraform/: databases are `<name>_silver` (hyphens as underscores), workgroups `<name>-dev` and `<name>-prod`. */
  name: string;
  /** Workgroup of queries, where it is not the one of their target. */
  workGroup?: string;
  /** Aborted: the queries at work are cancelled. */
  signal?: AbortSignal;
  /** How long a query may wait for its turn; default 10 minutes. */
  queueTimeoutMs?: number;
  /** Statements of a session at work together; default `STATEMENTS_AT_ONCE`. */
  statementsAtOnce?: number;
}

/**
 * Each waits a second or two whatever it reads, so most of a run is waiting. Athena counts running and queued statements of the whole account
 * against its quota, differently by region (docs.aws.amazon.com/athena/latest/ug/service-limits.html; its example is 25): a run leaves room for
 * people's questions and for a second run.
 */
const STATEMENTS_AT_ONCE = 8;
/** Databases whose tables describe the lake. */
const LAYER_DATABASES = ['bronze', 'silver', 'gold_dev', 'gold_prod'];
/** A build whose statement fails on Athena's side is begun anew under another prefix this often. */
const BUILDS_MAX = 3;
/** Prefixes that may be taken by attempts of a killed process. */
const ATTEMPTS_MAX = 20;
const PUBLISHES_MAX = 5;
const NEAR_NAMES = 5;
/** The largest limit there is; a table of more rows is no longer one that a model should sort. */
const SORTED_ROWS_MAX = 2_147_483_647;

interface Parts extends Places {
  runner: StatementRunner;
  statementsAtOnce: number;
  workGroupOf(target: Target): string;
}

/**
 * The engine on Athena and Glue, over a lake on S3. Databases, workgroups and the tables of bronze and silver are made by `terraform/`.
 *
 * What differs from the engine in the process: silver is read where it lies, so a session fails (`object_damaged`) when a partition is
 * replaced under it; tables are published a few at a time, each of them in one step; a table of gold may be several objects, its
 * `OutputFile` then has their prefix as key, the sum of their bytes, and as hash the one of the lines `<name> <bytes> <version>`.
 */
export function openAthenaEngine(options: AthenaOptions): SqlEngine {
  const { store, name } = options;
  const prefix = databasePrefix(name);
  const parts: Parts = {
    store,
    runner: statementRunner(options),
    statementsAtOnce: options.statementsAtOnce ?? STATEMENTS_AT_ONCE,
    catalog: openCatalog(options),
    lakeUri: store.uri.replace(/\/+$/, ''),
    databaseOf: (layer) => `${prefix}${layer}`,
    workGroupOf: (target) => `${name}-${target}`,
  };
  const { runner, catalog } = parts;
  /** Targets that this engine has built for: it must be able to publish them. */
  const built = new Set<Target>();
  const instance = randomBytes(8).toString('hex');
  let queries = 0;
  let seenSequence = -1;
  let seenState: LakeState = EMPTY_STATE;

  async function refresh(): Promise<void> {
    const manifest = await latestManifest(store);
    if ((manifest?.sequence ?? 0) === seenSequence) return;
    seenState = manifest?.state ?? EMPTY_STATE;
    await publish(seenState).catch((error: unknown) => {
      // A reader that may not mend the catalog reads what was published before.
      if (!(error instanceof JobError && error.code === 'catalog_denied')) throw error;
    });
    seenSequence = manifest?.sequence ?? 0;
  }

  async function publish(given: LakeState): Promise<void> {
    for (let attempt = 1; attempt <= PUBLISHES_MAX; attempt += 1) {
      // Whoever comes late must not bring back what was replaced: the newest commit is the truth.
      const state = (await latestManifest(store))?.state ?? given;
      let isDone = true;
      for (const target of TARGETS) isDone = (await publishTarget(parts, target, state.gold[target], built)) && isDone;
      if (isDone) return;
    }
    throw new JobError('publish_conflict', 'tempfail', 'others publish all the time; what was committed is whole', {
      hint: 'run it again',
    });
  }

  return {
    dialect: 'athena',
    async query(sql, { parameters = [], target = 'dev', maxRows = MAX_ROWS } = {}) {
      const tokens = readingStatement(sql);
      await refresh();
      const names = tableNames(seenState);
      const isTable = (layer: string, table: string): boolean => names.includes(`${layer}.${table}`);
      const qualified = withDatabases(tokens, prefix, isTable, await readerRelations(parts, seenState, tokens, target));
      queries += 1;
      try {
        const finished = await runner.run({
          ...bound(qualified.sql, parameters),
          database: parts.databaseOf(`gold_${target}`),
          workGroup: options.workGroup ?? parts.workGroupOf(target),
          identity: [instance, queries],
          isRepeatable: true,
        });
        return await runner.results(finished, maxRows);
      } catch (error) {
        throw worded(error, prefix, names, qualified.shifts);
      }
    },
    async session(request) {
      return openSession(parts, request, built);
    },
    publish,
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
    async *catalogEntries() {
      for (const layer of LAYER_DATABASES) {
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
 * What stands for the tables that a reader's statement names, as the state has them; those of gold are looked at and named as they are.
 *
 * @throws `object_missing`, `object_damaged` (65) for an object that is gone or, in gold, not the committed one
 */
async function readerRelations(
  parts: Parts,
  state: LakeState,
  tokens: readonly Token[],
  target: Target,
): Promise<ReadonlyMap<string, string>> {
  const relations = new Map<string, string>();
  const { layers, names, isPlain } = namedTables(tokens);
  if (!isPlain) return relations;
  for (const [key, { layer, table }] of layers) {
    const isKnown = readContracts().some((one) => one.layer === layer && one.table === table);
    if ((layer === 'bronze' || layer === 'silver') && (isKnown || table === CHECK_RESULTS)) {
      const { text } = await sourceRelation(parts, state, layer, table, false);
      if (text.startsWith('(')) relations.set(key, text);
    }
  }
  for (const each of TARGETS) {
    for (const [model, file] of Object.entries(state.gold[each]?.tables ?? {})) {
      if (layers.has(`gold_${each}.${model}`) || (each === target && names.has(model))) await verifyGold(parts, file);
    }
  }
  return relations;
}

async function openSession(
  parts: Parts,
  { state, target, runId }: SessionRequest,
  built: Set<Target>,
): Promise<EngineSession> {
  const { runner, databaseOf, workGroupOf } = parts;
  const places = { ...parts, catalog: { ...parts.catalog, find: listedOnce(parts.catalog) } };
  const statement = { database: databaseOf(`gold_${target}`), workGroup: workGroupOf(target) };
  const relations = new Map<string, Promise<Relation>>();
  /** Statement to how often this session has asked it. */
  const asked = new Map<string, number>();

  async function open(schema: Schema, table: string): Promise<Relation> {
    if (schema === 'bronze' || schema === 'silver') return sourceRelation(places, state, schema, table, true);
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

  return {
    atOnce: parts.statementsAtOnce,
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
      // Dev is always built first and from the same models: prod need not pay for asking again.
      if (target === 'dev' && request.areColumnsKnown !== true) checkColumns(request, await describe(request.select));
      built.add(target);
      const name = runTable(request.model, runId);
      const file = await buildTable(parts, statement, { ...request, target, runId, name });
      const text = `${identifier(statement.database)}.${identifier(name)}`;
      relations.set(`run.${request.model}`, Promise.resolve({ text, columns: request.columns }));
      return file;
    },
    async close() {
      // Tables of the run stay: publishing needs their columns, and `gc` takes them when their version is gone.
    },
  };
}

/** Writes the rows of a select under a prefix that nobody has used, and makes the run's table point at it. */
async function buildTable(
  parts: Parts,
  statement: { database: string; workGroup: string },
  request: BuildRequest & { target: Target; runId: string; name: string },
): Promise<OutputFile> {
  const { store, runner, catalog, lakeUri } = parts;

  let builds = 0;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const prefix = goldTablePrefix(request.target, request.runId, request.model, attempt);
    // An attempt that has left anything, whole or not, is not written to again.
    if ((await objectsOf(store, prefix)).length > 0) continue;
    await catalog.put(statement.database, goldTable(request.name, request.columns, `${lakeUri}/${prefix}`));
    builds += 1;
    try {
      const finished = await runner.run({
        ...statement,
        sql: insertOf(`${identifier(statement.database)}.${identifier(request.name)}`, request),
        identity: [request.runId, 'build', request.model, attempt],
        isRepeatable: false,
      });
      const objects = await objectsOf(store, prefix);
      const rows = await runner.rowsWritten(finished);
      if (rows === undefined) throw new Error(`Athena does not say how many rows it wrote for ${request.model}`);
      return {
        key: prefix,
        rows,
        bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
        sha256: hashOf(prefix, objects),
      };
    } catch (error) {
      const isAthenas = error instanceof JobError && /^engine_(failed|timeout)$/.test(error.code);
      if (!isAthenas || builds >= BUILDS_MAX) throw error;
    }
  }
  throw new JobError(
    'run_id_taken',
    'usage',
    `the run ${request.runId} has tried ${ATTEMPTS_MAX} times to write ${request.model}`,
    {
      hint: 'give the run another id',
    },
  );
}

function insertOf(table: string, { select, columns, sort }: BuildRequest): string {
  const typed = columns.map(({ name, type }) => {
    const precise = type === 'timestamp' ? 'timestamp(3)' : type;
    return `cast(${identifier(name)} as ${precise}) as ${identifier(name)}`;
  });
  // The engine leaves out the order of what it inserts, unless a limit depends on it.
  const keys = sort.map((name) => `${identifier(name)} nulls last`).join(', ');
  const order = sort.length === 0 ? '' : `\norder by ${keys}\nlimit ${SORTED_ROWS_MAX}`;
  return `insert into ${table}\nselect ${typed.join(', ')}\nfrom (${select}\n) as model${order}`;
}

function checkColumns({ model, columns }: BuildRequest, given: readonly ResultColumn[]): void {
  const shown = (column: { name: string; type: string } | undefined): string =>
    column === undefined ? 'no column' : `${column.name} ${column.type}`;
  for (let index = 0; index < Math.max(columns.length, given.length); index += 1) {
    const [declared, actual] = [columns[index], given[index]];
    if (declared?.name === actual?.name && declared?.type === actual?.type) continue;
    throw new JobError(
      'model_columns',
      'data',
      `column ${index + 1} of ${model} is ${shown(actual)}, its .yml says ${shown(declared)}`,
      {
        hint: 'name, order and data_type in the .yml are what the select must give; cast in the last select',
      },
    );
  }
}

/** The engine's words with our names in them, its places in the statement as it was given, and near names for an unknown table. */
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
