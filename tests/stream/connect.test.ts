/**
 * A real worker of Kafka Connect, whose sink writes to a local S3 as Confluent's and Aiven's do: each event is
 * in silver once, whatever the worker has written twice.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Producer } from '@platformatic/kafka';
import { type Broker, startBroker } from '../../deploy/stream/broker.ts';
import { readConfig } from '../../jobs/base/config.ts';
import { openTopicReader } from '../../jobs/sources/kafka/reader.ts';
import { ensureTopic } from '../../jobs/sources/kafka/writer.ts';
import { startLocalAwsOrSkip } from '../aws/local.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { layerSkipped } from '../fixtures/layers.ts';
import { LAYOUTS, placesOf, Sink } from './connect/sink.ts';
import { type ConnectWorker, missingForWorker, startWorker } from './connect/worker.ts';
import { canRunBroker, fieldOf, PARTITIONS, someEvents } from './history.ts';

/** A worker that was killed keeps its partitions for 45 s: the replay cannot come earlier. */
const REPLAY_MAX_MS = 120_000;
const SETTLED_MAX_MS = 30_000;

const isThere = canRunBroker() && canRunWorker();
const aws = isThere ? await startLocalAwsOrSkip('Kafka Connect', { isTrinoNeeded: false }) : undefined;
const test = aws === undefined ? it.skip : it;
let broker: Broker;
let worker: ConnectWorker;
let folder: string;
const sinks: Sink[] = [];

function canRunWorker(): boolean {
  const missing = missingForWorker();
  if (missing === undefined) return true;
  layerSkipped('Kafka Connect', missing, 'install a JDK of 17 or newer and Maven (Debian: default-jdk-headless maven)');
  return false;
}

beforeAll(async () => {
  if (aws === undefined) return;
  folder = await mkdtemp(join(tmpdir(), 'listenlake-connect-'));
  broker = await startBroker();
  worker = await startWorker(broker.brokers);
});
afterAll(async () => {
  for (const sink of sinks) sink.close();
  await worker?.close();
  await broker?.close();
  await aws?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

const kafka = () => readConfig({ LISTENLAKE_LAKE: folder, LISTENLAKE_KAFKA_BROKERS: broker.brokers }).kafka;

/** A topic, and a sink of each layout with a bucket of its own. */
async function newSinks(topic: string): Promise<Sink[]> {
  await ensureTopic(kafka(), topic, PARTITIONS);
  const made = LAYOUTS.map((layout) => new Sink(layout, topic, { folder, aws: aws! }));
  for (const { bucket } of made) await aws!.makeBucket(bucket);
  sinks.push(...made);
  return made;
}

/** Sends events of the synthetic users by the command. @returns their ids */
async function produce(topic: string, seed: number, count: number): Promise<string[]> {
  const events = ['--seed', String(seed), '--users', '12', '--days', '12', '--tracks', '100', '--no-faults'];
  const args = ['stream', 'produce', '--topic', topic, ...events, '--count', String(count), '--rate', '0'];
  const done = await listenlake(args, { LISTENLAKE_KAFKA_BROKERS: broker.brokers, LISTENLAKE_LAKE: folder });
  expect([done.code, done.stderr, done.json.events]).toEqual([0, '', count]);
  return (await someEvents(seed, count)).map((line) => fieldOf(line, 'event_id'));
}

/** `partition:offset` of every record of a topic. */
async function recordsOf(topic: string): Promise<string[]> {
  const reader = await openTopicReader(kafka(), { topic, group: 'looker', isMember: false });
  const bounds = await reader.bounds();
  await reader.close();
  return [...bounds].flatMap(([partition, { end }]) =>
    Array.from({ length: end }, (_, offset) => `${partition}:${offset}`),
  );
}

/** Waits until something holds. @throws Error with what it was last, and the worker's last words */
async function until(what: string, isSo: () => Promise<boolean | string>, maxMs = SETTLED_MAX_MS): Promise<void> {
  const endsAt = Date.now() + maxMs;
  for (let last = await isSo(); last !== true; last = await isSo()) {
    if (Date.now() > endsAt) throw new Error(`not within ${maxMs} ms: ${what} (${last})\n${worker.log().slice(-3000)}`);
    await wait(200);
  }
}

/** Waits until each record of the topic is in some object of the sink, but for those that are not to be. */
async function untilStored(sink: Sink, topic: string, without: readonly string[] = [], maxMs?: number): Promise<void> {
  const wanted = (await recordsOf(topic)).filter((place) => !without.includes(place)).sort();
  const isSo = async (): Promise<boolean | string> => {
    const stored = [...new Set(await sink.places())].sort();
    return stored.join() === wanted.join() || `${stored.length} of ${wanted.length}`;
  };
  await until(`${sink.name} holds the topic`, isSo, maxMs);
}

async function untilCommitted({ name, group }: Sink, topic: string): Promise<void> {
  const reader = await openTopicReader(kafka(), { topic, group, isMember: false });
  try {
    const end = [...(await reader.bounds())].map(([partition, bounds]) => `${partition}:${bounds.end}`).join();
    await until(`${name} is committed`, async () => {
      const committed = [...(await reader.committed([0, 1, 2]))].map(([partition, next]) => `${partition}:${next}`);
      return committed.join() === end || `${committed} of ${end}`;
    });
  } finally {
    await reader.close();
  }
}

async function expectOnce(sink: Sink, topic: string, ids: readonly string[]): Promise<void> {
  const { events, accounts } = await sink.transform();
  expect([sink.name, events.map(({ event_id }) => event_id)]).toEqual([sink.name, [...new Set(ids)].sort()]);
  expect([sink.name, accounts.quarantined]).toEqual([sink.name, 0]);
  const unplaced = events.filter((each) => each.topic !== topic || each.record_offset === null);
  expect([sink.name, unplaced]).toEqual([sink.name, []]);
}

test('a worker that is killed writes again, into objects of other bounds: each event is in silver once', async () => {
  const topic = 'plays';
  const both = await newSinks(topic);
  for (const sink of both) await worker.configure(sink.name, sink.settings());
  const ids: string[] = [];
  const send = async (seed: number, count: number): Promise<void> =>
    void ids.push(...(await produce(topic, seed, count)));
  const stored = () => Promise.all(both.map((sink) => untilStored(sink, topic)));

  await send(1, 90);
  await stored();
  for (const sink of both) await worker.restart(sink.name);
  for (const sink of both) await untilCommitted(sink, topic);
  const committed = new Set(await recordsOf(topic));

  // Two short objects of each partition, stored and loaded, but not committed. The second has the first
  // events once more, at other offsets.
  for (const [seed, count] of [
    [2, 60],
    [1, 60],
  ] as const) {
    await send(seed, count);
    await stored();
  }
  for (const sink of both) {
    expect((await sink.load()).new).toBeGreaterThanOrEqual(3 * PARTITIONS);
    await expectOnce(sink, topic, ids);
    expect(sink.rewritten()).toEqual([]);
  }
  // The store gets one more object from a worker that is dead.
  const death = Promise.withResolvers<void>();
  aws!.endpoint.rules.push({ operation: 'PutObject', fault: { kind: 'hold', until: death.promise }, after: 4 });
  await send(3, 600);
  await until('a worker waits for its store', async () => aws!.endpoint.rules.length === 0);
  await worker.kill();
  death.resolve();
  const before = both.map((sink) => sink.puts().length);
  await worker.again();
  for (const sink of both) await sink.load(); // what a kill leaves there
  const replayed = (await recordsOf(topic)).filter((place) => !committed.has(place)).sort();
  for (const [index, sink] of both.entries())
    await until(
      `${sink.name} has written again what was not committed`,
      async () => {
        const places = new Set(sink.puts().slice(before[index]).flatMap(placesOf));
        return [...places].sort().join() === replayed.join() || `${places.size} of ${replayed.length}`;
      },
      REPLAY_MAX_MS,
    );
  for (const sink of both) await untilStored(sink, topic);

  for (const sink of both) {
    const places = await sink.places();
    const twice = places.length - new Set(places).size;
    // Else nothing was proven.
    expect([sink.name, twice > 0, sink.rewritten().length > 0]).toEqual([sink.name, true, true]);
    const accounts = await sink.load();
    expect([sink.name, Number(accounts.new) > 0]).toEqual([sink.name, true]);
    await expectOnce(sink, topic, ids);
    expect(await sink.load()).toMatchObject({ new: 0 });
  }
});

test("records that are no events cost nobody else's: in dead letters of Connect, or in quarantine", async () => {
  const topic = 'lies';
  const both = await newSinks(topic);
  for (const sink of both) await worker.configure(sink.name, sink.settings(false));
  const ids = await produce(topic, 4, 60);
  const reader = await openTopicReader(kafka(), { topic, group: 'looker', isMember: false });
  const before = (await reader.bounds()).get(0)!.end;
  await reader.close();
  const lies = ['no json at all', '"text"', '[1,2,3]', '{"name":"x"}', '{"event_id":{"a":1},"topic":7}', undefined];
  const producer = new Producer({ clientId: 'liar', bootstrapBrokers: [broker.brokers] });
  for (const lie of lies)
    await producer.send({
      messages: [
        { topic, partition: 0, key: Buffer.from('liar'), value: lie === undefined ? undefined : Buffer.from(lie) },
      ],
      acks: -1,
    });
  await producer.close();
  ids.push(...(await produce(topic, 5, 60)));
  for (const { name } of both) {
    const stateOf = async (): Promise<string> => (await worker.stateOf(name))?.state ?? 'none';
    await until(`${name} stops at what it cannot read`, async () => (await stateOf()) === 'FAILED' || stateOf());
    expect((await worker.stateOf(name))?.trace).toContain('Converting byte[] to Kafka Connect data failed');
  }
  for (const sink of both) await worker.configure(sink.name, sink.settings());

  // Which of them get no line: of Confluent's layout all that are no object.
  const expected = { confluent: [0, 1, 2, 5], aiven: [0] };
  const letters = { confluent: 3, aiven: 1 };
  for (const [index, layout] of LAYOUTS.entries()) {
    const sink = both[index]!;
    const without = expected[layout].map((lie) => `0:${before + lie}`);
    await untilStored(sink, topic, without);
    expect([layout, (await recordsOf(sink.deadLetters)).length]).toEqual([layout, letters[layout]]);
    await sink.load();
    const { events, accounts } = await sink.transform();
    expect([layout, events.map(({ event_id }) => event_id)]).toEqual([layout, [...new Set(ids)].sort()]);
    expect([layout, accounts.quarantined]).toEqual([layout, lies.length - without.length]);
  }
});
