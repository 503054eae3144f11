import { isPersonalId, isPersonalKey, withoutPersonal } from '../base/personal-fields.ts';
import type { TopicRecord } from '../sources/kafka/reader.ts';
import type { DeadLetterReason } from './batch.ts';

/** Larger values are no events; Kafka's own default is the same. */
export const VALUE_BYTES_MAX = 1024 * 1024;
/** So much of a value that could not be taken is kept. */
export const LETTER_CHARS_MAX = 65_536;
const KEY_CHARS_MAX = 512;
const DEPTH_MAX = 16;
const LAST_INSTANT_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Without these nobody can say what an event is. */
const REQUIRED = ['event_id', 'user_id', 'action', 'occurred_at'];
/** Fields of events whose names would say that they are personal. */
const OWN_FIELDS = new Set(['user_id']);

/** What bronze keeps of a record, or why nothing of it can be taken. */
export type ReadRecord =
  | { isTaken: true; key: string | null; value: string }
  | { isTaken: false; reason: DeadLetterReason; value: string };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Applies the rules for personal fields and values to a record, before anything of it is written.
 *
 * @param pseudonym replaces ids of people that are addresses themselves
 * @returns the event as JSON text; with a reason and a masked text where it is no event
 */
export function readRecord(record: TopicRecord, pseudonym: (id: string) => string): ReadRecord {
  const { value, recordAt } = record;
  if (value === null) return { isTaken: false, reason: 'no_value', value: '' };
  const cut = value.subarray(0, LETTER_CHARS_MAX);
  if (value.length > VALUE_BYTES_MAX) return refused('too_large', cut);
  if (!(recordAt >= 0 && recordAt <= LAST_INSTANT_MS)) return refused('time_invalid', cut);
  let text: string;
  try {
    text = utf8.decode(value);
  } catch {
    return refused('not_utf8', cut);
  }
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch {
    return refused('not_json', cut);
  }
  const cleaned = isEvent(event) ? cleanEvent(event, text, pseudonym) : undefined;
  if (cleaned === undefined) return refused('not_an_event', cut);
  return { isTaken: true, key: readKey(record.key, pseudonym), value: cleaned };
}

function refused(reason: DeadLetterReason, bytes: Buffer): ReadRecord {
  return { isTaken: false, reason, value: masked(bytes.toString('utf8')) };
}

/**
 * Masks a text whose fields nobody can tell: what looks like a person's value, and whatever stands behind a
 * name of a personal field.
 */
function masked(text: string): string {
  const named = text.replace(
    /("?)([\p{L}_][\p{L}\p{N}_-]{0,63})("?\s{0,9}[:=]\s{0,9})("(?:[^"\\]|\\.)*"?|[^\s,;&}"]+)/gu,
    (all, open, name, between) => (isPersonalKey(name) ? `${open}${name}${between}"[personal]"` : all),
  );
  return withoutPersonal(named);
}

function isEvent(event: unknown): event is Record<string, unknown> {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return false;
  const fields = event as Record<string, unknown>;
  return REQUIRED.every((name) => typeof fields[name] === 'string' && fields[name] !== '');
}

/** The event's text without what is personal; undefined where it is nested deeper than any event. */
function cleanEvent(
  event: Record<string, unknown>,
  text: string,
  pseudonym: (id: string) => string,
): string | undefined {
  let isChanged = false;
  function clean(value: unknown, depth: number): unknown {
    if (typeof value === 'string') {
      const kept = cleanText(value);
      if (kept !== value) isChanged = true;
      return kept;
    }
    if (typeof value !== 'object' || value === null || numbers.isRawJSON(value)) return value;
    if (depth > DEPTH_MAX) throw new TooDeep();
    if (Array.isArray(value)) return value.map((each) => clean(each, depth + 1));
    const kept: [string, unknown][] = [];
    for (const [name, each] of Object.entries(value)) {
      if (!(depth === 1 && OWN_FIELDS.has(name)) && isPersonalKey(name)) isChanged = true;
      else if (depth === 1 && name === 'user_id' && typeof each === 'string') kept.push([name, personOf(each)]);
      else kept.push([name, clean(each, depth + 1)]);
    }
    return Object.fromEntries(kept);
  }
  function personOf(id: string): string {
    const kept = isPersonalId(id) ? pseudonym(id) : id;
    if (kept !== id) isChanged = true;
    return kept;
  }
  try {
    clean(event, 1);
    // A text that is not what its fields spell (a field twice, blanks) is spelt anew: nothing hides in it.
    if (!isChanged && JSON.stringify(event) === text) return text;
    // Numbers stay as they were spelt, also those that JavaScript would round.
    const spelt = JSON.parse(text, (_name, value: unknown, context?: { source?: string }) =>
      typeof value === 'number' && context?.source !== undefined ? numbers.rawJSON(context.source) : value,
    );
    return JSON.stringify(clean(spelt, 1));
  } catch (error) {
    if (error instanceof TooDeep) return undefined;
    throw error;
  }
}

/** Newer than the compiler's library: https://tc39.es/proposal-json-parse-with-source/ */
const numbers = JSON as unknown as { rawJSON(text: string): unknown; isRawJSON(value: unknown): boolean };

class TooDeep extends Error {}

/** Texts that no rule can find anything in: too short for a secret, and without the signs of an address. */
const HARMLESS = /^[A-Za-z0-9_-]{0,40}$/;
const AWS_KEY = /a[ks]ia/i;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
/** Names of songs and artists come again and again. */
const knownTexts = new Map<string, string>();
const KNOWN_TEXTS_MAX = 50_000;

function cleanText(text: string): string {
  if ((HARMLESS.test(text) && !AWS_KEY.test(text)) || INSTANT.test(text)) return text;
  let kept = knownTexts.get(text);
  if (kept === undefined) {
    kept = withoutPersonal(text);
    if (text.length <= 200 && knownTexts.size < KNOWN_TEXTS_MAX) knownTexts.set(text, kept);
  }
  return kept;
}

function readKey(key: Buffer | null, pseudonym: (id: string) => string): string | null {
  if (key === null) return null;
  const id = key.toString('utf8').slice(0, KEY_CHARS_MAX);
  return isPersonalId(id) ? pseudonym(id) : cleanText(id);
}
