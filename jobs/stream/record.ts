import { contractOf } from '../lake/contracts.ts';
import type { StreamKind } from '../lake/stream.ts';

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

/** Columns that a record fills itself, or that nobody may fill. */
const NOT_OF_VALUE = new Set([
  'source_key',
  'row_number',
  'extra',
  'source',
  'topic',
  'partition_number',
  'record_offset',
]);
/** As the rows of a file are bounded (formats/long-rows.ts): longer ones would stop later jobs. */
const EVENT_BYTES_MAX = 1_400;

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

/** Keys of an event that bronze has a column for. */
function eventColumns(): string[] {
  columns ??= contractOf('bronze', 'listening_events')
    .columns.map(({ name }) => name)
    .filter((name) => !NOT_OF_VALUE.has(name));
  return columns;
}
let columns: string[] | undefined;

/** What `bronze.listening_events` says of a record, and whether its value could be read. */
export interface StreamEvent {
  row: Record<string, unknown>;
  isReadable: boolean;
  /** Unix ms; undefined where the value does not say one. */
  occurredMs: number | undefined;
}

/**
 * The event of a record. Only the columns of the contract are taken from it, and only scalars: a producer can
 * say what it likes, and spoils no other row. A value that cannot be read, or is longer than an event is,
 * gives a row of nulls, which silver refuses.
 */
export function eventOf({ topic, partition, offset, value }: StreamRecord): StreamEvent {
  const place = { source: topic, topic, partition_number: partition, record_offset: offset };
  const given = value === null ? undefined : parseObject(value);
  const taken = given === undefined ? undefined : scalarsOf(given);
  if (taken === undefined || Buffer.byteLength(JSON.stringify(taken)) > EVENT_BYTES_MAX) {
    const nulls = Object.fromEntries(eventColumns().map((name) => [name, null]));
    return { row: { ...nulls, ...place }, isReadable: false, occurredMs: undefined };
  }
  return { row: { ...taken, ...place }, isReadable: true, occurredMs: instantOf(taken.occurred_at) };
}

function scalarsOf(given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(eventColumns().map((name) => [name, scalarOf(given[name])]));
}

function scalarOf(value: unknown): unknown {
  // The engine reads neither half a character nor a NUL.
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '');
  return typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

/** ISO with or without a zone (UTC then), as `parse_instant` of silver reads it; epoch numbers by magnitude. */
function instantOf(value: unknown): number | undefined {
  const text = String(value ?? '');
  if (/^\d{9,11}$/.test(text)) return Number(text) * 1000;
  if (/^\d{12,14}$/.test(text)) return Number(text);
  if (!/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(text)) return undefined;
  const ms = Date.parse(/(?:Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text.replace(' ', 'T')}Z`);
  return Number.isFinite(ms) ? ms : undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}
