import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import yargs, { type Argv } from 'yargs';
import { type Config, readConfig, USER_LABEL } from '../base/config.ts';
import { onDisk, systemError } from '../base/disk.ts';
import { readEnvFile } from '../base/env-file.ts';
import { describeError, EXIT, JobError } from '../base/errors.ts';
import { ROOT } from '../base/installation.ts';
import { createLog } from '../base/log.ts';
import { visible, visibleJson } from '../base/visible.ts';
import { isLakeThere } from '../lake/open.ts';
import { type Arguments, type Command, GROUPS, type Outcome } from './command.ts';
import { completionScript, SHELLS, type Shell } from './completion.ts';
import { withEffects } from './effects.ts';
import { asTyped } from './lines.ts';
import { COMMANDS } from './registry.ts';
import { nearest } from './suggest.ts';

const NAMES = COMMANDS.map(({ usage }) => usage.split(' ', 1)[0]!);

/** Line breaks and tabs in what is printed are ours. */
const LINES = '\n\t';

const GLOBAL_OPTIONS = {
  lake: { type: 'string', requiresArg: true, describe: 'The lake: a folder (default: LISTENLAKE_LAKE, else ./lake)' },
  'env-file': {
    type: 'string',
    requiresArg: true,
    describe: 'File of variables to read (default: LISTENLAKE_ENV_FILE, else what is harmless in ./.env)',
  },
  json: { type: 'boolean', default: false, describe: 'Only the JSON result on stdout' },
  quiet: { type: 'boolean', default: false, describe: 'No progress on stderr' },
} as const;

const USER_OPTION = {
  user: {
    type: 'string',
    requiresArg: true,
    describe: 'Label of the person whose files these are (default: LISTENLAKE_USER, else me)',
  },
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
    if (argv.length === 1 && argv[0] === '--help') {
      process.stdout.write(`${await helpText([])}\n`);
      return EXIT.ok;
    }
    const shell = shellAskedFor(argv);
    if (shell !== undefined) {
      process.stdout.write(
        `${completionScript(shell, COMMANDS, (command) => ({ ...GLOBAL_OPTIONS, ...optionsOf(command) }))}\n`,
      );
      return EXIT.ok;
    }
    await parser.parse(argv);
    if (chosen === undefined) return EXIT.ok; // --help, --version and --completion have printed
    const { command, args } = chosen;
    readEnvFile(environment, text(args['env-file']) ?? (environment.LISTENLAKE_ENV_FILE || undefined));
    refuseRepeated(command, args);
    const given = text(args.user);
    const user = command.isAnyUser && given !== undefined && !USER_LABEL.test(given) ? undefined : given;
    const config = readConfig(environment, { LISTENLAKE_LAKE: text(args.lake), LISTENLAKE_USER: user });
    if (!config.lakeUri.includes('://')) place = resolve(config.lakeUri);
    const outcome = await perform(command, args, config);
    print(outcome, args.json === true, environment.LISTENLAKE_COMMAND);
    await writeResult(config, outcome, args.json === true);
    const exit = EXIT[outcome.exit ?? 'ok'];
    return exit === EXIT.ok && outcome.json.status === 'nothing_new' ? config.nothingNewExit : exit;
  } catch (error) {
    return report(systemError(error, place), argv.includes('--json'), environment);
  }
}

/** `--completion bash` stands alone: there is no command, which the parser would ask for. */
function shellAskedFor([flag, name, ...more]: readonly string[]): Shell | undefined {
  if (flag !== '--completion') return undefined;
  const shell = SHELLS.find((each) => each === name);
  if (shell === undefined || more.length > 0)
    throw new JobError('usage_invalid', 'usage', `--completion takes one of ${SHELLS.join(', ')}, and nothing else`, {
      hint: 'source <(listenlake --completion bash)',
    });
  return shell;
}

async function perform(command: Command, args: Arguments, config: Config): Promise<Outcome> {
  const alone = await command.runAlone?.(args, config);
  if (alone !== undefined) return alone;
  const isWriter = typeof command.isWriter === 'function' ? command.isWriter(args) : command.isWriter;
  const needsLake = typeof command.needsLake === 'function' ? command.needsLake(args) : command.needsLake !== false;
  if (needsLake) refuseMissingLake(config);
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
    .usage('')
    .version(version())
    .options(GLOBAL_OPTIONS)
    .option('completion', {
      choices: SHELLS,
      requiresArg: true,
      describe: 'Print a script that completes commands and flags',
    })
    .strict()
    .demandCommand(1, 'which command?')
    .recommendCommands()
    .parserConfiguration({ 'parse-numbers': false, 'parse-positional-numbers': false })
    .wrap(helpWidth())
    .epilogue('First command: listenlake run my_spotify_data.zip')
    .fail((message, error) => {
      if (error instanceof JobError) throw error;
      const said = (message ?? String(error))
        .replaceAll(/\s+/g, ' ')
        .replace(/^Not enough non-option arguments: .*/, 'something is missing behind the command')
        .trim();
      throw new JobError('usage_invalid', 'usage', said, { hint: hintFor(said), cause: error });
    });
  for (const command of COMMANDS) {
    parser.command(
      command.usage,
      false, // the groups above name it
      (builder) => {
        builder.usage(`$0 ${command.usage}\n\n${command.summary}`);
        for (const [name, options] of Object.entries(command.positionals ?? {}))
          builder.positional(name, options as never);
        for (const [example, what] of command.examples ?? []) builder.example(example, what);
        return builder.options(optionsOf(command)).hide('completion');
      },
      (args) => choose(command, args as Arguments),
    );
  }
  return parser;
}

/** The flags of a command but for those that every command takes. */
function optionsOf(command: Command): Command['options'] {
  return command.isPersonal ? { ...USER_OPTION, ...command.options } : command.options;
}

/** Every command with what it is for, under the headings of what somebody wants. */
function groupsText(width: number): string {
  const columns = Math.max(...COMMANDS.map(({ usage }) => usage.length)) + 'listenlake '.length + 4;
  return Object.entries(GROUPS)
    .map(([group, title]) => {
      const lines = COMMANDS.filter((command) => command.group === group).map(({ usage, summary }) =>
        wrapped(`  listenlake ${usage}`.padEnd(columns), summary, width),
      );
      return `${title}:\n${lines.join('\n')}`;
    })
    .join('\n\n');
}

/** A text beside its label, wrapped by words, its further lines under its first one. */
function wrapped(label: string, words: string, width: number): string {
  const lines = [label];
  for (const word of words.split(' ')) {
    const line = lines.at(-1)!;
    if (line.trim() === '' || line === label || line.length + 1 + word.length <= width)
      lines[lines.length - 1] = line === label || line.trim() === '' ? line + word : `${line} ${word}`;
    else lines.push(' '.repeat(label.length) + word);
  }
  return lines.join('\n');
}

/** What to do about a line that yargs cannot make sense of: the flag that was likely meant, else the help. */
function hintFor(said: string): string {
  const unknown = /^Unknown arguments?: ([^,]+)/.exec(said)?.[1];
  const flags = [...new Set([GLOBAL_OPTIONS, ...COMMANDS.map(optionsOf)].flatMap(Object.keys))];
  const meant = unknown === undefined ? undefined : nearest(unknown, flags);
  return meant === undefined || meant === unknown ? 'see listenlake --help' : `did you mean --${meant}?`;
}

/** The text of `listenlake --help`, or of one command's. */
export async function helpText(argv: string[]): Promise<string> {
  const parser = buildParser(() => {});
  const flags = await new Promise<string>((resolve, reject) => {
    // With a callback yargs gives the text instead of printing it.
    void Promise.resolve(
      parser.parse([...argv, '--help'], {}, (error, _args, output) => (error ? reject(error) : resolve(output))),
    ).catch(reject);
  });
  if (argv.length > 0) return flags;
  const about = 'Turns what Spotify knows of your listening into tables that you own.';
  // By hand: yargs knows no groups of commands, and takes the blanks at the beginning of a line away.
  return [`listenlake <command>\n\n${about}`, groupsText(helpWidth()), flags.trim()].join('\n\n');
}

function helpWidth(): number {
  return Math.min(110, process.stdout.columns || 110);
}

/** A flag given twice would be a list: say so instead of taking one of them. */
function refuseRepeated(command: Command, args: Arguments): void {
  const options: Command['options'] = { ...GLOBAL_OPTIONS, ...optionsOf(command) };
  const repeated = Object.keys(options).find((name) => options[name]?.array !== true && Array.isArray(args[name]));
  if (repeated !== undefined)
    throw new JobError('usage_invalid', 'usage', `--${repeated} is given more than once`, { hint: 'give it once' });
}

/**
 * Words for a person, or with `--json` the result for a program: one object, or the rows of a query.
 *
 * What is printed may hold names of files and of songs: nothing in it is obeyed by a terminal.
 */
function print(outcome: Outcome, isJson: boolean, command: string | undefined): void {
  if (isJson) process.stdout.write(outcome.isRaw ? `${visibleJson(outcome.text)}\n` : resultLine(outcome));
  else {
    // The lines of a CSV end in CR LF; in its fields a CR is written out already.
    const words = outcome.isRaw
      ? visible(outcome.text, `${LINES}\r`)
      : asTyped(visible(outcome.text, LINES), command, NAMES);
    process.stdout.write(outcome.isRaw && words === '' ? '' : `${words}\n`);
  }
  if (outcome.note !== undefined) process.stderr.write(`${visible(outcome.note, LINES)}\n`);
}

/** The result for programs: one line of JSON. */
function resultLine({ json }: Outcome): string {
  return `${visibleJson(JSON.stringify(json))}\n`;
}

/**
 * Gives the result to the program that has asked for it beside the words. Rows of a query on stdout stay as
 * they are: whoever reads them as CSV wants no line more.
 *
 * @throws `disk_full`, `disk_failed` (74) where the file cannot be written; what the command did stays done
 */
async function writeResult({ resultFile }: Config, outcome: Outcome, isJson: boolean): Promise<void> {
  if (resultFile === undefined) return;
  if (resultFile === '-') {
    if (!isJson && !outcome.isRaw) process.stdout.write(resultLine(outcome));
    return;
  }
  const failed = 'give LISTENLAKE_RESULT_FILE a path that you may write; what the command did is done';
  await onDisk(resultFile, async () => writeFileSync(resultFile, resultLine(outcome)), { failed });
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
  } else {
    const said = visible(describeError(error), LINES);
    process.stderr.write(`listenlake: ${asTyped(said, environment.LISTENLAKE_COMMAND, NAMES)}\n`);
  }
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
