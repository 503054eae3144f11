import { stat } from 'node:fs/promises';
import { hashObject } from '../base/hash.ts';
import type { Lateness } from '../base/lateness.ts';
import { linesOf } from '../formats/json/lines.ts';
import type { StreamBatchName } from '../lake/keys.ts';
import type { StreamBatch } from '../lake/stream.ts';
import { eventOf } from '../sources/events/record.ts';
import { readLine, type StreamRecord } from './record.ts';
import { advance, isHeld, isLate, type PartitionProgress, partitionProgress, withRange } from './watermark.ts';

/** What is counted of a batch while its lines are read. */
export type BatchCounts = Pick<
  StreamBatch,
  'rows' | 'lastOffset' | 'late' | 'repeated' | 'unreadable' | 'newestEventMs' | 'newestRecordMs'
>;

/** Nothing read yet. */
export function emptyCounts({ firstOffset }: StreamBatchName): BatchCounts {
  return {
    ...{ rows: 0, lastOffset: firstOffset, late: 0, repeated: 0, unreadable: 0 },
    ...{ newestEventMs: null, newestRecordMs: null },
  };
}

/**
 * The rows of `bronze.listening_events` that a batch gives, in the order of its lines, while `counts` and the
 * progress of its partition are kept up. An offset that another batch holds gives no row, and neither does a
 * record that a removal has emptied; a line that is no record gives one that silver refuses.
 *
 * @param path of the batch
 */
export async function* rowsOfBatch(
  name: StreamBatchName,
  path: string,
  counts: BatchCounts,
  all: Map<string, PartitionProgress>,
  lateness: Lateness,
): AsyncGenerator<Record<string, unknown>> {
  const progress = partitionProgress(all, name);
  const held = progress.ranges;
  for await (const line of linesOf(path)) {
    if (line === '') continue;
    counts.rows += 1;
    const record = placedRecord(name, readLine(line));
    if (record === undefined) {
      counts.unreadable += 1;
      const { topic, partition } = name;
      yield { ...eventOf({ topic, partition, offset: null, value: '' }).row };
      continue;
    }
    counts.lastOffset = Math.max(counts.lastOffset, record.offset);
    counts.newestRecordMs = newest(counts.newestRecordMs, record.atMs);
    if (record.value === null) continue;
    if (isHeld(held, record.offset)) counts.repeated += 1;
    else yield countedRow(record, counts, progress, lateness);
  }
  progress.ranges = withRange(progress.ranges, { first: name.firstOffset, last: counts.lastOffset });
}

/** A record of another partition than its batch's name says is none: its offset would count for the wrong one. */
function placedRecord(name: StreamBatchName, record: StreamRecord | undefined): StreamRecord | undefined {
  const isOwn = record?.topic === name.topic && record.partition === name.partition;
  return isOwn && record.offset >= name.firstOffset ? record : undefined;
}

function countedRow(
  record: StreamRecord,
  counts: BatchCounts,
  progress: PartitionProgress,
  lateness: Lateness,
): Record<string, unknown> {
  const { row, isReadable, occurredMs } = eventOf(record);
  if (!isReadable) counts.unreadable += 1;
  if (occurredMs !== undefined) {
    if (isLate(progress, record.topic, occurredMs, lateness)) counts.late += 1;
    if (advance(progress, occurredMs, record.atMs)) counts.newestEventMs = newest(counts.newestEventMs, occurredMs);
  }
  return row;
}

/** Lines and last place of a file of dead letters; its values are nobody's business here. */
export async function countDeadLetters(name: StreamBatchName, path: string): Promise<BatchCounts> {
  const counts = emptyCounts(name);
  for await (const line of linesOf(path)) {
    if (line === '') continue;
    counts.rows += 1;
    const record = readLine(line);
    if (record === undefined) continue;
    counts.lastOffset = Math.max(counts.lastOffset, record.offset);
    counts.newestRecordMs = newest(counts.newestRecordMs, record.atMs);
  }
  return counts;
}

/** Size and hash of a file. */
export async function contentOf(path: string): Promise<{ bytes: number; sha256: string }> {
  return { bytes: (await stat(path)).size, sha256: await hashObject(path) };
}

function newest(known: number | null, ms: number): number | null {
  if (!Number.isFinite(ms)) return known;
  return known === null ? ms : Math.max(known, ms);
}
