import type { Lateness } from '../base/lateness.ts';
import type { StreamBatch } from '../lake/stream.ts';

/** How far one partition of a topic has come: in events' time, and in offsets. */
export interface PartitionProgress {
  /** Newest event so far, Unix ms. */
  newestMs: number;
  /** Offsets that batches hold, both ends inclusive: ascending, none touches the next. */
  ranges: readonly OffsetRange[];
}

export interface OffsetRange {
  readonly first: number;
  readonly last: number;
}

/** By topic and partition, from what is known of their batches. */
export function progressOf(batches: readonly StreamBatch[]): Map<string, PartitionProgress> {
  const progress = new Map<string, PartitionProgress>();
  for (const batch of batches) {
    if (batch.kind !== 'batch') continue;
    const own = partitionProgress(progress, batch);
    own.newestMs = Math.max(own.newestMs, batch.newestEventMs ?? Number.NEGATIVE_INFINITY);
    own.ranges = withRange(own.ranges, { first: batch.firstOffset, last: batch.lastOffset });
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

/** The ranges with one more. Batches follow one another, so that there are as many as there are gaps. */
export function withRange(ranges: readonly OffsetRange[], added: OffsetRange): readonly OffsetRange[] {
  const last = ranges.at(-1);
  if (last === undefined || added.first > last.last + 1) return [...ranges, added];
  const from = ranges.findIndex((range) => added.first <= range.last + 1);
  const after = ranges.findIndex((range) => range.first > added.last + 1);
  const to = after < 0 ? ranges.length : after;
  const touched = ranges.slice(from, to);
  const first = Math.min(added.first, touched[0]?.first ?? added.first);
  const end = Math.max(added.last, touched.at(-1)?.last ?? added.last);
  return [...ranges.slice(0, from), { first, last: end }, ...ranges.slice(to)];
}

/** True where one of the ranges has this offset. */
export function isHeld(ranges: readonly OffsetRange[], offset: number): boolean {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle]!.last < offset) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length && ranges[low]!.first <= offset;
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
