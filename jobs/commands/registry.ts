import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { JobError } from '../base/errors.ts';
import { count } from '../base/words.ts';
import type { CheckResult } from '../check.ts';
import type { Effects } from '../effects/index.ts';
import type { Target } from '../lake/keys.ts';
import { isElsewhere } from '../lake/store.ts';
import type { RunResult } from '../run.ts';
import {
  type Arguments,
  type Command,
  INTERVAL_OPTIONS,
  list,
  type Outcome,
  optional,
  PATHS,
  QUARANTINE_OPTION,
  REBUILD_OPTION,
  refusedExit,
  TARGET_OPTION,
  whole,
} from './command.ts';
import { FORGET, GC, RETENTION } from './deleting.ts';
import { EXTRACT } from './extract.ts';
import { COVERAGE, LOGIN } from './spotify.ts';
import { checkText, findingsText, loadText, promoteText, runText } from './summary.ts';
import { TRANSFORM } from './transform.ts';

/** Every command, in the order of the flow. Jobs are imported when they run: `--help` and `sql` need not wait for the rest. */
/** A file that changed while it was read is not in: whoever runs it again gets it, which a refusal would not say. */
function runExit(args: Arguments, { status, load, refused }: RunResult): Outcome['exit'] {
  if (status === 'checks_failed') return 'data';
  return load.exit === 'tempfail' ? 'tempfail' : refusedExit(args, refused);
}

export const COMMANDS: readonly Command[] = [
  {
    usage: 'run [paths..]',
    summary: 'Everything in order: load, transform, check, enrich, check, promote, report',
    reads: 'files, landing',
    writes: 'the whole lake, report',
    positionals: PATHS,
    options: {
      ...QUARANTINE_OPTION,
      to: INTERVAL_OPTIONS.to,
      out: outOption(),
      report: { type: 'boolean', default: true, describe: 'Make the report (--no-report leaves it out)' },
    },
    isWriter: true,
    examples: [['listenlake run my_spotify_data.zip', 'your first command']],
    async run(args, effects, runId) {
      const { run } = await import('../run.ts');
      const result = await run(
        {
          runId,
          paths: list(args.paths),
          userId: effects.config.userId,
          report: args.report === false ? undefined : { outDir: outDir(args, effects) },
          asOf: optional(args.to),
        },
        effects,
      );
      const json = {
        status: result.status,
        run_id: runId,
        accounts: result.transform.accounts,
        files: result.load.accounts,
        warnings: result.load.warnings.length,
        as_of: result.asOf,
        report: result.report?.html ?? null,
      };
      return {
        text: runText(result, effects),
        json,
        exit: runExit(args, result),
      };
    },
  },
  LOGIN,
  EXTRACT,
  {
    usage: 'load [paths..]',
    summary: 'Landing, and the paths given, to bronze: recognise, check, keep without personal fields',
    reads: 'landing, files',
    writes: 'bronze',
    positionals: PATHS,
    options: QUARANTINE_OPTION,
    isWriter: true,
    async run(args, effects, runId) {
      const { load } = await import('../load.ts');
      const result = await load(
        { runId, paths: list(args.paths), userId: effects.config.userId, keepLanding: effects.config.keepLanding },
        effects,
      );
      return {
        text: loadText(result),
        json: {
          status: result.accounts.new === 0 ? 'nothing_new' : 'loaded',
          accounts: result.accounts,
          rows: result.rows,
          warnings: result.warnings.length,
        },
        exit: result.exit === 'data' ? refusedExit(args, 1) : result.exit,
      };
    },
  },
  TRANSFORM,
  {
    usage: 'enrich',
    summary: 'Silver to gold: run the models, publish them by a swap',
    reads: 'silver',
    writes: 'gold_dev',
    options: {
      to: {
        ...INTERVAL_OPTIONS.to,
        describe: 'as_of, the exclusive end (default: the midnight after the newest listening)',
      },
      ...REBUILD_OPTION,
    },
    isWriter: true,
    async run(args, effects, runId) {
      const { enrich } = await import('../enrich.ts');
      const asOf = optional(args.to);
      const result = await enrich({ runId, ...(asOf && { asOf }), rebuild: args.rebuild === true }, effects);
      const rows = result.tables.reduce((sum, table) => sum + table.rows, 0);
      const text =
        result.status === 'nothing_new'
          ? `gold_dev is up to date, as of ${result.asOf.slice(0, 10)}`
          : `gold_dev: ${count(result.tables.length, 'table')} (${result.built.length} built), ${count(rows, 'row')}, as of ${result.asOf.slice(0, 10)}\nnext: listenlake check --scope gold`;
      return {
        text,
        json: {
          ...{ status: result.status, as_of: result.asOf, tables: result.tables.length },
          ...{ built: result.built.length, rows },
        },
      };
    },
  },
  {
    usage: 'check',
    summary: 'Test silver by its contracts and gold by the tests of its models',
    reads: 'silver, gold',
    writes: 'check results',
    options: {
      scope: { choices: ['silver', 'gold', 'all'] as const, default: 'all', describe: 'What to test' },
      ...TARGET_OPTION,
    },
    isWriter: true,
    async run(args, effects, runId) {
      const { check } = await import('../check.ts');
      const scopes = args.scope === 'all' ? (['silver', 'gold'] as const) : [args.scope as 'silver' | 'gold'];
      const results: CheckResult[] = [];
      for (const scope of scopes) results.push(await check({ scope, target: target(args), runId }, effects));
      const isFailed = results.some((result) => result.verdict === 'failed');
      const json = {
        status: isFailed ? 'failed' : 'passed',
        scopes: results.map(({ scope, passed, failed, warned, errors }) => ({ scope, passed, failed, warned, errors })),
      };
      return { text: results.map(checkText).join('\n'), json, exit: isFailed ? 'data' : 'ok' };
    },
  },
  {
    usage: 'promote',
    summary: 'Compare dev with prod, then publish as prod what dev was checked on',
    reads: 'gold_dev, gold_prod',
    writes: 'gold_prod',
    options: {
      'dry-run': { type: 'boolean', default: false, describe: 'Show the difference, change nothing' },
      ...REBUILD_OPTION,
    },
    isWriter: true,
    async run(args, effects, runId) {
      const { promote } = await import('../promote.ts');
      const result = await promote(
        { runId, dryRun: args['dry-run'] === true, rebuild: args.rebuild === true },
        effects,
      );
      return {
        text: promoteText(result),
        json: { status: result.status, as_of: result.asOf, tables: result.differences.length },
      };
    },
  },
  {
    usage: 'report',
    summary: 'One self-contained HTML page, and each chart as PNG',
    reads: 'gold_prod',
    writes: 'report.html, charts/',
    options: {
      target: { ...TARGET_OPTION.target, default: 'prod', describe: 'Which gold: prod (default) or dev' },
      out: outOption(),
    },
    isWriter: false,
    async run(args, effects, runId) {
      const { report } = await import('../report.ts');
      const result = await report({ runId, outDir: outDir(args, effects), target: target(args) }, effects);
      return {
        text: [
          `report: ${result.html}`,
          `${count(result.charts.length, 'chart')} beside it`,
          ...(isElsewhere(result.html) ? [`to read it: aws s3 cp ${result.html} .`] : []),
        ].join('\n'),
        json: { report: result.html, charts: result.charts.length },
      };
    },
  },
  COVERAGE,
  {
    usage: 'sql [query]',
    summary: 'Ask the lake: a table, CSV or JSON',
    reads: 'bronze, silver, gold',
    writes: '-',
    positionals: { query: { type: 'string', describe: 'One select; or use --file' } },
    options: {
      ...TARGET_OPTION,
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
      ['listenlake sql --target prod --file warehouse/queries/skip_rate_by_genre.sql', ''],
    ],
    async run(args, effects) {
      const { formatResult, scannedText, sql } = await import('../sql.ts');
      const statement = await statementOf(args);
      if (args.json === true && args.csv === true)
        throw new JobError('usage_invalid', 'usage', '--json and --csv exclude each other', { hint: 'give one' });
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
  },
  GC,
  FORGET,
  RETENTION,
  {
    usage: 'doctor',
    summary: 'Look at the machine, the configuration and the lake; say what to do',
    reads: 'everything',
    writes: '-',
    options: {
      verify: {
        type: 'boolean',
        default: false,
        describe: 'Also read every committed object and compare it with its manifest',
      },
      aws: {
        type: 'boolean',
        default: false,
        describe: 'Also compare the contracts and models with what the AWS account holds: bucket, tables, workgroups',
      },
      spotify: {
        type: 'boolean',
        default: false,
        describe: 'Also call each part of the Web API once: what this app may read is remembered for extract',
      },
    },
    isWriter: (args) => args.spotify === true,
    async run(args, effects, runId) {
      const { doctor } = await import('../doctor.ts');
      const findings = await doctor({ verify: args.verify === true, aws: args.aws === true }, effects);
      if (args.spotify === true)
        findings.push(...(await (await import('../sources/spotify-api/probe.ts')).doctorSpotify({ runId }, effects)));
      const isBroken = findings.some((finding) => finding.verdict === 'fail');
      return {
        text: findingsText(findings),
        json: { status: isBroken ? 'broken' : 'well', findings },
        exit: isBroken ? 'data' : 'ok',
      };
    },
  },
];

function outOption() {
  return {
    type: 'string',
    requiresArg: true,
    describe: 'Folder of the report (default: report/ in the lake)',
  } as const;
}

/** A folder; undefined: the lake, where it is none, keeps the report itself. */
function outDir(args: Arguments, { config }: Effects): string | undefined {
  const out = optional(args.out);
  if (out === undefined && isElsewhere(config.lakeUri)) return undefined;
  return resolve(out ?? join(config.lakeUri, 'report'));
}

async function statementOf(args: Arguments): Promise<string> {
  const file = optional(args.file);
  const query = optional(args.query);
  if (file === undefined && query === undefined) {
    throw new JobError('usage_invalid', 'usage', 'no statement', {
      hint: 'listenlake sql "select ..." or --file question.sql',
    });
  }
  if (query !== undefined) return query;
  if (file === '-') return readFile('/dev/stdin', 'utf8');
  if (!existsSync(file!))
    throw new JobError('file_missing', 'usage', 'there is no such file', {
      place: { file: file! },
      hint: 'see warehouse/queries',
    });
  return readFile(file!, 'utf8');
}

function target(args: Arguments): Target {
  return args.target === 'prod' ? 'prod' : 'dev';
}
