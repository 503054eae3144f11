import { JobError } from '../errors.ts';
import { parseInterval } from '../interval.ts';
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
    if (isGiven(args, 'max-tasks') && !isGiven(args, 'plan'))
      throw new JobError('usage_invalid', 'usage', '--max-tasks goes with --plan', { hint: 'leave it out' });
    return undefined;
  },
  async run(args, effects, runId) {
    if (args.plan === true) {
      const { planTransform, TASKS_MAX } = await import('../silver/plan.ts');
      const tasks = optional(args['max-tasks']);
      const tasksMax = tasks === undefined ? TASKS_MAX : whole('--max-tasks', tasks);
      if (tasksMax < 1 || tasksMax > 1000)
        throw new JobError('usage_invalid', 'usage', `--max-tasks ${tasks} is not from 1 to 1000`, {
          hint: 'see --help',
        });
      const plan = await planTransform({ tasksMax }, effects);
      return { text: planText(plan), json: { ...plan } };
    }
    const { from, to } = parseInterval(optional(args.from), optional(args.to));
    if (args.stage === true) {
      const { stageTransform } = await import('../silver/stage.ts');
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
      partitions: result.tables.reduce((sum, table) => sum + table.written, 0),
    };
    return { text: transformText(result), json, exit: refusedExit(args, result.accounts.quarantined) };
  },
};

function isGiven(args: Arguments, flag: string): boolean {
  return args[flag] === true || optional(args[flag]) !== undefined;
}
