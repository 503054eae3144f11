import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIntoFolder } from '../jobs/extract-events.ts';
import { finished, listenlake, start } from './command-line.ts';
import { fingerprint, type TableFingerprint } from './lake-tables.ts';

/** Kills at this many points, spread over the whole run by a fixed sequence; two at a time. */
const POINTS = 50;
const AT_ONCE = 2;

let folder: string;
let source: string;
let undisturbed: Record<string, TableFingerprint>;
let runMs: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-kill-'));
  source = join(folder, 'source');
  await generateIntoFolder(
    { seed: 3, users: 4, days: 4, tracks: 150, end: '2026-11-01', exportPlays: 900, exportYears: 2, faults: true },
    source,
  );
  // Once to warm the compile cache, once to know how long it takes.
  await listenlake(['run', source, '--lake', join(folder, 'warm'), '--on-quarantine', 'warn', '--no-report']);
  const started = performance.now();
  const run = await listenlake([
    'run',
    source,
    '--lake',
    join(folder, 'undisturbed'),
    '--on-quarantine',
    'warn',
    '--no-report',
  ]);
  runMs = performance.now() - started;
  expect([run.code, run.stderr]).toEqual([0, '']);
  undisturbed = await fingerprint(join(folder, 'undisturbed'));
  expect(undisturbed['gold_prod.fct_plays']!.rows).toBeGreaterThan(1000);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it(`F36, F37: kill -9 at ${POINTS} points, then run again: the tables of an undisturbed run`, async () => {
  let next = 0;
  let killed = 0;
  const worker = async (): Promise<void> => {
    while (next < POINTS) {
      const point = next;
      next += 1;
      const lake = join(folder, `killed-${point}`);
      // A golden-ratio sequence: spread evenly over the run, different every time, the same on every machine.
      const share = (0.5 + point * 0.618_033_988_749_895) % 1;
      const child = start(['run', source, '--lake', lake, '--on-quarantine', 'warn', '--no-report']);
      const started = performance.now();
      const timer = setTimeout(() => child.kill('SIGKILL'), share * runMs * 1.1);
      const first = await finished(child);
      clearTimeout(timer);
      if (first.signal === 'SIGKILL') killed += 1;
      else {
        expect([point, first.code]).toEqual([point, 0]);
        // It was faster than the one that was timed, as it may be where other work has ended: the next kills come sooner.
        runMs = Math.min(runMs, performance.now() - started);
      }
      const second = await listenlake(['run', source, '--lake', lake, '--on-quarantine', 'warn', '--no-report']);
      expect([point, second.code, second.stderr]).toEqual([point, 0, '']);
      expect([point, await fingerprint(lake)]).toEqual([point, undisturbed]);
      await rm(lake, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(killed).toBeGreaterThan(POINTS / 2);
}, 900_000);

it('F38: SIGTERM ends at a whole step with 75, gives the lease back, and the next run goes on', async () => {
  const lake = join(folder, 'terminated');
  const child = start(['run', source, '--lake', lake, '--on-quarantine', 'warn', '--no-report']);
  // By what it has done and not by time: after its second commit, and not its last.
  const watch = setInterval(() => {
    if (!existsSync(join(lake, 'manifests')) || readdirSync(join(lake, 'manifests')).length < 2) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  }, 1);
  const first = await finished(child);
  clearInterval(watch);
  expect([first.code, first.stderr]).toEqual([75, expect.stringContaining('stopped by a signal')]);
  const second = await listenlake(['run', source, '--lake', lake, '--on-quarantine', 'warn', '--no-report']);
  expect(second.code).toBe(0);
  expect(await fingerprint(lake)).toEqual(undisturbed);
});

it('a lake that was moved answers from its new place', async () => {
  const moved = join(folder, 'moved');
  await cp(join(folder, 'undisturbed'), moved, { recursive: true });
  await rm(join(folder, 'undisturbed'), { recursive: true, force: true });
  const answer = await listenlake([
    'sql',
    '--lake',
    moved,
    '--target',
    'prod',
    '--json',
    'select count(*) as n from fct_plays',
  ]);
  expect(JSON.parse(answer.stdout)).toEqual([{ n: undisturbed['gold_prod.fct_plays']!.rows }]);
  expect(await fingerprint(moved)).toEqual(undisturbed);
});
