import { join, resolve } from 'node:path';
import type { Options } from 'yargs';
import { openInBrowser } from '../base/browser.ts';
import type { Config } from '../base/config.ts';
import { type ExitName, JobError } from '../base/errors.ts';
import type { Effects } from '../effects/index.ts';
import type { Target } from '../lake/keys.ts';
import { isElsewhere } from '../lake/store.ts';

/** What a command leaves: words for a person, one JSON object for programs, and how it went. */
export interface Outcome {
  /** For a person; printed to stdout unless `--json`. No final newline. */
  text: string;
  /**
   * What `--json` prints, and LISTENLAKE_RESULT_FILE gets (Airflow's XCom): small, no personal data. `status:
   * 'nothing_new'` where there was nothing to do.
   */
  json: Record<string, unknown>;
  exit?: ExitName;
  /** The text is the result itself, rows of a query: `--json` prints it as it is, and not the object. */
  isRaw?: boolean;
  /** A line for a person beside a result that programs read; printed to stderr. */
  note?: string;
}

/** Flags and positionals as yargs has parsed and checked them. */
export type Arguments = Record<string, unknown>;

/** What a command is for, as `--help` sorts them. */
export const GROUPS = { start: 'Start', look: 'Look', operate: 'Operate', delete: 'Delete' } as const;

/** One command: its name is also the job's file, the Airflow task and the row in the README. */
export interface Command {
  /** With positionals, as yargs writes them: `load [paths..]`. */
  usage: string;
  group: keyof typeof GROUPS;
  summary: string;
  reads: string;
  writes: string;
  options: Record<string, Options>;
  positionals?: Record<string, Options & { describe: string }>;
  /** Takes the lake's writer lease. A function where it depends on the flags. */
  isWriter: boolean | ((args: Arguments) => boolean);
  /**
   * Refuses to start where no lake is, so that a mistyped `--lake` is told and not made. True where a command
   * says nothing; only those that bring something in may make a lake. A function where it depends on the flags.
   */
  needsLake?: false | ((args: Arguments) => boolean);
  /** Removes what killed commands have left by itself; before other writers that is done for them. */
  isSweeper?: true;
  /** `--user` says whose files, login or page it is about; other commands refuse it. */
  isPersonal?: true;
  /**
   * `--user` may name anybody whom rows of events name, not only a label that `load` takes (`USER_LABEL`).
   */
  isAnyUser?: true;
  examples?: [command: string, what: string][];
  run(args: Arguments, effects: Effects, runId: string): Promise<Outcome>;
  /** For what needs neither lake nor engine; returns undefined to go on with `run`. */
  runAlone?(args: Arguments, config: Config): Promise<Outcome | undefined>;
}

export const TARGET_OPTION = {
  target: { choices: ['dev', 'prod'] as const, default: 'dev', describe: 'Which gold: dev (default) or prod' },
} satisfies Record<string, Options>;

export const PATHS = {
  paths: { type: 'string', array: true, describe: 'Files, folders or zips, read where they lie' },
} as const;

export const INTERVAL_OPTIONS = {
  from: {
    type: 'string',
    requiresArg: true,
    describe: 'First moment, UTC (inclusive): 2026-11-01 or 2026-11-01T12:00:00Z',
  },
  to: { type: 'string', requiresArg: true, describe: 'End, UTC (exclusive)' },
} satisfies Record<string, Options>;

export const QUARANTINE_OPTION = {
  'on-quarantine': {
    choices: ['fail', 'warn'] as const,
    default: 'fail',
    describe: 'When something was refused: exit 65 after all else is done (fail), or 0 (warn)',
  },
} satisfies Record<string, Options>;

export const REBUILD_OPTION = {
  rebuild: { type: 'boolean', default: false, describe: 'Make everything again, also what is up to date' },
} satisfies Record<string, Options>;

export const DRY_RUN = {
  'dry-run': { type: 'boolean', default: false, describe: 'Only say what would be deleted' },
} as const;

export const OUT_OPTION = {
  out: { type: 'string', requiresArg: true, describe: 'Folder of the page (default: report/ in the lake)' },
} as const;

export const OPEN_OPTION = {
  open: { type: 'boolean', default: false, describe: 'Open the report in the browser' },
} as const;

/**
 * `--open`: shows a page to whoever sits at this machine. @throws `usage_invalid` (64) for a page elsewhere
 */
export function openIfAsked(args: Arguments, page: string | undefined): void {
  if (args.open !== true || page === undefined) return;
  if (isElsewhere(page))
    throw new JobError('usage_invalid', 'usage', `--open opens files of this machine, and the report is ${page}`, {
      hint: `aws s3 cp ${page} .`,
    });
  openInBrowser(page);
}

/** Refused input is told by the exit code once all else is done, unless the caller asked otherwise. */
export function refusedExit(args: Arguments, refused: number): Outcome['exit'] {
  return refused > 0 && args['on-quarantine'] !== 'warn' ? 'data' : 'ok';
}

/** A flag's text; undefined when it is absent or empty. */
export function optional(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A positional that takes several values. */
export function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** A flag's whole number. @throws `usage_invalid` (64) */
export function whole(flag: string, text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new JobError('usage_invalid', 'usage', `${flag} ${JSON.stringify(text)} is not a whole number of 0 or more`, {
      hint: 'see --help',
    });
  return Number(text);
}

/** Which gold `--target` names. */
export function target(args: Arguments): Target {
  return args.target === 'prod' ? 'prod' : 'dev';
}

/** A folder; undefined: the lake, where it is none, keeps the report itself. */
export function outDir(args: Arguments, { config }: Effects): string | undefined {
  const out = optional(args.out);
  if (out === undefined && isElsewhere(config.lakeUri)) return undefined;
  return resolve(out ?? join(config.lakeUri, 'report'));
}
