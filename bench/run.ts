/**
 * `make bench`: import to silver, measured against bare DuckDB, parquetjs-lite and pandas on the same files, in one run.
 * Only ratios mean anything: machines differ, and this one may be busy. Each contender is a process of its own, started from nothing, and runs
 * RUNS times in turn with the others (so that a busy minute hits all); the median counts.
 *
 *     node bench/run.ts [plays, default 500000] [--once] [--growth]      --growth adds 0.1, 1 and 5 million plays (about 3.5 GB of disk, 5 minutes)
 */
import { spawn } from 'node:child_process';
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
import { cpus, homedir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileSink, generateExport, generatePolls } from '../jobs/sources/synthetic/index.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'listenlake');
const WORK = join(CACHE, 'bench');
/** How often each contender runs; `--once` for a quick look. */
const RUNS = process.argv.includes('--once') ? 1 : 3;

interface Measured {
  seconds: number;
  peakMb: number;
}

const plays = Number(process.argv.slice(2).find((arg) => /^\d+$/.test(arg)) ?? 500_000);
const isGrowthWanted = process.argv.includes('--growth');
mkdirSync(WORK, { recursive: true });
const out: string[] = [];
say(
  `machine: ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.versions.node}`,
);

const source = await makeExport('base', 1, plays);
const sourceMb = folderBytes(source) / 1024 ** 2;
say(
  `input: ${plays.toLocaleString('en')} plays, ${sourceMb.toFixed(0)} MiB of JSON in ${readdirSync(source).length} files\n`,
);

const contenders: Record<string, () => Promise<Measured>> = {
  listenlake: () => importFresh(source),
  duckdb: () => measure(process.execPath, [join(ROOT, 'bench/bare-duckdb.ts'), source, join(WORK, 'duckdb.parquet')]),
  pandas: await pandasContender(source),
};
const times: Record<string, Measured[]> = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
for (let run = 0; run < RUNS; run += 1) {
  for (const [name, contender] of Object.entries(contenders)) times[name]!.push(await contender());
}
// Much slower than the rest: once is enough to know by how much.
times['parquetjs-lite'] = [
  await measure(process.execPath, [join(ROOT, 'bench/parquetjs.ts'), source, join(WORK, 'parquetjs.parquet')]),
];
const median = Object.fromEntries(Object.entries(times).map(([name, runs]) => [name, middle(runs)]));
const ours = median.listenlake!;
for (const [name, { seconds, peakMb }] of Object.entries(median)) {
  say(`  ${name.padEnd(16)} ${seconds.toFixed(1).padStart(7)} s  peak ${peakMb.toFixed(0).padStart(6)} MiB`);
}
const silverBytes = folderBytes(join(WORK, 'lake/silver/plays'));
const parquetjsBytes = statSync(join(WORK, 'parquetjs.parquet')).size;

say('\nratios');
ratio('speed against bare DuckDB (read_json to COPY parquet)', median.duckdb!.seconds / ours.seconds, 'at least', 0.5);
ratio(
  'speed against parquetjs-lite (parse, append, close)',
  median['parquetjs-lite']!.seconds / ours.seconds,
  'at least',
  10,
);
ratio('speed against pandas (read_json, concat, to_parquet)', median.pandas!.seconds / ours.seconds, 'at least', 5);
ratio('size of silver against what parquetjs-lite writes', silverBytes / parquetjsBytes, 'at most', 0.25);

const addition = await makeExport('addition', 2, Math.round(plays / 100));
const again = await importInto(addition);
ratio('second run with one new file of 1 % against the first', again.seconds / ours.seconds, 'at most', 0.1);

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

if (isGrowthWanted) {
  say('\ngrowth (import to silver)');
  for (const size of [100_000, 1_000_000, 5_000_000]) {
    const { seconds, peakMb } = await importFresh(await makeExport(`growth-${size}`, 3, size));
    say(
      `  ${size.toLocaleString('en').padStart(10)} plays ${seconds.toFixed(1).padStart(7)} s  ${((seconds * 1e6) / size).toFixed(1)} s a million  peak ${peakMb.toFixed(0)} MiB`,
    );
  }
}
mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
writeFileSync(join(ROOT, 'bench/results/latest.txt'), `${out.join('\n')}\n`);
rmSync(join(WORK, 'lake'), { recursive: true, force: true });

async function importFresh(from: string): Promise<Measured> {
  rmSync(join(WORK, 'lake'), { recursive: true, force: true });
  return importInto(from);
}

/** Both commands that bring a file to silver, as a person would type them: start-up included, peak of the larger. */
async function importInto(from: string): Promise<Measured> {
  const cli = join(ROOT, 'jobs/cli.ts');
  const load = await measure(process.execPath, [cli, 'load', from, '--lake', join(WORK, 'lake'), '--quiet']);
  const transform = await measure(process.execPath, [cli, 'transform', '--lake', join(WORK, 'lake'), '--quiet']);
  return { seconds: load.seconds + transform.seconds, peakMb: Math.max(load.peakMb, transform.peakMb) };
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

function sinkInto(folder: string): FileSink {
  return {
    async open(file) {
      const path = join(folder, file);
      mkdirSync(dirname(path), { recursive: true });
      const stream = createWriteStream(path);
      return {
        async write(chunk) {
          if (!stream.write(chunk)) await once(stream, 'drain');
        },
        async close() {
          stream.end();
          await once(stream, 'finish');
        },
      };
    },
  };
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

async function pandasContender(from: string): Promise<() => Promise<Measured>> {
  const venv = join(CACHE, 'bench-venv');
  const python = join(venv, 'bin/python');
  if (!existsSync(join(venv, 'done'))) {
    await measure('python3', ['-m', 'venv', venv]);
    await measure(python, [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      'pandas==2.2.3',
      'pyarrow==18.1.0',
      'numpy==2.1.3',
    ]);
    writeFileSync(join(venv, 'done'), '');
  }
  return () => measure(python, [join(ROOT, 'bench/pandas_import.py'), from, join(WORK, 'pandas.parquet')]);
}

/** Runs a process to its end. @throws Error when it fails: a contender that did not do the work has no time */
async function measure(program: string, args: string[]): Promise<Measured> {
  const started = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let peakMb = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peakMb = Math.max(peakMb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // it has just ended, or this system has no /proc: no peak then
    }
  }, 20);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`);
  return { seconds: (performance.now() - started) / 1000, peakMb };
}

function middle(runs: Measured[]): Measured {
  return [...runs].sort((a, b) => a.seconds - b.seconds)[Math.floor(runs.length / 2)]!;
}

function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

function ratio(what: string, value: number, bound: 'at least' | 'at most', goal: number): void {
  const isMet = bound === 'at least' ? value >= goal : value <= goal;
  say(`  ${isMet ? 'ok  ' : 'MISS'} ${what}: ${value.toFixed(value < 1 ? 3 : 1)} (goal: ${bound} ${goal})`);
}

function say(line: string): void {
  out.push(line);
  process.stdout.write(`${line}\n`);
}
