import { JobError } from '../base/errors.ts';
import { parseInterval } from '../base/interval.ts';
import {
  type Arguments,
  type Command,
  INTERVAL_OPTIONS,
  optional,
  QUARANTINE_OPTION,
  REBUILD_OPTION,
  refusedExit,
  whole,
} from './command.ts';
import { planText, stageText, transformText } from './summary.ts';

/** Flags that say different things about what to do. */
const EXCLUDED = { plan: ['stage', 'rebuild', 'from', 'to'], stage: ['rebuild'] };

/** `transform`: all of it, or one of the two steps by which it is fanned out. */
export const TRANSFORM: Command = {
  usage: 'transform',
  summary: 'Bronze to silver: typed, deduplicated tables; only partitions that new bronze touches',
  reads: 'bronze',
  writes: 'silver',
  options: {
    ...INTERVAL_OPTIONS,
    ...REBUILD_OPTION,
    ...QUARANTINE_OPTION,
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
    const result = await transform(
      { runId, loadedOn, ...(from && { from }), ...(to && { to }), rebuild: args.rebuild === true },
      effects,
    );
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
