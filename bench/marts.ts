/**
 * What gold costs on many users: all models beside the same SQL in DuckDB alone, a new day beside the first
 * run, and `train` beside scikit-learn's solver on the same matrix.
 *
 *     node bench/marts.ts [users, default 10000] [days, default 50]
 *
 * 10,000 users over 50 days are about 5 million plays, 5 GB of disk and half an hour. Processor time counts.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineSession } from '../jobs/engine/index.ts';
import { buildModels } from '../jobs/gold/models.ts';
import { readProject } from '../jobs/gold/project.ts';
import { openFolderLake } from '../jobs/lake/folder/store.ts';
import { latestManifest } from '../jobs/lake/manifest.ts';
import { type Measured, measure, pythonOf, ROOT, ratio, said, say, WORK } from './measure.ts';

const [users = 10_000, days = 50] = process.argv.slice(2).map(Number);
const lake = join(WORK, 'marts-lake');
mkdirSync(WORK, { recursive: true });
rmSync(lake, { recursive: true, force: true });

const events = await generated('events', days, '2026-11-01', 1);
const LENIENT = ['--on-quarantine', 'warn'];
const first = [
  await command('load', events, ...LENIENT),
  await command('transform', ...LENIENT),
  await command('enrich'),
];
const again = await command('enrich', '--rebuild');
const state = (await latestManifest(await openFolderLake(lake)))!.state;
const plays = state.gold.dev!.tables.fct_plays!.rows;
say(`input: ${users.toLocaleString('en')} users, ${plays.toLocaleString('en')} plays\n`);

const byHand = join(WORK, 'models.sql');
writeFileSync(byHand, JSON.stringify(await statements(state.gold.dev!.asOf)));
const bare = await measure(process.execPath, [
  join(ROOT, 'bench/models-by-hand.ts'),
  join(lake, 'lake.duckdb'),
  byHand,
]);
say(`  enrich, all models        ${figures(again)}`);
say(`  the same SQL by hand      ${figures(bare)}`);
ratio('all models against the same SQL in DuckDB alone', again.cpuSeconds / bare.cpuSeconds, 'at most', 2);
ratio('peak memory of enrich, in MiB', again.peakMb, 'at most', 2_048);

const trained = await command('train', '--rebuild');
const python = await pythonOf('bench-sklearn', { 'scikit-learn': '1.7.2', numpy: '2.1.3', duckdb: '1.4.1' });
const solver = await measure(python, [
  join(ROOT, 'bench/sklearn_fit.py'),
  join(lake, 'lake.duckdb'),
  join(WORK, 'fit.txt'),
]);
say(`  train                     ${figures(trained)}`);
say(`  scikit-learn, with reading${figures(solver)}`);
ratio('train against scikit-learn, reading the matrix included', trained.cpuSeconds / solver.cpuSeconds, 'at most', 3);

const nextDay = await generated('next', 1, '2026-11-02', 2);
const next = [
  await command('load', nextDay, ...LENIENT),
  await command('transform', ...LENIENT),
  await command('enrich'),
];
const share = (step: number): number => next[step]!.cpuSeconds / first[step]!.cpuSeconds;
say(`  a new day: load ${share(0).toFixed(2)}, transform ${share(1).toFixed(2)} of the first`);
ratio('all models after one new day, against the first time', share(2), 'at most', 0.15);

mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
writeFileSync(join(ROOT, 'bench/results/marts.txt'), `${said.join('\n')}\n`);
rmSync(lake, { recursive: true, force: true });

function command(...args: string[]): Promise<Measured> {
  return measure(process.execPath, [join(ROOT, 'jobs/cli.ts'), ...args, '--lake', lake, '--quiet']);
}

function figures({ seconds, cpuSeconds, peakMb }: Measured): string {
  return `${cpuSeconds.toFixed(1).padStart(7)} s of processor ${seconds.toFixed(1).padStart(7)} s  peak ${peakMb.toFixed(0)} MiB`;
}

async function generated(name: string, count: number, end: string, seed: number): Promise<string> {
  const folder = join(WORK, `marts-${name}-${users}-${count}`);
  if (existsSync(join(folder, 'done'))) return folder;
  rmSync(folder, { recursive: true, force: true });
  const size = ['--users', `${users}`, '--days', `${count}`, '--tracks', '20000', '--end', end, '--seed', `${seed}`];
  await measure(process.execPath, [join(ROOT, 'jobs/cli.ts'), 'extract', 'events', ...size, '--out', folder]);
  writeFileSync(join(folder, 'done'), '');
  return folder;
}

/** Name and select of each model, in an order in which they can be built, over tables of the same names. */
async function statements(asOf: string): Promise<[name: string, select: string][]> {
  const built: [string, string][] = [];
  const recorder: Partial<EngineSession> = {
    ...{ writer: 'by hand', concurrency: 1 },
    relation: async (schema, table) => (schema === 'run' ? `gold."${table}"` : `lake.${schema}."${table}"`),
    async build({ model, select }) {
      built.push([model, select]);
      return { key: model, bytes: 0, rows: 0, sha256: '' };
    },
  };
  const options = { dialect: 'duckdb', target: 'dev', asOf, state, previous: undefined } as const;
  await buildModels(recorder as EngineSession, readProject(), options);
  return built;
}
