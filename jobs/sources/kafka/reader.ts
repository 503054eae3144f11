import { Consumer } from '@platformatic/kafka';
import { JobError } from '../../base/errors.ts';
import type { KafkaConfig } from '../../base/kafka-settings.ts';
import { connectionOptions, kafkaFailure } from './connection.ts';

/** One record as the cluster gives it. */
export interface TopicRecord {
  offset: number;
  /** Unix ms; -1 where the producer gave none. */
  recordAt: number;
  key: Buffer | null;
  /** Null: a tombstone. */
  value: Buffer | null;
}

/** What one fetch has brought of a partition: its records in order, and how far they reach. */
export interface Fetched {
  partition: number;
  records: TopicRecord[];
  /** Offset to read next; past marks of transactions, which are no records. */
  next: number;
  /** First offset that cannot be read yet. */
  end: number;
}

/** First offset that the topic still has, and the one that comes next, of each partition. */
export type Bounds = ReadonlyMap<number, { start: number; end: number }>;

/**
 * A topic as a member of a group reads it. The group only shares out the partitions: where to read on is the
 * caller's to say.
 */
export interface TopicReader {
  readonly topic: string;
  /** Partitions that the group has given to this member now; undefined while it has no place in the group. */
  assigned(): number[] | undefined;
  /**
   * The next records of each partition from the offset given; at most 1 MB of each. Waits half a second where
   * there are none.
   *
   * @throws `stream_hole` (65) where records between are missing; what `kafkaFailure` gives
   */
  fetch(positions: ReadonlyMap<number, number>): Promise<Fetched[]>;
  bounds(): Promise<Bounds>;
  /** What the group has committed; absent: nothing. */
  committed(partitions: readonly number[]): Promise<Map<number, number>>;
  /** Tells the group how far this member is, for whoever looks at its lag. */
  commit(positions: ReadonlyMap<number, number>): Promise<void>;
  /** Leaves the group. */
  close(): Promise<void>;
}

const FETCH_BYTES_MAX = 4 * 1024 * 1024;
const PARTITION_BYTES_MAX = 1024 * 1024;
const FETCH_WAIT_MS = 500;
const SESSION_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = 2_000;
/** Records of transactions that were taken back are not given. */
const READ_COMMITTED = 1;
const IS_TRANSACTIONAL = 0x10;
const IS_CONTROL = 0x20;
const IS_LOG_APPEND_TIME = 0x08;

/**
 * Opens a topic for reading and joins the group; with `isMember` false it only looks.
 *
 * @throws `topic_missing`, `kafka_plaintext` (78), `kafka_denied` (77), `kafka_unavailable` (69)
 */
export async function openTopicReader(
  kafka: KafkaConfig,
  { topic, group, isMember }: { topic: string; group: string; isMember: boolean },
): Promise<TopicReader> {
  const consumer = new Consumer({
    ...connectionOptions(kafka),
    groupId: group,
    isolationLevel: READ_COMMITTED,
    sessionTimeout: SESSION_TIMEOUT_MS,
    rebalanceTimeout: SESSION_TIMEOUT_MS,
    heartbeatInterval: HEARTBEAT_MS,
    maxWaitTime: FETCH_WAIT_MS,
  });
  const doing = `topic ${topic} at ${kafka.brokers.join(', ')}`;
  const told = <T>(promise: Promise<T>): Promise<T> =>
    promise.catch((error: unknown) => {
      throw kafkaFailure(error, doing);
    });
  try {
    consumer.topics.track(topic);
    const metadata = await told(consumer.metadata({ topics: [topic] }));
    if (metadata.topics.get(topic) === undefined)
      throw new JobError('topic_missing', 'config', `${doing}: there is no such topic`, {
        hint: 'make it, or name another one with --topic',
      });
    if (isMember) await told(consumer.joinGroup({}));
  } catch (error) {
    await consumer.close(true).catch(() => undefined);
    throw error;
  }
  const isLost = watchPlace(consumer);
  return {
    topic,
    assigned: () =>
      isLost() ? undefined : (consumer.assignments?.find((each) => each.topic === topic)?.partitions ?? undefined),
    fetch: (positions) => told(fetchAll(consumer, topic, positions)),
    bounds: () => told(boundsOf(consumer, topic)),
    committed: (partitions) => told(committedOf(consumer, topic, partitions)),
    async commit(positions) {
      const offsets = [...positions].map(([partition, next]) => ({
        topic,
        partition,
        offset: BigInt(next),
        leaderEpoch: -1,
      }));
      await told(consumer.commit({ offsets }));
    },
    close: () => consumer.close(true),
  };
}

/**
 * Whether a member has lost its place in the group: its heartbeats have stopped, or it could not join again,
 * which the client tries once. It would go on with partitions that are others' by now, and without new ones.
 */
function watchPlace(consumer: Consumer): () => boolean {
  let isLost = false;
  const set = (value: boolean) => (): void => {
    isLost = value;
  };
  // Without a listener, an `error` would end the process.
  consumer.on('error', set(true));
  consumer.on('consumer:heartbeat:stalled', set(true));
  consumer.on('consumer:heartbeat:end', set(false));
  return () => isLost;
}

/** One request for each broker that leads some of the partitions. */
async function fetchAll(consumer: Consumer, topic: string, positions: ReadonlyMap<number, number>): Promise<Fetched[]> {
  const { id, partitions } = (await consumer.metadata({ topics: [topic] })).topics.get(topic)!;
  const byNode = new Map<number, { partition: number; fetchOffset: bigint }[]>();
  for (const [partition, next] of positions) {
    const { leader } = partitions[partition] ?? { leader: -1 };
    byNode.set(leader, [...(byNode.get(leader) ?? []), { partition, fetchOffset: BigInt(next) }]);
  }
  const answers = await Promise.all(
    [...byNode].map(([node, wanted]) =>
      consumer.fetch({
        node,
        minBytes: 1,
        maxBytes: FETCH_BYTES_MAX,
        maxWaitTime: FETCH_WAIT_MS,
        isolationLevel: READ_COMMITTED,
        topics: [
          {
            topicId: id,
            partitions: wanted.map((each) => ({
              ...each,
              currentLeaderEpoch: -1,
              lastFetchedEpoch: -1,
              partitionMaxBytes: PARTITION_BYTES_MAX,
            })),
          },
        ],
      }),
    ),
  );
  return answers.flatMap(({ responses }) =>
    responses.flatMap((each) =>
      each.partitions
        .filter(({ partitionIndex }) => positions.has(partitionIndex))
        .map((answer) => readAnswer(answer, positions.get(answer.partitionIndex)!, topic)),
    ),
  );
}

type Answer = Awaited<ReturnType<Consumer['fetch']>>['responses'][number]['partitions'][number];
type Batch = NonNullable<Answer['records']>[number];

/**
 * The records at and after an offset, and the proof that none is missing between. Records of aborted
 * transactions are left out here: the client only leaves out those whose end is in the same answer, and of a
 * producer only the last such transaction.
 *
 * @see https://kafka.apache.org/documentation/#recordbatch (attributes, marks of transactions)
 */
function readAnswer(answer: Answer, from: number, topic: string): Fetched {
  const { partitionIndex: partition, lastStableOffset, highWatermark } = answer;
  const aborted = (answer.abortedTransactions ?? []).toSorted((a, b) => Number(a.firstOffset - b.firstOffset));
  const isLeftOut = leftOutByClient(answer);
  const abortedNow = new Set<bigint>();
  const records: TopicRecord[] = [];
  let next = from;
  for (const batch of answer.records ?? []) {
    const { attributes, producerId } = batch;
    const first = Number(batch.firstOffset);
    const last = first + batch.lastOffsetDelta;
    while (aborted[0] !== undefined && aborted[0].firstOffset <= last) abortedNow.add(aborted.shift()!.producerId);
    if (first > next && !isLeftOut(first)) throw hole(topic, partition, next, first - 1);
    if ((attributes & IS_CONTROL) !== 0) {
      if (isAbortMark(batch)) abortedNow.delete(producerId);
    } else if ((attributes & IS_TRANSACTIONAL) === 0 || !abortedNow.has(producerId)) {
      next = Math.max(next, first);
      for (const record of recordsOf(batch)) {
        if (record.offset < next) continue;
        // Compaction keeps a batch's bounds, and takes records out of its middle.
        if (record.offset > next) throw hole(topic, partition, next, record.offset - 1);
        records.push(record);
        next += 1;
      }
      if (next <= last) throw hole(topic, partition, next, last);
    }
    next = Math.max(next, last + 1);
  }
  return { partition, records, next, end: Number(lastStableOffset >= 0n ? lastStableOffset : highWatermark) };
}

/** Big integers become numbers once for a batch: to add them for each record is slow. */
function recordsOf({ attributes, firstOffset, firstTimestamp, maxTimestamp, records }: Batch): TopicRecord[] {
  const isAppendTime = (attributes & IS_LOG_APPEND_TIME) !== 0;
  const [first, from, to] = [Number(firstOffset), Number(firstTimestamp), Number(maxTimestamp)];
  return records.map(({ offsetDelta, timestampDelta, key, value }) => {
    const recordAt = isAppendTime ? to : from + Number(timestampDelta);
    return { offset: first + offsetDelta, recordAt, key, value };
  });
}

/** The key of a mark is two numbers of 16 bits: a version, and 0 for an abort. */
function isAbortMark({ records }: Batch): boolean {
  return records[0]?.key?.readInt16BE(2) === 0;
}

/** Whether the client may have left out what lies before an offset: part of an aborted transaction that ends later. */
function leftOutByClient({ abortedTransactions, records }: Answer): (first: number) => boolean {
  const marks = (records ?? []).filter((batch) => (batch.attributes & IS_CONTROL) !== 0 && isAbortMark(batch));
  return (first) =>
    (abortedTransactions ?? []).some(
      ({ producerId, firstOffset }) =>
        firstOffset < first && marks.some((mark) => mark.producerId === producerId && mark.firstOffset >= first),
    );
}

function hole(topic: string, partition: number, first: number, last: number): JobError {
  return new JobError(
    'stream_hole',
    'data',
    `${topic}, partition ${partition}: offsets ${first} to ${last} are missing`,
    {
      hint: 'a topic that listenlake reads is cleaned by `delete`, not by `compact`; see docs/streaming.md',
    },
  );
}

async function boundsOf(consumer: Consumer, topic: string): Promise<Bounds> {
  const [starts, ends] = await Promise.all([
    consumer.listOffsets({ topics: [topic], timestamp: -2n }),
    consumer.listOffsets({ topics: [topic], timestamp: -1n, isolationLevel: READ_COMMITTED }),
  ]);
  const start = starts.get(topic) ?? [];
  const end = ends.get(topic) ?? [];
  return new Map(end.map((each, partition) => [partition, { start: Number(start[partition]), end: Number(each) }]));
}

async function committedOf(
  consumer: Consumer,
  topic: string,
  partitions: readonly number[],
): Promise<Map<number, number>> {
  const found = await consumer.listCommittedOffsets({ topics: [{ topic, partitions: [...partitions] }] });
  const offsets = found.get(topic) ?? [];
  return new Map(
    partitions
      .map((partition): [number, number] => [partition, Number(offsets[partition] ?? -1n)])
      .filter(([, offset]) => offset >= 0),
  );
}
