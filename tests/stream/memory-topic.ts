/** A topic of one partition that lies in memory: for what a consumer does between two calls of its cluster. */
import type { Bounds, Fetched, TopicReader } from '../../jobs/sources/kafka/reader.ts';

const AT = Date.UTC(2026, 9, 5, 12);

export interface MemoryTopic {
  readonly topic: string;
  readonly values: string[];
  /** First offset that it still has. */
  start: number;
  /** Opens it as a member that has its one partition. */
  open(): Promise<TopicReader>;
}

/**
 * @param values of its records, from offset 0 on
 * @param fetchMax records that one fetch brings at most
 */
export function memoryTopic(topic: string, values: string[], fetchMax = Number.POSITIVE_INFINITY): MemoryTopic {
  const made: MemoryTopic = { topic, values, start: 0, open: async () => reader };
  const bounds = (): Bounds => new Map([[0, { start: made.start, end: values.length }]]);
  const reader: TopicReader = {
    topic,
    assigned: () => [0],
    bounds: async () => bounds(),
    committed: async () => new Map(),
    commit: async () => undefined,
    close: async () => undefined,
    async fetch(positions): Promise<Fetched[]> {
      const from = Math.max(positions.get(0)!, made.start);
      const next = Math.min(from + fetchMax, values.length);
      const records = values.slice(from, next).map((value, index) => ({
        offset: from + index,
        recordAt: AT + from + index,
        key: null,
        value: Buffer.from(value),
      }));
      return [{ partition: 0, records, next: Math.max(next, from), end: values.length }];
    },
  };
  return made;
}
