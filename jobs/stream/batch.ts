import { JobError } from '../base/errors.ts';

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

/** A batch is closed before it has more records than this, or more bytes. */
export const BATCH_RECORDS_MAX = 50_000;
export const BATCH_BYTES_MAX = 16 * 1024 * 1024;

/** One line of a batch, with its line feed. The order of the fields is part of the format. */
export function batchLine(record: StreamRecord): string {
  return `${batchLineStart(record)}${JSON.stringify(record.value)}}\n`;
}

/** Such a line up to its value, which is JSON and ends the line with `}` and a line feed. */
export function batchLineStart({ topic, partition, offset, recordAt, key }: Omit<StreamRecord, 'value'>): string {
  return `{"topic":${JSON.stringify(topic)},"partition":${partition},"record_offset":${offset},"record_at":"${instant(recordAt)}","record_key":${JSON.stringify(key)},"value":`;
}

/** One line of a file of dead letters, with its line feed. */
export function deadLetterLine(letter: DeadLetter): string {
  const { topic, partition, offset, recordAt, reason, value } = letter;
  return `{"topic":${JSON.stringify(topic)},"partition":${partition},"record_offset":${offset},"record_at":"${instant(recordAt)}","reason":"${reason}","value":${JSON.stringify(value)}}\n`;
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

/** Records come many at a time with the same timestamp. */
const newest = { ms: Number.NaN, text: '' };

function instant(ms: number): string {
  if (ms !== newest.ms) Object.assign(newest, { ms, text: new Date(ms).toISOString() });
  return newest.text;
}
