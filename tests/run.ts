/**
 * `make test`: every layer in order, each with its name and time, then what was left out and why, then `N passed, N failed`.
 *
 *     node tests/run.ts [layer ...]        all layers but `soak`, or the named ones
 *
 * A layer that cannot run here says why through LISTENLAKE_SKIPS; under CI=true that counts as a failure, but for the names in
 * LISTENLAKE_TEST_WITHOUT (comma-separated): what a place can never have, such as files that nobody may publish.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LeftOut } from './layers.ts';

interface Layer {
  name: string;
  about: string;
  /** Commands that must exit 0, or a list of test files for Jest. */
  commands?: string[][];
  tests?: string[];
  /** Only where it is named: the same tests with far more kills, faults and polls. */
  isSoak?: boolean;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BIN = join(ROOT, 'node_modules/.bin');

const LAYERS: Layer[] = [
  {
    name: 'check',
    about: 'types, lint, format',
    commands: [
      [join(BIN, 'tsc'), '--noEmit', '-p', ROOT],
      [join(BIN, 'biome'), 'ci', '--diagnostic-level=warn', '.'],
    ],
  },
  {
    name: 'unit',
    about: 'store, sources, scanner, generator, documents, manifests',
    tests: [
      'tests/(at-most|lake|config|project|security|aws-prices|visible|modes|pseudonym-key)\\.test',
      'tests/sources/',
      'tests/kubernetes/manifests',
    ],
  },
  {
    name: 'jobs',
    about: 'each job on real folders and the real engine',
    tests: [
      'tests/(gc|forget|retention|load|extract|transform|plays|csv-kinds|field-files|coverage)[^/]*\\.test',
      'tests/(parquet|engine|enrich|check|promote|sql|report|doctor)[^/]*\\.test',
    ],
  },
  {
    name: 'models',
    about: 'rows in, rows out for every gold model; every SQL text in the grammar of both engines',
    tests: ['tests/(models|trino-grammar|table-difference)\\.test'],
  },
  { name: 'oracle', about: 'dbt builds the same gold tables', tests: ['tests/dbt-oracle\\.test'] },
  {
    name: 'pipeline',
    about: 'the command line end to end, kills, order of files',
    tests: ['tests/(cli|run|kill)\\.test'],
  },
  {
    name: 'trust',
    about: 'no mix for readers, no leak, no file that stops a lake, lakes of older versions',
    tests: ['tests/(one-version|overtaken|upgrade|poison|recorded-polls|canary)\\.test'],
  },
  {
    name: 'faults',
    about: 'system calls that fail in every command; readers beside runs that compete',
    tests: ['tests/(faults|readers)\\.test'],
  },
  { name: 'real-data', about: 'every folder of real files accounted for', tests: ['tests/real-data\\.test'] },
  { name: 'spotify', about: 'login and capture against a stub of the Web API', tests: ['tests/spotify/'] },
  {
    name: 'terraform',
    about: 'format, validation, policies offline, checkov, apply on moto',
    tests: ['tests/terraform\\.test'],
  },
  {
    name: 'aws',
    about: 'the ports on S3, Athena, Glue: moto and a real Trino',
    tests: ['tests/(s3[^/]*|athena|aws-faults|partitions)\\.test'],
  },
  { name: 'image', about: 'the image of the jobs, run as jobs run in it', tests: ['tests/(image|compose)\\.test'] },
  {
    name: 'airflow',
    about: 'the DAGs on a real Airflow, their jobs as containers',
    tests: ['tests/airflow/'],
  },
  {
    name: 'parity',
    about: 'one lake in a folder, one on S3: both engines say the same of every table and question',
    tests: ['tests/parity\\.test'],
  },
  {
    name: 'kubernetes',
    about: 'the manifests and the daily DAG on a real cluster',
    tests: ['tests/kubernetes/(access|daily)\\.test'],
  },
  {
    name: 'soak',
    about: 'hundreds of kills and of failing system calls, tens of thousands of polls and of refused files',
    tests: ['tests/(kill|faults|readers|load-hostile)\\.test'],
    isSoak: true,
  },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !LAYERS.some((layer) => layer.name === name));
if (unknown.length > 0) {
  process.stderr.write(`no layer ${unknown.join(', ')}; there are ${LAYERS.map((layer) => layer.name).join(', ')}\n`);
  process.exit(64);
}

const work = mkdtempSync(join(tmpdir(), 'listenlake-tests-'));
const skipsFile = join(work, 'skips.txt');
const isCi = process.env.CI === 'true';
let passed = 0;
let failed = 0;

const isWanted = ({ name, isSoak = false }: Layer): boolean => (wanted.length === 0 ? !isSoak : wanted.includes(name));
for (const layer of LAYERS.filter(isWanted)) {
  const started = performance.now();
  process.stdout.write(`\n== ${layer.name}: ${layer.about}\n`);
  const [good, bad] = layer.commands ? await runCommands(layer.commands) : await runJest(layer);
  passed += good;
  failed += bad;
  process.stdout.write(
    `== ${layer.name}: ${good} passed, ${bad} failed in ${((performance.now() - started) / 1000).toFixed(0)} s\n`,
  );
}

const lines = existsSync(skipsFile) ? [...new Set(readFileSync(skipsFile, 'utf8').split('\n').filter(Boolean))] : [];
const skips = lines.map((line) => JSON.parse(line) as LeftOut);
if (skips.length > 0) process.stdout.write(`\nleft out here:\n${tableOf(skips)}`);
const excused = (process.env.LISTENLAKE_TEST_WITHOUT ?? '').split(',').filter(Boolean);
const unexcused = skips.filter(({ what }) => !excused.some((name) => what.startsWith(name)));
if (isCi && unexcused.length > 0) {
  process.stdout.write('CI=true: what was left out counts as failed\n');
  failed += unexcused.length;
}
rmSync(work, { recursive: true, force: true });
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

/** One row for each reason: what is left out, why, how to have it. */
function tableOf(skips: LeftOut[]): string {
  const rows = new Map<string, string[]>();
  for (const { what, why, how } of skips) {
    const row = rows.get(`${why}\n${how}`);
    if (row) row[0] = `${row[0]}, ${what}`;
    else rows.set(`${why}\n${how}`, [what, why, how]);
  }
  const table = [['what', 'why', 'how to have it'], ...rows.values()];
  const widths = [0, 1].map((column) => Math.min(60, Math.max(...table.map((row) => row[column]!.length))));
  const line = (row: string[]): string =>
    `  ${row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()}\n`;
  return table.map(line).join('');
}

async function runCommands(commands: string[][]): Promise<[number, number]> {
  const codes: number[] = [];
  for (const [program, ...args] of commands) codes.push(await run(program!, args));
  return [codes.filter((code) => code === 0).length, codes.filter((code) => code !== 0).length];
}

async function runJest({ name, tests = [], isSoak = false }: Layer): Promise<[number, number]> {
  const report = join(work, `${name}.json`);
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--experimental-vm-modules',
    join(ROOT, 'node_modules/jest/bin/jest.js'),
  ];
  const environment: Record<string, string> = isSoak ? { LISTENLAKE_TEST_SOAK: '1' } : {};
  const jestArgs = [
    ...args,
    '--rootDir',
    ROOT,
    '--json',
    '--maxWorkers=2',
    '--outputFile',
    report,
    '--silent=false',
    ...tests,
  ];
  const code = await run(process.execPath, jestArgs, environment);
  if (!existsSync(report)) return [0, 1];
  const result = JSON.parse(readFileSync(report, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
    numFailedTestSuites: number;
  };
  // A file that does not load has no tests, and an exit code without a failed test is a failure too.
  const bad = Math.max(result.numFailedTests, result.numFailedTestSuites, code === 0 ? 0 : 1);
  return [result.numPassedTests, bad];
}

function run(program: string, args: string[], environment: Record<string, string> = {}): Promise<number> {
  mkdirSync(work, { recursive: true });
  const env = {
    ...process.env,
    ...environment,
    PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}`,
    LISTENLAKE_SKIPS: skipsFile,
    NO_COLOR: '1',
  };
  return new Promise((resolve, reject) => {
    // Jest's JSON goes to the file; what it prints goes to stderr.
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'ignore', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
