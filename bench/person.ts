/**
 * Part of `make bench`: what a person waits for. Their export as a zip, from `run` to the written report, and
 * a command from its start to its first word.
 *
 *     node bench/person.ts [plays, default 150000]
 *
 * No other tool stands beside it: the README of your_spotify names no time for its import, and what it takes
 * depends on Spotify's Web API, which it asks for each track that it does not know (docs/performance.md).
 */
import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ZipFile } from 'yazl';
import { generateExport } from '../jobs/sources/synthetic/index.ts';
import { sinkInto } from './inputs.ts';
import { measure, ROOT, ratio, say, untilFirstOutput, WORK } from './measure.ts';

const YEARS = 6;
/** The middle one of so many starts. */
const STARTS = 9;

const plays = Number(process.argv[2] ?? 150_000);
const cli = join(ROOT, 'jobs/cli.ts');
const lake = join(WORK, 'person-lake');
mkdirSync(WORK, { recursive: true });
const zip = await makeZip();
rmSync(lake, { recursive: true, force: true });

say(`\na person's zip: ${plays.toLocaleString('en')} plays of ${YEARS} years, ${megabytes(zip).toFixed(1)} MB`);
const whole = await measure(process.execPath, [cli, 'run', zip, '--lake', lake, '--quiet']);
const figures = [`${whole.seconds.toFixed(1)} s`, `${whole.cpuSeconds.toFixed(1)} s of processor`];
say(`  --   run, from the zip to the written report: ${figures.join(', ')}, peak ${whole.peakMb.toFixed(0)} MiB`);
const drawn = await measure(process.execPath, [cli, 'report', '--lake', lake, '--quiet']);
say(`  --   report alone, both pages, with its start and its questions: ${drawn.cpuSeconds.toFixed(1)} s of processor`);
ratio("the person's page, in MB", megabytes(join(lake, 'report/report.html')), 'at most', 3);

const starts: number[] = [];
for (let start = 0; start < STARTS; start += 1) starts.push(await untilFirstOutput(process.execPath, [cli, '--help']));
const middle = starts.sort((a, b) => a - b)[Math.floor(STARTS / 2)]!;
ratio('start of a command to its first output, in processor seconds', middle, 'at most', 0.3);
rmSync(lake, { recursive: true, force: true });

/** The generated export, packed as Spotify sends one; made once. */
async function makeZip(): Promise<string> {
  const [folder, path] = [join(WORK, `person-${plays}`), join(WORK, `person-${plays}.zip`)];
  if (existsSync(path)) return path;
  rmSync(folder, { recursive: true, force: true });
  const what = { seed: 4, tracks: 20_000, end: '2026-11-01', exportPlays: plays, exportYears: YEARS, faults: false };
  await generateExport(what, sinkInto(folder));
  const inside = join(folder, 'export');
  const packed = new ZipFile();
  for (const entry of readdirSync(inside, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile()) packed.addFile(file, relative(inside, file));
  }
  packed.end();
  const stream = packed.outputStream.pipe(createWriteStream(`${path}.unfinished`));
  await once(stream, 'finish');
  renameSync(`${path}.unfinished`, path);
  rmSync(folder, { recursive: true, force: true });
  return path;
}

function megabytes(path: string): number {
  return statSync(path).size / 1e6;
}
