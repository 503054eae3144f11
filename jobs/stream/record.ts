import type { StreamKind } from '../lake/stream.ts';
import { parseObject } from '../sources/events/record.ts';

/** One record of a batch, as the consumer wrote its line. */
export interface StreamRecord {
  topic: string;
  partition: number;
  offset: number;
  /** The record's own timestamp, Unix ms; NaN where the line does not say one. */
  atMs: number;
  key: string | null;
  /** The text of the event; null where a removal has taken it away. */
  value: string | null;
}

/** The line of a batch as a record; undefined for a line that is none. */
export function readLine(line: string): StreamRecord | undefined {
  const parsed = parseObject(line);
  if (parsed === undefined) return undefined;
  const { topic, partition, record_offset: offset, record_at: at, record_key: key, value } = parsed;
  const isPlaced = typeof topic === 'string' && Number.isSafeInteger(partition) && Number.isSafeInteger(offset);
  if (!isPlaced) return undefined;
  return {
    ...{ topic, partition: partition as number, offset: offset as number, atMs: Date.parse(String(at)) },
    key: typeof key === 'string' ? key : null,
    value: typeof value === 'string' ? value : null,
  };
}

/** A record of which only its place is left: what a removal writes instead of somebody's. */
export function emptiedLine(line: string): string {
  const parsed = parseObject(line) ?? {};
  const { topic, partition, record_offset, record_at, reason } = parsed;
  const kept = { topic, partition, record_offset, record_at, ...(typeof reason === 'string' ? { reason } : {}) };
  return JSON.stringify({ ...kept, ...(reason === undefined && { record_key: null }), value: null });
}

/** The line of a record without its key. */
export function withoutKey(line: string): string {
  return JSON.stringify({ ...parseObject(line), record_key: null });
}

/** Whose a record is: a person's, somebody else's under the person's key, or somebody else's. */
export type Owner = 'theirs' | 'key' | 'other';

/**
 * Whose the record of a line is. A value that names another user is theirs whatever the key says; one that
 * names nobody is the key's, and one that cannot be read is the person's where it mentions them. Of a dead
 * letter that names nobody, nobody can say whose it is: it counts as the person's.
 *
 * @param names by which records call the person
 */
export function ownerOf(line: string, names: readonly string[], kind: StreamKind): Owner {
  const parsed = parseObject(line);
  const { record_key: key, value, user_id: own } = parsed ?? {};
  if (parsed !== undefined && value === null) return 'other';
  const isKey = typeof key === 'string' && names.includes(key);
  const event = typeof value === 'string' ? parseObject(value) : undefined;
  const user = event?.user_id ?? own;
  if (typeof user === 'string' && user !== '') return names.includes(user) ? 'theirs' : isKey ? 'key' : 'other';
  if (isKey || kind === 'dead-letters') return 'theirs';
  return event === undefined && names.some((name) => line.includes(name)) ? 'theirs' : 'other';
}
