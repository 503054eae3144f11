/**
 * What a consumer finds after a crash between the dead letters of a round and its batch, what becomes of what it
 * reads while a batch is being written, and what it does about a client that has gone silent. No broker is
 * needed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../jobs/base/config.ts';
import { JobError } from '../../jobs/base/errors.ts';
import { createLog } from '../../jobs/base/log.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { parseStreamBatchKey, STREAM_PREFIX } from '../../jobs/lake/keys.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import type { Fetched, TopicReader } from '../../jobs/sources/kafka/reader.ts';
import { BATCH_RECORDS_MAX, parseBatch } from '../../jobs/stream/batch.ts';
import { type ConsumeCounts, consume } from '../../jobs/stream/consume.ts';
import { readLag } from '../../jobs/stream/lag.ts';
import { readText } from '../../jobs/stream/positions.ts';
import { PSEUDONYM_KEY } from '../fixtures/command-line.ts';
import { eventOf } from '../fixtures/stream-batches.ts';
import { type MemoryTopic, memoryTopic } from './memory-topic.ts';

const good = (n: number): string => JSON.stringify(eventOf({ event_id: `evt-${n}` }));
const BAD = 'no json';
const KILLED = { beforeBatch: () => Promise.reject(new Error('killed')) };

let folder: string;
let store: LakeStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-crash-'));
  store = await openFolderLake(join(folder, 'lake'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Given {
  /** Before a batch is written, after its dead letters. */
  beforeBatch?: (key: string) => Promise<unknown>;
  now?: () => number;
  lingerMs?: number;
}

/** A consumer to the end of the topic. */
function consumed(
  topic: MemoryTopic,
  { beforeBatch, now = Date.now, lingerMs = 0 }: Given = {},
): Promise<ConsumeCounts> {
  const put: LakeStore['put'] = async (key, ...rest) => {
    if (key.startsWith(STREAM_PREFIX)) await beforeBatch?.(key);
    return store.put(key, ...rest);
  };
  const config = readConfig({ LISTENLAKE_LAKE: folder, LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY });
  const watched = Object.create(store, { put: { value: put } });
  const signal = new AbortController().signal;
  const effects = { config, store: watched, log: createLog('silent'), now, signal } as unknown as Effects;
  const options = { topic: topic.topic, open: topic.open, lingerMs, isUntilEnd: true, isGapAccepted: false };
  return consume(options, effects);
}

/** Offsets that the lake holds. */
async function held(prefix: string): Promise<number[]> {
  const offsets: number[] = [];
  for await (const { key } of store.list(`bronze/${prefix}/`))
    offsets.push(...parseBatch(await readText(store, key), key).map(({ offset }) => offset));
  return offsets.sort((a, b) => a - b);
}

const lagOf = async (topic: MemoryTopic): Promise<number> =>
  (await readLag({ reader: await topic.open(), store }, Date.now()))[0]!.lag;

test('a record before the first dead letter of a topic is not skipped when its batch was never written', async () => {
  const topic = memoryTopic('plays', [good(0), good(1), BAD, BAD, good(4)]);
  await expect(consumed(topic, KILLED)).rejects.toThrow('killed');
  expect([await held('stream'), await held('stream-dead-letters'), await lagOf(topic)]).toEqual([[], [2, 3], 5]);
  expect(await consumed(topic)).toMatchObject({ records: 3, lost: 0 });
  expect([await held('stream'), await held('stream-dead-letters'), await lagOf(topic)]).toEqual([[0, 1, 4], [2, 3], 0]);
});

test('a topic of dead letters alone is read once, also after its first records are deleted', async () => {
  const topic = memoryTopic('plays', [BAD, BAD]);
  expect(await consumed(topic)).toMatchObject({ records: 0, deadLetters: 2 });
  expect(await lagOf(topic)).toBe(0);
  expect(await consumed(topic)).toMatchObject({ deadLetters: 0 });
  topic.values.push(good(2), BAD);
  topic.start = 1;
  expect(await lagOf(topic)).toBe(2);
  expect(await consumed(topic)).toMatchObject({ records: 1, deadLetters: 1, lost: 0 });
  // Deleted before they were read, behind letters alone.
  const other = memoryTopic('other', [BAD, good(1), good(2)]);
  other.values.length = 1;
  await consumed(other);
  other.values.push(good(1), good(2));
  other.start = 2;
  await expect(consumed(other)).rejects.toMatchObject({ code: 'stream_records_deleted' });
});

test('a record between a batch and dead letters behind it is not skipped either', async () => {
  const topic = memoryTopic('plays', [good(0), BAD]);
  await consumed(topic);
  topic.values.push(BAD, good(3), BAD);
  await expect(consumed(topic, KILLED)).rejects.toThrow('killed');
  expect([await held('stream'), await held('stream-dead-letters')]).toEqual([[0], [1, 2, 4]]);
  expect(await lagOf(topic)).toBe(2);
  expect(await consumed(topic)).toMatchObject({ records: 1 });
  const letters = await held('stream-dead-letters');
  expect([await held('stream'), [...new Set(letters)]]).toEqual([
    [0, 3],
    [1, 2, 4],
  ]);
});

/** The first clients of a topic give nothing, and no error. */
function mutedTopic(topic: MemoryTopic, clients: number): MemoryTopic & { opened: number } {
  const muted = {
    ...topic,
    opened: 0,
    async open(): Promise<TopicReader> {
      const reader = await topic.open();
      muted.opened += 1;
      return muted.opened > clients ? reader : { ...reader, fetch: async () => [] };
    },
  };
  return muted;
}

/** A clock that goes on by some seconds whenever somebody looks at it. */
function quickClock(): () => number {
  let ms = Date.UTC(2026, 9, 5);
  return () => (ms += 5_000);
}

test('a client that gives nothing although there is more is made anew; after ten minutes the consumer says so', async () => {
  const topic = mutedTopic(memoryTopic('plays', [good(0), good(1)]), 2);
  expect(await consumed(topic, { now: quickClock() })).toMatchObject({ records: 2 });
  expect(topic.opened).toBe(3);
  const mute = mutedTopic(memoryTopic('mute', [good(0)]), Number.POSITIVE_INFINITY);
  await expect(consumed(mute, { now: quickClock() })).rejects.toMatchObject({
    code: 'stream_stalled',
    message: expect.stringContaining('nothing came from 0 on'),
  });
  expect(mute.opened).toBeGreaterThan(5);
});

test('where another consumer has written a shorter last batch, a run to the end goes on behind it', async () => {
  const topic = memoryTopic('plays', [good(0), good(1), good(2), good(3)]);
  let others = 0;
  const beforeBatch = async (): Promise<void> => {
    if (others++ === 0) await consumed(memoryTopic('plays', [good(0), good(1)]));
  };
  expect(await consumed(topic, { beforeBatch, lingerMs: 600_000 })).toMatchObject({ records: 2, conflicts: 1 });
  expect([await held('stream'), await lagOf(topic)]).toEqual([[0, 1, 2, 3], 0]);
});

describe('while a batch is being written, more is read', () => {
  const RECORDS = 2 * BATCH_RECORDS_MAX + 20_000;
  // Short enough that a batch is full by records, not by bytes.
  const { user_id, action, occurred_at } = eventOf({});
  const values = Array.from({ length: RECORDS }, (_, index) =>
    JSON.stringify({ event_id: `evt-${index}`, user_id, action, occurred_at }),
  );
  const all = values.map((_, offset) => offset);

  test('and the next one waits until it is durable', async () => {
    const topic = memoryTopic('plays', values, 10_000);
    let [writing, most, readMeanwhile] = [0, 0, 0];
    const open = async (): Promise<TopicReader> => {
      const reader = await topic.open();
      return {
        ...reader,
        fetch: (positions) => {
          readMeanwhile += writing;
          return reader.fetch(positions);
        },
      };
    };
    const beforeBatch = async (): Promise<void> => {
      writing += 1;
      most = Math.max(most, writing);
      await new Promise((resolve) => setTimeout(resolve, 200));
      writing -= 1;
    };
    expect(await consumed({ ...topic, open }, { beforeBatch })).toMatchObject({ records: RECORDS, batches: 3 });
    expect([most, readMeanwhile]).toEqual([1, expect.any(Number)]);
    expect(readMeanwhile).toBeGreaterThan(0);
    expect(await held('stream')).toEqual(all);
  });

  test.each([1, 2, 3])('and nothing behind it is written where it fails: batch %i', async (failing) => {
    const topic = memoryTopic('plays', values, 10_000);
    let batches = 0;
    const beforeBatch = async (): Promise<void> => {
      batches += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (batches === failing) throw new JobError('disk_full', 'io', 'no room is left');
    };
    await expect(consumed(topic, { beforeBatch })).rejects.toMatchObject({ code: 'disk_full' });
    expect([await held('stream'), batches]).toEqual([all.slice(0, (failing - 1) * BATCH_RECORDS_MAX), failing]);
    expect(await consumed(topic)).toMatchObject({ records: RECORDS - (failing - 1) * BATCH_RECORDS_MAX });
    expect(await held('stream')).toEqual(all);
  });

  test('and that is dropped where another consumer has written a shorter one', async () => {
    const topic = memoryTopic('plays', values, 10_000);
    let batches = 0;
    const beforeBatch = async (): Promise<void> => {
      batches += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      if (batches === 2) await consumed(memoryTopic('plays', values.slice(0, BATCH_RECORDS_MAX + 5_000)));
    };
    expect(await consumed(topic, { beforeBatch })).toMatchObject({ records: RECORDS - 5_000, conflicts: 1 });
    expect(await held('stream')).toEqual(all);
  });

  test('of several partitions at once, but of few, and of each one after the other', async () => {
    const PARTITIONS = [0, 1, 2, 3, 4];
    const one = memoryTopic('plays', values, 10_000);
    const reader = await one.open();
    const open = async (): Promise<TopicReader> => ({
      ...reader,
      assigned: () => PARTITIONS,
      bounds: async () => new Map(PARTITIONS.map((partition) => [partition, { start: 0, end: RECORDS }])),
      fetch: async (positions) => {
        const all: Fetched[] = [];
        for (const [partition, from] of positions)
          for (const each of await reader.fetch(new Map([[0, from]]))) all.push({ ...each, partition });
        return all;
      },
    });
    const writing: string[] = [];
    let most = 0;
    const beforeBatch = async (key: string): Promise<void> => {
      const partition = parseStreamBatchKey(key)!.partition;
      expect(writing).not.toContain(String(partition));
      writing.push(String(partition));
      most = Math.max(most, writing.length);
      await new Promise((resolve) => setTimeout(resolve, 100));
      writing.splice(writing.indexOf(String(partition)), 1);
    };
    const done = await consumed({ ...one, open }, { beforeBatch });
    expect([done, most]).toEqual([expect.objectContaining({ records: 5 * RECORDS, batches: 15, conflicts: 0 }), 3]);
    expect(await held('stream')).toEqual(all.flatMap((offset) => PARTITIONS.map(() => offset)));
  });
});
