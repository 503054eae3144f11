import { count } from '../base/words.ts';
import { observed } from '../lineage/observe.ts';
import type { TrainResult } from '../train.ts';
import { cardMarkdown } from '../training/card.ts';
import type { TrainingRecord } from '../training/records.ts';
import type { Command } from './command.ts';
import { REBUILD_OPTION } from './command.ts';
import { row } from './lines.ts';

/** What goes with a skip. */
export const TRAIN: Command = {
  usage: 'train',
  group: 'operate',
  summary: 'Fit the skip model, and publish its predictions where it beats the skip rates',
  reads: 'gold_dev',
  writes: 'gold_dev',
  options: {
    'on-refusal': {
      choices: ['fail', 'skip'] as const,
      default: 'fail',
      describe: 'When there is no model to publish: exit 65 (fail), or "nothing new" (skip)',
    },
    ...REBUILD_OPTION,
  },
  isWriter: true,
  async run(args, effects, runId) {
    const { train } = await import('../train.ts');
    const result = await observed({ job: 'train', runId }, effects, () =>
      train({ runId, rebuild: args.rebuild === true }, effects),
    );
    const { card, asOf } = result.record;
    const isRefused = card.refusal !== null;
    const isSkipped = isRefused && args['on-refusal'] === 'skip';
    const json = {
      status: isSkipped ? 'nothing_new' : isRefused ? 'refused' : result.status,
      as_of: asOf,
      refusal: card.refusal?.code ?? null,
      plays: card.coverage.withFeatures,
      auc: card.evaluation?.auc.value ?? null,
      log_loss: card.evaluation?.logLoss.model ?? null,
      log_loss_of_user_rates: card.evaluation?.logLoss.userRate ?? null,
      tracks: result.rows,
    };
    return { text: trainText(result), json: { ...json, card }, exit: isRefused && !isSkipped ? 'data' : 'ok' };
  },
};

/** The card, what the run before had found, and what comes next. */
function trainText(result: TrainResult): string {
  const { record, previous, rows } = result;
  const { refusal } = record.card;
  const isOld = result.status === 'nothing_new';
  const state = refusal === null ? `gold_dev.skip_predictions: ${count(rows, 'track')}` : refusalLine(record);
  return [
    ...[cardMarkdown(record.card), ''],
    ...(previous === undefined ? [] : [...comparison(record, previous), '']),
    isOld ? `the same plays as of ${record.asOf.slice(0, 10)} were looked at before: nothing new` : undefined,
    state,
    refusal === null && !isOld ? 'next: listenlake check --scope gold' : undefined,
  ]
    .filter((line) => line !== undefined)
    .join('\n');
}

/** One line: what is missing, and what to do. */
function refusalLine({ card }: TrainingRecord): string {
  return `no model is published (${card.refusal?.code}): ${card.refusal?.reason}; ${card.refusal?.hint}`;
}

/** For the summary of `run`. */
export function modelLines({ record, rows }: TrainResult): string[] {
  const { refusal, evaluation } = record.card;
  if (refusal !== null) return [row('skip model', `not published: ${refusal.reason}`)];
  return [row('skip model', `AUC ${evaluation?.auc.value.toFixed(3)}, ${count(rows, 'track')} predicted`)];
}

function comparison(record: TrainingRecord, previous: TrainingRecord): string[] {
  const [now, before] = [record.card, previous.card];
  const told = (from: number | undefined, to: number | undefined, digits: number): string =>
    `${from?.toFixed(digits) ?? 'none'} -> ${to?.toFixed(digits) ?? 'none'}`;
  const former = new Map(before.coefficients.map((each) => [each.name, each]));
  // Where neither interval holds the other's value.
  const moved = now.coefficients.filter(({ name, value, low, high }) => {
    const old = former.get(name);
    return old !== undefined && (old.value < low || old.value > high) && (value < old.low || value > old.high);
  });
  return [
    `Against the run of ${previous.trainedAt.slice(0, 10)} (as of ${previous.asOf.slice(0, 10)}):`,
    row('plays', `${before.coverage.withFeatures} -> ${now.coverage.withFeatures}`),
    row('AUC', told(before.evaluation?.auc.value, now.evaluation?.auc.value, 3)),
    row('log loss', told(before.evaluation?.logLoss.model, now.evaluation?.logLoss.model, 4)),
    ...moved.map(({ name, value }) => row(name, told(former.get(name)?.value, value, 3))),
  ];
}
