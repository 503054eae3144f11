import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { JobError } from '../base/errors.ts';
import { scannedText } from '../base/words.ts';
import type { ResultSet } from '../engine/index.ts';
import type { Arguments, Command } from './command.ts';
import { optional, TARGET_OPTION, target, whole } from './command.ts';

/** Questions to the lake. */
export const SQL: Command = {
  usage: 'sql [query]',
  group: 'look',
  summary: 'Ask the lake: a table, CSV or JSON',
  reads: 'bronze, silver, gold',
  writes: '-',
  positionals: {
    query: {
      type: 'string',
      describe: 'One select. Left out: from standard input, or on a terminal one after the other',
    },
  },
  options: {
    target: { ...TARGET_OPTION.target, default: 'prod', describe: 'Which gold: prod (default), as promoted, or dev' },
    file: {
      type: 'string',
      requiresArg: true,
      conflicts: 'query',
      describe: 'Read the statement from this file (- for standard input)',
    },
    csv: { type: 'boolean', default: false, describe: 'CSV on stdout' },
    'max-rows': { type: 'string', requiresArg: true, describe: 'Refuse results with more rows than this' },
  },
  isWriter: false,
  examples: [
    ['listenlake sql "select * from top_tracks limit 10"', ''],
    ['listenlake sql --file warehouse/queries/skip_rate_by_genre.sql', ''],
    ['listenlake sql', 'a prompt: Tab completes names, \\q leaves'],
  ],
  /** A wrong question is told before the lake is opened. */
  async runAlone(args) {
    if (args.json === true && args.csv === true)
      throw new JobError('usage_invalid', 'usage', '--json and --csv exclude each other', { hint: 'give one' });
    if (isPrompt(args)) return undefined;
    if (optional(args.file) === undefined && optional(args.query) === undefined) args.query = await text(process.stdin);
    refuseNoStatement(args);
    return undefined;
  },
  async run(args, effects) {
    const { formatResult, sql } = await import('../sql.ts');
    if (isPrompt(args)) {
      const { promptForQuestions } = await import('./sql-prompt.ts');
      const show = (result: ResultSet): string => formatResult(result, 'table', terminalSize());
      const questions = await promptForQuestions({ target: target(args), show }, effects);
      return { text: '', json: { questions }, isRaw: true };
    }
    const statement = await statementOf(args);
    const format = args.json === true ? 'json' : args.csv === true ? 'csv' : 'table';
    const maxRows = optional(args['max-rows']);
    const result = await sql(
      { statement, target: target(args), ...(maxRows && { maxRows: whole('--max-rows', maxRows) }) },
      effects,
    );
    const { scannedBytes, costUsd } = result;
    const note = format === 'table' || args.quiet === true ? undefined : scannedText(result);
    return {
      text: formatResult(result, format, terminalSize()),
      json: {
        rows: result.rows.length,
        ...(scannedBytes !== undefined && { scanned_bytes: scannedBytes, cost_usd: costUsd }),
      },
      isRaw: true,
      ...(note !== undefined && { note }),
    };
  },
};

/** Nothing is asked yet, and there is somebody who can ask. */
function isPrompt(args: Arguments): boolean {
  const isAsked = ['file', 'query'].some((name) => optional(args[name]) !== undefined);
  const isForProgram = args.json === true || args.csv === true;
  return !isAsked && !isForProgram && process.stdin.isTTY === true && process.stdout.isTTY === true;
}

/** Undefined where stdout is a file or a program, which wants every row and digit. */
function terminalSize(): { columns: number } | undefined {
  return process.stdout.isTTY ? { columns: process.stdout.columns || 80 } : undefined;
}

function refuseNoStatement(args: Arguments): void {
  const [file, query] = [optional(args.file), optional(args.query)];
  if (file === undefined && query === undefined) {
    throw new JobError('usage_invalid', 'usage', 'no statement', {
      hint: 'listenlake sql "select ...", --file question.sql, or echo "select ..." | listenlake sql',
    });
  }
  if (query === undefined && file !== '-' && !existsSync(file!))
    throw new JobError('file_missing', 'usage', 'there is no such file', {
      place: { file: file! },
      hint: 'see warehouse/queries',
    });
}

async function statementOf(args: Arguments): Promise<string> {
  const file = optional(args.file)!;
  return optional(args.query) ?? readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
}
