import { atMost } from './base/concurrency.ts';
import { JobError } from './base/errors.ts';
import { commitWork, publishAgain } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import type { DeclaredColumn, EngineSession, SingleRow } from './engine/index.ts';
import type { TestResult } from './gold/data-tests.ts';
import { type Model, type Project, readProject } from './gold/project.ts';
import { checkScope, refuseFailed, type Scope } from './gold/verdict.ts';
import { accountOf, isCopied, isSameVersion, originsOf, refuseTaken } from './gold/versions.ts';
import {
  EMPTY_STATE,
  type GoldVersion,
  getState,
  type LakeState,
  latestManifest,
  type Manifest,
  type OutputFile,
} from './lake/manifest.ts';
import type { LakeStore } from './lake/store.ts';

export interface PromoteInput {
  runId: string;
  /** Only show the difference. */
  dryRun?: boolean;
  /** Publish although the same version is published: for a table of prod that was damaged. */
  rebuild?: boolean;
  /** The models; default: the warehouse folder of this package. */
  project?: Project;
}

/** What changes in one table of prod. Numbers of `dev` and `prod` are null where the table is not there. */
export interface TableDifference {
  table: string;
  rows: { dev: number | null; prod: number | null };
  /** Rows of dev whose key prod does not have, and the other way round; null where the keys cannot be compared. */
  keys: { added: number | null; removed: number | null };
  columns: { added: string[]; removed: string[] };
  /** Sums of the numeric columns that differ. */
  sums: { column: string; dev: number | null; prod: number | null }[];
}

export interface PromoteResult {
  status: 'promoted' | 'nothing_new' | 'dry_run';
  /** The run whose tables prod shows now; null where there is none yet. */
  runId: string | null;
  asOf: string;
  /** Tables in name order, unchanged ones too. */
  differences: TableDifference[];
}

/** The run that publishes. */
interface PublishWork {
  job: string;
  runId: string;
  startedAt: number;
  details?: Record<string, unknown>;
  /** Copy every table, those too that are copies already. */
  isAnew?: boolean;
}

const NUMERIC = /^(integer|bigint|double|decimal\(\d+,\d+\))$/;

/**
 * Compares gold_dev with gold_prod table by table, then shows as prod the very objects that dev's tests have passed
 * on. Whatever fails
 * on the way leaves prod as it was.
 *
 * @throws `gold_missing`, `gold_outdated`, `checks_missing`, `checks_failed` (65), `run_id_taken` (64),
 * `object_damaged` (65),
 *   `checks_errored` (69), `commit_conflict` (75; retry helps)
 */
export async function promote(input: PromoteInput, effects: Effects): Promise<PromoteResult> {
  const startedAt = effects.now();
  const project = input.project ?? readProject();
  const base = await latestManifest(effects.store);
  const state = base?.state ?? EMPTY_STATE;
  const dev = currentDev(state, project);
  await requireChecks(effects.store, state, dev);
  const { prod } = state.gold;
  // What is damaged cannot be compared.
  const shown = input.rebuild === true ? withoutProd(state) : state;
  const differences = await differencesOf(effects, shown, project, input.runId);
  const result = { runId: prod?.runId ?? null, asOf: dev.asOf, differences };
  if (input.rebuild !== true && isSameVersion(prod, dev)) {
    await publishAgain(effects, base);
    return { ...result, status: 'nothing_new' };
  }
  if (input.dryRun === true) return { ...result, status: 'dry_run' };
  const changed = differences.filter(isChanged).map(({ table, rows }) => ({ table, rows }));
  const details = { dev: dev.runId, changed };
  const work = { job: 'promote', runId: input.runId, startedAt, details, isAnew: input.rebuild === true };
  await publishDev(effects, base, project, work);
  return { ...result, status: 'promoted', runId: input.runId };
}

/**
 * Shows gold_dev as gold_prod: copies its objects, whose hashes are compared, and commits them with what the tests
 * of dev have found. A table that is a copy of the same one already stays where it is, unless it is damaged or all is
 * to be copied anew. It asks for no verdict: that is its caller's.
 *
 * @throws `run_id_taken` (64); `object_missing`, `object_damaged` (65); `commit_conflict` (75; retry helps)
 */
export async function publishDev(
  effects: Effects,
  base: Manifest | undefined,
  project: Project,
  { isAnew, ...work }: PublishWork,
): Promise<void> {
  const { engine, progress, store } = effects;
  const state = base?.state ?? EMPTY_STATE;
  const { dev, prod } = isAnew === true ? withoutProd(state).gold : state.gold;
  const checks = state.checks.gold_dev;
  if (dev === undefined || checks?.of !== dev.runId)
    throw new Error('gold_dev is to be published, and was not checked');
  refuseTaken(state, work.runId);
  const session = await engine.session({ state, target: 'prod', runId: work.runId });
  let tables: Record<string, OutputFile>;
  try {
    const models = Object.entries(dev.tables);
    progress.start('publish', models.length);
    let done = 0;
    const copies = await atMost(session.atOnce, models, async ([model, file]) => {
      stopIfAsked(effects.signal);
      progress.update(done, model);
      const columns = project.models.get(model)?.columns ?? [];
      const kept = isCopied(prod, dev, model) ? prod?.tables[model] : undefined;
      const isKept = kept !== undefined && (await session.take(model, columns, kept));
      const copy = isKept ? kept : await session.copy(model, columns, file);
      done += 1;
      return [model, copy] as const;
    });
    tables = Object.fromEntries(copies);
    progress.end(`${models.length} tables of gold_prod`);
  } finally {
    await session.close();
  }
  const version: GoldVersion = { ...dev, runId: work.runId, tables, origins: originsOf(dev) };
  const account = accountOf(version, 'prod');
  const results = await getState<TestResult[]>(store, checks.key);
  const checked = await checkScope(store, state, 'gold_prod', version.runId, results);
  await commitWork(effects, {
    ...work,
    base,
    state: { ...checked, gold: { ...state.gold, prod: version } },
    ...account,
    details: { ...work.details, ...account.details },
  });
}

/** True where prod would show something else than before. */
export function isChanged({ rows, keys, columns, sums }: TableDifference): boolean {
  const isSameKeys = !keys.added && !keys.removed;
  return rows.dev !== rows.prod || !isSameKeys || columns.added.length + columns.removed.length + sums.length > 0;
}

/** The published dev, where it is of today's silver and today's models: prod must not show what nobody has looked at. */
function currentDev(state: LakeState, project: Project): GoldVersion {
  const dev = state.gold.dev;
  const hint = 'run `listenlake enrich` and `listenlake check` first';
  if (dev === undefined) throw new JobError('gold_missing', 'data', 'there is no gold_dev to promote', { hint });
  if (dev.silverSequence !== state.silverSequence) {
    throw new JobError('gold_outdated', 'data', 'silver has changed since gold_dev was built', { hint });
  }
  if (dev.modelsHash !== project.hash) {
    throw new JobError('gold_outdated', 'data', 'gold_dev was built by other models than those of today', { hint });
  }
  return dev;
}

function withoutProd(state: LakeState): LakeState {
  const { prod: _, ...gold } = state.gold;
  return { ...state, gold };
}

async function requireChecks(store: LakeStore, state: LakeState, dev: GoldVersion): Promise<void> {
  const needed: [Scope, string, string][] = [
    ['silver', String(state.silverSequence), 'listenlake check --scope silver'],
    ['gold_dev', dev.runId, 'listenlake check --scope gold'],
  ];
  for (const [scope, of, command] of needed) {
    const found = state.checks[scope];
    if (found?.of !== of) {
      throw new JobError('checks_missing', 'data', `${scope} has not been checked as it is now`, {
        hint: `run \`${command}\``,
      });
    }
    refuseFailed(scope, await getState<TestResult[]>(store, found.key));
  }
}

async function differencesOf(
  effects: Effects,
  state: LakeState,
  project: Project,
  runId: string,
): Promise<TableDifference[]> {
  const session = await effects.engine.session({ state, target: 'prod', runId });
  try {
    const tables = [
      ...new Set([state.gold.dev, state.gold.prod].flatMap((version) => Object.keys(version?.tables ?? {}))),
    ].sort();
    effects.progress.start('compare', tables.length);
    let done = 0;
    const differences = await atMost(session.atOnce, tables, async (table) => {
      effects.progress.update(done, table);
      const difference = await differenceOf(session, state, table, project.models.get(table));
      done += 1;
      return difference;
    });
    effects.progress.end(
      `${differences.filter(isChanged).length} of ${tables.length} tables of gold_prod would change`,
    );
    return differences;
  } finally {
    await session.close();
  }
}

async function differenceOf(
  session: EngineSession,
  state: LakeState,
  table: string,
  model: Model | undefined,
): Promise<TableDifference> {
  const side = async (target: 'dev' | 'prod'): Promise<Side | undefined> => {
    const file = state.gold[target]?.tables[table];
    if (file === undefined) return undefined;
    const [relation, columns] = [
      await session.relation(`gold_${target}`, table),
      await session.columns(`gold_${target}`, table),
    ];
    return { relation, rows: file.rows, columns, numeric: columns.filter(({ type }) => NUMERIC.test(type)) };
  };
  const [dev, prod] = [await side('dev'), await side('prod')];
  if (dev !== undefined && prod !== undefined && isCopied(state.gold.prod, state.gold.dev, table)) {
    const rows = { dev: dev.rows, prod: prod.rows };
    return { table, rows, keys: { added: 0, removed: 0 }, columns: { added: [], removed: [] }, sums: [] };
  }
  const { keys, sums: sumsOf } = await numbersOf(session, model?.key ?? [], dev, prod);
  const names = (columns: readonly DeclaredColumn[] = []): string[] => columns.map(({ name }) => name);
  const added = names(dev?.columns).filter((name) => !names(prod?.columns).includes(name));
  const removed = names(prod?.columns).filter((name) => !names(dev?.columns).includes(name));
  const numeric = new Set([...sumsOf.dev.keys(), ...sumsOf.prod.keys()]);
  const sums = [...numeric]
    .map((column) => ({ column, dev: sumsOf.dev.get(column) ?? null, prod: sumsOf.prod.get(column) ?? null }))
    .filter((sum) => sum.dev !== sum.prod);
  return {
    table,
    rows: { dev: dev?.rows ?? null, prod: prod?.rows ?? null },
    keys,
    columns: prod === undefined || dev === undefined ? { added: [], removed: [] } : { added, removed },
    sums,
  };
}

/** One version of a table. */
interface Side {
  relation: string;
  rows: number;
  columns: readonly DeclaredColumn[];
  numeric: readonly DeclaredColumn[];
}

type Sums = Map<string, number | null>;

/** Sums of both versions, and keys that only one of them has: all of a table in one go. */
async function numbersOf(
  session: EngineSession,
  key: readonly string[],
  dev: Side | undefined,
  prod: Side | undefined,
): Promise<{ sums: { dev: Sums; prod: Sums }; keys: TableDifference['keys'] }> {
  const selects = [...sumsSelect(dev), ...sumsSelect(prod), ...keySelects(key, dev, prod)];
  const values = (await session.singleRows(selects)).flat();
  const take = (side: Side | undefined): Sums =>
    new Map((side?.numeric ?? []).map(({ name }) => [name, values.shift() as number | null]));
  const sums = { dev: take(dev), prod: take(prod) };
  if (dev === undefined) return { sums, keys: { added: 0, removed: prod?.rows ?? 0 } };
  if (prod === undefined) return { sums, keys: { added: dev.rows, removed: 0 } };
  const [added, removed] = values.map(Number);
  return { sums, keys: { added: added ?? null, removed: removed ?? null } };
}

function sumsSelect(side: Side | undefined): SingleRow[] {
  if (side === undefined || side.numeric.length === 0) return [];
  const sums = side.numeric.map(({ name }, index) => `cast(sum("${name}") as double) as sum_${index}`);
  return [{ sql: `select ${sums.join(', ')} from ${side.relation}`, columns: sums.length }];
}

/** Rows of dev whose key prod does not have, then the other way round; nothing where there are not two versions with the key. */
function keySelects(key: readonly string[], dev: Side | undefined, prod: Side | undefined): SingleRow[] {
  if (dev === undefined || prod === undefined || key.length === 0) return [];
  const isThere = (side: Side): boolean => key.every((name) => side.columns.some((column) => column.name === name));
  if (!isThere(dev) || !isThere(prod)) return [];
  const list = key.map((name) => `"${name}"`).join(', ');
  return [
    [dev, prod],
    [prod, dev],
  ].map(([from, other]) => {
    const missing = `select ${list} from ${from!.relation} except select ${list} from ${other!.relation}`;
    return { sql: `select count(*) as missing from (${missing}) as missing`, columns: 1 };
  });
}
