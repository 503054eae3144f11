import { streamBatchKey, streamDeadLettersKey } from '../lake/keys.ts';
import type { LakeStore } from '../lake/store.ts';
import type { TopicRecord } from '../sources/kafka/reader.ts';
import { batchLine, type DeadLetter, deadLetterLine, lineStart, parseBatch, type StreamRecord } from './batch.ts';
import { addKnownEvent } from './event.ts';
import { Lines } from './lines.ts';
import { readText } from './positions.ts';

/** Records of one partition that are not in the lake yet. */
export interface OpenBatch {
  readonly topic: string;
  readonly partition: number;
  /** Name of the batch; undefined while it has no record. */
  first: { offset: number; recordAt: number } | undefined;
  readonly lines: Lines;
  /** What each line begins with. */
  readonly start: Uint8Array;
  letters: DeadLetter[];
  /** Of lines in bytes, and of letters in characters. */
  size: number;
  records: number;
}

export function openBatch(topic: string, partition: number): OpenBatch {
  const start = Buffer.from(lineStart(topic, partition));
  return { topic, partition, first: undefined, lines: new Lines(), start, letters: [], size: 0, records: 0 };
}

/** Adds a record whose event is of a known shape. @returns false where it is not; then nothing is added */
export function addKnownRecord(batch: OpenBatch, record: TopicRecord): boolean {
  const before = batch.lines.bytes;
  if (!addKnownEvent(batch.lines, batch.start, record)) return false;
  countRecord(batch, record, before);
  return true;
}

export function addRecord(batch: OpenBatch, record: StreamRecord): void {
  const before = batch.lines.bytes;
  batch.lines.add(batchLine(record));
  countRecord(batch, record, before);
}

function countRecord(batch: OpenBatch, { offset, recordAt }: { offset: number; recordAt: number }, before: number) {
  batch.first ??= { offset, recordAt };
  batch.size += batch.lines.bytes - before;
  batch.records += 1;
}

export function addLetter(batch: OpenBatch, letter: DeadLetter): void {
  batch.letters.push(letter);
  batch.size += letter.value.length;
}

/**
 * Makes a batch part of the lake: first its dead letters, then its records, each object whole and durable or
 * not at all. Killed between any two steps, the next consumer reads the same records again and finds the same
 * names.
 *
 * @returns `conflict` where another consumer has written a batch of this name: it is the record, and this one
 *   is to be dropped
 * @throws what the store throws (`disk_full`, `store_unavailable`, ...; a retry helps)
 */
export async function writeBatch(store: LakeStore, batch: OpenBatch): Promise<'written' | 'conflict'> {
  await writeLetters(store, batch.letters);
  const { topic, partition, first, lines } = batch;
  if (first === undefined) return 'written';
  const key = streamBatchKey({ topic, partition, firstOffset: first.offset, recordAt: first.recordAt });
  const { status } = await store.put(key, lines.pieces(), { ifAbsent: true });
  return status;
}

/**
 * Where letters of this name are there already, an attempt before this one has written them: what it did not
 * have goes under a name of its own.
 */
async function writeLetters(store: LakeStore, letters: readonly DeadLetter[]): Promise<void> {
  let left = letters;
  while (left.length > 0) {
    const { topic, partition, offset, recordAt } = left[0]!;
    const key = streamDeadLettersKey({ topic, partition, firstOffset: offset, recordAt });
    const { status } = await store.put(key, left.map(deadLetterLine).join(''), { ifAbsent: true });
    if (status === 'written') return;
    const there = new Set(parseBatch(await readText(store, key), key).map((each) => each.offset));
    // The name is that of the first one, so it is there, or else the object is nobody's letters.
    there.add(offset);
    left = left.filter((letter) => !there.has(letter.offset));
  }
}
