import type { TopLevelSpec } from 'vega-lite';
import type { Card } from '../training/card.ts';
import type { Evaluation } from '../training/evaluation.ts';
import { SKIP_INPUTS } from '../training/inputs.ts';
import type { Figure, Section } from './figure.ts';
import { fontFace } from './font.ts';
import { fitText, formatCount, formatPlural, formatShare } from './format.ts';
import { color, type Layout } from './theme.ts';

/** Refusals of lakes in which nothing could be tried: the page has nothing to tell of them. */
const NOTHING_TRIED = new Set(['training_no_plays', 'training_one_class', 'training_too_few', 'training_no_input']);

/**
 * What `train` found out: what goes with a skip, and how far that can be trusted on plays that the model has
 * not seen. A model that was not published is named with its reason, and shows no effect.
 *
 * @returns undefined where no model was tried
 */
export function skipModelSection(card: Card | undefined): Section | undefined {
  if (card === undefined || NOTHING_TRIED.has(card.refusal?.code ?? '')) return undefined;
  const { evaluation, refusal } = card;
  const figures =
    refusal !== null
      ? [refused(`${refusal.reason}; ${refusal.hint}.`)]
      : [effects(card), ...(evaluation === null ? [] : [calibration(evaluation), roc(evaluation)])];
  return { id: 'skip-model', title: 'The skip model', figures };
}

function refused(reason: string): Figure {
  return {
    name: 'skip-model-effects',
    title: 'What goes with a skip',
    missing: `No model is shown: ${reason}`,
    notes: [],
  };
}

interface Effect {
  label: string;
  /** Factors of the odds of a skip. */
  odds: number;
  low: number;
  high: number;
  words: string;
}

/** Strongest first; a yes-no input by the step from no to yes, any other by one standard deviation. */
function effectsOf(card: Card): Effect[] {
  const known = new Map(SKIP_INPUTS.map((input) => [input.name, input]));
  return card.coefficients
    .map(({ name, sd, value, low, high, inWords = '' }) => {
      const input = known.get(name);
      const scale = input?.isBinary ? 1 / sd : 1;
      const [odds, least, most] = [value, low, high].map((each) => Math.exp(each * scale)) as [number, number, number];
      return { label: input?.words ?? name, odds, low: least, high: most, words: inWords };
    })
    .sort((a, b) => Math.abs(Math.log(b.odds)) - Math.abs(Math.log(a.odds)));
}

function effects(card: Card): Figure {
  const rows = effectsOf(card);
  const sure = rows.find(({ low, high }) => low > 1 || high < 1);
  const { coverage, training } = card;
  return {
    name: 'skip-model-effects',
    title: 'What goes with a skip',
    takeaway:
      sure === undefined
        ? 'Nothing that the model looks at goes surely with more or fewer skips.'
        : `${sure.words.charAt(0).toUpperCase()}${sure.words.slice(1)}.`,
    chart: (layout) => oddsPoints(rows, layout),
    table: {
      columns: [
        { label: 'More of, or with', kind: 'text' },
        { label: 'Odds of a skip, times', kind: 'number', format: (value) => formatCount(value, 2) },
        { label: 'from', kind: 'number', format: (value) => formatCount(value, 2) },
        { label: 'to', kind: 'number', format: (value) => formatCount(value, 2) },
      ],
      rows: rows.map(({ label, odds, low, high }) => [label, odds, low, high]),
    },
    notes: [
      `A logistic regression on ${formatPlural(training.plays, 'play')} of ${formatPlural(training.users, 'user')}: the first 80% of each one’s plays that have a verdict and whose track is in a features file (${formatCount(coverage.withFeatures)} of ${formatCount(coverage.judged)} with a verdict). Each point says by what the odds of a skip are multiplied where the input is one standard deviation higher, or true instead of false, and all others stay as they are; the line is its 95% interval, clustered by ${training.clusteredBy}. What crosses 1 may be nothing. This is what goes together, not what causes a skip.`,
    ],
  };
}

function calibration({ calibration: bins, plays }: Evaluation): Figure {
  const off = bins.reduce((sum, bin) => sum + bin.plays * Math.abs(bin.predicted - bin.skipped), 0) / plays;
  return {
    name: 'skip-model-calibration',
    title: 'Is a predicted 30% a real 30%?',
    takeaway: `Over ${formatPlural(plays, 'play')} that the model had not seen, its prediction is ${formatCount(off * 100, 1)} percentage points off on average.`,
    chart: (layout) =>
      unitSquare(
        bins.map((bin) => ({ x: bin.predicted, y: bin.skipped, size: bin.plays })),
        ['predicted', 'skipped'],
        'points',
        layout,
      ),
    table: {
      columns: [
        { label: 'Predicted', kind: 'number', format: (value) => formatShare(value) },
        { label: 'Skipped', kind: 'number', format: (value) => formatShare(value) },
        { label: 'Plays', kind: 'number' },
      ],
      rows: bins.map((bin) => [bin.predicted, bin.skipped, bin.plays]),
    },
    notes: [
      'Plays of the last fifth of each user’s listening, in steps of ten percentage points of their prediction; a larger point stands for more plays. On the dashed line predictions and outcomes agree.',
    ],
  };
}

function roc({ roc: points, auc, logLoss }: Evaluation): Figure {
  return {
    name: 'skip-model-roc',
    title: 'Can it tell a skip from a play to the end?',
    takeaway: `A skipped play was predicted higher than a finished one in ${formatShare(auc.value)} of pairs (${formatShare(auc.low)} to ${formatShare(auc.high)}); guessing gives 50%.`,
    chart: (layout) =>
      unitSquare(
        [{ falsePositives: 0, truePositives: 0 }, ...points, { falsePositives: 1, truePositives: 1 }].map((point) => ({
          x: point.falsePositives,
          y: point.truePositives,
        })),
        ['finished plays called skips', 'skips found'],
        'line',
        layout,
      ),
    table: {
      columns: [
        { label: 'Finished plays called skips', kind: 'number', format: (value) => formatShare(value) },
        { label: 'Skips found', kind: 'number', format: (value) => formatShare(value) },
      ],
      rows: points
        .filter((_, index) => index % 10 === 0)
        .map(({ falsePositives, truePositives }) => [falsePositives, truePositives]),
      remark: 'Every tenth threshold.',
    },
    notes: [
      `The line is drawn by lowering the probability from which a play is called a skip; the area below it is the AUC. Log loss is ${logLoss.model.toFixed(4)}, against ${logLoss.userRate.toFixed(4)} for the user’s own skip rate so far and ${logLoss.overallRate.toFixed(4)} for the overall rate: lower is better, and a model that does not beat both is not shown.`,
    ],
  };
}

/** Factors on a logarithmic scale with their intervals, one line each; the dashed line is no effect. */
function oddsPoints(rows: readonly Effect[], layout: Layout): TopLevelSpec {
  const widthOf = (text: string): number => fontFace(400).width(text, 12.5);
  const start = Math.min(layout.kind === 'wide' ? 420 : 150, Math.max(...rows.map(({ label }) => widthOf(label))) + 24);
  const values = rows.map((row, rank) => ({ ...row, rank, label: fitText(row.label, start - 20, widthOf) }));
  const bound = Math.max(...rows.flatMap(({ low, high }) => [high, 1 / low]), 1.5) * 1.05;
  const ticks = [0.1, 0.2, 0.5, 0.8, 1, 1.25, 2, 5, 10].filter((tick) => tick > 1 / bound && tick < bound);
  const y = { field: 'rank', type: 'ordinal' as const, axis: null };
  const x = {
    type: 'quantitative' as const,
    title: 'odds of a skip, times',
    scale: { type: 'log' as const, domain: [1 / bound, bound], nice: false, range: [start, layout.width - 4] },
    axis: {
      values: layout.kind === 'wide' ? ticks : ticks.filter((tick) => ![0.8, 1.25].includes(tick)),
      format: '~r',
      grid: true,
      orient: 'top' as const,
      titleAnchor: 'start' as const,
      labelFlush: false,
    },
  };
  return {
    width: layout.width - 2,
    height: 26 * rows.length,
    data: { values },
    layer: [
      {
        mark: { type: 'text', align: 'left', fontSize: 12.5 },
        encoding: { y, x: { value: 0 }, text: { field: 'label', type: 'nominal' } },
      },
      {
        data: { values: [{ none: 1 }] },
        mark: { type: 'rule', color: color('accent'), strokeDash: [4, 3], strokeWidth: 1.25 },
        encoding: { x: { field: 'none', ...x } },
      },
      {
        mark: { type: 'rule', color: color('primary'), strokeWidth: 2, opacity: 0.55 },
        encoding: { y, x: { field: 'low', ...x }, x2: { field: 'high' } },
      },
      { mark: { type: 'point', size: 64, opacity: 1 }, encoding: { y, x: { field: 'odds', ...x } } },
    ],
  } as TopLevelSpec;
}

/** Shares against shares, 0 to 1 both ways, with the dashed diagonal. */
function unitSquare(
  values: readonly { x: number; y: number; size?: number }[],
  [across, up]: [string, string],
  kind: 'line' | 'points',
  layout: Layout,
): TopLevelSpec {
  const side = Math.min(layout.width - 70, 380);
  const axis = { format: '.0%', grid: true, tickCount: 5 };
  const scale = { domain: [0, 1], nice: false };
  const x = { type: 'quantitative' as const, title: across, scale, axis };
  const y = { type: 'quantitative' as const, title: up, scale, axis };
  return {
    width: side,
    height: side,
    data: { values },
    layer: [
      {
        data: {
          values: [
            { x: 0, y: 0 },
            { x: 1, y: 1 },
          ],
        },
        mark: { type: 'line', color: color('accent'), strokeDash: [4, 3], strokeWidth: 1.25 },
        encoding: { x: { field: 'x', ...x }, y: { field: 'y', ...y } },
      },
      kind === 'line'
        ? {
            mark: { type: 'line', interpolate: 'linear' },
            encoding: { x: { field: 'x', ...x }, y: { field: 'y', ...y }, order: { field: 'x' } },
          }
        : {
            mark: { type: 'point', opacity: 1 },
            encoding: {
              x: { field: 'x', ...x },
              y: { field: 'y', ...y },
              size: { field: 'size', type: 'quantitative', scale: { range: [30, 400] }, legend: null },
            },
          },
    ],
  } as TopLevelSpec;
}
