import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import yargs, { type Argv } from 'yargs';
import { type Config, readConfig, USER_LABEL } from '../base/config.ts';
import { systemError } from '../base/disk.ts';
import { readEnvFile } from '../base/env-file.ts';
import { describeError, EXIT, JobError } from '../base/errors.ts';
import { ROOT } from '../base/installation.ts';
import { createLog } from '../base/log.ts';
import { visible, visibleJson } from '../base/visible.ts';
import { isLakeThere } from '../lake/open.ts';
import type { Arguments, Command, Outcome } from './command.ts';
import { withEffects } from './effects.ts';
import { COMMANDS } from './registry.ts';

/** Where KubernetesPodOperator's sidecar looks for a result; written only where the folder is there. */
const XCOM_FOLDER = '/airflow/xcom';

/** Line breaks and tabs in what is printed are ours. */
const LINES = '\n\t';

const GLOBAL_OPTIONS = {
  lake: { type: 'string', requiresArg: true, describe: 'The lake: a folder (default: LISTENLAKE_LAKE, else ./lake)' },
  user: {
    type: 'string',
    requiresArg: true,
    describe: 'Label of the person whose files these are (default: LISTENLAKE_USER, else me)',
  },
  'env-file': {
    type: 'string',
    requiresArg: true,
    describe: 'File of variables to read (default: LISTENLAKE_ENV_FILE, else what is harmless in ./.env)',
  },
  json: { type: 'boolean', default: false, describe: 'Only the JSON result on stdout' },
  quiet: { type: 'boolean', default: false, describe: 'No progress on stderr' },
} as const;

/**
 * Parses, runs one command, prints its outcome. Results go to stdout, progress and logs to stderr.
 *
 * @returns the exit code (errors.ts)
 */
export async function main(argv: string[], environment: NodeJS.ProcessEnv): Promise<number> {
  let place = process.cwd();
  let chosen: { command: Command; args: Arguments } | undefined;
  const parser = buildParser((command, args) => {
    chosen = { command, args };
  });
  try {
    await parser.parse(argv);
    if (chosen === undefined) return EXIT.ok; // --help and --version have printed
    const { command, args } = chosen;
    readEnvFile(environment, text(args['env-file']) ?? (environment.LISTENLAKE_ENV_FILE || undefined));
    refuseRepeated(command, args);
    const given = text(args.user);
    const user = command.isAnyUser && given !== undefined && !USER_LABEL.test(given) ? undefined : given;
    const config = readConfig(environment, { LISTENLAKE_LAKE: text(args.lake), LISTENLAKE_USER: user });
    if (!config.lakeUri.includes('://')) place = resolve(config.lakeUri);
    const outcome = await perform(command, args, config);
    print(outcome, args.json === true);
    const exit = EXIT[outcome.exit ?? 'ok'];
    return exit === EXIT.ok && outcome.json.status === 'nothing_new' ? config.nothingNewExit : exit;
  } catch (error) {
    return report(systemError(error, place), argv.includes('--json'), environment);
  }
}

async function perform(command: Command, args: Arguments, config: Config): Promise<Outcome> {
  const alone = await command.runAlone?.(args, config);
  if (alone !== undefined) return alone;
  const isWriter = typeof command.isWriter === 'function' ? command.isWriter(args) : command.isWriter;
  const isReader = typeof command.isReader === 'function' ? command.isReader(args) : command.isReader === true;
  if (isReader) refuseMissingLake(config);
  const job = command.usage.split(' ', 1)[0] ?? '';
  const isProgressShown = args.quiet !== true;
  const { isSweeper = false } = command;
  return withEffects(config, { job, isWriter, isProgressShown, isSweeper }, (effects, runId) =>
    command.run(args, effects, runId),
  );
}

/** A mistyped `--lake` is told, instead of being made an empty lake. */
function refuseMissingLake(config: Config): void {
  if (isLakeThere(config)) return;
  throw new JobError('lake_missing', 'config', `there is no lake at ${resolve(config.lakeUri)}`, {
    hint: 'give --lake, or make one: listenlake run my_spotify_data.zip',
  });
}

function buildParser(choose: (command: Command, args: Arguments) => void): Argv {
  const parser = yargs()
    .scriptName('listenlake')
    .usage('$0 <command>\n\nTurns what Spotify knows of your listening into tables that you own.')
    .version(version())
    .options(GLOBAL_OPTIONS)
    .strict()
    .demandCommand(1, 'which command?')
    .recommendCommands()
    .parserConfiguration({ 'parse-numbers': false, 'parse-positional-numbers': false })
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .epilogue('First command: listenlake run my_spotify_data.zip')
    .fail((message, error) => {
      if (error instanceof JobError) throw error;
      throw new JobError('usage_invalid', 'usage', (message ?? String(error)).replaceAll(/\s+/g, ' ').trim(), {
        hint: 'see listenlake --help',
        cause: error,
      });
    });
  for (const command of COMMANDS) {
    parser.command(
      command.usage,
      command.summary,
      (builder) => {
        for (const [name, options] of Object.entries(command.positionals ?? {}))
          builder.positional(name, options as never);
        for (const [example, what] of command.examples ?? []) builder.example(example, what);
        return builder.options(command.options);
      },
      (args) => choose(command, args as Arguments),
    );
  }
  return parser;
}

/** The text of `listenlake <command> --help`, for the command reference. */
export async function helpText(argv: string[]): Promise<string> {
  const parser = buildParser(() => {});
  return new Promise((resolve, reject) => {
    // With a callback yargs gives the text instead of printing it.
    void Promise.resolve(
      parser.parse([...argv, '--help'], {}, (error, _args, output) => (error ? reject(error) : resolve(output))),
    ).catch(reject);
  });
}

/** A flag given twice would be a list: say so instead of taking one of them. */
function refuseRepeated(command: Command, args: Arguments): void {
  const options: Command['options'] = { ...GLOBAL_OPTIONS, ...command.options };
  const repeated = Object.keys(options).find((name) => options[name]?.array !== true && Array.isArray(args[name]));
  if (repeated !== undefined)
    throw new JobError('usage_invalid', 'usage', `--${repeated} is given more than once`, { hint: 'give it once' });
}

/** What is printed may hold names of files and of songs: nothing in it is obeyed by a terminal. */
function print(outcome: Outcome, isJson: boolean): void {
  const line = visibleJson(JSON.stringify(outcome.json));
  const isTerminal = process.stdout.isTTY === true;
  // The lines of a CSV end in CR LF; in its fields a CR is written out already.
  const text = visible(outcome.text, outcome.isRaw ? `${LINES}\r` : LINES);
  if (outcome.isRaw)
    process.stdout.write(isJson ? `${visibleJson(outcome.text)}\n` : `${text}${text === '' ? '' : '\n'}`);
  else if (isJson) process.stdout.write(`${line}\n`);
  // A person at a terminal reads the text; a program that reads our output gets the object as its last line.
  else process.stdout.write(isTerminal ? `${text}\n` : `${text}\n${line}\n`);
  if (outcome.note !== undefined) process.stderr.write(`${visible(outcome.note, LINES)}\n`);
  if (existsSync(XCOM_FOLDER)) writeFileSync(`${XCOM_FOLDER}/return.json`, `${line}\n`);
}

/** One line for a person (or one JSON object), the exit code for programs. Bugs keep their stack. */
function report(error: unknown, isJson: boolean, environment: NodeJS.ProcessEnv): number {
  if (!(error instanceof JobError)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`listenlake: a bug: ${visible(stack, LINES)}\n`);
    return EXIT.software;
  }
  if (isJson) {
    const { code, place, hint, message } = error;
    process.stderr.write(`${visibleJson(JSON.stringify({ code, ...place, message, hint }))}\n`);
  } else process.stderr.write(`listenlake: ${visible(describeError(error), LINES)}\n`);
  if (environment.LISTENLAKE_LOG_LEVEL === 'debug')
    createLog('debug').debug({ code: error.code, stack: error.stack }, 'failed');
  return EXIT[error.exit];
}

function version(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
