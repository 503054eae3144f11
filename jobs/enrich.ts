import { checkScope, refuseFailed } from './check.ts';
import { commitWork, publishAgain } from './commit.ts';
import { type Effects, stopIfAsked } from './effects.ts';
import { goldTests, runTests, type TestResult } from './engine/data-tests.ts';
import type { EngineSession, SingleRow } from './engine/index.ts';
import { buildModels } from './engine/models.ts';
import { type Project, readProject } from './engine/project.ts';
import { JobError } from './errors.ts';
import { parseInterval } from './interval.ts';
import type { Target } from './lake/keys.ts';
import { EMPTY_STATE, type GoldVersion, type LakeState, latestManifest, type Manifest } from './lake/manifest.ts';

export interface EnrichInput {
  target: Target;
  runId: string;
  /** Exclusive end of the data, an instant or a date in UTC; default: the midnight after the newest listening. */
  asOf?: string;
  /** Build although the same version is published: for a table that was damaged. */
  rebuild?: boolean;
  /** The models; default: the warehouse folder of this package. */
  project?: Project;
}

export interface EnrichResult {
  target: Target;
  status: 'built' | 'nothing_new';
  /** The run whose tables are published now. */
  runId: string;
  asOf: string;
  /** By model name. */
  tables: { model: string; rows: number; bytes: number }[];
}

/** The version that a run has built and nobody sees yet, and what its tests found. */
export interface BuiltVersion {
  version: GoldVersion;
  results: TestResult[];
}

/**
 * Builds every gold model of the target from the current silver and shows it to readers, all tables at once. The same silver, the same
 * models and the same `asOf` again change nothing.
 *
 * Prod is tested before it is shown; a failing test leaves prod as it was.
 *
 * @throws `interval_invalid` (64), `run_id_taken` (64), `model_invalid` (78), `sql_invalid` (64), `model_columns` (65), `object_damaged` (65),
 *   `checks_failed` (65) and `checks_errored` (69) for prod, `commit_conflict` (75; retry helps)
 */
export async function enrich(input: EnrichInput, effects: Effects): Promise<EnrichResult> {
  const startedAt = effects.now();
  const project = input.project ?? readProject();
  const base = await latestManifest(effects.store);
  const state = base?.state ?? EMPTY_STATE;
  const asOf =
    input.asOf === undefined
      ? await newestMidnight(effects, state, project, input)
      : parseInterval(undefined, input.asOf).to!;
  const published = state.gold[input.target];
  if (
    input.rebuild !== true &&
    isSameVersion(published, { asOf, silverSequence: state.silverSequence, modelsHash: project.hash })
  ) {
    await publishAgain(effects, base);
    return resultOf(input.target, 'nothing_new', published!);
  }
  const { version, results } = await buildVersion(effects, state, project, { ...input, asOf });
  if (input.target === 'prod') {
    refuseFailed('gold_prod', results);
    await commitProd(effects, base, { job: 'enrich', startedAt, version, results });
  } else {
    await commitWork(effects, {
      job: 'enrich',
      runId: input.runId,
      startedAt,
      base,
      state: { ...state, gold: { ...state.gold, dev: version } },
      ...accountOf(version),
    });
  }
  return resultOf(input.target, 'built', version);
}

/** Builds all models of a target out of readers' sight; those of prod are tested there as well. */
export async function buildVersion(
  effects: Effects,
  state: LakeState,
  project: Project,
  { target, runId, asOf, rebuild = false }: { target: Target; runId: string; asOf: string; rebuild?: boolean },
): Promise<BuiltVersion> {
  const { engine, progress } = effects;
  for (const version of Object.values(state.gold)) {
    if (version?.runId === runId) {
      throw new JobError(
        'run_id_taken',
        'usage',
        `the run ${runId} is published: its tables must not be written again`,
        {
          hint: 'give the run another id',
        },
      );
    }
  }
  const session = await engine.session({ state, target, runId });
  try {
    progress.start(`enrich ${target}`, project.models.size);
    const tables = await buildModels(session, project, {
      dialect: engine.dialect,
      target,
      asOf,
      // Prod is built from what dev was built from.
      areColumnsKnown: state.gold.dev?.modelsHash === project.hash,
      previous: rebuild ? [] : Object.keys(state.gold[target]?.tables ?? {}),
      onModel: (name, index) => {
        stopIfAsked(effects.signal);
        progress.update(index, name);
      },
    });
    progress.end(`${Object.keys(tables).length} tables of gold_${target}`);
    const results = target === 'prod' ? await runTests(session, goldTests(project, 'run')) : [];
    return {
      version: { runId, asOf, silverSequence: state.silverSequence, modelsHash: project.hash, tables },
      results,
    };
  } finally {
    await session.close();
  }
}

/** Commits a tested version of prod together with the results of its tests, then shows it. */
export async function commitProd(
  effects: Effects,
  base: Manifest | undefined,
  work: { job: string; startedAt: number; details?: Record<string, unknown> } & BuiltVersion,
): Promise<Manifest> {
  const { version, results } = work;
  const state = base?.state ?? EMPTY_STATE;
  const checked = await checkScope(effects.store, state, 'gold_prod', version.runId, results);
  return commitWork(effects, {
    job: work.job,
    runId: version.runId,
    startedAt: work.startedAt,
    base,
    state: { ...checked, gold: { ...state.gold, prod: version } },
    ...accountOf(version),
    ...(work.details && { details: work.details }),
  });
}

/** True where building again would give the same tables. */
export function isSameVersion(
  version: GoldVersion | undefined,
  wanted: Pick<GoldVersion, 'asOf' | 'silverSequence' | 'modelsHash'>,
): boolean {
  return (
    version !== undefined &&
    version.asOf === wanted.asOf &&
    version.silverSequence === wanted.silverSequence &&
    version.modelsHash === wanted.modelsHash
  );
}

function accountOf(version: GoldVersion): Pick<Manifest, 'versions' | 'interval' | 'outputs'> {
  return {
    versions: { models: version.modelsHash },
    interval: { from: null, to: version.asOf },
    outputs: Object.values(version.tables),
  };
}

function resultOf(target: Target, status: EnrichResult['status'], version: GoldVersion): EnrichResult {
  const tables = Object.entries(version.tables).map(([model, { rows, bytes }]) => ({ model, rows, bytes }));
  tables.sort((a, b) => (a.model < b.model ? -1 : 1));
  return { target, status, runId: version.runId, asOf: version.asOf, tables };
}

/** Where listening ends; where there is none, where snapshots and charts end; else the epoch. Never now. */
async function newestMidnight(
  effects: Effects,
  state: LakeState,
  project: Project,
  { target, runId }: EnrichInput,
): Promise<string> {
  const longest = project.vars.implausible_play_ms;
  const isPlausible = typeof longest === 'number' ? `coalesce(played_ms, 0) <= ${longest}` : undefined;
  const session = await effects.engine.session({ state, target, runId });
  try {
    const listened = { plays: 'ended_at', listening_events: 'occurred_at' };
    const listening = await newestDay(session, listened, isPlausible);
    const snapshots = { playlist_items: 'snapshot_date', saved_tracks: 'snapshot_date', top_items: 'snapshot_date' };
    const day = listening ?? (await newestDay(session, { ...snapshots, chart_entries: 'period_end' }));
    return `${day ?? '1970-01-01'}T00:00:00.000Z`;
  } finally {
    await session.close();
  }
}

/** Newest date in the columns of rows that meet the condition, plus a day (a period's end is exclusive already): `YYYY-MM-DD`. */
async function newestDay(
  session: EngineSession,
  columns: Record<string, string>,
  condition = '1 = 1',
): Promise<string | undefined> {
  const selects: SingleRow[] = [];
  for (const [table, column] of Object.entries(columns)) {
    const relation = await session.relation('silver', table);
    const ends = column === 'period_end' ? column : `cast(cast(${column} as date) + interval '1' day as date)`;
    selects.push({
      sql: `select cast(max(${ends}) as varchar) as newest from ${relation} where ${condition}`,
      columns: 1,
    });
  }
  const days = (await session.singleRows(selects)).flat().filter((day) => typeof day === 'string');
  return days.sort().at(-1);
}
