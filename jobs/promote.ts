import { atMost } from './base/concurrency.ts';
import { JobError } from './base/errors.ts';
import { count } from './base/words.ts';
import { commitWork, publishAgain } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import type { TestResult } from './gold/data-tests.ts';
import { differencesOf, isChanged, type TableDifference } from './gold/differences.ts';
import { type CopyResult, copyProd } from './gold/iceberg.ts';
import { type Project, readProject } from './gold/project.ts';
import { checkScope, refuseFailed, type Scope } from './gold/verdict.ts';
import { accountOf, currentDev, isCopied, isSameVersion, originsOf, refuseTaken } from './gold/versions.ts';
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

export interface PromoteResult {
  status: 'promoted' | 'nothing_new' | 'dry_run';
  /** The run whose tables prod shows now; null where there is none yet. */
  runId: string | null;
  asOf: string;
  /** Tables in name order, unchanged ones too. */
  differences: TableDifference[];
  /** What became of the copy of prod as Iceberg tables; undefined where there is none. */
  iceberg?: CopyResult;
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

/**
 * Compares gold_dev with gold_prod table by table, then shows as prod the very objects that dev's tests have
 * passed on. Whatever fails on the way leaves prod as it was. Then the copy as Iceberg tables follows, where
 * there is one, also one that an earlier call has left behind.
 *
 * @throws `gold_missing`, `gold_outdated`, `checks_missing`, `checks_failed` (65), `run_id_taken` (64),
 *   `object_damaged` (65), `checks_errored` (69), `commit_conflict` (75; retry helps); once prod is
 *   published, what `copyProd` throws
 */
export async function promote(input: PromoteInput, effects: Effects): Promise<PromoteResult> {
  const startedAt = effects.now();
  const project = input.project ?? readProject();
  const base = await latestManifest(effects.store);
  const state = base?.state ?? EMPTY_STATE;
  const dev = currentDev(state, project.hash, 'run `listenlake enrich` and `listenlake check` first');
  await requireChecks(effects.store, state, dev);
  const { prod } = state.gold;
  // What is damaged cannot be compared.
  const shown = input.rebuild === true ? withoutProd(state) : state;
  const differences = await compare(effects, shown, project, input.runId);
  const result = { runId: prod?.runId ?? null, asOf: dev.asOf, differences };
  if (input.rebuild !== true && isSameVersion(prod, dev) && isTrainedAlike(project, prod, dev)) {
    await publishAgain(effects, base);
    return { ...result, status: 'nothing_new', ...(input.dryRun !== true && (await followed(input, effects))) };
  }
  if (input.dryRun === true) return { ...result, status: 'dry_run' };
  const changed = differences.filter(isChanged).map(({ table, rows }) => ({ table, rows }));
  const details = { dev: dev.runId, changed };
  const work = { job: 'promote', runId: input.runId, startedAt, details, isAnew: input.rebuild === true };
  await publishDev(effects, base, project, work);
  return { ...result, status: 'promoted', runId: input.runId, ...(await followed(input, effects)) };
}

async function followed({ runId }: PromoteInput, effects: Effects): Promise<Pick<PromoteResult, 'iceberg'>> {
  stopIfAsked(effects.signal);
  const iceberg = await copyProd({ job: 'promote', runId }, effects.config.isIcebergWanted, effects);
  return iceberg === undefined ? {} : { iceberg };
}

/**
 * Shows gold_dev as gold_prod: copies its objects, whose hashes are compared, and commits them with what the
 * tests of dev have found. A table that is a copy of the same one already stays where it is, unless it is
 * damaged or all is to be copied anew. It asks for no verdict: that is its caller's.
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
    const copies = await atMost(session.concurrency, models, async ([model, file]) => {
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
    progress.end(`${count(models.length, 'table')} of gold_prod`);
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

/**
 * True where prod has dev's tables of `train`: it fills them after the others, so they may differ between two
 * versions of the same silver and models.
 */
function isTrainedAlike({ models }: Project, prod: GoldVersion | undefined, dev: GoldVersion): boolean {
  const trained = [...models.values()].filter(({ trainedFrom }) => trainedFrom !== undefined);
  const isEmpty = (version: GoldVersion | undefined, name: string): boolean => version?.tables[name]?.rows === 0;
  return trained.every(({ name }) => isCopied(prod, dev, name) || (isEmpty(prod, name) && isEmpty(dev, name)));
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

async function compare(
  { engine, progress }: Effects,
  state: LakeState,
  project: Project,
  runId: string,
): Promise<TableDifference[]> {
  const session = await engine.session({ state, target: 'prod', runId });
  try {
    progress.start('compare', new Set(Object.values(state.gold).flatMap(({ tables }) => Object.keys(tables))).size);
    const differences = await differencesOf(session, state, project, (done) => progress.update(done));
    const changed = differences.filter(isChanged).length;
    progress.end(`${changed} of ${differences.length} tables of gold_prod would change`);
    return differences;
  } finally {
    await session.close();
  }
}
