import { parseInterval } from './base/interval.ts';
import { count } from './base/words.ts';
import { commitWork, publishAgain } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import type { EngineSession, SingleRow } from './engine/index.ts';
import { isKeepable } from './gold/live.ts';
import { buildModels } from './gold/models.ts';
import { type Project, readProject } from './gold/project.ts';
import { type RecommendationQuality, recommendationQuality } from './gold/recommendations.ts';
import { accountOf, isSameVersion, refuseTaken } from './gold/versions.ts';
import { EMPTY_STATE, type GoldVersion, type LakeState, latestManifest } from './lake/manifest.ts';

export interface EnrichInput {
  runId: string;
  /**
   * Exclusive end of the data, an instant or a date in UTC; default: the midnight after the newest listening.
   */
  asOf?: string;
  /** Build although the same version is published: for a table that was damaged. */
  rebuild?: boolean;
  /**
   * Build only models tagged `live` and what they read. Where the version before is of other models or of
   * another `asOf`, everything is built all the same.
   */
  isLive?: boolean;
  /** The models; default: the warehouse folder of this package. */
  project?: Project;
}

export interface EnrichResult {
  status: 'built' | 'nothing_new';
  /** The run whose tables are published now. */
  runId: string;
  asOf: string;
  /** By model name. */
  tables: { model: string; rows: number; bytes: number }[];
  /** Models that this run has built; the tables of the others are those of the version before. By name. */
  built: string[];
  /** What recommendations are worth; undefined where nothing was built. */
  recommendations?: RecommendationQuality;
}

/**
 * Makes gold of the current silver and shows it to readers as `gold_dev`, all tables at once. A model is
 * built where something that it depends on has changed, and else its table is taken over from the version
 * before. The same silver, the same models and the same `asOf` again change nothing.
 *
 * @throws `interval_invalid` (64), `run_id_taken` (64), `model_invalid` (78), `sql_invalid` (64),
 *   `model_columns` (65), `object_damaged` (65), `commit_conflict` (75; retry helps)
 */
export async function enrich(input: EnrichInput, effects: Effects): Promise<EnrichResult> {
  const startedAt = effects.now();
  const project = input.project ?? readProject();
  const base = await latestManifest(effects.store);
  const state = base?.state ?? EMPTY_STATE;
  const asOf =
    input.asOf === undefined
      ? await newestMidnight(effects, state, project, input.runId)
      : parseInterval(undefined, input.asOf).to!;
  const published = state.gold.dev;
  const wanted = { asOf, silverSequence: state.silverSequence, modelsHash: project.hash };
  const kept = input.isLive === true ? published?.kept : undefined;
  if (input.rebuild !== true && isSameVersion(published, { ...wanted, ...(kept && { kept }) })) {
    await publishAgain(effects, base);
    return resultOf('nothing_new', published!, []);
  }
  const { version, built, recommendations } = await buildVersion(effects, state, project, { ...input, asOf });
  await commitWork(effects, {
    job: 'enrich',
    runId: input.runId,
    startedAt,
    base,
    state: { ...state, gold: { ...state.gold, dev: version } },
    ...accountOf(version, 'dev'),
  });
  return { ...resultOf('built', version, built), ...(recommendations && { recommendations }) };
}

/** Builds models out of readers' sight, and takes over the tables of the others. */
async function buildVersion(
  effects: Effects,
  state: LakeState,
  project: Project,
  { runId, asOf, rebuild = false, isLive = false }: EnrichInput & { asOf: string },
): Promise<{ version: GoldVersion; built: string[]; recommendations: RecommendationQuality | undefined }> {
  const { engine, progress } = effects;
  refuseTaken(state, runId);
  const session = await engine.session({ state, target: 'dev', runId });
  try {
    progress.start('enrich', project.models.size);
    const { tables, fingerprints, taken, kept } = await buildModels(session, project, {
      dialect: engine.dialect,
      target: 'dev',
      asOf,
      areColumnsKnown: state.gold.dev?.modelsHash === project.hash,
      state,
      previous: rebuild ? undefined : state.gold.dev,
      isLive: isLive && !rebuild && isKeepable(state.gold.dev, project, asOf),
      onModel: (name, index) => {
        stopIfAsked(effects.signal);
        progress.update(index, name);
      },
    });
    const built = Object.keys(tables).filter((name) => !taken.includes(name));
    const tookOver = taken.length > 0 ? `, ${taken.length} of them as they were` : '';
    progress.end(`${count(Object.keys(tables).length, 'table')} of gold_dev${tookOver}`);
    const { silverSequence } = state;
    const common = { runId, asOf, silverSequence, modelsHash: project.hash };
    const version = { ...common, tables, fingerprints, ...(kept.length > 0 && { kept }) };
    return { version, built, recommendations: await recommendationQuality(session, project) };
  } finally {
    await session.close();
  }
}

function resultOf(status: EnrichResult['status'], version: GoldVersion, built: string[]): EnrichResult {
  const tables = Object.entries(version.tables).map(([model, { rows, bytes }]) => ({ model, rows, bytes }));
  tables.sort((a, b) => (a.model < b.model ? -1 : 1));
  return { status, runId: version.runId, asOf: version.asOf, tables, built: built.sort() };
}

/** Where listening ends; where there is none, where snapshots and charts end; else the epoch. Never now. */
async function newestMidnight(effects: Effects, state: LakeState, project: Project, runId: string): Promise<string> {
  const longest = project.vars.implausible_play_ms;
  const isPlausible = typeof longest === 'number' ? `coalesce(played_ms, 0) <= ${longest}` : undefined;
  const session = await effects.engine.session({ state, target: 'dev', runId });
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

/**
 * Newest date in the columns of rows that meet the condition, plus a day (a period's end is exclusive
 * already): `YYYY-MM-DD`.
 */
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
