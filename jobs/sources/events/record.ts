import { contractOf } from '../../lake/contracts.ts';

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

/** Keys of an event that bronze has a column for. */
function eventColumns(): string[] {
  columns ??= contractOf('bronze', 'listening_events')
    .columns.map(({ name }) => name)
    .filter((name) => !NOT_OF_VALUE.has(name));
  return columns;
}
let columns: string[] | undefined;

/** A record of a stream: its place, and the text of its event. */
export interface EventRecord {
  /** Null where nobody knows. */
  topic: string | null;
  partition: number | null;
  offset: number | null;
  value: string | null;
}

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
export function eventOf({ topic, partition, offset, value }: EventRecord): StreamEvent {
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

/** A JSON object; undefined for any other text. */
export function parseObject(text: string): Record<string, unknown> | undefined {
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
