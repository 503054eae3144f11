/** What a fitted model is worth on plays that it has not seen. */
import type { EngineSession } from '../engine/index.ts';
import { createRandom } from '../sources/synthetic/random.ts';
import { asNumber, type Design } from './design.ts';
import { type Fit, fitted, ROW_LOSS } from './logistic.ts';

/** A number with its 95 % interval. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
}

/** Plays whose predicted probability lies in [from, from + 0.1). */
export interface CalibrationBin {
  from: number;
  plays: number;
  /** Mean predicted probability. */
  predicted: number;
  /** Share that was skipped. */
  skipped: number;
}

/** All of the test period; losses are means of natural logarithms. */
export interface Evaluation {
  plays: number;
  skips: number;
  /** Probability that a skipped play is predicted higher than a finished one. */
  auc: Estimate;
  logLoss: { model: number; userRate: number; overallRate: number };
  /** Model minus baseline: below 0 the model is better. */
  difference: { userRate: Estimate; overallRate: Estimate };
  calibration: CalibrationBin[];
  /** Share of finished plays and of skipped plays predicted at or above each threshold, from high to low. */
  roc: { falsePositives: number; truePositives: number }[];
  clusters: number;
}

/** Two selects with the columns of the design: the period it was fitted on, and the one after it. */
export interface Periods {
  train: string;
  test: string;
  /** Expressions over their columns: whose plays they are, and which of them hang together. */
  user: string;
  cluster: string;
}

/** More clusters than these are joined at random: joined clusters are clusters, too. */
const CLUSTERS_MAX = 10_000;
const RESAMPLES = 2_000;
const SEED = 20_261_101;
const Z95 = 1.959963984540054;
const THRESHOLDS = 100;

/** Sums over the test plays of one cluster. */
interface Cluster {
  plays: number;
  skips: number;
  lossModel: number;
  lossUser: number;
  lossOverall: number;
  /** Sums over its skipped plays, and over its finished ones, of the share of the others that they beat. */
  aboveFinished: number;
  belowSkipped: number;
}

/**
 * Compares the model with two baselines on the test period: the user's own skip rate in the training period
 * (with one play of the overall rate on top, so that no loss is infinite), and the overall rate. Clusters are
 * resampled, the seed is fixed. The AUC's interval is of Obuchowski (1997), for clustered data.
 */
export async function evaluate(
  session: EngineSession,
  design: Design,
  fit: Fit,
  periods: Periods,
): Promise<Evaluation> {
  const clusters = await clustersOf(session, design, fit, periods);
  const bins = await binsOf(session, design, fit, periods);
  const total = (of: (cluster: Cluster) => number): number => clusters.reduce((sum, each) => sum + of(each), 0);
  const plays = total((each) => each.plays);
  const mean = (of: (cluster: Cluster) => number): number => total(of) / plays;
  return {
    plays,
    skips: total((each) => each.skips),
    auc: aucOf(clusters),
    logLoss: {
      model: mean((each) => each.lossModel),
      userRate: mean((each) => each.lossUser),
      overallRate: mean((each) => each.lossOverall),
    },
    difference: {
      userRate: resampled(clusters, (each) => each.lossModel - each.lossUser),
      overallRate: resampled(clusters, (each) => each.lossModel - each.lossOverall),
    },
    calibration: calibrationOf(bins),
    roc: rocOf(bins),
    clusters: clusters.length,
  };
}

async function clustersOf(session: EngineSession, design: Design, fit: Fit, periods: Periods): Promise<Cluster[]> {
  const extra = [`${periods.user} as user_key`, `${periods.cluster} as cluster_key`];
  const overall = 'cast(sum(skips) over () as double) / sum(plays) over ()';
  const rowLoss = (rate: string): string => `case when y = 1e0 then -ln(${rate}) else -ln(1e0 - ${rate}) end`;
  const above = '(finished_to_here - finished_like_it / 2e0) / finished_all';
  const below = '(skipped_all - skipped_to_here + skipped_like_it / 2e0) / skipped_all';
  const { rows } = await session.query(
    `${fitted(design, fit.coefficients, extra, periods.test)},
of_users as (
  select ${periods.user} as user_key, count(*) as plays, sum(case when ${design.observations.label} = 1e0 then 1 else 0 end) as skips
  from (${periods.train}) as trained group by ${periods.user}
),
rates as (select user_key, plays, skips, ${overall} as overall_rate from of_users),
overall as (select max(overall_rate) as overall_rate from rates),
ranked as (
  select fitted.user_key, fitted.cluster_key, fitted.y, ${ROW_LOSS} as loss_model,
    overall.overall_rate, (coalesce(rates.skips, 0) + overall.overall_rate) / (coalesce(rates.plays, 0) + 1e0) as user_rate,
    sum(1e0 - y) over (order by eta range between unbounded preceding and current row) as finished_to_here,
    sum(1e0 - y) over (partition by eta) as finished_like_it,
    sum(y) over (order by eta range between unbounded preceding and current row) as skipped_to_here,
    sum(y) over (partition by eta) as skipped_like_it,
    sum(1e0 - y) over () as finished_all,
    sum(y) over () as skipped_all
  from fitted
  cross join overall
  left join rates on fitted.user_key = rates.user_key
),
of_clusters as (
  select cluster_key, count(*) as plays, sum(y) as skips,
    sum(loss_model) as loss_model, sum(${rowLoss('user_rate')}) as loss_user, sum(${rowLoss('overall_rate')}) as loss_overall,
    sum(case when y = 1e0 then ${above} else 0e0 end) as above_finished,
    sum(case when y = 0e0 then ${below} else 0e0 end) as below_skipped
  from ranked group by cluster_key
),
numbered as (select *, mod(row_number() over (order by cluster_key) - 1, ${CLUSTERS_MAX}) as place from of_clusters)
select sum(plays), sum(skips), sum(loss_model), sum(loss_user), sum(loss_overall), sum(above_finished), sum(below_skipped)
from numbered group by place order by place`,
  );
  return rows.map((row) => {
    const [plays = 0, skips = 0, lossModel = 0, lossUser = 0, lossOverall = 0, aboveFinished = 0, belowSkipped = 0] =
      row.map(asNumber);
    return { plays, skips, lossModel, lossUser, lossOverall, aboveFinished, belowSkipped };
  });
}

/** Obuchowski, Biometrics 53 (1997): the AUC from the clusters' sums, and its variance. */
export function aucOf(
  clusters: readonly Pick<Cluster, 'plays' | 'skips' | 'aboveFinished' | 'belowSkipped'>[],
): Estimate {
  let [skipped, finished, above] = [0, 0, 0];
  for (const { plays, skips, aboveFinished } of clusters) {
    skipped += skips;
    finished += plays - skips;
    above += aboveFinished;
  }
  const value = above / skipped;
  let [ofSkipped, ofFinished, ofBoth] = [0, 0, 0];
  let [withSkipped, withFinished] = [0, 0];
  for (const { plays, skips, aboveFinished, belowSkipped } of clusters) {
    const restSkipped = aboveFinished - skips * value;
    const restFinished = belowSkipped - (plays - skips) * value;
    ofSkipped += restSkipped ** 2;
    ofFinished += restFinished ** 2;
    ofBoth += restSkipped * restFinished;
    if (skips > 0) withSkipped += 1;
    if (plays > skips) withFinished += 1;
  }
  const factor = (count: number): number => count / Math.max(1, count - 1);
  const variance =
    (factor(withSkipped) * ofSkipped) / skipped ** 2 +
    (factor(withFinished) * ofFinished) / finished ** 2 +
    (2 * factor(clusters.length) * ofBoth) / (skipped * finished);
  const margin = Z95 * Math.sqrt(Math.max(0, variance));
  return { value, low: Math.max(0, value - margin), high: Math.min(1, value + margin) };
}

/** Mean of a sum over plays, with the percentile interval of resampled clusters. */
export function resampled<T extends { plays: number }>(
  clusters: readonly T[],
  sumOf: (cluster: T) => number,
): Estimate {
  const sums = Float64Array.from(clusters, sumOf);
  const plays = Float64Array.from(clusters, (each) => each.plays);
  const random = createRandom(SEED, 'bootstrap');
  const means = Float64Array.from({ length: RESAMPLES }, () => {
    let [sum, count] = [0, 0];
    for (let draw = 0; draw < sums.length; draw += 1) {
      const drawn = random.int(sums.length);
      sum += sums[drawn]!;
      count += plays[drawn]!;
    }
    return sum / count;
  }).sort();
  const total = (values: Float64Array): number => values.reduce((sum, each) => sum + each, 0);
  const at = (share: number): number => means[Math.round(share * (RESAMPLES - 1))]!;
  return { value: total(sums) / total(plays), low: at(0.025), high: at(0.975) };
}

/** Plays by hundredths of the predicted probability. */
interface Bin {
  hundredth: number;
  plays: number;
  skips: number;
  predicted: number;
}

async function binsOf(session: EngineSession, design: Design, fit: Fit, { test }: Periods): Promise<Bin[]> {
  const { rows } = await session.query(
    `${fitted(design, fit.coefficients, [], test)},
binned as (
  select y, probability, case when probability >= 1e0 then ${THRESHOLDS - 1} else cast(floor(probability * ${THRESHOLDS}) as integer) end as hundredth
  from fitted
)
select hundredth, count(*), sum(y), sum(probability) from binned group by hundredth order by hundredth`,
  );
  return rows.map((row) => {
    const [hundredth = 0, plays = 0, skips = 0, predicted = 0] = row.map(asNumber);
    return { hundredth, plays, skips, predicted };
  });
}

function calibrationOf(bins: readonly Bin[]): CalibrationBin[] {
  return [...Map.groupBy(bins, ({ hundredth }) => Math.floor(hundredth / 10))].map(([tenth, together]) => {
    const total = (of: (bin: Bin) => number): number => together.reduce((sum, bin) => sum + of(bin), 0);
    const plays = total((bin) => bin.plays);
    const predicted = total((bin) => bin.predicted) / plays;
    return { from: tenth / 10, plays, predicted, skipped: total((bin) => bin.skips) / plays };
  });
}

function rocOf(bins: readonly Bin[]): Evaluation['roc'] {
  const skips = bins.reduce((sum, bin) => sum + bin.skips, 0);
  const finishes = bins.reduce((sum, bin) => sum + bin.plays - bin.skips, 0);
  const points = [{ falsePositives: 0, truePositives: 0 }];
  let [skipped, finished] = [0, 0];
  for (const bin of bins.toReversed()) {
    skipped += bin.skips;
    finished += bin.plays - bin.skips;
    points.push({ falsePositives: finished / finishes, truePositives: skipped / skips });
  }
  return points;
}
