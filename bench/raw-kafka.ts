/**
 * What the client alone can do: sends the lines of a file, or reads a topic and drops what it reads.
 *
 *     node bench/raw-kafka.ts produce BROKERS TOPIC COUNT FILE
 *     node bench/raw-kafka.ts consume BROKERS TOPIC COUNT
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Admin, Consumer, Producer } from '@platformatic/kafka';

const SEND_RECORDS = 2_000;
const PARTITIONS = 3;
const MIB = 1024 ** 2;
const ACKS_ALL = -1;

const [verb, brokers = '', topic = '', count = ''] = process.argv.slice(2);
const wanted = Number(count);
const options = { clientId: 'bench', bootstrapBrokers: [brokers] };
await (verb === 'produce' ? produce(process.argv[6]!) : consume());

/** The same lines again and again until there are enough, keyed as ours are. */
async function produce(file: string): Promise<void> {
  const admin = new Admin(options);
  await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1 });
  await admin.close();
  const producer = new Producer({ ...options, idempotent: true, acks: ACKS_ALL });
  let [sent, underWay]: [number, Promise<unknown>] = [0, Promise.resolve()];
  let messages: { topic: string; key: Buffer; value: Buffer }[] = [];
  while (sent < wanted) {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      const key = Buffer.from(/"user_id":"([^"]*)"/.exec(line)?.[1] ?? '');
      messages.push({ topic, key, value: Buffer.from(line) });
      if (messages.length < SEND_RECORDS && sent + messages.length < wanted) continue;
      await underWay;
      underWay = producer.send({ messages });
      sent += messages.length;
      messages = [];
      if (sent >= wanted) break;
    }
  }
  await underWay;
  await producer.close();
}

/** With the sizes of fetches that are best for it here. */
async function consume(): Promise<void> {
  const consumer = new Consumer({ ...options, groupId: `raw-${topic}-${process.pid}` });
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'earliest',
    maxBytes: 4 * MIB,
    maxBytesPerPartition: MIB,
    autocommit: 1_000,
  });
  let [read, bytes] = [0, 0];
  for await (const { value } of stream) {
    read += 1;
    bytes += value.length;
    if (read >= wanted) break;
  }
  await consumer.close(true);
  if (bytes === 0) throw new Error('nothing was read');
}
