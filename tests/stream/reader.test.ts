/** What a topic may hold besides plain records, read from a real broker. */
import { setTimeout as wait } from 'node:timers/promises';
import { Admin, Consumer, Producer } from '@platformatic/kafka';
import { type Broker, startBroker } from '../../deploy/stream/broker.ts';
import { readConfig } from '../../jobs/base/config.ts';
import type { JobError } from '../../jobs/base/errors.ts';
import { openTopicReader, type TopicRecord } from '../../jobs/sources/kafka/reader.ts';
import { canRunBroker } from './history.ts';

/** The cleaner of the broker looks every 15 s. */
const CLEANED_MAX_MS = 120_000;

const isThere = canRunBroker();
const test = isThere ? it : it.skip;
let broker: Broker;
beforeAll(async () => {
  if (isThere) broker = await startBroker();
});
afterAll(() => broker?.close());

const client = () => ({ clientId: 'tests', bootstrapBrokers: [broker.brokers] });

async function makeTopic(name: string, configs: Record<string, string> = {}): Promise<void> {
  const admin = new Admin(client());
  const given = Object.entries(configs).map(([key, value]) => ({ name: key, value }));
  await admin.createTopics({ topics: [name], partitions: 1, replicas: 1, configs: given });
  await admin.close();
}

/** All of a topic of one partition, from offset 0 on. */
async function readAll(topic: string): Promise<TopicRecord[]> {
  const config = readConfig({ LISTENLAKE_LAKE: 'none', LISTENLAKE_KAFKA_BROKERS: broker.brokers });
  const reader = await openTopicReader(config.kafka, { topic, group: 'looker', isMember: false });
  const records: TopicRecord[] = [];
  try {
    const { end } = (await reader.bounds()).get(0)!;
    for (let next = 0; next < end; )
      for (const fetched of await reader.fetch(new Map([[0, next]]))) {
        records.push(...fetched.records);
        next = fetched.next;
      }
    return records;
  } finally {
    await reader.close();
  }
}

test('records of aborted transactions are not read, however many there are and wherever they end', async () => {
  await makeTopic('transactions');
  const producer = new Producer({ ...client(), idempotent: true, transactionalId: 'of-the-test' });
  const kept: string[] = [];
  let sent = 0;
  const send = async (isKept: boolean, batches: number, bytes: number): Promise<void> => {
    const transaction = await producer.beginTransaction();
    for (let batch = 0; batch < batches; batch += 1) {
      const names = [1, 2, 3].map(() => `${isKept ? 'kept' : 'aborted'} ${sent++} `);
      const messages = names.map((name) => ({
        topic: 'transactions',
        partition: 0,
        value: Buffer.from(name.padEnd(bytes)),
      }));
      await transaction.send({ messages });
      if (isKept) kept.push(...names);
    }
    await (isKept ? transaction.commit() : transaction.abort());
  };
  await send(true, 1, 10);
  // One producer takes back several that come in one answer.
  await send(false, 2, 10);
  await send(true, 2, 10);
  await send(false, 1, 10);
  await send(false, 1, 10);
  await send(true, 1, 10);
  // The end of this one comes some answers later: one has 1 MB of a partition.
  await send(false, 12, 100_000);
  await send(true, 1, 10);
  await producer.close();
  const records = await readAll('transactions');
  expect(records.map(({ value }) => `${value!.toString().trim()} `)).toEqual(kept);
});

test('a topic that is compacted stops the reader at the first record that is gone, also inside of a batch', async () => {
  await makeTopic('compacted', {
    'cleanup.policy': 'compact',
    'min.cleanable.dirty.ratio': '0.01',
    'max.compaction.lag.ms': '100',
    'segment.ms': '500',
  });
  const producer = new Producer(client());
  const send = (keys: string[]) =>
    producer.send({
      messages: keys.map((key) => ({
        topic: 'compacted',
        partition: 0,
        key: Buffer.from(key),
        value: Buffer.from('v'),
      })),
      acks: -1,
    });
  await send(['first', 'second', 'third', 'second', 'last']);
  expect(await readAll('compacted')).toHaveLength(5);
  let failed: JobError | undefined;
  const endsAt = Date.now() + CLEANED_MAX_MS;
  while (failed === undefined && Date.now() < endsAt) {
    await wait(1_000);
    await send(['other']); // closes the segment before it
    failed = await readAll('compacted').then(
      () => undefined,
      (error: JobError) => error,
    );
  }
  await producer.close();
  expect([failed?.code, failed?.message]).toEqual([
    'stream_hole',
    expect.stringContaining('offsets 1 to 1 are missing'),
  ]);
});

test('a member that cannot join again says that it has no place, and does not end the process', async () => {
  await makeTopic('shared');
  const kafka = readConfig({ LISTENLAKE_LAKE: 'none', LISTENLAKE_KAFKA_BROKERS: broker.brokers }).kafka;
  // One that sleeps: while the others wait for it, the broker dies.
  const slow = { sessionTimeout: 60_000, rebalanceTimeout: 60_000, heartbeatInterval: 50_000 };
  const [sleeper, newcomer] = [1, 2].map(
    () => new Consumer({ ...client(), ...slow, groupId: 'group', retries: false }),
  );
  sleeper!.topics.track('shared');
  newcomer!.topics.track('shared');
  const reader = await openTopicReader(kafka, { topic: 'shared', group: 'group', isMember: true });
  const joined = sleeper!.joinGroup({});
  await joined;
  await until(() => reader.assigned() !== undefined);
  for (const each of [sleeper!, newcomer!]) each.on('error', () => undefined);
  newcomer!.joinGroup({}).catch(() => undefined);
  await wait(5_000); // the reader's heartbeat comes every two
  await broker.stop('SIGKILL');
  await until(() => reader.assigned() === undefined);
  await broker.again();
  await reader.close().catch(() => undefined);
  await Promise.all([sleeper!, newcomer!].map((each) => each.close(true).catch(() => undefined)));
  const again = await openTopicReader(kafka, { topic: 'shared', group: 'another', isMember: true });
  await until(() => again.assigned() !== undefined);
  await again.close();
});

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 600 && !isSo(); turn += 1) await wait(100);
  expect(isSo()).toBe(true);
}
