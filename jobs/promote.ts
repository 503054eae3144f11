import { atMost } from './at-most.ts';
import { refuseFailed, type Scope } from './check.ts';
import { publishAgain } from './commit.ts';
import type { Effects } from './effects.ts';
import type { DeclaredColumn, EngineSession, SingleRow } from './engine/index.ts';
import { type Model, type Project, readProject } from './engine/project.ts';
import { buildVersion, commitProd, isSameVersion } from './enrich.ts';
import { JobError } from './errors.ts';
import { EMPTY_STATE, type GoldVersion, type LakeState, latestManifest } from './lake/manifest.ts';

export interface PromoteInput {
  runId: string;
  /** Only show the difference. */
  dryRun?: boolean;
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

const NUMERIC = /^(integer|bigint|double|decimal\(\d+,\d+\))$/;

/**
 * Compares gold_dev with gold_prod table by table, then builds prod from the same models, the same silver and the same end of data, tests
 * it out of readers' sight, and shows it. Whatever fails on the way leaves prod as it was.
 *
 * @throws `gold_missing`, `gold_outdated`, `checks_missing`, `checks_failed` (65), `checks_errored` (69), `commit_conflict` (75; retry
 *   helps); what `enrich` throws
 */
export async function promote(input: PromoteInput, effects: Effects): Promise<PromoteResult> {
  const startedAt = effects.now();
  const project = input.project ?? readProject();
  const base = await latestManifest(effects.store);
  const state = base?.state ?? EMPTY_STATE;
  const dev = currentDev(state, project);
  requireChecks(state, dev);
  const differences = await differencesOf(effects, state, project, input.runId);
  const prod = state.gold.prod;
  const result = { runId: prod?.runId ?? null, asOf: dev.asOf, differences };
  if (isSameVersion(prod, dev)) {
    await publishAgain(effects, base);
    return { ...result, status: 'nothing_new' };
  }
  if (input.dryRun === true) return { ...result, status: 'dry_run' };
  const built = await buildVersion(effects, state, project, { target: 'prod', runId: input.runId, asOf: dev.asOf });
  refuseFailed('gold_prod', built.results);
  const changed = differences.filter(isChanged).map(({ table, rows }) => ({ table, rows }));
  await commitProd(effects, base, { job: 'promote', startedAt, ...built, details: { dev: dev.runId, changed } });
  return { ...result, status: 'promoted', runId: input.runId };
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

function requireChecks(state: LakeState, dev: GoldVersion): void {
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
    if (found.verdict !== 'passed') {
      throw new JobError('checks_failed', 'data', `${scope} fails its tests; prod stays as it is`, {
        hint: "see `select * from silver.check_results where status <> 'passed'`",
      });
    }
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
