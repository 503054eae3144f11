import { JobError } from '../base/errors.ts';
import { copyHarmless, HARMLESS_BYTES_MAX } from './bytes.ts';
import type { Lines } from './lines.ts';

/** One record of a topic, as bronze keeps it. */
export interface StreamRecord {
  topic: string;
  /** Counts from 0. */
  partition: number;
  offset: number;
  /** The record's timestamp, Unix ms. */
  recordAt: number;
  /** After the rules for personal values; null where the record has none. */
  key: string | null;
  /**
   * The event as JSON text, after the rules for personal fields. Null for a record that `forget` has taken out:
   * its line stays, without key and value, so that the batch still says how far it reaches and nobody reads
   * the record from the topic again.
   */
  value: string | null;
}

/** A record that could not be taken. `value` is masked by patterns, because nobody could tell its fields. */
export interface DeadLetter extends Omit<StreamRecord, 'key' | 'value'> {
  value: string;
  reason: DeadLetterReason;
}

export type DeadLetterReason = 'not_utf8' | 'not_json' | 'not_an_event' | 'no_value' | 'too_large' | 'time_invalid';

/** A batch is closed as soon as it has so many records, or so many bytes. */
export const BATCH_RECORDS_MAX = 50_000;
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;

/** One line of a batch, with its line feed. The order of the fields is part of the format. */
export function batchLine({ topic, partition, offset, recordAt, key, value }: StreamRecord): string {
  const place = `${lineStart(topic, partition)}${offset},"record_at":"${instant(recordAt).text}"`;
  return `${place},"record_key":${JSON.stringify(key)},"value":${JSON.stringify(value)}}\n`;
}

/** What all lines of a partition begin with, up to the offset. */
export function lineStart(topic: string, partition: number): string {
  return `{"topic":${JSON.stringify(topic)},"partition":${partition},"record_offset":`;
}

/** A record of which no string is made. */
export interface PlainRecord {
  offset: number;
  /** Unix ms. */
  recordAt: number;
  key: Uint8Array | null;
  value: Uint8Array;
}

/**
 * Adds what `batchLine` gives, from bytes.
 *
 * @param start `lineStart` in UTF-8
 * @param copyValue adds the value as a JSON string, or nothing
 * @returns false where the key is no harmless text, or `copyValue` has added nothing; then no line is added
 */
export function addLine(
  lines: Lines,
  start: Uint8Array,
  { offset, recordAt, key, value }: PlainRecord,
  copyValue: (value: Uint8Array, lines: Lines) => boolean,
): boolean {
  const before = lines.bytes;
  // In one buffer, so that a line that cannot be finished is taken back.
  lines.roomFor(start.length + OTHER_BYTES_MAX + 2 * value.length);
  lines.addBytes(start);
  lines.addWhole(offset);
  lines.addBytes(instant(recordAt).between);
  if (addKey(lines, key) && copyValue(value, lines)) {
    lines.addBytes(LINE_END);
    return true;
  }
  lines.took(before - lines.bytes);
  return false;
}

function addKey(lines: Lines, key: Uint8Array | null): boolean {
  if (key === null) {
    lines.addBytes(NO_KEY);
    return true;
  }
  if (key.length > HARMLESS_BYTES_MAX) return false;
  lines.addBytes(KEY);
  if (copyHarmless(key, 0, lines.roomFor(key.length), lines.used) !== key.length) return false;
  lines.took(key.length);
  lines.addBytes(KEY_END);
  return true;
}

const NO_KEY = Buffer.from('null,"value":');
const KEY = Buffer.from('"');
const KEY_END = Buffer.from('","value":');
const LINE_END = Buffer.from('}\n');
/** Of a line without its start and its value: offset, instant, a harmless key and what stands between them. */
const OTHER_BYTES_MAX = 160;

/** One line of a file of dead letters, with its line feed. */
export function deadLetterLine(letter: DeadLetter): string {
  const { topic, partition, offset, recordAt, reason, value } = letter;
  return `{"topic":${JSON.stringify(topic)},"partition":${partition},"record_offset":${offset},"record_at":"${instant(recordAt).text}","reason":"${reason}","value":${JSON.stringify(value)}}\n`;
}

/**
 * The records of a batch, in the order of its lines.
 *
 * @param name of the object, for messages
 * @throws `stream_batch_damaged` (65; a retry does not help) for a line that is none of `batchLine`
 */
export function parseBatch(text: string, name: string): StreamRecord[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, index) => recordOf(line, name, index + 1));
}

function recordOf(line: string, name: string, row: number): StreamRecord {
  try {
    const { topic, partition, record_offset, record_at, record_key, value } = JSON.parse(line);
    const recordAt = Date.parse(record_at);
    if (typeof topic === 'string' && Number.isSafeInteger(record_offset) && !Number.isNaN(recordAt))
      return { topic, partition, offset: record_offset, recordAt, key: record_key, value };
  } catch {
    // Told below, with its place.
  }
  throw new JobError('stream_batch_damaged', 'data', 'a line of this batch is no record', {
    hint: 'restore the object from a backup of the lake; nothing but `forget` ever writes it again',
    place: { file: name, row },
  });
}

/** Records come many at a time with the same timestamp. `between`: what stands between offset and key. */
let newest = { ms: Number.NaN, text: '', between: Buffer.alloc(0) };

function instant(ms: number): typeof newest {
  if (ms !== newest.ms) {
    const text = new Date(ms).toISOString();
    newest = { ms, text, between: Buffer.from(`,"record_at":"${text}","record_key":`) };
  }
  return newest;
}
