/**
 * `make aws-local`: the lake on AWS without an account. Starts moto, Trino and the Athena front, applies
 * `terraform/` to them, loads the demo's data in small by the product's own command, and runs until Ctrl-C.
 *
 *     node tests/aws/demo.ts [file]      file: gets the `export` lines; default demo/aws-local.env
 *
 * `export` lines go to stdout, everything else to stderr. What lies in it is gone when it ends.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { type AppliedLake, applyLake, SMALL_DEMO } from './applied-lake.ts';
import { type LocalAws, startLocalAws } from './local.ts';
import { Unavailable } from './moto.ts';

/**
 * A lake that somebody plays with for days must not grow in memory: the tests' records of calls are emptied
 * this often.
 */
const FORGET_MS = 60_000;

const envFile = process.argv[2] ?? join(ROOT, 'demo/aws-local.env');
const work = mkdtempSync(join(tmpdir(), 'listenlake-aws-local-'));
const startedAt = performance.now();
let local: LocalAws | undefined;
let isEnding = false;
let exports = '';

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(0));
try {
  await main();
} catch (error) {
  // What Ctrl-C interrupts fails in its own words; nobody needs them.
  if (isEnding) await new Promise(() => {});
  if (!(error instanceof Unavailable)) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    await end(1);
  }
  process.stderr.write(`this machine lacks a part: ${(error as Error).message}\n`);
  await end(69);
}

async function main(): Promise<void> {
  say('starting moto and Trino (the first time downloads about 250 MB into the cache)');
  local = await startLocalAws({ isTrinoNeeded: true });
  say('terraform apply');
  const lake = await applyLake(local, join(work, 'terraform'), { name: 'listenlake' });
  say(`made: ${await madeBy(lake)}`);
  const source = join(work, 'source');
  const { files, events, exportRows } = await generateIntoFolder(SMALL_DEMO, source);
  say(`listenlake run, on ${files} generated files (${events} events, an export of ${exportRows} rows)`);
  await run(lake.environment, source);
  exports = Object.entries(lake.environment)
    .map(([name, value]) => `export ${name}=${value}\n`)
    .join('');
  mkdirSync(dirname(envFile), { recursive: true });
  writeFileSync(envFile, exports);
  process.stdout.write(exports);
  const shown = relative(process.cwd(), envFile);
  say('ready. In another shell, in this folder:\n');
  process.stderr.write(
    [
      `  source ${shown.startsWith('..') ? envFile : shown}      # the lines above`,
      '  ./listenlake sql "select * from top_tracks limit 10"',
      '  ./listenlake sql --file warehouse/queries/skip_rate_by_genre.sql',
      '  ./listenlake sql "select table_name, rows, bytes from record_counts order by bytes desc nulls last"',
      '  ./listenlake doctor --aws',
      '  ./listenlake run my_spotify_data.zip --no-report',
      '',
      'Ctrl-C ends it, and everything in it is gone.',
      '',
    ].join('\n'),
  );
  setInterval(() => {
    local!.endpoint.calls.length = 0;
  }, FORGET_MS);
}

/** What Terraform has made, counted by kind. */
async function madeBy({ uri, terraform }: AppliedLake): Promise<string> {
  const names = (await terraform('state', 'list')).stdout.split('\n');
  const count = (type: string): number => names.filter((name) => name.startsWith(`${type}.`)).length;
  return [
    `bucket ${uri.replace('s3://', '')}`,
    `${count('aws_glue_catalog_table')} tables in ${count('aws_glue_catalog_database')} databases`,
    `${count('aws_athena_workgroup')} workgroups`,
    `${count('aws_athena_named_query')} saved queries`,
    `${count('aws_iam_role')} roles`,
  ].join(', ');
}

/** The product's command as a person runs it, its output on stderr here. */
async function run(environment: Record<string, string>, source: string): Promise<void> {
  const args = ['--disable-warning=ExperimentalWarning', join(ROOT, 'jobs/cli.ts'), 'run', source, '--no-report'];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ['ignore', process.stderr, process.stderr],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`listenlake run ended with ${code}`);
}

function say(text: string): void {
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  process.stderr.write(`aws-local ${String(seconds).padStart(4)} s  ${text}\n`);
}

async function end(code: number): Promise<never> {
  if (!isEnding) {
    isEnding = true;
    say('ending');
    await local?.close();
    rmSync(work, { recursive: true, force: true });
    // Another one may have been started since, and the file be of that.
    if (exports !== '' && existsSync(envFile) && readFileSync(envFile, 'utf8') === exports) rmSync(envFile);
    process.exit(code);
  }
  return new Promise(() => {});
}
