import { readConfig } from '../../jobs/base/config.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { LIMITS } from '../../jobs/silver/build.ts';
import { planTransform } from '../../jobs/silver/fan-out/plan.ts';
import { stageTransform } from '../../jobs/silver/fan-out/stage.ts';
import { transform } from '../../jobs/transform.ts';
import { extended, makeTestLake, type TestFile, type TestLake } from './transform-lake.ts';

let lake: TestLake;
beforeEach(async () => {
  lake = await makeTestLake();
});
afterEach(async () => {
  await lake.close();
});

function events(...rows: Record<string, unknown>[]): TestFile {
  return {
    table: 'listening_events',
    rows: rows.map((row) => ({
      event_id: 'e1',
      user_id: 'u1',
      action: 'play',
      occurred_at: '2024-05-01T10:00:00Z',
      played_ms: 1000,
      source: 'synthetic',
      ...row,
    })),
  };
}

test('an event is one row, whatever its deliveries', async () => {
  await lake.add(events({}, {}, { event_id: 'e2', device: 'ios' }), events({ event_id: 'e2' }, { event_id: 'e3' }));
  const result = await lake.transform();
  expect(await lake.rows('listening_events', 'event_id, copies, device')).toEqual([
    { event_id: 'e1', copies: 2, device: null },
    { event_id: 'e2', copies: 2, device: 'ios' },
    { event_id: 'e3', copies: 1, device: null },
  ]);
  expect(result.accounts).toEqual({ read: 5, new: 3, duplicate: 2, quarantined: 0 });
});

test.each([
  [{ event_id: null }, 'event_id_missing'],
  [{ user_id: '' }, 'user_missing'],
  [{ action: 'dance' }, 'action_unknown'],
  [{ action: null }, 'action_unknown'],
  [{ occurred_at: 'yesterday' }, 'time_invalid'],
  [{ played_ms: -1 }, 'length_invalid'],
  [{ played_ms: 1.5 }, 'length_invalid'],
])('%p is refused as %s, and nothing else is', async (fault, code) => {
  await lake.add(events({ ...fault }, { event_id: 'good' }));
  const result = await lake.transform();
  expect(result.quarantined).toEqual({ [code]: 1 });
  expect(await lake.rows('listening_events', 'event_id')).toEqual([{ event_id: 'good' }]);
  const [row] = await lake.rows('quarantine', 'code, sample, row_number');
  expect(row).toMatchObject({ code, row_number: 1 });
  expect(String(row?.sample)).not.toContain('u1');
});

test('all columns arrive in their types', async () => {
  await lake.add(
    events({
      ...{
        session_id: 's',
        track_id: 't',
        track_name: 'T',
        artist_name: 'A',
        action: 'skip',
        is_skipped: true,
        device: 'web',
        country: 'NL',
      },
      ...{ source: 'stream', topic: 'plays', partition_number: 3, record_offset: 9_007_199_254_740_991 },
    }),
  );
  await lake.transform();
  expect(await lake.rows('listening_events', '* exclude (source_key)')).toEqual([
    {
      ...{
        event_id: 'e1',
        user_id: 'u1',
        session_id: 's',
        track_id: 't',
        track_name: 'T',
        artist_name: 'A',
        action: 'skip',
        is_skipped: true,
      },
      ...{
        occurred_at: '2024-05-01T10:00:00.000Z',
        played_ms: 1000,
        device: 'web',
        country: 'NL',
        source: 'stream',
        topic: 'plays',
      },
      ...{ partition_number: 3, record_offset: 9_007_199_254_740_991, copies: 1, source_row: 1 },
    },
  ]);
});

test('F61: late, early and out-of-order events land on their own date; other dates are not written', async () => {
  await lake.add(
    events({ occurred_at: '2024-05-03T00:00:00Z' }, { event_id: 'e2', occurred_at: '2024-05-01T23:59:59.999Z' }),
  );
  await lake.transform();
  const datesOf = (hashes: Record<string, string>): [string, string][] =>
    Object.entries(hashes).filter(([key]) => key.startsWith('silver/listening_events/'));
  const before = datesOf(await lake.hashes());
  await lake.add(events({ event_id: 'late', occurred_at: '2024-04-01T00:00:00Z' }));
  const result = await lake.transform();
  expect(result.tables.find(({ table }) => table === 'listening_events')).toMatchObject({
    rowsBefore: 2,
    rowsAfter: 3,
    written: 1,
  });
  const after = datesOf(await lake.hashes());
  expect(before).toHaveLength(2);
  expect(after).toEqual(expect.arrayContaining(before));
  expect(after.map(([key]) => key)).toContain('silver/listening_events/v/event_date=2024-04-01/');
});

test('F61: one id with two times is one event: the fullest row, whichever comes first', async () => {
  const early = events({ occurred_at: '2024-04-01T10:00:00Z' });
  const late = events({ occurred_at: '2024-05-01T10:00:00Z', device: 'ios' });
  const other = events({ event_id: 'x', occurred_at: '2024-06-01T10:00:00Z' });
  const contents: unknown[] = [];
  for (const order of [
    [early, late, other],
    [late, other, early],
    [other, early, late],
  ]) {
    const own = await makeTestLake();
    for (const file of order) {
      await own.add(file);
      await own.transform();
    }
    contents.push(await own.hashes());
    expect(await own.rows('listening_events', 'event_id, occurred_at, copies')).toEqual([
      { event_id: 'e1', occurred_at: '2024-05-01T10:00:00.000Z', copies: 2 },
      { event_id: 'x', occurred_at: '2024-06-01T10:00:00.000Z', copies: 1 },
    ]);
    await own.close();
  }
  expect(contents[1]).toEqual(contents[0]);
  expect(contents[2]).toEqual(contents[0]);
});

test('rows in no order over many dates are sorted by date before they are written', async () => {
  const rows = Array.from({ length: 1500 }, (_, n) => ({
    event_id: `e${n}`,
    occurred_at: new Date(Date.UTC(2024, 0, 1 + ((n * 37) % 50), n % 24)).toISOString(),
  }));
  await lake.add(events(...rows));
  await lake.transform({}, undefined, { ...LIMITS, groupRows: 100, rereadRows: 1000 });
  const written = await lake.rows('listening_events', 'event_id, occurred_at, played_ms');
  expect(written).toHaveLength(1500);
  expect(new Set(written.map(({ event_id, occurred_at }) => `${event_id} ${occurred_at}`))).toEqual(
    new Set(rows.map(({ event_id, occurred_at }) => `${event_id} ${occurred_at}`)),
  );
});

test('events that the engine of the lake builds are neither planned nor staged; their number decides', async () => {
  await lake.add(
    events({}, { event_id: 'e2', occurred_at: '2024-06-01T10:00:00Z' }),
    ...[2020, 2021].map((year) => extended({ ts: `${year}-06-10T00:00:00Z` }, { ts: `${year}-06-11T00:00:00Z` })),
  );
  const asked = new Error('the engine was asked');
  const from = (least: string): Effects => ({
    ...lake.effects,
    config: readConfig({ LISTENLAKE_THREADS: '2', LISTENLAKE_ATHENA_EVENTS: least }),
    engine: {
      ...lake.effects.engine,
      openWork: () => {
        throw asked;
      },
    },
  });
  const interval = { fromMs: Date.UTC(2024, 4, 1), toMs: Date.UTC(2024, 6, 1) };
  const planned = async (least: string) =>
    (await planTransform({ tasksMax: 4, taskRowsMin: 1 }, from(least))).partitions;
  const input = { runId: 'test', loadedOn: '2026-11-21' };
  expect((await planned('2')).map(({ rows }) => rows)).toEqual([2, 2]);
  expect(await stageTransform(interval, from('2'))).toEqual({ status: 'staged', partitions: 0, built: 0 });
  await expect(transform(input, from('2'))).rejects.toBe(asked);

  expect((await planned('3')).reduce((sum, { rows }) => sum + rows, 0)).toBe(6);
  expect(await stageTransform(interval, from('0'))).toMatchObject({ partitions: 2, built: 2 });
  expect(await transform(input, from('3'))).toMatchObject({ status: 'transformed', taken: 2 });
});
