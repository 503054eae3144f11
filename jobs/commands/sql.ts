import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { JobError } from '../base/errors.ts';
import type { Arguments, Command } from './command.ts';
import { optional, TARGET_OPTION, target, whole } from './command.ts';

/** Questions to the lake. */
export const SQL: Command = {
  usage: 'sql [query]',
  summary: 'Ask the lake: a table, CSV or JSON',
  reads: 'bronze, silver, gold',
  writes: '-',
  positionals: { query: { type: 'string', describe: 'One select; or use --file' } },
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
  isReader: true,
  examples: [
    ['listenlake sql "select * from top_tracks limit 10"', ''],
    ['listenlake sql --file warehouse/queries/skip_rate_by_genre.sql', ''],
  ],
  /** A wrong question is told before the lake is opened. */
  async runAlone(args) {
    if (args.json === true && args.csv === true)
      throw new JobError('usage_invalid', 'usage', '--json and --csv exclude each other', { hint: 'give one' });
    refuseNoStatement(args);
    return undefined;
  },
  async run(args, effects) {
    const { formatResult, scannedText, sql } = await import('../sql.ts');
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
      text: formatResult(result, format),
      json: {
        rows: result.rows.length,
        ...(scannedBytes !== undefined && { scanned_bytes: scannedBytes, cost_usd: costUsd }),
      },
      isRaw: true,
      ...(note !== undefined && { note }),
    };
  },
};

function refuseNoStatement(args: Arguments): void {
  const [file, query] = [optional(args.file), optional(args.query)];
  if (file === undefined && query === undefined) {
    throw new JobError('usage_invalid', 'usage', 'no statement', {
      hint: 'listenlake sql "select ..." or --file question.sql',
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
