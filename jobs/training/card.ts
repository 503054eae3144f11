/** The card of a model: what it was trained on, what it found, what it is worth. */
import { count } from '../base/words.ts';
import type { Scaled } from './design.ts';
import type { Estimate, Evaluation } from './evaluation.ts';
import type { Fit } from './logistic.ts';

/** Why a model is not published: one line that says what is missing, and what to do. */
export interface Refusal {
  /**
   * `training_no_plays`, `training_one_class`, `training_too_few`, `training_no_input`, `training_separated`,
   * `training_not_better`.
   */
  code: string;
  reason: string;
  hint: string;
}

/**
 * A coefficient of standardised inputs: log odds of a skip (or points of popularity) by one standard
 * deviation.
 */
export interface Coefficient extends Estimate {
  name: string;
  /** Of the input in the training plays. */
  mean: number;
  sd: number;
  /** For a skip model: what the step of one standard deviation, or from no to yes, goes with. */
  inWords?: string;
}

export interface Card {
  status: 'published' | 'refused';
  refusal: Refusal | null;
  /** Plays of exports and events; those with a verdict; those of them whose track has features. */
  coverage: { plays: number; judged: number; withFeatures: number };
  training: { plays: number; skips: number; users: number; clusters: number; clusteredBy: 'user' | 'session' };
  intercept: Estimate | null;
  coefficients: Coefficient[];
  leftOut: { name: string; why: string }[];
  evaluation: Evaluation | null;
  /**
   * Linear regression of the features file's popularity over the tracks that were heard; null without enough.
   */
  popularity: { tracks: number; rSquared: number; coefficients: Coefficient[] } | null;
}

const Z95 = 1.959963984540054;

/** @returns the intercept, then a coefficient for each input */
export function coefficientsOf(
  inputs: readonly Scaled[],
  { coefficients, covariance }: Fit,
  isSkip: boolean,
): [Estimate, ...Coefficient[]] {
  const estimate = (index: number): Estimate => {
    const value = coefficients[index]!;
    const margin = Z95 * Math.sqrt(covariance.get(index, index));
    return { value, low: value - margin, high: value + margin };
  };
  return [
    estimate(0),
    ...inputs.map((input, index) => {
      const given = { name: input.name, mean: input.mean, sd: input.sd, ...estimate(index + 1) };
      return isSkip ? { ...given, inWords: oddsInWords(input, given) } : given;
    }),
  ];
}

/**
 * `one standard deviation more energy (0.2) goes with 12 % lower odds of a skip, 95 % interval 9 to 15, ...`
 */
export function oddsInWords(input: Scaled, { value, low, high }: Estimate): string {
  const scale = input.isBinary ? 1 / input.sd : 1;
  const what = input.isBinary
    ? input.words
    : `one standard deviation more ${input.words} (${Number(input.sd.toPrecision(2))})`;
  const [odds, least, most] = [value, low, high].map((each) => Math.exp(each * scale)) as [number, number, number];
  if (least <= 1 && most >= 1)
    return `${what} goes with no clear change: between ${change(least)} and ${change(most)} odds of a skip, other features held`;
  const [first, last] = odds < 1 ? [most, least] : [least, most];
  const interval = most >= 2 ? `${times(first)} to ${times(last)} times` : `${percent(first)} to ${percent(last)}`;
  const effect = most >= 2 ? `${times(odds)} times the` : change(odds);
  return `${what} goes with ${effect} odds of a skip, 95 % interval ${interval}, other features held`;
}

function change(odds: number): string {
  if (odds >= 2) return `${times(odds)} times the`;
  return `${percent(odds)} % ${odds < 1 ? 'lower' : 'higher'}`;
}

function percent(odds: number): string {
  return String(Number((Math.abs(odds - 1) * 100).toFixed(Math.abs(odds - 1) < 0.1 ? 1 : 0)));
}

function times(odds: number): string {
  return odds.toFixed(1);
}

/** The card as Markdown, for people; ends without a newline. */
export function cardMarkdown(card: Card): string {
  const { coverage, training, evaluation, popularity, refusal } = card;
  const lines = [
    '# Skip model',
    '',
    refusal === null
      ? '**Published**: on plays that it has not seen it is better than the skip rate of each user, and than that of all.'
      : `**Not published** (${refusal.code}): ${refusal.reason}. ${refusal.hint}.`,
    '',
    `- Plays of exports and events: ${number(coverage.plays)}; with a verdict: ${number(coverage.judged)}; with features as well: ${number(coverage.withFeatures)} (${share(coverage.withFeatures, coverage.plays)}).`,
    `- Trained on the first 80 % of each user's: ${count(training.plays, 'play')}, ${share(training.skips, training.plays)} skipped, ${count(training.users, 'user')}.`,
    ...(training.clusters === 0
      ? []
      : [`- Standard errors are clustered by ${training.clusteredBy} (${number(training.clusters)}).`]),
    '- Never trained on anything that the Web API has said.',
    ...card.leftOut.map(({ name, why }) => `- Left out: ${name}, because ${why}.`),
    ...(evaluation === null ? [] : evaluationLines(evaluation)),
    ...(card.coefficients.length === 0
      ? []
      : ['', '## What goes with a skip', '', ...coefficientLines(card.coefficients)]),
    ...(popularity === null
      ? []
      : [
          '',
          '## Popularity',
          '',
          `Linear regression over ${count(popularity.tracks, 'track')}: R² ${popularity.rSquared.toFixed(3)}.`,
          '',
          ...coefficientLines(popularity.coefficients),
        ]),
  ];
  return lines.join('\n');
}

function evaluationLines({ plays, skips, auc, logLoss, difference, calibration }: Evaluation): string[] {
  return [
    '',
    "## On the last fifth of each user's plays",
    '',
    `- ${count(plays, 'play')}, ${share(skips, plays)} skipped.`,
    `- AUC ${interval(auc, 3)}.`,
    `- Log loss ${logLoss.model.toFixed(4)}; ${logLoss.userRate.toFixed(4)} by each user's rate, ${logLoss.overallRate.toFixed(4)} by the overall rate.`,
    `- Difference to each user's rate ${interval(difference.userRate, 4)}; to the overall rate ${interval(difference.overallRate, 4)}. Better is below 0.`,
    '',
    '| predicted | plays | mean prediction | skipped |',
    '|---|---|---|---|',
    ...calibration.map(
      (bin) =>
        `| ${bin.from.toFixed(1)} to ${(bin.from + 0.1).toFixed(1)} | ${number(bin.plays)} | ${percentOf(bin.predicted)} | ${percentOf(bin.skipped)} |`,
    ),
  ];
}

function coefficientLines(coefficients: readonly Coefficient[]): string[] {
  return [
    '| input | by one standard deviation, 95 % interval | standard deviation |',
    '|---|---|---|',
    ...coefficients.map((each) => `| ${each.name} | ${interval(each, 3)} | ${Number(each.sd.toPrecision(3))} |`),
    ...coefficients.flatMap(({ inWords }, index) => {
      const line = inWords === undefined ? [] : [`- ${inWords}`];
      return index === 0 && line.length > 0 ? ['', ...line] : line;
    }),
  ];
}

function interval({ value, low, high }: Estimate, digits: number): string {
  return `${value.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}

function number(value: number): string {
  return value.toLocaleString('en');
}

function share(part: number, whole: number): string {
  return whole === 0 ? 'none' : percentOf(part / whole);
}

function percentOf(value: number): string {
  return `${(value * 100).toFixed(1)} %`;
}
