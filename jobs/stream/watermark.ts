import type { Lateness } from '../base/lateness.ts';
import type { StreamBatch } from '../lake/stream.ts';

/** How far one partition of a topic has come: in events' time, and in offsets. */
export interface PartitionProgress {
  /** Newest event so far, Unix ms. */
  newestMs: number;
  /** Offsets that batches hold, both ends inclusive. */
  readonly ranges: { first: number; last: number }[];
}

/** By topic and partition, from what is known of their batches. */
export function progressOf(batches: readonly StreamBatch[]): Map<string, PartitionProgress> {
  const progress = new Map<string, PartitionProgress>();
  for (const batch of batches) {
    if (batch.kind !== 'batch') continue;
    const own = partitionProgress(progress, batch);
    own.newestMs = Math.max(own.newestMs, batch.newestEventMs ?? Number.NEGATIVE_INFINITY);
    own.ranges.push({ first: batch.firstOffset, last: batch.lastOffset });
  }
  return progress;
}

/** The progress of one partition; made where there is none yet. */
export function partitionProgress(
  all: Map<string, PartitionProgress>,
  { topic, partition }: { topic: string; partition: number },
): PartitionProgress {
  const name = `${topic} ${partition}`;
  const own = all.get(name) ?? { newestMs: Number.NEGATIVE_INFINITY, ranges: [] };
  all.set(name, own);
  return own;
}

/** True where a batch that is known has a record of this offset. */
export function isHeld({ ranges }: PartitionProgress, offset: number): boolean {
  return ranges.some(({ first, last }) => first <= offset && offset <= last);
}

/**
 * True for an event that is further behind the newest one of its partition than its topic allows. The
 * watermark is of what came before it in the partition, so the answer depends on the records alone and not on
 * when they were read. A late event lands under its own date like any other; it is only counted.
 */
export function isLate(
  { newestMs }: PartitionProgress,
  topic: string,
  occurredMs: number,
  { byTopic, otherMs }: Lateness,
): boolean {
  return occurredMs < newestMs - (byTopic[topic] ?? otherMs);
}

/**
 * Moves the watermark on. An event that says it is of after its own record moves nothing: a wrong clock would
 * make everybody else's events late.
 */
export function advance(progress: PartitionProgress, occurredMs: number, recordMs: number): boolean {
  if (!(occurredMs <= recordMs)) return false;
  progress.newestMs = Math.max(progress.newestMs, occurredMs);
  return true;
}
