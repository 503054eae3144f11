import type { EngineSession } from '../engine/index.ts';
import { type Card, coefficientsOf, type Refusal } from './card.ts';
import { type Design, numbers, openDesign } from './design.ts';
import { type Evaluation, evaluate, type Periods } from './evaluation.ts';
import { POPULARITY_INPUTS, SKIP_INPUTS } from './inputs.ts';
import { fitLinear } from './linear.ts';
import { type Fit, fitLogistic } from './logistic.ts';
import { predictionsSelect } from './predictions.ts';

/** SQL texts that stand for the tables of gold that are read. */
export interface TrainingRelations {
  model_features: string;
  int_track_identity: string;
  fct_plays: string;
}

export interface TrainedModel {
  card: Card;
  /** The select of `skip_predictions`; undefined where the model is not published. */
  predictions: string | undefined;
}

/** From so many users on their plays are the clusters: fewer give errors that are far too small. */
const CLUSTERED_USERS_MIN = 30;
/** So many clusters at least. */
const CLUSTERS_MIN = 30;
/** Plays of the rarer label for each input, and in the test period. */
const RARER_PER_INPUT_MIN = 10;
const RARER_IN_TEST_MIN = 10;
/**
 * What is kept of coefficients: sums of doubles come in another order each time, and differ far behind it.
 */
const DIGITS = 10;
const IS_SKIPPED = 'case when is_skipped then 1e0 else 0e0 end';

interface Counts {
  train: { plays: number; skips: number };
  test: { plays: number; skips: number };
  users: number;
  sessions: number;
}

/**
 * Fits the skip model to the training period of `model_features`, and looks at it on the test period. Memory
 * does not grow with the rows, which stay in the engine.
 */
export async function trainSkipModel(session: EngineSession, relations: TrainingRelations): Promise<TrainedModel> {
  const counts = await countsOf(session, relations);
  const card = await emptyCard(session, relations, counts);
  const refused = (refusal: Refusal): TrainedModel => ({ card: rounded({ ...card, refusal }), predictions: undefined });
  const missing = whatIsMissing(counts);
  if (missing !== undefined) return refused(missing);

  const period = (name: string): string => `select * from ${relations.model_features} where split = '${name}'`;
  const observations = { select: period('train'), label: IS_SKIPPED };
  const design = await openDesign(session, observations, SKIP_INPUTS, true);
  card.leftOut = design.leftOut;
  const few = tooFewFor(design, counts);
  if (few !== undefined) return refused(few);
  const clusteredBy = counts.users >= CLUSTERED_USERS_MIN ? 'user' : 'session';
  const cluster = clusteredBy === 'user' ? 'user_id' : 'session_id';
  const found = await fitLogistic(session, design, cluster);
  if (found.status === 'separated') return refused(separatedBy(found.by));

  const fit = { ...found, coefficients: found.coefficients.map(toDigits) };
  card.training = { ...card.training, clusters: fit.clusters, clusteredBy };
  const [intercept, ...coefficients] = coefficientsOf(design.inputs, fit, true);
  Object.assign(card, { intercept, coefficients });
  const periods: Periods = { train: period('train'), test: period('test'), user: 'user_id', cluster };
  card.evaluation = await evaluate(session, design, fit, periods);
  if (!isBetter(card.evaluation)) return refused(notBetter(card.evaluation));
  return { card: rounded({ ...card, status: 'published' }), predictions: predictionsOf(relations, design, fit) };
}

/** Both 95 % intervals lie below 0. */
export function isBetter({ difference }: Pick<Evaluation, 'difference'>): boolean {
  return difference.userRate.high < 0 && difference.overallRate.high < 0;
}

function predictionsOf(relations: TrainingRelations, design: Design, fit: Fit): string {
  return predictionsSelect(
    design,
    fit,
    `select features.*, coalesce(known.track_id, features.track_id) as recording_id
from ${relations.model_features} as features
left join ${relations.int_track_identity} as known on features.track_id = known.source_track_id`,
  );
}

async function countsOf(session: EngineSession, { model_features }: TrainingRelations): Promise<Counts> {
  const inPeriod = (name: string): string[] => [`split = '${name}'`, `split = '${name}' and is_skipped`];
  const columns = ['train', 'test'].flatMap(inPeriod).map((condition) => `count_if(${condition})`);
  const inTrain = (column: string): string => `count(distinct case when split = 'train' then ${column} end)`;
  const [a = 0, b = 0, c = 0, d = 0, users = 0, sessions = 0] = await numbers(
    session,
    `select ${[...columns, inTrain('user_id'), inTrain('session_id')].join(', ')} from ${model_features}`,
  );
  return { train: { plays: a, skips: b }, test: { plays: c, skips: d }, users, sessions };
}

async function emptyCard(session: EngineSession, relations: TrainingRelations, counts: Counts): Promise<Card> {
  const [plays = 0, judged = 0] = await numbers(
    session,
    `select count(*), count_if(verdict in ('skipped', 'finished')) from ${relations.fct_plays}
where source in ('export_extended', 'export_account', 'events')`,
  );
  return {
    status: 'refused',
    refusal: null,
    coverage: { plays, judged, withFeatures: counts.train.plays + counts.test.plays },
    training: { ...counts.train, users: counts.users, clusters: 0, clusteredBy: 'session' },
    intercept: null,
    coefficients: [],
    leftOut: [],
    evaluation: null,
    popularity: await popularityOf(session, relations),
  };
}

/** Over the tracks that were heard, each once. */
async function popularityOf(
  session: EngineSession,
  { model_features }: TrainingRelations,
): Promise<Card['popularity']> {
  const columns = ['danceability', 'energy', 'valence', 'tempo_bpm', 'popularity'];
  const select = `select track_id, ${columns.map((name) => `max(${name}) as ${name}`).join(', ')} from ${model_features} group by track_id`;
  const design = await openDesign(session, { select, label: 'popularity' }, POPULARITY_INPUTS, false);
  const fit = await fitLinear(session, design);
  if (fit === undefined) return null;
  const [, ...coefficients] = coefficientsOf(design.inputs, fit, false);
  return { tracks: design.n, rSquared: fit.rSquared, coefficients };
}

function whatIsMissing({ train, test, sessions }: Counts): Refusal | undefined {
  const plays = train.plays + test.plays;
  const skips = train.skips + test.skips;
  if (plays === 0) {
    return {
      code: 'training_no_plays',
      reason: 'no play has a verdict and a track with features',
      hint: 'load a features file (tracks.csv) and an extended export or events of the same tracks',
    };
  }
  if (skips === 0 || skips === plays) {
    return {
      code: 'training_one_class',
      reason: `all ${plays} plays with a verdict and features were ${skips === 0 ? 'finished' : 'skipped'}`,
      hint: 'a model of skips needs skipped and finished plays',
    };
  }
  if (sessions >= CLUSTERS_MIN && rarer(test) >= RARER_IN_TEST_MIN && rarer(train) > 0) return undefined;
  return {
    code: 'training_too_few',
    reason:
      `${plays} plays with a verdict and features, ${skips} of them skipped, in ${sessions} sessions of the training period; ` +
      `${test.skips} skipped and ${test.plays - test.skips} finished in the test period`,
    hint: `at least ${CLUSTERS_MIN} sessions and, in the test period, ${RARER_IN_TEST_MIN} plays of either kind are needed`,
  };
}

function tooFewFor({ inputs, leftOut }: Design, { train }: Counts): Refusal | undefined {
  if (inputs.length === 0) {
    return {
      code: 'training_no_input',
      reason: `no input tells plays apart: ${leftOut.map(({ name, why }) => `${name}: ${why}`).join('; ')}`,
      hint: 'load a features file with more than one track that was heard',
    };
  }
  const needed = inputs.length * RARER_PER_INPUT_MIN;
  if (rarer(train) >= needed) return undefined;
  return {
    code: 'training_too_few',
    reason: `${train.skips} skipped and ${train.plays - train.skips} finished plays in the training period, for ${inputs.length} inputs`,
    hint: `at least ${needed} of either kind are needed`,
  };
}

function separatedBy(name: string): Refusal {
  return {
    code: 'training_separated',
    reason: `the inputs, ${name} above all, tell skipped from finished plays without an exception`,
    hint: 'look at how the labels were made: such a model has no finite coefficients',
  };
}

function notBetter({ difference }: Evaluation): Refusal {
  const told = ({ low, high }: { low: number; high: number }): string => `${low.toFixed(4)} to ${high.toFixed(4)}`;
  return {
    code: 'training_not_better',
    reason: `in the test period the log loss differs by ${told(difference.userRate)} from that of each user's skip rate, and by ${told(difference.overallRate)} from that of the overall rate`,
    hint: 'a model is published where both lie below 0; more plays, or plays of more tracks, may show more',
  };
}

function rarer({ plays, skips }: { plays: number; skips: number }): number {
  return Math.min(skips, plays - skips);
}

function toDigits(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

function rounded(card: Card): Card {
  const replacer = (_: string, value: unknown): unknown => (typeof value === 'number' ? toDigits(value) : value);
  return JSON.parse(JSON.stringify(card, replacer)) as Card;
}
