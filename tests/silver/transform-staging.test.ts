import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { parseSync } from '@swc/core';
import fc from 'fast-check';
import { STAGED_PREFIX } from '../../jobs/lake/keys.ts';
import { latestManifest, type Manifest, readBronzeIndex } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { LIMITS, type Limits } from '../../jobs/silver/build.ts';
import { divide, planTransform } from '../../jobs/silver/fan-out/plan.ts';
import { type StageResult, stageTransform } from '../../jobs/silver/fan-out/stage.ts';
import { codeFiles } from '../../jobs/silver/fan-out/staging.ts';
import { ROOT } from '../fixtures/command-line.ts';
import { IS_SOAK } from '../fixtures/layers.ts';
import {
  extended,
  makeTestLake,
  stoppedAt,
  stopsOf,
  type TestFile,
  type TestLake,
  WRITES,
  writesNoted,
} from './transform-lake.ts';
import { world } from './transform-world.ts';

const MINUTES = 60_000;
const ALL = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
/** The months that most of the world's files touch. */
const MONTHS = [-2, -1, 0, 1, 2, 3, 4, 5, 6].map((n) => Date.UTC(2024, n, 1));
/** With the ends of the years, which plays are built by. */
const CUTS = [Date.UTC(2021, 0, 1), Date.UTC(2022, 0, 1), ...MONTHS, Date.UTC(2025, 0, 1)];

/**
 * A lake with some of the world in silver, and the rest new in bronze: copies of known rows, late rows,
 * refused rows.
 */
async function makeBase(): Promise<TestLake> {
  const lake = await makeTestLake();
  await lake.add(...world().slice(0, 5), world()[7]!);
  await lake.transform();
  await lake.add(
    ...world().slice(5, 7),
    ...world().slice(8),
    extended({ ts: '2024-06-10T00:00:00Z' }, { ts: 'never' }),
    // Years of plays that nothing else touches, one after the other: they are built in one pass.
    ...[2018, 2019, 2020, 2021].map((year) => extended({ ts: `${year}-06-10T00:00:00Z` })),
  );
  await lake.add(
    // A copy of an event that silver has, at a date that the index of the new file does not name; it is
    // fuller and wins.
    event({ event_id: 'e7', occurred_at: '2024-05-20T00:00:00Z', device: 'web', session_id: 's' }, { event_id: 'new' }),
    // The index does not say of what time this is.
    chart('2024-05-02', '2024-05-02', '2024-03-09'),
  );
  return lake;
}

/** A chart file whose records say their dates. */
function chart(...dates: string[]): TestFile {
  return {
    table: 'charts_csv',
    kind: 'charts_top50_daily',
    rows: dates.map((date, n) => ({
      ...{ shape: 'charts_top50_daily', chart: 'top50_daily', region: 'global', period_start: null, period_end: null },
      record: JSON.stringify({ Date: date, Position: String(n + 1), Song: 'A', Artist: 'B', Popularity: '1' }),
    })),
    periods: [],
  };
}

function event(...rows: Record<string, unknown>[]): TestFile {
  const given = { user_id: 'u1', action: 'play', occurred_at: '2024-05-01T10:00:00Z' };
  return { table: 'listening_events', rows: rows.map((row) => ({ ...given, ...row })) };
}

/**
 * All that a run leaves: the bytes of every partition, what it counted, and the commit but for when and by
 * whom.
 */
async function outcome(lake: TestLake): Promise<unknown> {
  const { runId: _, startedAt: __, elapsedMs: ___, ...commit } = (await latestManifest(lake.effects.store)) as Manifest;
  return {
    hashes: await lake.hashes(),
    counts: await lake.rows('table_stats', '* exclude (rows_before, bytes)'),
    commit,
  };
}

function stage(
  lake: TestLake,
  interval = ALL,
  store: LakeStore = lake.effects.store,
  limits: Limits = LIMITS,
): Promise<StageResult> {
  return stageTransform(interval, { ...lake.effects, store }, limits);
}

async function staged(lake: TestLake): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of lake.effects.store.list(STAGED_PREFIX)) keys.push(key);
  return keys;
}

/** A store that notes which objects are fetched as files. */
function watched(store: LakeStore, fetched: string[]): LakeStore {
  return {
    ...store,
    async localFile(key) {
      fetched.push(key);
      return store.localFile(key);
    },
  };
}

async function read(store: LakeStore, key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await store.get(key)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

let base: TestLake;
let expected: unknown;
let parts: number;
/** Bronze of exports that silver has already. */
let knownExports: string[];

beforeAll(async () => {
  base = await makeBase();
  const { state } = (await latestManifest(base.effects.store))!;
  knownExports = (await readBronzeIndex(base.effects.store, state))
    .filter(({ table, sequence }) => table.startsWith('export_') && sequence <= state.transformedThrough)
    .map(({ key }) => key);
  const plain = await base.copy();
  const fetched: string[] = [];
  expect((await plain.transform({}, watched(plain.effects.store, fetched))).taken).toBe(0);
  expect(fetched).toEqual(expect.arrayContaining(knownExports));
  expected = await outcome(plain);
  await plain.close();
  const whole = await base.copy();
  parts = (await stage(whole)).partitions;
  await whole.close();
  expect(parts).toBeGreaterThan(5);
}, 10 * MINUTES);
afterAll(() => base.close());

async function withCopy(action: (lake: TestLake) => Promise<void>): Promise<void> {
  const lake = await base.copy();
  try {
    await action(lake);
  } finally {
    await lake.close();
  }
}

test('staging commits nothing, and a transform takes all of it: the same tables, accounts and commit, and no staged object stays', () =>
  withCopy(async (lake) => {
    const before = await latestManifest(lake.effects.store);
    expect(await stage(lake)).toEqual({ status: 'staged', partitions: parts, built: parts });
    expect(await latestManifest(lake.effects.store)).toEqual(before);
    const fetched: string[] = [];
    const result = await lake.transform({}, watched(lake.effects.store, fetched));
    expect(result.taken).toBe(parts);
    expect(await outcome(lake)).toEqual(expected);
    expect(await staged(lake)).toEqual([]);
    // Bronze of plays is not looked at again: new exports are for export_files, responses for the tables of
    // the catalogue.
    expect(fetched.some((key) => key.startsWith('bronze/'))).toBe(true);
    expect(fetched.filter((key) => knownExports.includes(key))).toEqual([]);
    expect(await lake.transform()).toMatchObject({ status: 'nothing_new', taken: 0 });
    expect(await stage(lake)).toEqual({ status: 'nothing_new', partitions: 0, built: 0 });
  }));

test(
  'any intervals, in any order, at once or not, some of them twice, some left out: the same',
  async () => {
    const intervals = fc
      .subarray(CUTS, { minLength: 2 })
      .chain((cuts) => fc.shuffledSubarray(cuts.slice(1).map((toMs, n) => ({ fromMs: cuts[n]!, toMs }))));
    const limits = fc.constantFrom(LIMITS, { passRows: 3, groupRows: 2, rereadRows: 4 });
    await fc.assert(
      fc.asyncProperty(intervals, fc.boolean(), limits, limits, async (shares, isAtOnce, own, last) =>
        withCopy(async (lake) => {
          const tasks = [...shares, ...shares.slice(0, 1)];
          if (isAtOnce) await Promise.all(tasks.map((share) => stageApart(lake, share, own)));
          else for (const share of tasks) await stage(lake, share, lake.effects.store, own);
          await lake.transform({}, lake.effects.store, last);
          expect(await outcome(lake)).toEqual(expected);
        }),
      ),
      { numRuns: IS_SOAK ? 20 : 3, endOnFailure: true },
    );
  },
  10 * MINUTES,
);

let scratches = 0;
/** As in a container of its own: with its own scratch folder. */
async function stageApart(
  lake: TestLake,
  interval: { fromMs: number; toMs: number },
  limits = LIMITS,
): Promise<unknown> {
  scratches += 1;
  const scratch = `${lake.effects.scratch}/apart-${scratches}`;
  return stageTransform(interval, { ...lake.effects, scratch }, limits);
}

test('what is built ahead is of no use once any file changes that transform imports', () => {
  const files = codeFiles();
  const names = files.map((path) => relative(ROOT, path));
  expect(names).toEqual(
    expect.arrayContaining(['jobs/transform.ts', 'jobs/silver/tables/plays.ts', 'jobs/engine/duckdb/database.ts']),
  );
  // A parser finds no import that is not among them.
  const sources = files.flatMap((path) =>
    parseSync(readFileSync(path, 'utf8'), { syntax: 'typescript', target: 'es2024' }).body.flatMap((node) =>
      'source' in node && node.source?.value.startsWith('.') ? [resolve(dirname(path), node.source.value)] : [],
    ),
  );
  expect([...new Set(sources)].filter((path) => !files.includes(path))).toEqual([]);
});

test('two tasks with the same interval at once put the same', () =>
  withCopy(async (lake) => {
    await Promise.all([stageApart(lake, ALL), stageApart(lake, ALL)]);
    expect(await stage(lake)).toEqual({ status: 'staged', partitions: parts, built: 0 });
    expect((await lake.transform()).taken).toBe(parts);
    expect(await outcome(lake)).toEqual(expected);
  }));

test('a load between staging and transform: what it touches is built again, the rest is taken', () =>
  withCopy(async (lake) => {
    const more = extended({ ts: '2024-08-20T00:00:00Z' }, { ts: '2024-08-21T00:00:00Z' });
    await stage(lake);
    await lake.add(more);
    const plain = await base.copy();
    await plain.add(more);
    await plain.transform();
    const result = await lake.transform();
    expect(result.taken).toBeGreaterThan(0);
    expect(result.taken).toBeLessThan(parts);
    expect(await outcome(lake)).toEqual(await outcome(plain));
    expect(await staged(lake)).toEqual([]);
    await plain.close();
  }));

const DAMAGE: [string, (bytes: Buffer) => Buffer | undefined][] = [
  ['cut', (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2))],
  ['empty', () => Buffer.alloc(0)],
  [
    'altered in one place',
    (bytes) => Buffer.from(bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 1 : byte))),
  ],
  ['gone', () => undefined],
];

/** Here each damage to one kind of object in turn, in `make soak` to both. */
const DAMAGED = DAMAGE.flatMap(([name, damage], n) =>
  (IS_SOAK ? ['.json', '.parquet'] : [n % 2 === 0 ? '.parquet' : '.json']).map(
    (ending) => [name, ending, damage] as const,
  ),
);

test.each(DAMAGED)(
  'staged objects that are %s (%s) are not used, and staging again mends them',
  (_name, ending, damage) =>
    withCopy(async (lake) => {
      const { store } = lake.effects;
      await stage(lake);
      const hurt = async (): Promise<void> => {
        for (const [n, key] of (await staged(lake)).filter((each) => each.endsWith(ending)).entries()) {
          if (n % 2 === 1) continue;
          const bytes = damage(await read(store, key));
          if (bytes === undefined) await store.delete(key);
          else await store.put(key, bytes);
        }
      };
      await hurt();
      const mended = await lake.copy();
      const again = await stage(mended);
      expect(again.built).toBeGreaterThan(0);
      expect(again.built).toBeLessThan(parts);
      expect((await mended.transform()).taken).toBe(parts);
      expect(await outcome(mended)).toEqual(expected);
      await mended.close();
      const { taken } = await lake.transform();
      expect(taken).toBe(parts - again.built);
      expect(await outcome(lake)).toEqual(expected);
    }),
);

test('a descriptor under the key of another partition, of other code, or of accounts that do not add up is not trusted', () =>
  withCopy(async (lake) => {
    const { createHash } = await import('node:crypto');
    const { store } = lake.effects;
    await stage(lake);
    const descriptorOf = async (key: string) => JSON.parse((await read(store, key)).toString().slice(65));
    const keys: { key: string; placed: number }[] = [];
    for (const key of await staged(lake)) {
      if (!key.startsWith(`${STAGED_PREFIX}plays/`)) continue;
      keys.push({ key, placed: (await descriptorOf(key)).placed.length });
    }
    // Those with accounts last: they are the ones that can be forged. (By name their order changes with the
    // code.)
    const [first, second, third, ...rest] = keys.toSorted((a, b) => a.placed - b.placed).map(({ key }) => key);
    const bytes = await read(store, first!);
    await store.put(first!, await read(store, second!));
    await store.put(second!, bytes);
    // Other code would have another fingerprint.
    await store.put(third!.replace(/[0-9a-f]{64}/, 'a'.repeat(64)), await read(store, third!));
    let forged = 0;
    for (const key of rest) {
      const descriptor = await descriptorOf(key);
      for (const placed of descriptor.placed) placed.newRows += 1;
      forged += descriptor.placed.length;
      const text = JSON.stringify(descriptor);
      await store.put(key, `${createHash('sha256').update(text).digest('hex')} ${text}\n`);
    }
    expect(forged).toBeGreaterThan(0);
    expect((await lake.transform()).taken).toBe(0);
    expect(await outcome(lake)).toEqual(expected);
    expect(await staged(lake)).toEqual([]);
  }));

test(
  'a staging task that is killed before a write of each kind leaves nothing that is wrong, and goes on when run again',
  async () => {
    const writes: string[] = [];
    await withCopy(async (lake) => void (await stage(lake, ALL, writesNoted(lake.effects.store, writes))));
    expect(new Set(writes)).toEqual(new Set(['put staging .json', 'put staging .parquet']));
    for (const [turn, stop] of stopsOf(writes).entries()) {
      await withCopy(async (lake) => {
        await expect(stage(lake, ALL, stoppedAt(lake.effects.store, stop))).rejects.toThrow('killed');
        const isAgain = turn % 2 === 0;
        if (isAgain) await stage(lake);
        const { taken } = await lake.transform();
        if (isAgain) expect(taken).toBe(parts);
        expect(await outcome(lake)).toEqual(expected);
      });
    }
  },
  10 * MINUTES,
);

test(
  'a transform that is killed before a write of each kind, while it takes what is staged: the next one gives the same',
  () =>
    withCopy(async (half) => {
      await stage(half, { fromMs: MONTHS[3]!, toMs: MONTHS[7]! });
      const undisturbed = await half.copy();
      const writes: string[] = [];
      await undisturbed.transform({}, writesNoted(undisturbed.effects.store, writes));
      await undisturbed.close();
      expect(new Set(writes)).toEqual(new Set([...WRITES, 'delete staging .json', 'delete staging .parquet']));
      for (const stop of stopsOf(writes)) {
        const lake = await half.copy();
        await expect(lake.transform({}, stoppedAt(lake.effects.store, stop))).rejects.toThrow('killed');
        await lake.transform();
        expect(await outcome(lake)).toEqual(expected);
        await lake.close();
      }
    }),
  10 * MINUTES,
);

test('rows at times that the index does not name are missed by staging: the transform sees it by the accounts', async () => {
  const lake = await makeTestLake();
  await lake.add({ ...chart('2024-05-03', '2024-01-09'), periods: ['2024-05'] }, extended({}));
  const plain = await lake.copy();
  await plain.transform();
  expect((await stage(lake)).built).toBeGreaterThan(1);
  expect((await lake.transform()).taken).toBe(0);
  expect(await outcome(lake)).toEqual(await outcome(plain));
  expect(await lake.rows('chart_entries', 'period_start')).toHaveLength(2);
  await plain.close();
  await lake.close();
});

test('a rebuild takes nothing', () =>
  withCopy(async (lake) => {
    await stage(lake);
    expect((await lake.transform({ rebuild: true })).taken).toBe(0);
    const { hashes, counts } = (await outcome(lake)) as { hashes: unknown; counts: unknown };
    expect({ hashes, counts }).toEqual({
      hashes: (expected as { hashes: object }).hashes,
      counts: (expected as { counts: object }).counts,
    });
  }));

describe('plan', () => {
  const year = (number: number, rows: number) => ({
    ...{ table: 'plays', number, partition: { year: number }, inputs: [], rows },
    ...{ fromMs: Date.UTC(number, 0, 1), toMs: Date.UTC(number + 1, 0, 1) },
  });
  const part = (month: number, rows: number, table = 'chart_entries') => ({
    ...{ table, number: month, partition: {}, inputs: [], rows },
    ...{ fromMs: Date.UTC(2024, month, 1), toMs: Date.UTC(2024, month + 1, 1) },
  });

  test('shares are whole months, about equal, at most as many as asked for, and cover what is touched once', () => {
    const parts = Array.from({ length: 36 }, (_, n) => part(n, 1000 + n * 100)).filter((_, n) => n !== 7);
    for (const tasks of [2, 3, 5, 16, 100]) {
      const shares = divide(parts, tasks, 10);
      expect(shares.length).toBeLessThanOrEqual(tasks);
      expect(shares.length).toBeGreaterThan(Math.min(tasks, 35) / 2);
      expect(shares.reduce((sum, { rows }) => sum + rows, 0)).toBe(parts.reduce((sum, { rows }) => sum + rows, 0));
      for (const [n, { from, to, rows }] of shares.entries()) {
        expect([from, to]).toEqual([expect.stringMatching(/-01$/), expect.stringMatching(/-01$/)]);
        expect(from < to && (n === 0 || shares[n - 1]!.to <= from)).toBe(true);
        const own = parts.filter(({ fromMs, toMs }) => fromMs >= Date.parse(from) && toMs <= Date.parse(to));
        expect(rows).toBe(own.reduce((sum, each) => sum + each.rows, 0));
      }
      const largest = Math.max(...shares.map(({ rows }) => rows));
      expect(largest).toBeLessThanOrEqual(shares.reduce((sum, { rows }) => sum + rows, 0) / tasks + 4600);
    }
  });

  test('no share where it does not pay: few rows, one month, one task', () => {
    expect(divide([part(0, 100), part(1, 100)], 16, 101)).toEqual([]);
    expect(divide([part(0, 100), part(1, 100)], 16, 100)).toHaveLength(2);
    expect(divide([part(0, 1e9)], 16, 10)).toEqual([]);
    expect(divide([part(0, 100), part(1, 100)], 1, 10)).toEqual([]);
    expect(divide([], 16, 10)).toEqual([]);
  });

  test('tables share the months; dates count for theirs', () => {
    const day = { ...part(0, 50, 'listening_events'), fromMs: Date.UTC(2024, 0, 20), toMs: Date.UTC(2024, 0, 21) };
    expect(divide([part(0, 100), day, part(1, 150)], 2, 10)).toEqual([
      { from: '2024-01-01', to: '2024-02-01', rows: 150 },
      { from: '2024-02-01', to: '2024-03-01', rows: 150 },
    ]);
  });

  test('a year is not cut, and takes the days and months in it along', () => {
    const parts = [part(-6, 40), part(5, 50), year(2024, 100), part(11, 50), year(2026, 150), part(25, 10)];
    expect(divide(parts, 3, 10)).toEqual([
      { from: '2023-07-01', to: '2023-08-01', rows: 40 },
      { from: '2024-01-01', to: '2025-01-01', rows: 200 },
      { from: '2026-01-01', to: '2027-01-01', rows: 160 },
    ]);
    expect(divide([year(2024, 100), part(3, 900)], 16, 10)).toEqual([]);
  });

  test('a plan changes nothing; its shares stage all there is', () =>
    withCopy(async (lake) => {
      const before = await latestManifest(lake.effects.store);
      expect(await planTransform({ tasksMax: 16 }, lake.effects)).toEqual({ status: 'planned', partitions: [] });
      const plan = await planTransform({ tasksMax: 3, taskRowsMin: 5 }, lake.effects);
      expect(plan.partitions).toHaveLength(2);
      expect([await staged(lake), await latestManifest(lake.effects.store)]).toEqual([[], before]);
      for (const { from, to } of plan.partitions) await stage(lake, { fromMs: Date.parse(from), toMs: Date.parse(to) });
      expect((await lake.transform()).taken).toBe(parts);
      expect(await outcome(lake)).toEqual(expected);
      expect(await planTransform({ tasksMax: 3, taskRowsMin: 5 }, lake.effects)).toEqual({
        status: 'nothing_new',
        partitions: [],
      });
    }));
});
