/**
 * `make test`: every layer with its name and time, then the slowest files, what was left out and why, what
 * failed, and `N passed, N failed`.
 *
 *     node tests/run.ts [layer ...]        all layers but `soak`, or the named ones
 *
 * Three lanes run side by side, each of them one layer after the other: layers that compute, layers that
 * mostly wait for servers that they start (moto, Trino), and layers that mostly wait for containers (Docker,
 * Airflow, a cluster). What a layer prints is shown when it ends.
 *
 * A file with a failed test is run once more, alone, when all else has ended. What passes then is told as
 * `unsteady`: it fails only beside others, or only now and then, and somebody has to mend it; it holds nobody
 * up. Where more than a few files have failed there is no second try.
 *
 * A layer that cannot run here says why through LISTENLAKE_SKIPS; under CI=true that counts as a failure, but
 * for the names in LISTENLAKE_TEST_WITHOUT (comma-separated): what a place can never have, such as files that
 * nobody may publish.
 */
import { spawn } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { REGION } from './aws/local.ts';
import { startSharedAws } from './aws/shared.ts';
import type { LeftOut } from './fixtures/layers.ts';

interface Layer {
  name: string;
  about: string;
  /** Commands that must exit 0. */
  commands?: string[][];
  /** Folders of `tests/` whose test files are the layer; each folder is in one layer. */
  folders?: string[];
  /** Patterns of test files instead, where they are some of several folders. */
  tests?: string[];
  /** What it runs beside; left out: the layers that compute in processes of their own. */
  lane?: 'servers' | 'containers';
  /** Its files share one moto and one Trino (`aws/shared.ts`), each with buckets and databases of its own. */
  isOnAws?: boolean;
  /** Only where it is named: the same tests with far more kills, faults and polls. */
  isSoak?: boolean;
}

/** What a layer has come to. */
interface Outcome {
  passed: number;
  failed: number;
  /** File and name of each test that failed. */
  failures: string[];
  /** The layer, where its tests are in files. */
  layer?: Layer;
  /** Files with a failed test, by their paths. */
  failedFiles: string[];
  /** Seconds that each test file took. */
  files: { file: string; seconds: number }[];
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BIN = join(ROOT, 'node_modules/.bin');
/** What the lakes of all tests at one time take is far below it. */
const MEMORY_MIN_BYTES = 4 * 1024 ** 3;

/** More failed files than these are no matter of chance. */
const AGAIN_FILES_MAX = 3;

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
    about: 'ground, store, formats, sources, documents, manifests',
    folders: ['base', 'lake', 'formats', 'sources', 'project', 'manifests'],
  },
  {
    name: 'jobs',
    about: 'each job on real folders and the real engine',
    folders: ['bronze', 'silver', 'engine', 'gold', 'report', 'profile', 'serve', 'removal', 'commands'],
  },
  {
    name: 'models',
    about: 'rows in, rows out for every gold model; every SQL text in the grammar of both engines',
    folders: ['models'],
  },
  {
    name: 'oracle',
    about: 'dbt builds the same gold tables',
    folders: ['oracle'],
    lane: 'servers',
  },
  {
    name: 'pipeline',
    about: 'the command line end to end, kills, order of files',
    folders: ['pipeline'],
  },
  {
    name: 'trust',
    about: 'no mix for readers, no leak, no file that stops a lake, lakes of older versions',
    folders: ['trust'],
  },
  {
    name: 'faults',
    about: 'system calls that fail in every command; readers beside runs that compete',
    folders: ['faults'],
  },
  { name: 'real-data', about: 'every folder of real files accounted for', folders: ['real-data'] },
  { name: 'spotify', about: 'login and capture against a stub of the Web API', folders: ['spotify'] },
  {
    name: 'terraform',
    about: 'format, validation, policies offline, checkov, apply on moto',
    folders: ['terraform'],
    lane: 'servers',
  },
  {
    name: 'aws',
    about: 'the ports on S3, Athena, Glue, the functions: moto, a real Trino, the emulator of Lambda',
    folders: ['aws', 'serverless'],
    isOnAws: true,
    lane: 'servers',
  },
  {
    name: 'stream',
    about: 'a real Kafka: seeded histories of kills, full disks and rebalances; the rows of the faults',
    folders: ['stream'],
    lane: 'servers',
  },
  {
    name: 'image',
    about: 'the image of the jobs, run as jobs run in it',
    folders: ['image'],
    lane: 'containers',
  },
  {
    name: 'airflow',
    about: 'the DAGs on a real Airflow, their jobs as containers',
    folders: ['airflow'],
    lane: 'containers',
  },
  {
    name: 'parity',
    about: 'one lake in a folder, one on S3: both engines say the same of every table and question',
    folders: ['parity'],
    isOnAws: true,
    lane: 'servers',
  },
  {
    name: 'kubernetes',
    about: 'the manifests and the daily DAG on a real cluster',
    folders: ['kubernetes'],
    isOnAws: true,
    lane: 'containers',
  },
  {
    name: 'soak',
    about: 'hundreds of kills and of failing system calls, tens of thousands of polls and of refused files',
    tests: ['/(kill|faults|readers|history|load-(hostile|field-inputs)|transform-(staging|purity))\\.test\\.ts$'],
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
const memory = memoryFolder();
// Memory that nobody gives back stays taken, also where the run is interrupted.
process.on('exit', () => {
  for (const path of [work, memory]) if (path !== undefined) rmSync(path, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
const skipsFile = join(work, 'skips.txt');
const isCi = process.env.CI === 'true';

const isWanted = ({ name, isSoak = false }: Layer): boolean => (wanted.length === 0 ? !isSoak : wanted.includes(name));
const lanes = (['containers', 'servers', undefined] as const).map((lane) =>
  LAYERS.filter((layer) => isWanted(layer) && layer.lane === lane),
);
// Trino takes a while to start: it does so beside the layers that come before those that ask it.
let aws = LAYERS.some((layer) => isWanted(layer) && layer.isOnAws) ? startSharedAws(REGION) : undefined;
aws?.catch(() => undefined); // told where it is awaited
const outcomes = (await Promise.all(lanes.map(runInOrder))).flat();
const unsteady = await runFailedAgain(outcomes);
await (await aws?.catch(() => undefined))?.close();
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
let failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);

const slowest = outcomes.flatMap(({ files }) => files).toSorted((a, b) => b.seconds - a.seconds);
if (slowest.length > 0) {
  process.stdout.write('\nslowest files:\n');
  for (const { file, seconds } of slowest.slice(0, 10))
    process.stdout.write(`  ${seconds.toFixed(0).padStart(4)} s  ${file}\n`);
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
if (unsteady.length > 0)
  process.stdout.write(`\nunsteady (failed once, passed alone):\n${unsteady.map((each) => `  ${each}\n`).join('')}`);
const failures = outcomes.flatMap((outcome) => outcome.failures);
if (failures.length > 0) process.stdout.write(`\nfailed:\n${failures.map((each) => `  ${each}\n`).join('')}`);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

/** What a layer's processes find in their environment, beside what all find. */
async function environmentOf({ isSoak, lane, isOnAws }: Layer): Promise<Record<string, string>> {
  // Where this machine lacks a part, or it does not start, each file tries for itself, and says what it
  // leaves out.
  const shared = isOnAws ? await aws?.catch(() => undefined) : undefined;
  return {
    ...(isSoak ? { LISTENLAKE_TEST_SOAK: '1' } : {}),
    // Containers share folders with this machine, and may not see its memory.
    ...(memory === undefined || lane === 'containers' ? {} : { TMPDIR: memory }),
    ...shared?.environment,
  };
}

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

/**
 * A new folder in the memory of this machine for the lakes of the tests: each commit waits for `fsync`, which
 * took a third of the time of a small load and transform on a disk. Undefined where TMPDIR is given, where
 * there is no such place with room for all of them, or where no program may be started from it, as in a
 * container.
 */
function memoryFolder(): string | undefined {
  const place = '/dev/shm';
  if (process.env.TMPDIR || !existsSync(place)) return undefined;
  const { bavail, bsize } = statfsSync(place);
  const mount = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[1] === place);
  const isTmpfs = mount?.split(' ')[2] === 'tmpfs' && !mount.split(' ')[3]!.split(',').includes('noexec');
  if (!isTmpfs || bavail * bsize < MEMORY_MIN_BYTES) return undefined;
  try {
    accessSync(place, constants.W_OK);
  } catch {
    return undefined;
  }
  return mkdtempSync(join(place, 'listenlake-tests-'));
}

async function runInOrder(layers: readonly Layer[]): Promise<Outcome[]> {
  const results: Outcome[] = [];
  for (const layer of layers) {
    const started = performance.now();
    const printed = join(work, `${layer.name}.txt`);
    process.stdout.write(`-- ${layer.name} begins\n`);
    const outcome = layer.commands ? await runCommands(layer, printed) : await runJest(layer, printed);
    results.push(outcome);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    const text = existsSync(printed) ? readFileSync(printed, 'utf8') : '';
    process.stdout.write(
      `\n== ${layer.name}: ${layer.about}\n${text}` +
        `== ${layer.name}: ${outcome.passed} passed, ${outcome.failed} failed in ${seconds} s\n`,
    );
  }
  return results;
}

async function runCommands({ commands = [] }: Layer, printed: string): Promise<Outcome> {
  const failures: string[] = [];
  for (const [program, ...args] of commands)
    if ((await run(program!, args, printed)) !== 0) failures.push([program!.split('/').at(-1), ...args].join(' '));
  const passed = commands.length - failures.length;
  return { passed, failed: failures.length, failures, failedFiles: [], files: [] };
}

/**
 * Gives each of a few failed files a second try, and corrects the outcomes. @returns the tests that passed
 * then
 */
async function runFailedAgain(first: readonly Outcome[]): Promise<string[]> {
  const broken = first.filter(({ failedFiles }) => failedFiles.length > 0);
  if (broken.flatMap(({ failedFiles }) => failedFiles).length > AGAIN_FILES_MAX) return [];
  const passedNow: string[] = [];
  // What the first try has made in moto would fail a second one.
  if (broken.some(({ layer }) => layer?.isOnAws)) {
    await (await aws?.catch(() => undefined))?.close();
    aws = startSharedAws(REGION);
    aws.catch(() => undefined); // told where it is awaited
  }
  for (const outcome of broken) {
    const layer = outcome.layer!;
    const printed = join(work, `${layer.name}-again.txt`);
    process.stdout.write(`\n== ${layer.name}, once more: ${outcome.failedFiles.join(', ')}\n`);
    const second = await runJest(layer, printed, outcome.failedFiles);
    process.stdout.write(existsSync(printed) ? readFileSync(printed, 'utf8') : '');
    const mended = outcome.failures.filter((each) => !second.failures.includes(each));
    if (second.failed > 0 && second.failures.length === 0) continue; // it did not even begin
    passedNow.push(...mended);
    outcome.passed += outcome.failed - second.failed;
    outcome.failed = second.failed;
    outcome.failures = second.failures;
  }
  return passedNow;
}

/** What Jest writes of a run (https://jestjs.io/docs/cli#--json), as far as it is read here. */
interface JestReport {
  numPassedTests: number;
  numFailedTests: number;
  numFailedTestSuites: number;
  testResults: {
    name: string;
    startTime: number;
    endTime: number;
    status: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

/** @param only these files alone, by their paths; undefined: all of the layer */
async function runJest(layer: Layer, printed: string, only?: readonly string[]): Promise<Outcome> {
  const { name, folders = [], tests = [] } = layer;
  const report = join(work, only === undefined ? `${name}.json` : `${name}-again.json`);
  const args = [
    ...['--disable-warning=ExperimentalWarning', '--experimental-vm-modules'],
    join(ROOT, 'node_modules/jest/bin/jest.js'),
    ...[
      '--cacheDirectory',
      join(tmpdir(), 'listenlake-jest'),
      '--rootDir',
      ROOT,
      // A snapshot that is not there is a failure, and not written.
      '--ci',
      '--json',
      '--outputFile',
      report,
      '--maxWorkers=2',
      '--silent=false',
    ],
    ...(only === undefined
      ? [...folders.map((folder) => `/tests/${folder}/[^/]+$`), ...tests]
      : ['--runTestsByPath', ...only]),
  ];
  const code = await run(process.execPath, args, printed, await environmentOf(layer));
  if (!existsSync(report))
    return { passed: 0, failed: 1, failures: [`${name}: Jest wrote no report`], failedFiles: [], files: [] };
  const result = JSON.parse(readFileSync(report, 'utf8')) as JestReport;
  const failures = result.testResults.flatMap(({ name: file, status, assertionResults }) => {
    const names = assertionResults.filter((each) => each.status === 'failed').map(({ fullName }) => fullName);
    const where = relative(ROOT, file);
    return names.length === 0 && status === 'failed' ? [where] : names.map((each) => `${where}: ${each}`);
  });
  return {
    passed: result.numPassedTests,
    // A file that does not load has no tests, and an exit code without a failed test is a failure too.
    failed: Math.max(result.numFailedTests, result.numFailedTestSuites, code === 0 ? 0 : 1),
    failures,
    layer,
    failedFiles: result.testResults.filter(({ status }) => status === 'failed').map(({ name: file }) => file),
    files: result.testResults.map(({ name: file, startTime, endTime }) => ({
      file: relative(ROOT, file),
      seconds: (endTime - startTime) / 1000,
    })),
  };
}

/** The exit code of a program; what it prints goes to the end of the file `printed`. */
function run(
  program: string,
  args: string[],
  printed: string,
  environment: Record<string, string> = {},
): Promise<number> {
  mkdirSync(work, { recursive: true });
  const env = {
    ...process.env,
    ...environment,
    PATH: `${BIN}${delimiter}${process.env.PATH ?? ''}`,
    LISTENLAKE_SKIPS: skipsFile,
    NO_COLOR: '1',
  };
  return new Promise((resolve, reject) => {
    const output = openSync(printed, 'a');
    // Jest's JSON goes to the file; what it prints goes to stderr. Types and lint are told on stdout.
    const isJest = program === process.execPath;
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', isJest ? 'ignore' : output, output] });
    closeSync(output);
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
