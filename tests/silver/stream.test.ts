import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gc } from '../../jobs/gc.ts';
import { latestManifest, listManifests, readManifest } from '../../jobs/lake/manifest.ts';
import { readStreamIndex } from '../../jobs/lake/stream.ts';
import { generateDataset } from '../../jobs/sources/synthetic/index.ts';
import { lookAtStreams } from '../../jobs/stream/inspect.ts';
import { isHeld, type OffsetRange, withRange } from '../../jobs/stream/watermark.ts';
import { type BatchPlace, type BatchRecord, eventOf, putBatch } from '../fixtures/stream-batches.ts';
import { memorySink, SMALL } from '../sources/synthetic-sink.ts';
import { makeTestLake, type TestLake } from './transform-lake.ts';

let lake: TestLake;
beforeEach(async () => {
  lake = await makeTestLake();
});
afterEach(async () => {
  await lake.close();
});

const put = (place: BatchPlace, records: readonly BatchRecord[]): Promise<string> =>
  putBatch(join(lake.folder, 'lake'), place, records);
const batches = (columns: string) => lake.rows('stream_batches', columns);

test('events of batches are in silver once, with their place, and the commit names the batches with their offsets', async () => {
  const first = await put({}, [{ value: eventOf() }, { value: eventOf({ event_id: 'evt-2' }) }]);
  const second = await put({ partition: 1, firstOffset: 7 }, [
    { value: eventOf() },
    { value: eventOf({ event_id: 'evt-3' }) },
  ]);
  const result = await lake.transform();
  expect(result.accounts).toEqual({ read: 4, new: 3, duplicate: 1, quarantined: 0 });
  expect(
    await lake.rows('listening_events', 'event_id, source, topic, partition_number, record_offset, copies'),
  ).toEqual([
    { event_id: 'evt-1', source: 'plays', topic: 'plays', partition_number: 0, record_offset: 0, copies: 2 },
    { event_id: 'evt-2', source: 'plays', topic: 'plays', partition_number: 0, record_offset: 1, copies: 1 },
    { event_id: 'evt-3', source: 'plays', topic: 'plays', partition_number: 1, record_offset: 8, copies: 1 },
  ]);
  const named = await commitsNaming('stream');
  expect(named).toEqual([
    [
      { key: first, lastOffset: 1 },
      { key: second, lastOffset: 8 },
    ],
  ]);
  expect((await lake.transform()).status).toBe('nothing_new');
});

test('ranges of offsets are as many as there are gaps, in whatever order they come', () => {
  const held = (offsets: readonly [first: number, last: number][]) =>
    offsets.reduce<readonly OffsetRange[]>((ranges, [first, last]) => withRange(ranges, { first, last }), []);
  const orders: [number, number][][] = [
    [
      [0, 9],
      [10, 19],
      [30, 39],
      [50, 59],
      [35, 52],
    ],
    [
      [50, 59],
      [30, 39],
      [35, 52],
      [10, 19],
      [0, 9],
    ],
    [
      [35, 52],
      [0, 9],
      [50, 59],
      [10, 19],
      [30, 39],
      [31, 32],
    ],
  ];
  for (const order of orders) {
    const ranges = held(order);
    expect(ranges).toEqual([
      { first: 0, last: 19 },
      { first: 30, last: 59 },
    ]);
    const isIn = (offset: number): boolean => order.some(([first, last]) => first <= offset && offset <= last);
    for (let offset = -1; offset < 62; offset += 1)
      expect([offset, isHeld(ranges, offset)]).toEqual([offset, isIn(offset)]);
  }
});

test('an offset that two batches hold counts once, whichever is taken first', async () => {
  await put(
    { firstOffset: 5 },
    [5, 6, 7].map((n) => ({ value: eventOf({ event_id: `evt-${n}` }) })),
  );
  await lake.transform();
  // A consumer that was cut off wrote a part of the same, under another first offset; of 6 it says something else.
  await put(
    { firstOffset: 4 },
    [4, 5, 66].map((n) => ({ value: eventOf({ event_id: `evt-${n}` }) })),
  );
  await lake.transform();
  expect((await lake.rows('listening_events', 'event_id')).map(({ event_id }) => event_id)).toEqual([
    ...['evt-4', 'evt-5', 'evt-6', 'evt-7'],
  ]);
  expect(await batches('first_offset, last_offset, records, repeated_records')).toEqual([
    { first_offset: 4, last_offset: 6, records: 3, repeated_records: 2 },
    { first_offset: 5, last_offset: 7, records: 3, repeated_records: 0 },
  ]);
});

test('events behind the watermark of their partition count as late, land under their own date, and move nothing else', async () => {
  const at = (time: string): Record<string, unknown> => eventOf({ event_id: `evt-${time}`, occurred_at: time });
  await put({}, [
    { value: at('2026-10-05T11:30:00Z') },
    // An hour behind is not late yet; a wrong clock moves no watermark.
    { value: at('2026-10-05T10:30:00Z') },
    { value: at('2026-10-06T11:00:00Z') },
    { value: at('2026-10-05T10:29:59Z') },
    { value: at('2026-10-02T09:00:00Z') },
  ]);
  await lake.transform();
  await put({ firstOffset: 5 }, [{ value: at('2026-10-01T09:00:00Z') }]);
  await put({ partition: 1 }, [{ value: at('2026-09-01T09:00:00Z') }]);
  const result = await lake.transform();
  const changed = result.tables.find(({ table }) => table === 'listening_events');
  expect(changed).toMatchObject({ rowsBefore: 5, rowsAfter: 7, written: 2 });
  expect(await batches('partition_number, first_offset, late_records, newest_event_at')).toEqual([
    { partition_number: 0, first_offset: 0, late_records: 2, newest_event_at: '2026-10-05T11:30:00.000Z' },
    { partition_number: 0, first_offset: 5, late_records: 1, newest_event_at: '2026-10-01T09:00:00.000Z' },
    { partition_number: 1, first_offset: 0, late_records: 0, newest_event_at: '2026-09-01T09:00:00.000Z' },
  ]);
});

test('what a lying producer sends is in quarantine with its place, and costs nobody else a row', async () => {
  const key = await put({}, [
    ...['{"event_id":', '[]', '"text"', 'null', JSON.stringify({ ...eventOf(), track_name: 'x'.repeat(5_000) })].map(
      (value) => ({ value }),
    ),
    { value: JSON.stringify({ EVENT_ID: 'a', event_Id: 'b', deep: [[[[]]]], topic: 'other', record_offset: 99 }) },
    {
      value: {
        ...eventOf({ event_id: 'odd' }),
        track_name: { a: 1 },
        artist_name: 'half \ud800 \0 nul',
        topic: 'other',
      },
    },
    { value: eventOf({ event_id: 'future', occurred_at: '2031-01-01T00:00:00Z' }) },
    { value: eventOf({ event_id: 'dance', action: 'dance' }) },
    { value: eventOf({ event_id: 'good' }) },
  ]);
  await writeFile(join(lake.folder, 'lake', key), `${await readFile(join(lake.folder, 'lake', key), 'utf8')}no json\n`);
  await put({ partition: 1 }, [{ value: eventOf({ event_id: 'other' }) }]);
  const result = await lake.transform();
  expect(result.quarantined).toEqual({ action_unknown: 1, time_future: 1, value_unreadable: 7 });
  expect(await lake.rows('listening_events', 'event_id, artist_name, topic, record_offset')).toEqual([
    { event_id: 'good', artist_name: 'The Example', topic: 'plays', record_offset: 9 },
    { event_id: 'odd', artist_name: 'half \ufffd  nul', topic: 'plays', record_offset: 6 },
    { event_id: 'other', artist_name: 'The Example', topic: 'plays', record_offset: 0 },
  ]);
  const [row] = await lake.rows('quarantine', 'source, code, reason');
  expect(row).toEqual({
    ...{ source: 'stream', code: 'value_unreadable' },
    reason: 'no event in the record at offset 0 of plays-0: see bronze.stream',
  });
});

test('dead letters are counted, and no row comes of them', async () => {
  await put({ folder: 'stream-dead-letters', firstOffset: 3 }, [
    { value: 'broken', reason: 'value_invalid' },
    { value: 'broken', reason: 'value_invalid', offset: 9 },
  ]);
  await lake.transform();
  expect(await batches('kind, first_offset, last_offset, records')).toEqual([
    { kind: 'dead-letters', first_offset: 3, last_offset: 9, records: 2 },
  ]);
  expect(await lake.rows('listening_events')).toEqual([]);
});

test('a replay makes the same events anew, also where their objects are gone', async () => {
  await put({}, [{ value: eventOf() }, { value: eventOf({ event_id: 'evt-2', occurred_at: '2026-10-04T10:00:00Z' }) }]);
  await lake.transform();
  await put({ firstOffset: 2 }, [{ value: eventOf({ event_id: 'evt-3' }) }, { value: 'no event' }]);
  await lake.transform();
  const before = await lake.content();
  expect((await lake.transform({ replay: true })).status).toBe('nothing_new');
  expect(await lake.content()).toEqual(before);
  const folder = join(lake.folder, 'lake/bronze/listening_events');
  for (const name of await readdir(folder)) await rm(join(folder, name));
  await lake.transform({ replay: true });
  expect(await lake.content()).toEqual(before);
});

test('gc deletes no batch, named or not, however old', async () => {
  await put({}, [{ value: eventOf() }]);
  await lake.transform();
  await put({ firstOffset: 1 }, [{ value: eventOf({ event_id: 'evt-2' }) }]);
  await put({ folder: 'stream-dead-letters', firstOffset: 2 }, [{ value: 'x', reason: 'value_invalid' }]);
  const { store } = lake.effects;
  const engine = { unusedTables: async () => [], dropTables: async () => {} } as never;
  const state = async () => (await latestManifest(store))!.state;
  expect(await lookAtStreams(lake.effects, await state())).toMatchObject([{ verdict: 'warn' }]);
  const result = await gc(
    { keepDays: 0, dryRun: false },
    { ...lake.effects, engine, now: () => Date.now() + 400 * 86_400_000 },
  );
  expect(result).toMatchObject({ foreign: 0, layers: { bronze: { objects: 0 } } });
  expect((await lake.transform()).accounts).toEqual({ read: 1, new: 1, duplicate: 0, quarantined: 0 });
  expect(await lookAtStreams(lake.effects, await state())).toMatchObject([{ verdict: 'ok' }]);
  const index = await readStreamIndex(store, await state());
  expect(index.map(({ kind, firstOffset }) => [kind, firstOffset])).toEqual([
    ['batch', 0],
    ['batch', 1],
    ['dead-letters', 2],
  ]);
});

test('generated events over three partitions are in silver as if their files had been loaded', async () => {
  const { files, sink } = memorySink();
  await generateDataset({ ...SMALL, exportPlays: 0, exportYears: 1, faults: false }, sink);
  const lines = [...files]
    .filter(([name]) => name.startsWith('events/'))
    .flatMap(([, text]) => text.trim().split('\n'));
  expect(lines.length).toBeGreaterThan(300);
  const parts = Map.groupBy(lines, (line) => Number(String(JSON.parse(line).user_id).slice(-1)) % 3);
  for (const [partition, own] of parts)
    for (let start = 0; start < own.length; start += 100)
      await put(
        { partition, firstOffset: start },
        own.slice(start, start + 100).map((value) => ({ value })),
      );
  const result = await lake.transform();
  expect(result.accounts).toEqual({ read: lines.length, new: lines.length, duplicate: 0, quarantined: 0 });
  const rows = await lake.rows('listening_events', 'event_id, occurred_at, action');
  const sent = lines.map((line) => JSON.parse(line));
  const sorted = (list: Record<string, unknown>[]) =>
    list.map((row) => `${row.event_id} ${row.occurred_at} ${row.action}`).sort();
  expect(sorted(rows)).toEqual(sorted(sent));
});

async function commitsNaming(detail: string): Promise<unknown[]> {
  const { store } = lake.effects;
  const manifests = await Promise.all(
    (await listManifests(store)).map(({ sequence }) => readManifest(store, sequence)),
  );
  return manifests.flatMap(({ details }) => (details[detail] === undefined ? [] : [details[detail]]));
}
