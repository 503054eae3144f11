/**
 * System calls that fail below Node and below the engine, one in each run: the command ends with 74 and says
 * which path and what to do (or with 0 where nothing was lost by it), readers see the tables from before it
 * or from after it, and one clean run brings the tables of a lake that was never disturbed. The same where
 * the program is killed at such a call.
 */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { fingerprint, type TableFingerprint } from '../fixtures/lake-tables.ts';
import { IS_SOAK } from '../fixtures/layers.ts';
import { type Loss, lossesOf } from './power-cut.ts';
import { type Errno, type FailingCalls, type Fault, openFailingCalls } from './system-calls.ts';

/** Two commands at once, as many as the smallest machine has processors. */
const AT_ONCE = 2;
const TIMEOUT_MS = 7_200_000;
/** Calls by which a delivered file is looked at and read. */
const READING_CALLS = ['open', 'read', 'stat'];
/** What can go wrong with each kind of call. */
const ERRORS: Record<string, Errno[]> = {
  ...{
    open: ['EMFILE', 'EIO', 'EACCES'],
    read: ['EIO'],
    pread: ['EIO'],
    write: ['ENOSPC', 'EIO', 'EDQUOT', 'EFBIG'],
    pwrite: ['ENOSPC', 'EIO', 'EDQUOT', 'EFBIG'],
  },
  ...{ fsync: ['EIO', 'ENOSPC'], close: ['EIO', 'ENOSPC'], rename: ['EIO', 'ENOSPC'], link: ['ENOSPC', 'EIO'] },
  ...{ unlink: ['EIO', 'EROFS'], rmdir: ['EIO'], mkdir: ['ENOSPC', 'EIO'], ftruncate: ['EIO', 'ENOSPC'] },
  ...{
    opendir: ['EMFILE', 'EIO'],
    stat: ['EIO'],
    chmod: ['EROFS', 'EIO'],
    symlink: ['ENOSPC'],
    copy: ['EIO', 'ENOSPC'],
  },
};

let folder: string;
let source: string;
let calls: FailingCalls | undefined;

/** A command, and the lake that it starts from: what the commands before it made. */
interface Step {
  args: string[];
  base: string;
  /** The tables before it; undefined where it makes several commits. */
  before: Record<string, TableFingerprint> | undefined;
  /** The tables after it, undisturbed. */
  after: Record<string, TableFingerprint>;
  counts: Map<string, number>;
  /** What a power cut would lose of it at each point that trusts the disk. */
  losses: Loss[];
}
const steps = new Map<string, Step>();

async function tablesOf(lake: string): Promise<Record<string, TableFingerprint>> {
  return fingerprint(lake, ['bronze', 'silver', 'gold_dev', 'gold_prod']);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-faults-'));
  calls = openFailingCalls(folder);
  if (calls === undefined) return;
  source = join(folder, 'source');
  await generateIntoFolder(
    { seed: 3, users: 2, days: 2, tracks: 30, end: '2026-11-01', exportPlays: 60, exportYears: 1, faults: false },
    source,
  );
  const ask = 'select count(*) as plays from fct_plays';
  const flow = [
    ['extract', source],
    ['load'],
    ['transform'],
    ['enrich'],
    ['check'],
    ['promote'],
    ['report', '--png'],
    ['sql', ask],
    ['coverage'],
    ['doctor', '--verify'],
    ['gc'],
    ['forget', '--user', 'me', '--yes'],
  ];
  let base = '';
  let before: Step['before'] = {};
  for (const [index, args] of flow.entries()) {
    const lake = join(folder, `base-${index + 1}`);
    if (base !== '') await cp(base, lake, { recursive: true });
    const { counts, trace } = await calls.watch(args, lake);
    // Whoever asks first makes the catalog, where the lake was moved or has none yet.
    await listenlake(['sql', ask, '--lake', lake]);
    const after = await tablesOf(lake);
    // `check` commits what it found in silver, then in gold; `forget` a layer at a time.
    const own = ['check', 'forget'].includes(args[0]!) ? undefined : before;
    steps.set(args[0]!, { args, base, before: own, after, counts, losses: lossesOf(trace, lake) });
    [base, before] = [lake, after];
  }
  const lake = join(folder, 'run');
  const { counts, trace } = await calls.watch(['run', source], lake);
  steps.set('run', {
    ...{ args: ['run', source], base: '', before: undefined, after: await tablesOf(lake) },
    ...{ counts, losses: lossesOf(trace, lake) },
  });
}, TIMEOUT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * @returns what a reader of the catalog finds wrong right after a command that failed or was killed;
 *   undefined where nothing is
 */
async function wrongForReaders(lake: string, { before, after }: Step): Promise<string | undefined> {
  if (!existsSync(join(lake, 'lake.duckdb'))) return undefined;
  const found = await tablesOf(lake).catch((error: unknown) => String(error));
  if (typeof found === 'string') return `readers are told ${found}`;
  if (before === undefined || [before, after].some((whole) => isDeepStrictEqual(found, whole))) return undefined;
  const mixed = Object.keys({ ...before, ...found }).filter((table) => !isDeepStrictEqual(found[table], before[table]));
  return `readers see what is neither before nor after it in ${mixed.join(', ')}`;
}

/**
 * Runs the command with its fault on a fresh copy of its lake. How often a command renews its lease, say,
 * depends on how long it takes: one that has ended before the call at which it was to be killed is run again,
 * and killed half as far.
 */
async function runFaulted({ args, base }: Step, fault: Fault, lake: string) {
  for (let at = fault.at; ; at = Math.ceil(at / 2)) {
    await rm(lake, { recursive: true, force: true });
    if (base !== '') await cp(base, lake, { recursive: true });
    const done = await calls!.run(args, lake, { ...fault, at });
    if (fault.errno !== 'SIGKILL' || done.fired.length > 0 || at === 1) return done;
  }
}

/** @returns what is wrong with how the command took it; undefined where nothing is */
async function tryFault(command: string, fault: Fault, lake: string): Promise<string | undefined> {
  const step = steps.get(command)!;
  const { args, after } = step;
  const name = `${command}: ${fault.call} ${fault.at} ${fault.errno}${fault.isLasting ? ' from then on' : ''}`;
  try {
    const first = await runFaulted(step, fault, lake);
    const what = `${name} (${first.fired[0]?.replace(lake, '') ?? 'did not come to it'}): ${first.code ?? first.signal}`;
    // What cannot be read of one delivered file costs that file alone: the others are committed, and the next
    // load takes it. Where the second look at it fails, it counts as changed (75).
    const isOfFile = command === 'load' && [65, 75].includes(first.code!) && READING_CALLS.includes(fault.call);
    const seen = isOfFile ? undefined : await wrongForReaders(lake, step);
    if (seen !== undefined) return `${what}, then ${seen}`;
    if (isOfFile) {
      const isSaid = /input_denied|cannot be read|i\/o error|changed while it was read/i.test(first.stdout);
      if (!isSaid) return `${what}, badly said: ${first.stdout}`;
    } else if (fault.errno === 'SIGKILL') {
      if (first.signal !== 'SIGKILL') return `${what}, but not killed`;
    } else if (first.code !== 0) {
      if (first.code !== 74) return `${what}: ${first.stderr.slice(0, 1500)}`;
      // One line: the path in front, what to do at its end.
      if (!/^listenlake: \/.*: .* \(.*\)\n$/.test(first.stderr)) return `${what}, badly said: ${first.stderr}`;
    }
    const second = await listenlake([...args, '--lake', lake]);
    if (second.code !== 0) return `${what}, then ${second.code}: ${second.stderr.slice(0, 1500)}`;
    if (command === 'extract') await listenlake(['load', '--lake', lake]);
    const wanted = command === 'extract' ? steps.get('load')!.after : after;
    const found = await tablesOf(lake).catch(async () => {
      await listenlake(['sql', 'select 1', '--lake', lake]);
      return tablesOf(lake);
    });
    const others = Object.keys(wanted).filter((table) => found[table]?.hash !== wanted[table]!.hash);
    return others.length === 0 ? undefined : `${what}, then other rows in ${others.join(', ')}`;
  } finally {
    await rm(lake, { recursive: true, force: true });
  }
}

async function tryAll(points: [command: string, fault: Fault][]): Promise<void> {
  const wrong: string[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < points.length) {
      const index = next;
      next += 1;
      const [command, fault] = points[index]!;
      const found = await tryFault(command, fault, join(folder, `point-${index}`));
      if (found !== undefined) {
        wrong.push(found);
        process.stderr.write(`${found}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  expect(wrong).toEqual([]);
}

/** Every kind of call that a command makes, at `shares` of all of them; the errors of a kind take turns. */
function pointsAt(shares: number[]): [string, Fault][] {
  const points: [string, Fault][] = [];
  let turn = 0;
  for (const [command, { counts }] of steps) {
    for (const [call, count] of counts) {
      if (count === 0) continue;
      for (const share of shares) {
        turn += 1;
        const errors = ERRORS[call]!;
        const at = Math.max(1, Math.ceil(share * count));
        points.push([command, { call, at, errno: errors[turn % errors.length]!, isLasting: turn % 4 === 0 }]);
      }
    }
  }
  return points;
}

/**
 * Some 40 of them: every kind of call and every command a few times, each kind with another command. Of
 * `run`, which takes as long as all others together, only the kinds that no other has here: its steps are
 * those commands, and kill.test.ts stops it as a whole.
 */
function spread(points: [string, Fault][]): [string, Fault][] {
  const [commands, kinds] = [[...steps.keys()], [...new Set(points.map(([, { call }]) => call))]];
  const some = points.filter(([command, { call }]) => (commands.indexOf(command) + kinds.indexOf(call)) % 4 === 0);
  const [ofRun, others] = [some.filter(([name]) => name === 'run'), some.filter(([name]) => name !== 'run')];
  const seen = new Set(others.map(([, { call }]) => call));
  const onlyThere = ofRun.filter(([, { call }]) => !seen.has(call));
  return [...others, ...(onlyThere.length > 0 ? onlyThere : ofRun.slice(0, 1))];
}

it(
  'F41, F75: system calls of every kind fail in every command: 74 with path and remedy, or 0; no mix; then the undisturbed tables',
  async () => {
    if (calls === undefined) return;
    const all = pointsAt(IS_SOAK ? [0.05, 0.5, 0.9] : [0.5]);
    const points = IS_SOAK ? all : spread(all);
    expect(points.length).toBeGreaterThanOrEqual(IS_SOAK ? 300 : 36);
    const kindsOf = (of: [string, Fault][]): string[] => [
      ...new Set(of.flatMap(([command, { call }]) => [command, call])),
    ];
    expect(kindsOf(points).sort()).toEqual(kindsOf(all).sort());
    await tryAll(points);
  },
  TIMEOUT_MS,
);

it(
  'F36: killed at a step of each command: readers see before or after, and the next one brings the undisturbed tables',
  async () => {
    if (calls === undefined) return;
    // What becomes visible, or goes, does so by one of these. The last link is the commit, or what comes
    // right before it.
    const points = [...steps].flatMap(([command, { counts }], turn) =>
      ['link', 'rename', 'unlink'].flatMap((call, kind): [string, Fault][] => {
        const count = counts.get(call)!;
        if (count === 0 || (!IS_SOAK && turn % 3 !== kind)) return [];
        const each = IS_SOAK ? Math.min(count, 12) : 1;
        const at = Array.from({ length: each }, (_, index) => Math.ceil(((index + 1) / each) * count));
        return at.map((number) => [command, { call, at: number, errno: 'SIGKILL' }]);
      }),
    );
    expect(points.length).toBeGreaterThanOrEqual(IS_SOAK ? 100 : 8);
    await tryAll(points);
  },
  TIMEOUT_MS,
);

it(
  'F75: a catalog that cannot be written fails the run with 74, and the old one stays byte by byte',
  async () => {
    if (calls === undefined) return;
    const { args, base } = steps.get('transform')!;
    const match = '/catalog-';
    const lake = join(folder, 'catalog');
    await cp(base, lake, { recursive: true });
    const { counts } = await calls.watch(args, lake, match);
    await rm(lake, { recursive: true, force: true });
    const kinds = ['open', 'pwrite', 'fsync', 'ftruncate', 'rename'].filter((call) => counts.get(call)! > 0);
    expect(kinds).toEqual(expect.arrayContaining(['open', 'pwrite', 'fsync', 'rename']));
    for (const call of kinds) {
      for (const errno of IS_SOAK ? ERRORS[call]! : ERRORS[call]!.slice(0, 1)) {
        const fault: Fault = { call, at: counts.get(call)!, errno, match };
        await cp(base, lake, { recursive: true });
        const old = await readFile(join(lake, 'lake.duckdb'));
        const run = await calls.run(args, lake, fault);
        expect([fault, run.fired.length, run.code]).toEqual([fault, 1, 74]);
        expect(old.equals(await readFile(join(lake, 'lake.duckdb')))).toBe(true);
        expect(await tablesOf(lake)).toEqual(steps.get('load')!.after);
        const next = await listenlake([...args, '--lake', lake]);
        expect([fault, next.code]).toEqual([fault, 0]);
        expect(await tablesOf(lake)).toEqual(steps.get('transform')!.after);
        await rm(lake, { recursive: true, force: true });
      }
    }
  },
  TIMEOUT_MS,
);

it(
  'F65: a report that is killed, or finds the disk full, leaves a whole page with whole charts',
  async () => {
    if (calls === undefined) return;
    const { args, counts } = steps.get('report')!;
    const { base } = steps.get('sql')!; // the lake with the report
    const shares = IS_SOAK ? [0.1, 0.3, 0.5, 0.7, 0.9] : [0.3, 0.8];
    const points = ['write', 'rename'].flatMap((call) =>
      shares.flatMap((share) =>
        (['SIGKILL', 'ENOSPC'] as const).map((errno) => ({
          call,
          at: Math.ceil(share * counts.get(call)!),
          errno,
          isLasting: true,
        })),
      ),
    );
    const lake = join(folder, 'page');
    await cp(base, lake, { recursive: true });
    // One after the other on one page: each finds what the ones before it have left behind.
    for (const fault of points) {
      const run = await calls.run(args, lake, fault);
      const how = fault.errno === 'SIGKILL' ? 'SIGKILL' : 74;
      expect([fault, run.fired.length > 0, run.signal ?? run.code]).toEqual([fault, true, how]);
      await expectWholePage(lake);
    }
    expect((await listenlake([...args, '--lake', lake])).code).toBe(0);
    await expectWholePage(lake);
  },
  TIMEOUT_MS,
);

async function expectWholePage(lake: string): Promise<void> {
  expect(await readFile(join(lake, 'report/report.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/i);
  expect(await readFile(join(lake, 'report/operator.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/i);
  const all = await readdir(join(lake, 'report/charts'), { recursive: true });
  const charts = all.filter((name) => name.endsWith('.png'));
  expect(charts.length).toBeGreaterThan(2);
  for (const name of charts) {
    const bytes = await readFile(join(lake, 'report/charts', name));
    expect([name, bytes.subarray(1, 4).toString(), bytes.subarray(-8, -4).toString()]).toEqual([name, 'PNG', 'IEND']);
  }
}

describe('F40: a power cut', () => {
  it('leaves every object whole that a commit names, and every file that is not yet in bronze', () => {
    const lost = [...steps].flatMap(([command, { losses }]) =>
      losses
        .filter(({ objects }) => objects.length > 0)
        .map(({ at, objects }) => `${command}, ${at}: ${objects.join(', ')}`),
    );
    expect(lost).toEqual([]);
  });

  it('leaves the new folders that they lie in', () => {
    // The folder that the commit itself is about to be put into holds nothing yet: it is flushed once it
    // does.
    const withoutOwn = ({ at, folders }: { at: string; folders: readonly string[] }): string[] =>
      folders.filter((folder) => !at.startsWith(`before ${folder}/`));
    const lost = [...steps].flatMap(([command, { losses }]) =>
      losses
        .map((loss) => ({ at: loss.at, folders: withoutOwn(loss) }))
        .filter(({ folders }) => folders.length > 0)
        .map(({ at, folders }) => `${command}, ${at}: ${folders.slice(0, 5).join(', ')} (${folders.length})`),
    );
    expect(lost).toEqual([]);
  });

  it('is seen by this test: a lake that flushes nothing loses all of it', () => {
    const lake = '/lake';
    const staged = `${lake}/.staging/1`;
    const object = `${lake}/bronze/t/a`;
    const flushed = [
      'MKDIR\t/lake/bronze\t',
      'MKDIR\t/lake/bronze/t\t',
      `create\t${staged}\t`,
      `WRITE\t${staged}\t`,
      `FSYNC\t${staged}\t`,
    ].concat(`LINK\t${staged}\t${object}`, 'FSYNC\t/lake/bronze/t\t', 'FSYNC\t/lake/bronze\t', 'FSYNC\t/lake\t');
    expect(lossesOf(flushed.join('\n'), lake)).toEqual([]);
    for (const [without, objects, folders] of [
      [`FSYNC\t${staged}\t`, ['bronze/t/a'], []],
      ['FSYNC\t/lake/bronze/t\t', ['bronze/t/a'], []],
      ['FSYNC\t/lake/bronze\t', [], ['bronze/t']],
      ['FSYNC\t/lake\t', [], ['bronze']],
    ] as const) {
      const trace = flushed.filter((line) => line !== without).join('\n');
      expect(lossesOf(trace, lake)).toEqual([{ at: 'at the end', objects, folders }]);
    }
  });
});
