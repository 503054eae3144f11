import { gzipSync } from 'node:zlib';
import { transform } from '../../jobs/transform.ts';
import { eventOf } from '../fixtures/stream-batches.ts';
import { type LoadFixture, openLoadFixture } from './load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const lines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const event = (n: number): Record<string, unknown> =>
  eventOf({ event_id: `evt-${n}`, user_id: n === 2 ? 'ann@example.org' : 'u1' });

it("files of Confluent's and of Aiven's sink are events, each once, whichever sink wrote it", async () => {
  const at = '2026-10-05T12:00:00Z';
  const envelope = (n: number, value: unknown, offset: unknown = n): unknown => ({
    key: 'u1',
    value,
    timestamp: at,
    offset,
  });
  await lake.give({
    'topics/plays/partition=0/plays+0+0000000000.json': lines([event(0), event(1)]),
    'plays-1-00000000000000000000.gz': gzipSync(lines([envelope(1, event(1)), envelope(2, event(2))])),
    'plays-2-5.gz': gzipSync(
      lines([envelope(5, JSON.stringify(event(5))), envelope(6, 'no event'), envelope(7, null)]),
    ),
  });
  const loaded = await lake.load();
  expect(loaded.files.map(({ status, kind }) => [status, kind]).sort()).toEqual([
    ['loaded', 'listening_events'],
    ['loaded', 'sink_events'],
    ['loaded', 'sink_events'],
  ]);
  const { accounts, quarantined } = await transform({ runId: 'test', loadedOn: '2026-11-21' }, lake.effects);
  expect(accounts).toEqual({ read: 7, new: 4, duplicate: 1, quarantined: 2 });
  expect(quarantined).toEqual({ value_unreadable: 2 });
  const rows = await lake.query(
    'select event_id, topic, partition_number, cast(record_offset as integer) as o, copies from silver.listening_events order by event_id',
  );
  expect(rows.filter(([id]) => id !== 'evt-1')).toEqual([
    ['evt-0', null, null, null, 1],
    ['evt-2', 'plays', 1, 2, 1],
    ['evt-5', 'plays', 2, 5, 1],
  ]);
  const users = await lake.query("select distinct user_id from silver.listening_events where event_id = 'evt-2'");
  expect(String(users)).not.toMatch(/@|ann/);
});
