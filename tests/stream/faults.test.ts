/** Rows F57 to F63 of the faults that a stream must bear, each by its number, on a real broker. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin, Producer } from '@platformatic/kafka';
import { type Broker, startBroker } from '../../deploy/stream/broker.ts';
import { readConfig } from '../../jobs/base/config.ts';
import { JobError } from '../../jobs/base/errors.ts';
import { createLog } from '../../jobs/base/log.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { STREAM_DEAD_LETTERS_PREFIX } from '../../jobs/lake/keys.ts';
import { openTopicReader, type TopicReader } from '../../jobs/sources/kafka/reader.ts';
import { type ConsumeCounts, type ConsumeOptions, consume } from '../../jobs/stream/consume.ts';
import { finished, PSEUDONYM_KEY } from '../fixtures/command-line.ts';
import { failureOf } from '../fixtures/failure.ts';
import { canRunBroker, fieldOf, StreamWorld, someEvents } from './history.ts';

const isThere = canRunBroker();
const test = isThere ? it : it.skip;
let broker: Broker;
let folder: string;
let worlds = 0;

beforeAll(async () => {
  if (!isThere) return;
  folder = await mkdtemp(join(tmpdir(), 'listenlake-stream-'));
  broker = await startBroker();
});
afterAll(async () => {
  if (!isThere) return;
  await broker.close();
  await rm(folder, { recursive: true, force: true });
});

async function newWorld(): Promise<StreamWorld> {
  worlds += 1;
  const world = new StreamWorld(folder, `faults-${worlds}`, broker.brokers);
  await world.makeTopic();
  return world;
}

interface Inside {
  put?: (key: string) => Promise<void>;
  reader?: (reader: TopicReader) => TopicReader;
  options?: Partial<ConsumeOptions>;
  signal?: AbortSignal;
}

/** A consumer in this process, so that a test can stand between its steps. */
async function consumeInside(world: StreamWorld, group: string, inside: Inside = {}): Promise<ConsumeCounts> {
  const store = await openFolderLake(world.lake);
  const watched = Object.create(store, {
    put: {
      value: async (...args: Parameters<typeof store.put>) => {
        await inside.put?.(args[0]);
        return store.put(...args);
      },
    },
  });
  const config = readConfig({ LISTENLAKE_LAKE: world.lake, LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY });
  const signal = inside.signal ?? new AbortController().signal;
  const effects = { config, store: watched, log: createLog('silent'), now: Date.now, signal } as unknown as Effects;
  const open = async () => {
    const reader = await openTopicReader(world.kafka(), { topic: world.topic, group, isMember: true });
    return inside.reader?.(reader) ?? reader;
  };
  const options = { topic: world.topic, open, lingerMs: 200, isUntilEnd: true, isGapAccepted: false };
  return consume({ ...options, ...inside.options }, effects);
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('F57: the broker dies and comes back, also the coordinator of the group: each record once', async () => {
  const world = await newWorld();
  const lines = await someEvents(57, 600);
  await world.sendEvents(lines.slice(0, 300));
  const child = world.startConsumer(world.newGroup());
  const ended = finished(child);
  for (let turn = 0; turn < 120 && world.records('stream').length < 300; turn += 1) await wait(500);
  await broker.stop('SIGKILL');
  await wait(1_000);
  await broker.again();
  await world.sendEvents(lines.slice(300));
  for (let turn = 0; turn < 90 && world.records('stream').length < 600; turn += 1) await wait(1_000);
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('a bug')]);
  await world.expectWhole();
});

test('F58: a rebalance while a batch is written: the other member reads on behind it, and nothing is doubled', async () => {
  const world = await newWorld();
  await world.sendEvents(await someEvents(58, 900));
  const group = world.newGroup();
  let other: Promise<unknown> | undefined;
  const first = consumeInside(world, group, {
    put: async () => {
      other ??= consumeInside(world, group);
      await wait(1_500);
    },
  });
  await first;
  await other;
  await world.consume();
  await world.expectWhole();
});

test('F59: an offset is committed after its file is there, never before; killed between, nothing is doubled', async () => {
  const world = await newWorld();
  await world.sendEvents(await someEvents(59, 300));
  const committedBefore: string[] = [];
  const killed = failureOf(
    consumeInside(world, world.newGroup(), {
      reader: (reader) => ({
        ...reader,
        commit: async (positions) => {
          for (const [partition, next] of positions) {
            const held = world.records('stream').filter((each) => each.partition === partition);
            if (held.length !== next) committedBefore.push(`${partition}: ${next} of ${held.length}`);
          }
          throw new Error('killed'); // the group is never told
        },
      }),
    }),
  );
  // A commit that fails loses nothing: the consumer goes on.
  await expect(killed).rejects.toThrow('it did not fail');
  expect(committedBefore).toEqual([]);
  expect(world.records('stream')).toHaveLength(300);
  const again = await world.consume();
  expect(again.json).toMatchObject({ status: 'nothing_new', events: 0, conflicts: 0 });
  await world.expectWhole();
});

test('F60: what is no event goes to the dead letters with its reason, masked; where they cannot be written, it stops', async () => {
  const world = await newWorld();
  const events = await someEvents(60, 40);
  await world.sendEvents(events.slice(0, 20));
  const bad: [Buffer | undefined, string][] = [
    [Buffer.from('{"event_id":"e1","email":"somebody@example.org"'), 'not_json'],
    [Buffer.from('{"name": "x", "password": "hunter2hunter2"}'), 'not_an_event'],
    [Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 'not_utf8'],
    [Buffer.alloc(10_000_000, 'x'), 'too_large'],
    [undefined, 'no_value'],
    [Buffer.from(`${'['.repeat(100_000)}${']'.repeat(100_000)}`), 'not_an_event'],
  ];
  const producer = new Producer({ clientId: 'liar', bootstrapBrokers: [broker.brokers] });
  for (const [value] of bad)
    await producer.send({
      messages: [{ topic: world.topic, partition: 1, key: Buffer.from('user@example.org'), value }],
      acks: -1,
    });
  await producer.close();
  await world.sendEvents(events.slice(20));
  const full = new JobError('disk_full', 'io', 'the disk is full');
  const failed = await failureOf(
    consumeInside(world, world.newGroup(), {
      put: async (key) => {
        if (key.startsWith(STREAM_DEAD_LETTERS_PREFIX)) throw full;
      },
    }),
  );
  expect(failed.code).toBe('disk_full');
  const done = await world.consume();
  expect([done.code, done.json.dead_letters]).toEqual([0, bad.length]);
  const letters = world.records('stream-dead-letters') as unknown as { value: string }[];
  const text = JSON.stringify(letters);
  for (const secret of ['somebody@', 'hunter2', 'user@example']) expect(text).not.toContain(secret);
  expect(Math.max(...letters.map(({ value }) => value.length))).toBeLessThanOrEqual(65_536);
  world.poison = bad.length;
  await world.expectWhole();
  expect((await world.lag()).json).toMatchObject({ lag_events: 0 });
});

test('F61: late, reordered and doubled events are each in silver once, under their own dates', async () => {
  const world = await newWorld();
  const lines = await someEvents(61, 200);
  const shifted = lines.map((line, index) =>
    line.replace(
      /"occurred_at":"[^"]*"/,
      `"occurred_at":"${['2026-09-01', '2026-10-01', '2026-08-05'][index % 3]}T10:00:00.000Z"`,
    ),
  );
  await world.sendEvents([...shifted.toReversed(), ...shifted.slice(0, 50)]);
  expect((await world.consume()).code).toBe(0);
  await world.expectWhole();
  await world.expectSilver();
  const { stdout } = await world.listenlake(
    'sql',
    'select cast(occurred_at as date) as day, count(*) as events from silver.listening_events group by 1 order by 1',
    '--json',
  );
  const days = JSON.parse(stdout) as { day: string; events: number }[];
  expect(days.map(({ day, events }) => [String(day).slice(0, 10), Number(events)])).toEqual([
    ['2026-08-05', 66],
    ['2026-09-01', 67],
    ['2026-10-01', 67],
  ]);
});

test('F61: an event of a wrong clock, years ahead, is told with its place and makes nobody else late', async () => {
  const world = await newWorld();
  const lines = await someEvents(61, 300);
  const ahead = lines
    .slice(0, 3)
    .map((line) => line.replace(/"occurred_at":"[^"]*"/, '"occurred_at":"2031-01-01T00:00:00.000Z"'));
  // First of their partitions, so that all that follow would be behind them.
  await world.sendEvents(ahead);
  await world.sendEvents(lines.slice(3));
  expect((await world.consume()).code).toBe(0);
  await world.expectWhole();
  const done = await world.listenlake('transform', '--on-quarantine', 'warn');
  expect([done.code, done.json.accounts]).toEqual([0, expect.objectContaining({ new: 297, quarantined: 3 })]);
  const ask = async (sql: string): Promise<unknown> =>
    JSON.parse((await world.listenlake('sql', sql, '--json')).stdout);
  expect(await ask('select code, source, count(*) as n from silver.quarantine group by 1, 2')).toEqual([
    { code: 'time_future', source: 'stream', n: 3 },
  ]);
  expect(await ask('select sum(late_records) as late from silver.stream_batches')).toEqual([{ late: 0 }]);
  const places = world.records('stream').filter(({ value }) => value!.includes('2031-01-01'));
  expect(places).toHaveLength(3);
});

test('F62: marks of transactions are no hole; a topic made anew, and deleted records, stop with a clear line', async () => {
  const world = await newWorld();
  const lines = await someEvents(62, 90);
  const admin = new Admin({ clientId: 'tests', bootstrapBrokers: [broker.brokers] });
  const producer = new Producer({
    ...{ clientId: 'tests', bootstrapBrokers: [broker.brokers] },
    ...{ idempotent: true, transactionalId: `tx-${world.topic}` },
  });
  for (const [index, isKept] of [true, false, true].entries()) {
    const transaction = await producer.beginTransaction();
    const some = lines.slice(index * 30, index * 30 + 30);
    const messages = some.map((line) => ({ topic: world.topic, partition: 0, value: Buffer.from(line) }));
    await transaction.send({ messages });
    await (isKept ? transaction.commit() : transaction.abort());
  }
  await producer.close();
  const done = await world.consume();
  expect([done.code, done.json.events]).toEqual([0, 60]);
  const held = world.records('stream').map(({ value }) => fieldOf(value!, 'event_id'));
  expect(held).toEqual([...lines.slice(0, 30), ...lines.slice(60)].map((line) => fieldOf(line, 'event_id')));

  // Deleted before they were read.
  await world.send(lines.map((line) => ({ key: Buffer.from('one-user'), value: Buffer.from(line) })));
  const reader = await openTopicReader(world.kafka(), { topic: world.topic, group: 'looker', isMember: false });
  const bounds = await reader.bounds();
  await reader.close();
  const [partition, { end }] =
    [...bounds].find(([, each]) => each.end === 90) ?? [...bounds].find(([, each]) => each.end > 93)!;
  await admin.deleteRecords({ topics: [{ name: world.topic, partitions: [{ partition, offset: BigInt(end - 10) }] }] });
  if (partition === 0) {
    const gone = await world.consume();
    expect([gone.code, gone.stderr]).toEqual([65, expect.stringContaining('were deleted before they were read')]);
  }
  const accepted = await world.consume(world.newGroup(), '--accept-gap');
  expect(accepted.code).toBe(0);

  // Made anew, with fewer records than the lake holds, and with as many.
  for (const records of [lines.slice(0, 5), [...lines, ...lines, ...lines]]) {
    await admin.deleteTopics({ topics: [world.topic] });
    await wait(1_000);
    await world.makeTopic();
    await wait(500);
    const messages = records.flatMap((line) =>
      [0, 1, 2].map((each) => ({ key: Buffer.from(String(each)), value: Buffer.from(line) })),
    );
    await world.send(messages);
    const anew = await world.consume();
    expect([anew.code, anew.stderr]).toEqual([65, expect.stringContaining('not the topic that the lake holds')]);
  }
  await admin.close();
});

test('F63: without traffic nothing is written; a partition that is slow is closed by where the topic ended', async () => {
  const world = await newWorld();
  const lines = await someEvents(63, 30);
  const stop = new AbortController();
  const running = consumeInside(world, world.newGroup(), {
    signal: stop.signal,
    options: { isUntilEnd: false, lingerMs: 500 },
  });
  await wait(4_000);
  expect([...world.files('stream'), ...world.files('stream-dead-letters')]).toEqual([]);
  await world.sendEvents(lines.slice(0, 1));
  for (let turn = 0; turn < 60 && world.files('stream').length === 0; turn += 1) await wait(500);
  expect(world.records('stream')).toHaveLength(1);
  await wait(2_000);
  expect(world.files('stream')).toHaveLength(1);
  await world.sendEvents(lines.slice(1));
  stop.abort();
  await running;
  await world.consume();
  await world.expectWhole();
});
