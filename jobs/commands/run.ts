import { JobError } from '../base/errors.ts';
import { count } from '../base/words.ts';
import type { Effects } from '../effects/index.ts';
import { isElsewhere } from '../lake/store.ts';
import { observed } from '../lineage/observe.ts';
import type { FollowResult, RunInput, RunResult } from '../run.ts';
import { checkText, qualityLines } from './check.ts';
import type { Arguments, Command, Outcome } from './command.ts';
import {
  INTERVAL_OPTIONS,
  list,
  OPEN_OPTION,
  OUT_OPTION,
  openIfAsked,
  optional,
  outDir,
  PATHS,
  QUARANTINE_OPTION,
  refusedExit,
  whole,
} from './command.ts';
import { recommendationLines } from './enrich.ts';
import { number, quoted, row, shown } from './lines.ts';
import { cameIn } from './load.ts';
import { changeLines, copyLines } from './promote.ts';
import { modelLines } from './train.ts';
import { accountLines, refusedLines, upgradeLines } from './transform.ts';

/** Everything that a lake needs, in order. */
export const RUN: Command = {
  usage: 'run [paths..]',
  group: 'start',
  isPersonal: true,
  summary: 'Everything in order: load, transform, check, enrich, train, check, promote, report',
  reads: 'files, landing',
  writes: 'the whole lake, report',
  positionals: PATHS,
  options: {
    ...QUARANTINE_OPTION,
    to: INTERVAL_OPTIONS.to,
    ...OUT_OPTION,
    ...OPEN_OPTION,
    report: { type: 'boolean', default: true, describe: 'Make the report (--no-report leaves it out)' },
    follow: {
      type: 'boolean',
      default: false,
      describe:
        'Go on taking what streams bring into prod, round after round, until it is stopped; no files, no report',
    },
    every: { type: 'string', requiresArg: true, describe: 'With --follow: seconds between two rounds (default: 60)' },
    rounds: { type: 'string', requiresArg: true, describe: 'With --follow: end after so many rounds' },
  },
  isWriter: true,
  needsLake: false,
  examples: [
    ['listenlake run my_spotify_data.zip', 'your first command'],
    ['listenlake run --follow --every 60', 'events of streams, in prod every minute'],
  ],
  async runAlone(args) {
    refuseMixed(args);
    return undefined;
  },
  async run(args, effects, runId) {
    const { follow, run } = await import('../run.ts');
    if (args.follow === true) {
      const rounds = optional(args.rounds);
      const everyMs = whole('--every', optional(args.every) ?? '60') * 1000;
      const input = { runId, everyMs, rounds: rounds === undefined ? undefined : whole('--rounds', rounds) };
      return followOutcome(await follow(input, effects));
    }
    const input: RunInput = {
      runId,
      paths: list(args.paths),
      userId: effects.config.userId,
      report: args.report === false ? undefined : { outDir: outDir(args, effects) },
      asOf: optional(args.to),
    };
    const result = await observed(
      { job: 'run', runId },
      effects,
      () => run(input, effects),
      ({ status }) => (status === 'checks_failed' ? status : undefined),
    );
    openIfAsked(args, result.report?.html);
    const json = {
      status: result.status,
      run_id: runId,
      accounts: result.transform.accounts,
      files: result.load.accounts,
      warnings: result.load.warnings.length,
      as_of: result.asOf,
      model: result.train?.record.card.status ?? null,
      report: result.report?.html ?? null,
    };
    return {
      text: runText(result, effects),
      json,
      exit: runExit(args, result),
    };
  },
};

/** @throws `usage_invalid` (64) for flags that say different things about what to do */
function refuseMixed(args: Arguments): void {
  const isFollowing = args.follow === true;
  const given = (flag: string): boolean => optional(args[flag]) !== undefined;
  const wrong = isFollowing ? ['to', 'out'].filter(given) : ['every', 'rounds'].filter(given);
  const what = isFollowing && list(args.paths).length > 0 ? 'paths' : wrong[0] && `--${wrong[0]}`;
  if (what === undefined) return;
  throw new JobError(
    'usage_invalid',
    'usage',
    `${what} and --follow ${isFollowing ? 'exclude each other' : 'go together'}`,
    {
      hint: 'see --help',
    },
  );
}

function followOutcome({ status, rounds, published, new: rows }: FollowResult): Outcome {
  const text = [
    row('followed', `${count(rounds, 'round')}, ${number(published)} of them published; ${count(rows, 'new row')}`),
    ...(status === 'checks_failed' ? [row('production', 'unchanged: what fails its checks is not published')] : []),
  ].join('\n');
  return { text, json: { status, rounds, published, new: rows }, exit: status === 'checks_failed' ? 'data' : 'ok' };
}

/**
 * A file that changed while it was read is not in: whoever runs it again gets it, which a refusal would not
 * say.
 */
function runExit(args: Arguments, { status, load, refused }: RunResult): Outcome['exit'] {
  if (status === 'checks_failed') return 'data';
  return load.exit === 'tempfail' ? 'tempfail' : refusedExit(args, refused);
}

/** What a person reads at the end of `run`. */
export function runText(result: RunResult, effects: Pick<Effects, 'config'>): string {
  const { load, transform, promote } = result;
  const lines = ['', ...heading(result, effects), ''];
  lines.push(
    ...refusedLines(load.files, transform),
    ...(result.story === undefined ? [] : [row('you', result.story), '']),
    ...cameIn(load),
    ...accountLines(transform),
    ...upgradeLines(transform),
  );
  const failed = result.checks.filter((each) => each.verdict === 'failed');
  if (failed.length > 0) {
    lines.push(
      '',
      ...failed.flatMap((each) => checkText(each).split('\n')),
      '',
      row('production', 'unchanged: what fails its checks is not published'),
    );
  } else if (promote !== undefined) {
    lines.push(
      '',
      ...changeLines(promote),
      ...copyLines(promote),
      row(
        'as of',
        `${promote.asOf.slice(0, 10)} (exclusive; the midnight after the newest listening unless --to says otherwise)`,
      ),
    );
  }
  if (result.train !== undefined && failed.length === 0) lines.push(...modelLines(result.train));
  if (failed.length === 0) lines.push(...recommendationLines(result.enrich?.recommendations));
  if (result.report !== undefined) lines.push(row('report', shown(result.report.html)));
  if (failed.length === 0) lines.push(...qualityLines(result.checks));
  lines.push('', ...nextLines(result, effects));
  return lines.join('\n');
}

function heading(result: RunResult, { config }: Pick<Effects, 'config'>): string[] {
  const words = {
    done: 'done',
    partial: 'done, but not with everything',
    nothing_new: 'nothing new, everything is up to date',
    checks_failed: 'stopped: checks failed',
  };
  return [`listenlake: ${words[result.status]} (lake ${quoted(shown(config.lakeUri))})`];
}

function nextLines(result: RunResult, { config }: Pick<Effects, 'config'>): string[] {
  const at = config.lakeUri === 'lake' ? '' : ` --lake ${quoted(shown(config.lakeUri))}`;
  if (result.status === 'checks_failed')
    return [row('next', `listenlake sql${at} "select * from silver.check_results where status <> 'passed'"`)];
  const page = result.report?.html;
  const open = page !== undefined && isElsewhere(page) ? `fetch the report (aws s3 cp ${page} .)` : 'open the report';
  const isDrawn = page !== undefined || result.status === 'nothing_new';
  const steps = [`${isDrawn ? `${open}, or ` : ''}ask: listenlake sql${at} "select * from top_tracks limit 10"`];
  if (result.refused > 0)
    steps.push(
      `see what was refused: listenlake sql${at} "select file_name, row_number, reason from silver.quarantine"`,
    );
  return steps.map((step, index) => row(index === 0 ? 'next' : '', step));
}
