import { JobError } from '../base/errors.ts';
import type { TopicReader } from '../sources/kafka/reader.ts';

/** So long a partition may stand still before the cluster is asked whether there is more. */
export const STALL_MS = 60_000;
/** So long new clients are tried. */
export const STALL_MAX_MS = 10 * 60_000;

/**
 * Sees a partition that stands still although the topic reaches further. Clients of Kafka have been seen to
 * give nothing more, without an error; a new one goes on.
 */
export class StallWatch {
  /** How far each partition came, whichever client read it, and since when (Unix ms). */
  readonly #reached = new Map<number, { next: number; since: number }>();
  #askedAt = 0;

  /**
   * @param partitions that this member has
   * @param now Unix ms
   * @throws `kafka_unavailable` (69) where a new client is to be tried; `stream_stalled` (69; a retry may help)
   *   where that was done for ten minutes
   */
  async look(reader: TopicReader, partitions: ReadonlyMap<number, { next: number }>, now: number): Promise<void> {
    for (const partition of [...this.#reached.keys()]) if (!partitions.has(partition)) this.#reached.delete(partition);
    for (const [partition, { next }] of partitions)
      if (next > (this.#reached.get(partition)?.next ?? -1)) this.#reached.set(partition, { next, since: now });
    const still = [...this.#reached].filter(([, { since }]) => now - since >= STALL_MS);
    if (still.length === 0 || now - this.#askedAt < STALL_MS) return;
    this.#askedAt = now;
    const bounds = await reader.bounds();
    for (const [partition, { next, since }] of still) {
      const end = bounds.get(partition)?.end ?? next;
      if (end <= next) this.#reached.set(partition, { next, since: now });
      else throw stalled(`${reader.topic}, partition ${partition}`, { next, end, ms: now - since });
    }
  }
}

function stalled(what: string, { next, end, ms }: { next: number; end: number; ms: number }): JobError {
  const isLast = ms >= STALL_MAX_MS;
  const words = `${what}: offsets to ${end - 1} are there, and nothing came from ${next} on for ${Math.round(ms / 1000)} s`;
  return new JobError(isLast ? 'stream_stalled' : 'kafka_unavailable', 'unavailable', words, {
    hint: 'look at the brokers of this partition; nothing is lost: run it again',
  });
}
