import { atMost } from './base/concurrency.ts';
import { JobError } from './base/errors.ts';
import { commitWork, publishAgain } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import type { EngineSession } from './engine/index.ts';
import { noRows, type Project, readProject } from './gold/project.ts';
import { accountOf, currentDev, refuseTaken } from './gold/versions.ts';
import { EMPTY_STATE, type GoldVersion, type LakeState, latestManifest } from './lake/manifest.ts';
import {
  addRecord,
  isCurrent,
  readRecords,
  SKIP_PREDICTIONS,
  type TrainingRecord,
  trainerOf,
} from './training/records.ts';
import { type TrainedModel, trainSkipModel } from './training/skip-model.ts';

export interface TrainInput {
  runId: string;
  /** Train although the model of the same plays is there. */
  rebuild?: boolean;
  /** The models; default: the warehouse folder of this package. */
  project?: Project;
}

export interface TrainResult {
  /** `refused`: there is nothing to publish, and the record's card says why; `skip_predictions` is empty. */
  status: 'published' | 'refused' | 'nothing_new';
  /** What holds now. */
  record: TrainingRecord;
  /** Of the run before, to compare with. */
  previous: TrainingRecord | undefined;
  /** Rows of `skip_predictions`. */
  rows: number;
}

/**
 * Fits the skip model to `gold_dev.model_features`, and fills `gold_dev.skip_predictions` where it beats the
 * baselines. That makes a new version of gold_dev, which takes over every other table. A model that is not
 * published is a result and no error: it is kept with its reason, and the same plays are not looked at again.
 *
 * @throws `gold_missing`, `gold_outdated` (65), `run_id_taken` (64), `object_damaged` (65), `commit_conflict`
 *   (75; retry helps)
 */
export async function train(input: TrainInput, effects: Effects): Promise<TrainResult> {
  const { store } = effects;
  const startedAt = effects.now();
  const project = input.project ?? readProject();
  const base = await latestManifest(store);
  const state = base?.state ?? EMPTY_STATE;
  const dev = currentDev(state, project.hash, 'run `listenlake enrich` first');
  const [last, ...older] = await readRecords(store, state);
  if (last !== undefined && input.rebuild !== true && isCurrent(last, dev)) {
    await publishAgain(effects, base);
    return { status: 'nothing_new', record: last, previous: older[0], rows: rowsOf(dev) };
  }
  const { model, version } = await fitAndFill(effects, state, project, dev, input.runId);
  const record = recordOf(model, version, input.runId, startedAt);
  const account = accountOf(version, 'dev');
  await commitWork(effects, {
    ...{ job: 'train', runId: input.runId, startedAt, base },
    state: await addRecord(store, { ...state, gold: { ...state.gold, dev: version } }, record),
    ...account,
    ...(version === dev && { outputs: [] }),
    details: { ...account.details, status: model.card.status, refusal: model.card.refusal?.code ?? null },
  });
  return { status: model.card.status, record, previous: last, rows: rowsOf(version) };
}

/** Fits the model, and makes the version that has its predictions. */
async function fitAndFill(
  effects: Effects,
  state: LakeState,
  project: Project,
  dev: GoldVersion,
  runId: string,
): Promise<{ model: TrainedModel; version: GoldVersion }> {
  const { engine, progress } = effects;
  refuseTaken(state, runId);
  const session = await engine.session({ state, target: 'dev', runId });
  try {
    progress.start('train', 2);
    const model = await trainSkipModel(session, {
      model_features: await session.relation('gold_dev', 'model_features'),
      int_track_identity: await session.relation('gold_dev', 'int_track_identity'),
      fct_plays: await session.relation('gold_dev', 'fct_plays'),
    });
    stopIfAsked(effects.signal);
    progress.update(1);
    const version = await versionWith(session, project, dev, runId, model.predictions);
    progress.end(model.card.refusal === null ? `${SKIP_PREDICTIONS} published` : 'no model to publish');
    return { model, version };
  } finally {
    await session.close();
  }
}

function recordOf(model: TrainedModel, version: GoldVersion, runId: string, startedAt: number): TrainingRecord {
  const { key, sha256 } = version.tables[SKIP_PREDICTIONS]!;
  return {
    runId,
    trainedAt: new Date(startedAt).toISOString(),
    asOf: version.asOf,
    fingerprint: version.fingerprints?.[SKIP_PREDICTIONS] ?? null,
    trainer: trainerOf(),
    table: model.predictions === undefined ? null : { key, sha256 },
    card: model.card,
  };
}

function rowsOf(version: GoldVersion): number {
  return version.tables[SKIP_PREDICTIONS]?.rows ?? 0;
}

/**
 * The version with these predictions, and every other table as it is; the version itself where there are none
 * and it shows none.
 */
async function versionWith(
  session: EngineSession,
  project: Project,
  dev: GoldVersion,
  runId: string,
  predictions: string | undefined,
): Promise<GoldVersion> {
  if (predictions === undefined && rowsOf(dev) === 0) return dev;
  const others = Object.entries(dev.tables).filter(([name]) => name !== SKIP_PREDICTIONS);
  await atMost(session.concurrency, others, async ([name, file]) => {
    if (await session.take(name, project.models.get(name)?.columns ?? [], file)) return;
    throw new JobError('object_damaged', 'data', `the table gold_dev.${name} is not whole`, {
      place: { file: file.key },
      hint: 'run `listenlake enrich --rebuild`',
    });
  });
  const { columns, sort } = project.models.get(SKIP_PREDICTIONS)!;
  const select = predictions ?? noRows(columns);
  const file = await session.build({ model: SKIP_PREDICTIONS, select, columns, sort });
  return { ...dev, runId, tables: { ...dev.tables, [SKIP_PREDICTIONS]: file } };
}
