import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { forget } from '../../jobs/forget.ts';
import { latestManifest } from '../../jobs/lake/manifest.ts';
import { readStreamIndex } from '../../jobs/lake/stream.ts';
import { transform } from '../../jobs/transform.ts';
import { eventOf, putBatch } from '../fixtures/stream-batches.ts';
import { filesWith, Lakes, type OpenLake, rowsOf } from './forget-fixture.ts';

const lakes = new Lakes();
let lake: OpenLake;
let keys: string[];
const WORK = { loadedOn: '2026-11-21' };
const MARK = /anna|Secret of hers/;

const event = (user: string, n: number): Record<string, unknown> =>
  eventOf({
    event_id: `evt-stream-${user}-${n}-000`,
    user_id: user,
    session_id: `ses-stream-${user}-000`,
    track_name: user === 'anna' ? 'Secret of hers' : 'Blue Door',
  });
const linesOf = (key: string): Record<string, unknown>[] =>
  readFileSync(join(lake.root, key), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  lake = await lakes.copy(await lakes.make('bob', ['bob'], {}, { isWhole: true }));
  keys = [
    await putBatch(lake.root, {}, [
      { value: event('anna', 1), key: 'anna' },
      { value: event('bob', 1), key: 'bob' },
      // A producer that takes another's key: the event is bob's.
      { value: event('bob', 2), key: 'anna' },
      { value: event('anna', 2), key: 'anna', at: '2026-10-05T13:00:00.000Z' },
    ]),
    await putBatch(lake.root, { partition: 1 }, [{ value: event('bob', 3), key: 'bob' }]),
    await putBatch(lake.root, { folder: 'stream-dead-letters', firstOffset: 4 }, [
      { value: 'cut off after anna', reason: 'value_invalid' },
      { value: { user_id: 'bob', action: 'dance' }, reason: 'value_invalid' },
    ]),
  ];
  await transform({ runId: 'first', ...WORK }, lake.effects);
  // Nobody has taken this one yet.
  keys.push(
    await putBatch(lake.root, { firstOffset: 6 }, [
      { value: event('anna', 3), key: 'anna' },
      { value: '{"user_id":"anna' },
    ]),
  );
});
afterAll(() => lakes.close());

it("forget empties a person's records under the same offsets, in batches that a commit names and in others, and proves it", async () => {
  const bobs = await rowsOf(lake.root, 'bob');
  const untouched = readFileSync(join(lake.root, keys[1]!), 'utf8');
  expect((await filesWith(lake.root, MARK)).length).toBeGreaterThan(3);
  const input = { userId: 'anna', unloaded: 'stop', confirm: async () => true } as const;
  const asked = await forget({ runId: 'asked', ...input, dryRun: true }, lake.effects);
  expect(asked).toMatchObject({ status: 'dry_run', preview: { tables: { stream: { files: 3, rows: 6 } } } });
  const topic =
    'it holds their records until its own retention (retention.ms) is over, counted from 2026-10-05T13:00:00.000Z';
  expect(asked.preview.notices.join('\n')).toContain(topic);

  const result = await forget({ runId: 'forget', ...input, dryRun: false }, lake.effects);
  expect(result).toMatchObject({ status: 'forgotten', proof: { hits: [], unread: [] } });
  expect(await filesWith(lake.root, MARK)).toEqual([]);
  expect(
    linesOf(keys[0]!).map(({ record_offset, record_key, value }) => [record_offset, record_key, value === null]),
  ).toEqual([
    [0, null, true],
    [1, 'bob', false],
    [2, null, false],
    [3, null, true],
  ]);
  expect(linesOf(keys[2]!).map(({ record_offset, reason, value }) => [record_offset, reason, value === null])).toEqual([
    [4, 'value_invalid', true],
    [5, 'value_invalid', false],
  ]);
  expect(linesOf(keys[3]!).map(({ record_offset, value }) => [record_offset, value])).toEqual([
    [6, null],
    [7, null],
  ]);
  expect(readFileSync(join(lake.root, keys[1]!), 'utf8')).toBe(untouched);
  const now = await rowsOf(lake.root, 'bob');
  expect(now['silver.listening_events']!.split(' ')[0]).toBe(bobs['silver.listening_events']!.split(' ')[0]);
  expect((await forget({ runId: 'again', ...input, dryRun: false }, lake.effects)).status).toBe('nothing_new');
});

it('what the commits say of batches is what lies there, and a replay brings nothing back', async () => {
  const { store } = lake.effects;
  const index = await readStreamIndex(store, (await latestManifest(store))!.state);
  expect(index.map(({ key }) => key).sort()).toEqual([...keys].sort());
  for (const { key, bytes } of index) expect([key, (await store.head(key))?.bytes]).toEqual([key, bytes]);
  const bobs = await rowsOf(lake.root, 'bob');
  await transform({ runId: 'replay', ...WORK, replay: true }, lake.effects);
  const now = await rowsOf(lake.root, 'bob');
  expect(now['silver.listening_events']!.split(' ')[0]).toBe(bobs['silver.listening_events']!.split(' ')[0]);
  expect(await filesWith(lake.root, MARK)).toEqual([]);
});
