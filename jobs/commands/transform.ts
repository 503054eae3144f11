import { JobError } from '../base/errors.ts';
import { parseInterval } from '../base/interval.ts';
import { count } from '../base/words.ts';
import type { LoadedFile } from '../bronze/loaded-file.ts';
import { observed } from '../lineage/observe.ts';
import type { Plan } from '../silver/fan-out/plan.ts';
import type { StageResult } from '../silver/fan-out/stage.ts';
import type { TransformResult } from '../transform.ts';
import type { Arguments, Command } from './command.ts';
import { INTERVAL_OPTIONS, optional, QUARANTINE_OPTION, REBUILD_OPTION, refusedExit, whole } from './command.ts';
import { capped, number, row } from './lines.ts';

/** Flags that say different things about what to do. */
const EXCLUDED = {
  plan: ['stage', 'rebuild', 'replay', 'from', 'to'],
  stage: ['rebuild', 'replay'],
  replay: ['from', 'to'],
};

/** `transform`: all of it, or one of the two steps by which it is fanned out. */
export const TRANSFORM: Command = {
  usage: 'transform',
  group: 'operate',
  summary: 'Bronze to silver: typed, deduplicated tables; only partitions that new bronze touches',
  reads: 'bronze',
  writes: 'silver',
  options: {
    ...INTERVAL_OPTIONS,
    ...REBUILD_OPTION,
    ...QUARANTINE_OPTION,
    replay: {
      type: 'boolean',
      default: false,
      describe: 'Make the events of streams anew from their batches, and then everything (implies --rebuild)',
    },
    plan: {
      type: 'boolean',
      default: false,
      describe: 'Change nothing: print the intervals by which --stage may be fanned out (none where it does not pay)',
    },
    'max-tasks': {
      type: 'string',
      requiresArg: true,
      describe: 'With --plan: at most so many intervals (default: 16)',
    },
    'min-rows': {
      type: 'string',
      requiresArg: true,
      describe: 'With --plan: it pays where each interval has so many rows of bronze (default: 250000)',
    },
    stage: {
      type: 'boolean',
      default: false,
      describe: 'Build the partitions of --from to --to ahead: the next transform takes them. Several may run at once',
    },
  },
  isWriter: (args) => args.plan !== true && args.stage !== true,
  examples: [
    ['listenlake transform', 'all of it, in this process'],
    ['listenlake transform --plan --max-tasks 4', 'how to share it between four'],
    ['listenlake transform --stage --from 2026-01-01 --to 2026-07-01', 'one share; listenlake transform ends it'],
  ],
  async runAlone(args) {
    for (const [one, others] of Object.entries(EXCLUDED)) {
      const other = isGiven(args, one) ? others.find((each) => isGiven(args, each)) : undefined;
      if (other !== undefined)
        throw new JobError('usage_invalid', 'usage', `--${one} and --${other} exclude each other`, {
          hint: 'give one',
        });
    }
    for (const flag of ['max-tasks', 'min-rows'])
      if (isGiven(args, flag) && !isGiven(args, 'plan'))
        throw new JobError('usage_invalid', 'usage', `--${flag} goes with --plan`, { hint: 'leave it out' });
    return undefined;
  },
  async run(args, effects, runId) {
    if (args.plan === true) {
      const { planTransform, TASKS_MAX, TASK_ROWS_MIN } = await import('../silver/fan-out/plan.ts');
      const tasksMax = between(args, 'max-tasks', TASKS_MAX, 1_000);
      const taskRowsMin = between(args, 'min-rows', TASK_ROWS_MIN, 1_000_000_000);
      const plan = await planTransform({ tasksMax, taskRowsMin }, effects);
      return { text: planText(plan), json: { ...plan } };
    }
    const { from, to } = parseInterval(optional(args.from), optional(args.to));
    if (args.stage === true) {
      const { stageTransform } = await import('../silver/fan-out/stage.ts');
      const interval = {
        fromMs: from === null ? Number.NEGATIVE_INFINITY : Date.parse(from),
        toMs: to === null ? Number.POSITIVE_INFINITY : Date.parse(to),
      };
      const result = await stageTransform(interval, effects);
      return { text: stageText(result), json: { ...result } };
    }
    const { transform } = await import('../transform.ts');
    const loadedOn = new Date(effects.now()).toISOString().slice(0, 10);
    const again = { rebuild: args.rebuild === true, replay: args.replay === true };
    const input = { runId, loadedOn, ...(from && { from }), ...(to && { to }), ...again };
    const result = await observed({ job: 'transform', runId }, effects, () => transform(input, effects));
    const json = {
      status: result.status,
      accounts: result.accounts,
      taken: result.taken,
      partitions: result.tables.reduce((sum, table) => sum + table.written, 0),
    };
    return { text: transformText(result), json, exit: refusedExit(args, result.accounts.quarantined) };
  },
};

/** A flag from 1 to `most`. @throws `usage_invalid` (64) */
function between(args: Arguments, flag: string, byDefault: number, most: number): number {
  const given = optional(args[flag]);
  const value = given === undefined ? byDefault : whole(`--${flag}`, given);
  if (value < 1 || value > most)
    throw new JobError('usage_invalid', 'usage', `--${flag} ${given} is not from 1 to ${most}`, { hint: 'see --help' });
  return value;
}

function isGiven(args: Arguments, flag: string): boolean {
  return args[flag] === true || optional(args[flag]) !== undefined;
}

/** What `transform` did, in a few lines. */
export function transformText(result: TransformResult): string {
  if (result.status === 'nothing_new') return 'silver is up to date';
  const changed = result.tables
    .filter(({ rowsBefore, rowsAfter }) => rowsBefore !== rowsAfter)
    .map(({ table, rowsBefore, rowsAfter }) => row('', `${table}: ${number(rowsBefore)} -> ${number(rowsAfter)} rows`));
  const written = result.tables.reduce((sum, table) => sum + table.written, 0);
  return [
    ...accountLines(result),
    ...upgradeLines(result),
    row(
      'silver',
      `${count(written, 'partition')} written${result.taken > 0 ? `; ${number(result.taken)} were staged` : ''}`,
    ),
    ...changed,
    ...refusedLines([], result),
    row('next', 'listenlake check --scope silver, listenlake enrich'),
  ].join('\n');
}

/** What became of the rows that were read. */
export function accountLines({ accounts }: TransformResult): string[] {
  if (accounts.read === 0) return [];
  return [
    row(
      'rows',
      `${number(accounts.read)} read = ${number(accounts.new)} new + ${number(accounts.duplicate)} duplicate + ${number(accounts.quarantined)} quarantined`,
    ),
  ];
}

/** What was refused, by file and by reason. */
export function refusedLines(files: LoadedFile[], transform: TransformResult): string[] {
  const refused = files
    .filter((file) => file.status === 'refused' && !file.isRepeated)
    .map((file) => row('', `${file.fileName}: ${file.reason ?? file.code}`));
  // Refused files are in transform's counts as well, under their own codes: they have been named already.
  const codes = new Set(refused.length > 0 ? files.map((file) => file.code) : []);
  const rows = Object.entries(transform.quarantined)
    .filter(([code]) => !codes.has(code))
    .map(([code, n]) => row('', `${count(n, 'row')}: ${code.replaceAll('_', ' ')}`));
  if (refused.length + rows.length === 0) return [];
  // Links, devices and what nobody may read have no content to be kept.
  const isUnread = files.some(({ status, code }) => status === 'refused' && /^input_/.test(code ?? ''));
  const where = `${isUnread ? 'what was read of it' : 'all of it'} is in silver.quarantine`;
  return [row('quarantined', `refused with a reason; ${where}`), ...capped([...refused, ...rows])];
}

/** The one line that somebody is owed whose tables were all made again without being asked for it. */
export function upgradeLines({ isUpgrade }: TransformResult): string[] {
  return isUpgrade
    ? [row('upgraded', 'this lake was laid out by an older version: all of silver was made again from bronze')]
    : [];
}

/** The intervals of a plan, one a line. */
export function planText({ status, partitions }: Plan): string {
  if (status === 'nothing_new') return 'silver is up to date';
  if (partitions.length === 0) return 'not worth sharing\nnext: listenlake transform';
  const lines = partitions.map(({ from, to, rows }) => `  --from ${from} --to ${to}   about ${count(rows, 'row')}`);
  return [
    `${count(partitions.length, 'share')} for listenlake transform --stage:`,
    ...lines,
    row('next', 'each of them, then listenlake transform'),
  ].join('\n');
}

/** What `transform --stage` did. */
export function stageText({ status, partitions, built }: StageResult): string {
  if (status === 'nothing_new') return 'silver is up to date';
  return [
    row('staged', `${count(partitions, 'partition')}, ${number(built)} of them built now`),
    row('next', 'listenlake transform'),
  ].join('\n');
}
