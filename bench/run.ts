/**
 * `make bench`: what listenlake costs beside the tools that people would use instead, on the same files, in
 * one run. Only ratios mean anything: machines differ, and this one may be busy. Each contender is a process
 * of its own, started from nothing. They take turns, RUNS times, so that a busy minute hits all; the median
 * counts.
 *
 *     node bench/run.ts [plays, default 500000] [--once] [--short] [--growth]
 *
 * `--once` measures each once, `--short` leaves out the one large file and the recorded polls (4 GB of disk).
 * `--growth` adds 0.1, 1 and 5 million plays (about 3.5 GB of disk, 5 minutes). docs/performance.md explains
 * the goals.
 */
import { once } from 'node:events';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { generateExport, generatePolls } from '../jobs/sources/synthetic/index.ts';
import { enlarge, measureDashboard, measurePaint } from './dashboard.ts';
import { compareExports } from './exports.ts';
import { sinkInto } from './inputs.ts';
import { folderBytes, type Measured, measure, pythonOf, ROOT, ratio, said, say, WORK } from './measure.ts';

/** How often each contender runs; `--once` for a quick look. */
const RUNS = process.argv.includes('--once') ? 1 : 3;

const plays = Number(process.argv.slice(2).find((arg) => /^\d+$/.test(arg)) ?? 500_000);
const isGrowthWanted = process.argv.includes('--growth');
mkdirSync(WORK, { recursive: true });
say(
  `machine: ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.versions.node}`,
);

const source = await makeExport('base', 1, plays);
const sourceMb = folderBytes(source) / 1024 ** 2;
say(
  `input: ${plays.toLocaleString('en')} plays, ${sourceMb.toFixed(0)} MiB of JSON in ${readdirSync(source).length} files\n`,
);

const python = await pythonOf('bench-venv', {
  ...{ pandas: '2.2.3', pyarrow: '18.1.0', numpy: '2.1.3', polars: '2.1.0' },
  'dlt[filesystem,parquet]': '1.31.0',
});
const script = (name: string): string => join(ROOT, 'bench', name);
const contenders: Record<string, () => Promise<Measured>> = {
  listenlake: () => importFresh(source),
  'bare DuckDB': () => measure(process.execPath, [script('bare-duckdb.ts'), source, join(WORK, 'duckdb.parquet')]),
  Polars: () => measure(python, [script('polars_import.py'), source, join(WORK, 'polars.parquet')]),
  pandas: () => measure(python, [script('pandas_import.py'), source, join(WORK, 'pandas.parquet')]),
  'listenlake run': () => runFresh(source),
};
const times: Record<string, Measured[]> = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
for (let run = 0; run < RUNS; run += 1) {
  for (const [name, contender] of Object.entries(contenders)) times[name]!.push(await contender());
}
// Much slower than the rest: once is enough to know by how much.
rmSync(join(WORK, 'dlt'), { recursive: true, force: true });
times.dlt = [await measure(python, [script('dlt_import.py'), source, join(WORK, 'dlt')])];
times['parquetjs-lite'] = [
  await measure(process.execPath, [script('parquetjs.ts'), source, join(WORK, 'parquetjs.parquet')]),
];
const median = Object.fromEntries(Object.entries(times).map(([name, runs]) => [name, middle(runs)]));
const [ours, bare, whole] = [median.listenlake!, median['bare DuckDB']!, median['listenlake run']!];
for (const [name, { seconds, cpuSeconds, peakMb }] of Object.entries(median)) {
  const figures = [`${seconds.toFixed(1).padStart(7)} s`, `${cpuSeconds.toFixed(1).padStart(7)} s of processor`];
  say(`  ${name.padEnd(16)} ${figures.join('  ')}  peak ${peakMb.toFixed(0).padStart(6)} MiB`);
}

say('\nratios, by wall time');
const speedOf = (name: string): number => median[name]!.seconds / ours.seconds;
ratio('import: speed against bare DuckDB (read_json to COPY parquet)', speedOf('bare DuckDB'), 'at least', 0.65);
ratio('import: speed against dlt (JSON to Parquet on a folder)', speedOf('dlt'), 'at least', 7);
ratio('import: speed against parquetjs-lite (parse, append, close)', speedOf('parquetjs-lite'), 'at least', 5);
say(`  --   import: speed against Polars: ${speedOf('Polars').toFixed(2)}, pandas: ${speedOf('pandas').toFixed(2)}`);
ratio('run, files to prod and report, in imports of bare DuckDB', whole.seconds / bare.seconds, 'at most', 3.5);
await importFresh(source);
const silverBytes = folderBytes(join(WORK, 'lake/silver/plays'));
const parquetjsBytes = statSync(join(WORK, 'parquetjs.parquet')).size;
ratio('size of silver.plays against what parquetjs-lite writes', silverBytes / parquetjsBytes, 'at most', 0.25);

await compareExports(join(WORK, 'lake'), RUNS);

const addition = await makeExport('addition', 2, Math.round(plays / 100));
const again = await importInto(addition);
ratio('import of one new file of 1 %, against the first import', again.seconds / ours.seconds, 'at most', 0.1);
await runFresh(source);
await benchDashboard();
const runAgain = await runInto(addition);
ratio('run with one new file of 1 %, against the first run', runAgain.seconds / whole.seconds, 'at most', 0.3);

if (!process.argv.includes('--short')) {
  const big = await makeSingleFile(600 * 1024 ** 2);
  const bigRun = await importFresh(big);
  ratio(
    `peak memory on one file of ${(statSync(join(big, readdirSync(big)[0]!)).size / 1024 ** 2).toFixed(0)} MiB, in MiB`,
    bigRun.peakMb,
    'at most',
    512,
  );

  const polls = await makePolls(31_610);
  const pollsMb = folderBytes(polls) / 1024 ** 2;
  const pollsRun = await importFresh(polls);
  ratio(
    `31,610 recorded polls (${pollsMb.toFixed(0)} MiB in ${pollsRun.seconds.toFixed(0)} s) against the same bytes of an export`,
    pollsRun.seconds / pollsMb / (ours.seconds / sourceMb),
    'at most',
    3,
  );
  ratio('peak memory on them, in MiB', pollsRun.peakMb, 'at most', 512);
}

if (isGrowthWanted) {
  say('\ngrowth (import to silver)');
  const sizes = [100_000, 1_000_000, 5_000_000];
  const grown: number[] = [];
  for (const size of sizes) {
    const { seconds, peakMb } = await importFresh(await makeExport(`growth-${size}`, 3, size));
    grown.push(seconds);
    const each = `${((seconds * 1e6) / size).toFixed(1)} s a million`;
    const figures = [`${seconds.toFixed(1).padStart(7)} s`, each, `peak ${peakMb.toFixed(0)} MiB`];
    say(`  ${size.toLocaleString('en').padStart(10)} plays ${figures.join('  ')}`);
  }
  const exponent = Math.log(grown.at(-1)! / grown[0]!) / Math.log(sizes.at(-1)! / sizes[0]!);
  say(`  time grows with the number of plays to the power of ${exponent.toFixed(2)}`);
}
mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
writeFileSync(join(ROOT, 'bench/results/latest.txt'), `${said.join('\n')}\n`);
rmSync(join(WORK, 'lake'), { recursive: true, force: true });

/** Filters of one person and of everybody among five million plays, and what comes to a browser. */
async function benchDashboard(): Promise<void> {
  const program = [join(ROOT, 'jobs/cli.ts')];
  const lake = join(WORK, 'lake');
  const paint = await measurePaint(program, lake);
  if (paint === undefined) say('  dashboard, largest contentful paint: not measured, there is no Chromium');
  else {
    ratio('dashboard, largest contentful paint, in seconds', paint.seconds, 'at most', 1);
    ratio('dashboard, all of a page, in kB', paint.bytes / 1000, 'at most', 500);
  }
  const big = join(WORK, 'lake-5-million');
  const people = await enlarge(lake, big, 5_000_000);
  for (const [whose, person] of [
    [`one of ${people.length} people`, people.at(-1)!],
    ['everybody', '*'],
  ] as const) {
    const found = await measureDashboard(program, big, person);
    ratio(`dashboard at 5 million plays, a new filter of ${whose}, in seconds`, found.filtered, 'at most', 0.2);
    say(`       ${found.filteredCpu.toFixed(2)} processor seconds; made before: ${found.kept.toFixed(3)} s`);
  }
  rmSync(big, { recursive: true, force: true });
}

async function importFresh(from: string): Promise<Measured> {
  rmSync(join(WORK, 'lake'), { recursive: true, force: true });
  return importInto(from);
}

/**
 * Both commands that bring a file to silver, as a person would type them: start-up included, peak of the
 * larger.
 */
async function importInto(from: string): Promise<Measured> {
  const load = await command('load', from);
  const transform = await command('transform');
  return {
    seconds: load.seconds + transform.seconds,
    cpuSeconds: load.cpuSeconds + transform.cpuSeconds,
    peakMb: Math.max(load.peakMb, transform.peakMb),
  };
}

async function runFresh(from: string): Promise<Measured> {
  rmSync(join(WORK, 'lake'), { recursive: true, force: true });
  return runInto(from);
}

/** Everything, from files to tables of prod and the report. */
function runInto(from: string): Promise<Measured> {
  return command('run', from);
}

function command(...args: string[]): Promise<Measured> {
  return measure(process.execPath, [join(ROOT, 'jobs/cli.ts'), ...args, '--lake', join(WORK, 'lake'), '--quiet']);
}

async function makeExport(name: string, seed: number, count: number): Promise<string> {
  const folder = join(WORK, `${name}-${count}`);
  const inner = join(folder, 'export', 'Spotify Extended Streaming History');
  if (existsSync(join(folder, 'done'))) return inner;
  rmSync(folder, { recursive: true, force: true });
  await generateExport(
    {
      seed,
      tracks: 20_000,
      end: '2026-11-01',
      exportPlays: count,
      exportYears: name === 'addition' ? 1 : 6,
      faults: false,
    },
    sinkInto(folder),
  );
  rmSync(join(folder, 'export', 'Spotify Account Data'), { recursive: true, force: true });
  // The addition is one file, as a next export's last one is.
  if (name === 'addition') for (const extra of readdirSync(inner).sort().slice(1)) rmSync(join(inner, extra));
  writeFileSync(join(folder, 'done'), '');
  return inner;
}

/** Somebody's recorded polls of recently played, one every ten minutes. */
async function makePolls(count: number): Promise<string> {
  const folder = join(WORK, `polls-${count}`);
  if (!existsSync(`${folder}.done`)) {
    rmSync(folder, { recursive: true, force: true });
    await generatePolls({ seed: 1, tracks: 5_000, end: '2026-11-01', polls: count }, sinkInto(folder));
    writeFileSync(`${folder}.done`, '');
  }
  return folder;
}

/** Every row of the base export, repeated with other times, in one array of at least `bytes`. */
async function makeSingleFile(bytes: number): Promise<string> {
  const folder = join(WORK, `single-${bytes}`);
  const path = join(folder, 'Streaming_History_Audio_2014-2026_0.json');
  if (!existsSync(`${folder}.done`)) {
    mkdirSync(folder, { recursive: true });
    const stream = createWriteStream(path);
    let written = 0;
    for (let shift = 0; written < bytes; shift += 1) {
      for (const file of readdirSync(source).sort()) {
        if (written >= bytes) break;
        const body = readFileSync(join(source, file), 'utf8').trim().slice(1, -1);
        const moved = body.replaceAll(
          /"ts":\s*"20(\d\d)-/g,
          (_match, year: string) => `"ts":"20${String(Number(year) - 8 * shift).padStart(2, '0')}-`,
        );
        if (!stream.write(`${written === 0 ? '[' : ','}${moved}`)) await once(stream, 'drain');
        written += moved.length;
      }
    }
    stream.end(']');
    await once(stream, 'finish');
    writeFileSync(`${folder}.done`, '');
  }
  return folder;
}

function middle(runs: Measured[]): Measured {
  return [...runs].sort((a, b) => a.seconds - b.seconds)[Math.floor(runs.length / 2)]!;
}
