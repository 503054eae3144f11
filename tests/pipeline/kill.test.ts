import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { type Finished, finished, listenlake, start } from '../fixtures/command-line.ts';
import { committedVersions, watchLake } from '../fixtures/lake-reader.ts';
import { fingerprint, type TableFingerprint } from '../fixtures/lake-tables.ts';
import { IS_SOAK } from '../fixtures/layers.ts';

/** Lakes, two at a time, and how often each is killed before it may end: 20 kills, and 200 in `make soak`. */
const LAKES = IS_SOAK ? 40 : 4;
const KILLS_EACH = 5;
const POINTS = LAKES * KILLS_EACH;
const AT_ONCE = 2;

let folder: string;
let source: string;
let undisturbed: Record<string, TableFingerprint>;
let undisturbedPage: string;
/** Milliseconds from the start of an undisturbed run to each of its commits, and to its end. */
let momentsMs: number[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-kill-'));
  source = join(folder, 'source');
  await generateIntoFolder(
    { seed: 3, users: 4, days: 4, tracks: 150, end: '2026-11-01', exportPlays: 900, exportYears: 2, faults: true },
    source,
  );
  const whole = (name: string): Promise<Finished> =>
    listenlake(['run', source, '--lake', join(folder, name), '--on-quarantine', 'warn']);
  // Once to warm the compile cache, once to know how long it takes: with another one beside it, as those that
  // are killed have.
  await whole('warm');
  const started = Date.now();
  let ended = started;
  const timed = whole('undisturbed').finally(() => {
    ended = Date.now();
  });
  const [run] = await Promise.all([timed, whole('beside')]);
  const manifests = join(folder, 'undisturbed/manifests');
  const names = readdirSync(manifests).filter((name) => /^\d+\.json$/.test(name));
  const committed = names.map((name) => statSync(join(manifests, name)).mtimeMs);
  momentsMs = [...committed, ended].map((moment) => moment - started).toSorted((a, b) => a - b);
  expect([run.code, run.stderr]).toEqual([0, '']);
  undisturbed = await fingerprint(join(folder, 'undisturbed'));
  undisturbedPage = withoutRun(readFileSync(join(folder, 'undisturbed/report/report.html'), 'utf8'));
  expect(undisturbed['gold_prod.fct_plays']!.rows).toBeGreaterThan(1000);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it(`F36, F37: kill -9 at ${POINTS} points, ${KILLS_EACH} in each lake, under a reader, then run again: the tables and the page of an undisturbed run`, async () => {
  let next = 0;
  let killed = 0;
  let polls = 0;
  /** Commits that those had made which were killed. */
  const reached = new Set<number>();
  const args = (lake: string): string[] => ['run', source, '--lake', lake, '--on-quarantine', 'warn'];

  const commitsOf = async (lake: string): Promise<number> =>
    existsSync(lake) ? (await committedVersions(lake)).versions.length - 1 : 0;
  const all = await commitsOf(join(folder, 'undisturbed'));
  expect(momentsMs).toHaveLength(all + 1);

  /** When an undisturbed run has come to a number of commits; between two of them in proportion. */
  const momentOf = (commits: number): number => {
    const [whole, part] = [Math.floor(commits), commits % 1];
    const at = (index: number): number => (index <= 0 ? 0 : momentsMs[Math.min(index, all + 1) - 1]!);
    return pace * (at(whole) + part * (at(whole + 1) - at(whole)));
  };
  /** Below 1 where runs are faster than the one that was timed, as where other work has ended. */
  let pace = 1;

  /** Kills a run when it has done a share of the commits that the lake still lacks; the report counts as one. */
  const kill = async (lake: string, share: number, isFirst: boolean): Promise<void> => {
    const done = await commitsOf(lake);
    const child = start(args(lake));
    const started = performance.now();
    // What is done already is looked at again, which takes about as long as the first commit.
    const again = done > 0 ? momentOf(1) : 0;
    const delay = again + momentOf(done + share * (all + 1 - done)) - momentOf(done);
    const timer = setTimeout(() => child.kill('SIGKILL'), delay);
    const { signal, code } = await finished(child);
    clearTimeout(timer);
    if (signal === 'SIGKILL') {
      killed += 1;
      reached.add(await commitsOf(lake));
      return;
    }
    expect([lake, code]).toEqual([lake, 0]);
    // The next kills come sooner.
    if (isFirst) pace = Math.min(pace, (performance.now() - started) / momentsMs.at(-1)!);
  };

  const worker = async (): Promise<void> => {
    while (next < LAKES) {
      const number = next;
      next += 1;
      const lake = join(folder, `killed-${number}`);
      const watch = watchLake(lake, 150);
      for (let turn = 0; turn < KILLS_EACH; turn += 1) {
        // A golden-ratio sequence: spread evenly over the commits, different every time, the same on every
        // machine. Over the time they would crowd in the two steps that take longest, models and report.
        const share = (0.5 + (turn * LAKES + number) * 0.618_033_988_749_895) % 1;
        await kill(lake, share, turn === 0);
      }
      const last = await listenlake(args(lake));
      await watch.stop();
      expect([number, last.code, last.stderr]).toEqual([number, 0, '']);
      expect([number, await fingerprint(lake)]).toEqual([number, undisturbed]);
      const { versions, builders } = await committedVersions(lake);
      const known = versions.map(String);
      expect([number, watch.faults]).toEqual([number, []]);
      expect([number, watch.versions.filter((seen) => !known.includes(String(seen)))]).toEqual([number, []]);
      expect([number, [...watch.builders].filter((builder) => !builders.has(builder))]).toEqual([number, []]);
      const page = readFileSync(join(lake, 'report/report.html'), 'utf8');
      expect([number, withoutRun(page)]).toEqual([number, undisturbedPage]);
      polls += watch.catalogPolls + watch.pagePolls;
      await rm(lake, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  process.stderr.write(
    `kills: ${killed} of ${POINTS} runs were killed, after ${[...reached].sort().join(', ')} commits, ${polls} polls beside them\n`,
  );
  expect(reached.size).toBeGreaterThan(3);
  expect(killed).toBeGreaterThan(POINTS / 2);
  expect(polls).toBeGreaterThan(POINTS * 10);
}, 7_200_000);

/** A page without what tells one run from another. */
function withoutRun(page: string): string {
  return page.replaceAll(/\d{8}t\d{6}-[0-9a-f]{6}/g, 'run');
}

it('F39: a heap that is too small ends the run as a kill does, memory of the engine that is too small with 74 and a hint', async () => {
  const lake = join(folder, 'memory');
  const args = ['run', source, '--lake', lake, '--on-quarantine', 'warn'];
  let aborted = 0;
  // From what not even starts to what is nearly enough.
  for (const megabytes of [16, 24, 32, 40]) {
    const run = await listenlake(args, { NODE_OPTIONS: `--max-old-space-size=${megabytes} --max-semi-space-size=1` });
    if (run.code === 0) break;
    expect([megabytes, run.signal ?? run.code]).toEqual([megabytes, 'SIGABRT']);
    expect(run.stderr).toContain('heap out of memory');
    aborted += 1;
  }
  expect(aborted).toBeGreaterThan(0);
  const second = await listenlake(args);
  expect([second.code, second.stderr]).toEqual([0, '']);
  expect(await fingerprint(lake)).toEqual(undisturbed);

  // A list is held as a whole: it cannot be written aside.
  const greedy = 'select len(list(range)) as n from range(60000000)';
  const asked = await listenlake(['sql', '--lake', lake, greedy], { LISTENLAKE_MEMORY_MB: '128' });
  expect([asked.code, asked.stdout]).toEqual([74, '']);
  expect(asked.stderr).toMatch(/LISTENLAKE_MEMORY_MB|make room/);
});

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
