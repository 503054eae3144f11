import type { LakeStore } from '../lake/store.ts';
import type { TopicReader } from '../sources/kafka/reader.ts';
import { readPositions } from './positions.ts';

/** How far the lake is behind one partition of a topic. */
export interface PartitionLag {
  partition: number;
  /** First offset that cannot be read yet. */
  end: number;
  /** What the group has committed; null: nothing. */
  committed: number | null;
  /** First offset that the lake does not hold. */
  stored: number;
  /** Records that the lake does not hold yet. */
  lag: number;
  /** Age of the oldest record that the lake does not hold, in seconds; 0 where there is none. */
  lagSeconds: number;
  /** Timestamp of the newest record in the lake; null: none. */
  newestAt: string | null;
}

/**
 * Compares the lake with the topic, partition by partition.
 *
 * @param now Unix ms
 * @throws what the reader and the store throw
 */
export async function readLag(
  { reader, store }: { reader: TopicReader; store: LakeStore },
  now: number,
): Promise<PartitionLag[]> {
  const bounds = await reader.bounds();
  const positions = await readPositions(store, reader.topic, bounds);
  const committed = await reader.committed([...bounds.keys()]);
  const behind = [...bounds].map(([partition, { start, end }]) => {
    const position = positions.get(partition);
    const stored = Math.max(start, position?.next ?? start);
    return { partition, end, stored, last: position?.last.recordAt };
  });
  const oldest = await firstTimes(
    reader,
    new Map(behind.filter((each) => each.stored < each.end).map((each) => [each.partition, each.stored])),
  );
  return behind.map(({ partition, end, stored, last }) => {
    const oldestAt = oldest.get(partition);
    return {
      partition,
      end,
      committed: committed.get(partition) ?? null,
      stored,
      lag: Math.max(0, end - stored),
      lagSeconds: oldestAt === undefined ? 0 : Math.max(0, Math.round((now - oldestAt) / 1000)),
      newestAt: last === undefined ? null : new Date(last).toISOString(),
    };
  });
}

/** Timestamps of the records at these offsets. */
async function firstTimes(reader: TopicReader, positions: ReadonlyMap<number, number>): Promise<Map<number, number>> {
  const times = new Map<number, number>();
  // A broker may leave a partition out of one answer; what it does not tell in three is left out here, too.
  for (let attempt = 0; attempt < 3 && times.size < positions.size; attempt += 1) {
    const left = new Map([...positions].filter(([partition]) => !times.has(partition)));
    for (const { partition, records } of await reader.fetch(left))
      if (records[0] !== undefined) times.set(partition, records[0].recordAt);
  }
  return times;
}
