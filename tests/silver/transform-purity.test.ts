import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import type { JobError } from '../../jobs/base/errors.ts';
import { latestManifest, readSilverFiles } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { LIMITS, type Limits } from '../../jobs/silver/build.ts';
import { IS_SOAK } from '../fixtures/layers.ts';
import {
  extended,
  makeTestLake,
  pages,
  playedItem,
  stoppedAt,
  stopsOf,
  type TestLake,
  WRITES,
  writesNoted,
} from './transform-lake.ts';
import { world } from './transform-world.ts';

async function inOrder(
  order: readonly number[],
  isRunAfter: (position: number) => boolean,
  limits?: Limits,
): Promise<TestLake> {
  const lake = await makeTestLake();
  const files = world();
  for (const [position, index] of order.entries()) {
    await lake.add(files[index]!);
    if (isRunAfter(position)) await lake.transform({}, undefined, limits);
  }
  await lake.transform({}, undefined, limits);
  return lake;
}

/** Each run is some ten transforms; a shrunk counterexample would take longer than the answer is worth. */
const RUNS = IS_SOAK ? 20 : 2;
const MINUTES = 60_000;

const ALL = world().map((_, index) => index);

/** The whole world in silver by one transform; tests work on copies of it. */
let reference: TestLake;

beforeAll(async () => {
  reference = await inOrder(ALL, () => false);
}, 10 * MINUTES);
afterAll(() => reference.close());

test(
  'F26, F66: any order of files, in any number of runs, gives the same tables, byte by byte',
  async () => {
    const [hashes, content] = [await reference.hashes(), await reference.content()];
    expect(Object.keys(hashes).length).toBeGreaterThan(15);
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(ALL, { minLength: ALL.length }),
        fc.array(fc.boolean(), { minLength: ALL.length, maxLength: ALL.length }),
        async (order, runs) => {
          const lake = await inOrder(order, (position) => runs[position] === true);
          const own = await lake.hashes();
          // Rows are read only where the bytes differ: they say in what.
          if (!isDeepStrictEqual(own, hashes)) expect(await lake.content()).toEqual(content);
          await lake.close();
          expect(own).toEqual(hashes);
        },
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  10 * MINUTES,
);

test(
  'every row is accounted for, and a play is new once, however the files are split over runs',
  async () => {
    const plays = (await reference.rows('plays')).length;
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(ALL, { minLength: ALL.length }), async (order) => {
        const lake = await makeTestLake();
        const files = world();
        let fresh = 0;
        for (const index of order) {
          await lake.add(files[index]!);
          const { files: accounts } = await lake.transform();
          expect(accounts).toHaveLength(1);
          for (const { kind, read, new: first, duplicate, quarantined } of accounts) {
            expect(first + duplicate + quarantined).toBe(read);
            expect(Math.min(first, duplicate, quarantined)).toBeGreaterThanOrEqual(0);
            if (/^(export_|recently_played$|api_mixed$|lastfm$|listenbrainz$)/.test(kind)) fresh += first;
          }
        }
        await lake.close();
        // An API play that an export supersedes later was new when it came: never fewer than the plays that
        // there are.
        expect(fresh).toBeGreaterThanOrEqual(plays);
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  10 * MINUTES,
);

test('a rebuild of everything, or of an interval, changes nothing', async () => {
  const lake = await inOrder(ALL, (position) => position % 3 === 0);
  const before = await latestManifest(lake.effects.store);
  expect(await lake.transform({ rebuild: true })).toMatchObject({ status: 'nothing_new' });
  expect(await lake.transform({ from: '2024-04-01T00:00:00.000Z', to: '2024-05-01T00:00:00.000Z' })).toMatchObject({
    status: 'nothing_new',
  });
  expect(await lake.transform()).toMatchObject({ status: 'nothing_new', files: [], sequence: before?.sequence });
  expect((await latestManifest(lake.effects.store))?.sequence).toBe(before?.sequence);
  await lake.close();
});

test.each(['damaged', 'deleted'])('F43: tables that were %s are mended by a rebuild', async (how) => {
  const lake = await reference.copy();
  const { store } = lake.effects;
  const tables = ['plays', 'tracks', 'quarantine', 'table_stats'];
  const rows = await Promise.all(tables.map((table) => lake.rows(table)));
  const { state } = (await latestManifest(store))!;
  for (const table of tables)
    for (const { key } of await readSilverFiles(store, state, table))
      await (how === 'deleted' ? store.delete(key) : store.put(key, 'not parquet'));
  await lake.transform({ rebuild: true });
  for (const [index, table] of tables.entries()) expect([table, await lake.rows(table)]).toEqual([table, rows[index]]);
  await lake.close();
});

test('F43: damaged bronze is named and refused', async () => {
  const lake = await makeTestLake();
  await lake.add({ ...extended({}), name: 'Streaming_History_Audio_1.json' });
  for await (const { key } of lake.effects.store.list('bronze/')) await lake.effects.store.put(key, 'PAR1 and nothing');
  await expect(lake.transform()).rejects.toMatchObject({
    code: 'object_damaged',
    exit: 'data',
  } satisfies Partial<JobError>);
  expect(await lake.rows('plays')).toEqual([]);
  await lake.close();
});

test('F42: foreign files beside silver are not read, and stay', async () => {
  const lake = await reference.copy();
  const content = await lake.content();
  const foreign = ['silver/plays/tmp_part-0.parquet', 'silver/plays/v/year=2024/notes.txt'];
  for (const key of foreign) await lake.effects.store.put(key, '');
  await lake.add(extended({ ts: '2024-05-01T10:03:00Z' }));
  await lake.transform();
  for (const key of foreign) expect(await lake.effects.store.head(key)).toBeDefined();
  expect(await lake.content()).not.toEqual(content);
  await lake.close();
});

test('F66: a rebuild of an old interval after new data leaves the new data alone', async () => {
  const lake = await makeTestLake();
  await lake.add(extended({ ts: '2020-01-01T00:00:00Z' }));
  await lake.transform();
  await lake.add(extended({ ts: '2024-01-01T00:00:00Z' }));
  const result = await lake.transform({ from: '2020-01-01T00:00:00.000Z', to: '2020-02-01T00:00:00.000Z' });
  expect(result.tables.find(({ table }) => table === 'plays')).toMatchObject({
    rowsBefore: 1,
    rowsAfter: 2,
    written: 1,
    removed: 0,
  });
  await lake.close();
});

test('only partitions with new rows are written; one that loses its last row goes', async () => {
  const lake = await makeTestLake();
  await lake.add(
    extended({ ts: '2022-01-15T00:00:00Z' }, { ts: '2024-03-15T00:00:00Z' }),
    pages({ kind: 'recently_played', body: { items: [playedItem('2023-12-31T23:59:50Z')] } }),
  );
  await lake.transform();
  const before = await lake.hashes();
  expect(Object.keys(before)).toContain('silver/plays/v/year=2023/');
  const [, emptied] = await readSilverFiles(
    lake.effects.store,
    (await latestManifest(lake.effects.store))!.state,
    'plays',
  );
  // The export says that this play ended after midnight.
  await lake.add(extended({ ts: '2024-01-01T00:00:05Z', ms_played: 10_000 }));
  const result = await lake.transform();
  expect(result.tables.find(({ table }) => table === 'plays')).toMatchObject({
    rowsBefore: 3,
    rowsAfter: 3,
    written: 1,
    removed: 1,
  });
  expect(result.accounts).toEqual({ read: 1, new: 0, duplicate: 1, quarantined: 0 });
  expect(Object.keys(await lake.hashes())).not.toContain('silver/plays/v/year=2023/');
  expect(await lake.effects.store.head(emptied!.key)).toBeDefined(); // for whoever reads the version before
  expect(await lake.rows('plays', 'source, copies')).toContainEqual({ source: 'export_extended', copies: 2 });
  await lake.close();
});

test('quarantine: a refused row keeps the date on which it was refused first', async () => {
  const lake = await makeTestLake();
  await lake.add(extended({ ts: 'nope' }));
  await lake.transform({ loadedOn: '2026-11-20' });
  await lake.add(extended({ ts: 'never' }));
  await lake.transform({ loadedOn: '2026-11-21' });
  await lake.transform({ loadedOn: '2026-11-22', rebuild: true });
  const keys = Object.keys(await lake.hashes()).filter((key) => key.includes('quarantine'));
  expect(keys).toEqual(['silver/quarantine/v/loaded_on=2026-11-20/', 'silver/quarantine/v/loaded_on=2026-11-21/']);
  await lake.close();
});

test('table_stats counts every table, before and after', async () => {
  const lake = await makeTestLake();
  await lake.add(extended({}));
  await lake.transform();
  await lake.add(extended({ ts: '2024-05-01T11:00:00Z' }), {
    table: 'listening_events',
    rows: [{ event_id: 'e', user_id: 'u', action: 'play', occurred_at: '2024-05-01T10:00:00Z' }],
  });
  await lake.transform();
  const rows = await lake.rows('table_stats', 'layer, table_name, rows, rows_before, newest_at');
  expect(rows).toContainEqual({
    layer: 'bronze',
    table_name: 'export_extended',
    rows: 2,
    rows_before: 1,
    newest_at: null,
  });
  expect(rows).toContainEqual({
    layer: 'silver',
    table_name: 'plays',
    rows: 2,
    rows_before: 1,
    newest_at: '2024-05-01T11:00:00.000Z',
  });
  expect(rows).toContainEqual({
    layer: 'silver',
    table_name: 'listening_events',
    rows: 1,
    rows_before: 0,
    newest_at: '2024-05-01T10:00:00.000Z',
  });
  expect(rows).toContainEqual({ layer: 'silver', table_name: 'tracks', rows: 0, rows_before: 0, newest_at: null });
  await lake.close();
});

test(
  'F36: stopped before a write of a run, the next run gives the undisturbed tables',
  async () => {
    const files = world();
    const base = await makeTestLake();
    await base.add(...files.slice(0, 6));
    await base.transform();
    await base.add(...files.slice(6), extended({ ts: '2024-05-10T00:00:00Z' }));
    const undisturbed = await base.copy();
    const writes: string[] = [];
    await undisturbed.transform({}, writesNoted(undisturbed.effects.store, writes));
    expect(new Set(writes)).toEqual(new Set(WRITES));
    const [hashes, content] = [await undisturbed.hashes(), await undisturbed.content()];
    await undisturbed.close();
    const stops = stopsOf(writes);
    for (const stop of stops) {
      const lake = await base.copy();
      const before = await lake.hashes();
      await expect(lake.transform({}, stoppedAt(lake.effects.store, stop))).rejects.toThrow('killed');
      // Nothing but a commit changes what readers are told to read; only the hint comes after it.
      if ((await latestManifest(lake.effects.store))?.job === 'load') expect(await lake.hashes()).toEqual(before);
      await lake.transform();
      const own = await lake.hashes();
      if (!isDeepStrictEqual(own, hashes)) expect(await lake.content()).toEqual(content);
      expect(own).toEqual(hashes);
      await lake.close();
    }
    await base.close();
    expect(stops.length).toBeGreaterThanOrEqual(WRITES.length);
  },
  10 * MINUTES,
);

test('F55: a run that lost the race for the commit changes nothing for readers', async () => {
  const lake = await makeTestLake();
  await lake.add(extended({}));
  const { store } = lake.effects;
  const slow: LakeStore = {
    ...store,
    async put(key, body, condition) {
      // Another load commits at the moment of the commit.
      if (key.startsWith('manifests/0') && condition?.ifAbsent)
        await lake.add(extended({ ts: '2024-05-02T00:00:00Z' }));
      return store.put(key, body, condition);
    },
  };
  await expect(lake.transform({}, slow)).rejects.toMatchObject({ code: 'commit_conflict', isRetryable: true });
  expect(await lake.rows('plays')).toEqual([]);
  await lake.transform();
  expect(await lake.rows('plays')).toHaveLength(2);
  await lake.close();
});

test('a file with ten years in any order gives every row once', async () => {
  const lake = await makeTestLake();
  const rows = Array.from({ length: 3000 }, (_, n) => ({
    ts: new Date(Date.UTC(2014, (n * 37) % 120, 1 + (n % 28), n % 24, n % 60)).toISOString().replace('.000', ''),
    ms_played: n,
  }));
  await lake.add(extended(...rows));
  const result = await lake.transform({}, undefined, { ...LIMITS, groupRows: 100, rereadRows: 1000 });
  expect(result.accounts).toEqual({ read: 3000, new: 3000, duplicate: 0, quarantined: 0 });
  expect(result.tables.find(({ table }) => table === 'plays')).toMatchObject({ rowsAfter: 3000, written: 10 });
  await lake.close();
});
