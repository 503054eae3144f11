/**
 * Values of a JSON text as bytes, checked and copied in one go without making strings of them. Each function
 * is given where a value begins and where its copy goes, and returns where the value ends (exclusive), or -1
 * where there is no such value; then what it has copied counts for nothing. The copy has the same length.
 *
 * One index moves through both (`to[at + shift]`), because two take half as much time again.
 */

const [QUOTE, BACKSLASH, SPACE, MINUS, POINT, ZERO, NINE, Z] = [0x22, 0x5c, 0x20, 0x2d, 0x2e, 0x30, 0x39, 0x5a];
/** A harmless text is too short for a secret, but for an access key. */
export const HARMLESS_BYTES_MAX = 40;
const ACCESS_KEY_BYTES = 20;
/** Integers of so many digits are exact in JavaScript. */
const EXACT_DIGITS_MAX = 15;
/** The rules find nothing in words of letters, digits and these signs that are not longer than this. */
const WORD_BYTES_MAX = 15;
const WORD_SIGNS = "'(),!_-";

const [IS_HARMLESS, IS_WORD] = [1, 2];
const classes = new Uint8Array(256);
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
  classes[letter.charCodeAt(0)]! |= IS_HARMLESS | IS_WORD;
for (const sign of '_-') classes[sign.charCodeAt(0)]! |= IS_HARMLESS;
for (const sign of WORD_SIGNS) classes[sign.charCodeAt(0)]! |= IS_WORD;

/** Exactly these bytes. */
export function copyLiteral(from: Uint8Array, at: number, literal: Uint8Array, to: Uint8Array, shift: number): number {
  for (let index = 0; index < literal.length; index += 1) {
    const byte = literal[index]!;
    if (from[at + index] !== byte) return -1;
    to[at + index + shift] = byte;
  }
  return at + literal.length;
}

/** Letters, digits, `_` and `-`, at most 40 of them, and no access key; it ends where the first other byte is. */
export function copyHarmless(from: Uint8Array, at: number, to: Uint8Array, shift: number): number {
  let end = at;
  for (; end < from.length; end += 1) {
    const byte = from[end]!;
    if ((classes[byte]! & IS_HARMLESS) === 0) break;
    to[end + shift] = byte;
  }
  const length = end - at;
  if (length > HARMLESS_BYTES_MAX) return -1;
  return length >= ACCESS_KEY_BYTES && hasAccessKey(from, at, end) ? -1 : end;
}

/** `AKIA` or `ASIA`, in any case: an access key of AWS begins so, the one secret that a harmless text may be. */
function hasAccessKey(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from + 2; at + 1 < to; at += 1) {
    if ((bytes[at]! | 0x20) !== 0x69) continue;
    const before = bytes[at - 1]! | 0x20;
    const isStart = (before === 0x6b || before === 0x73) && (bytes[at - 2]! | 0x20) === 0x61;
    if (isStart && (bytes[at + 1]! | 0x20) === 0x61) return true;
  }
  return false;
}

/** A date and time in UTC: `2026-10-18T00:08:34Z`, with up to nine digits of a second. */
export function copyInstant(from: Uint8Array, at: number, to: Uint8Array, shift: number): number {
  let end = at;
  for (const wanted of INSTANT) {
    const byte = from[end];
    if (wanted === 0 ? !isDigit(byte) : byte !== wanted) return -1;
    to[end + shift] = byte!;
    end += 1;
  }
  if (from[end] === POINT) {
    to[end + shift] = POINT;
    const first = end + 1;
    end = copyDigits(from, first, to, shift);
    if (end === first || end - first > 9) return -1;
  }
  to[end + shift] = Z;
  return from[end] === Z ? end + 1 : -1;
}

/** 0 stands for a digit. */
const INSTANT = Uint8Array.from('dddd-dd-ddTdd:dd:dd', (sign) => (sign === 'd' ? 0 : sign.charCodeAt(0)));

/** `null`, `true`, `false`, or a whole number that JavaScript neither rounds nor spells otherwise. */
export function copyBare(from: Uint8Array, at: number, to: Uint8Array, shift: number): number {
  const first = from[at]!;
  const start = first === MINUS ? at + 1 : at;
  to[at + shift] = first;
  const end = copyDigits(from, start, to, shift);
  if (end > start) {
    const isExact = from[start] === ZERO ? end === at + 1 : end - start <= EXACT_DIGITS_MAX;
    return isExact ? end : -1;
  }
  for (const word of WORDS) {
    const found = copyLiteral(from, at, word, to, shift);
    if (found !== -1) return found;
  }
  return -1;
}

const WORDS = ['null', 'true', 'false'].map((word) => Buffer.from(word));
export const [NULL] = WORDS as [Buffer];

/**
 * A text in which nothing is escaped; it ends where its quote is.
 *
 * @param isClean whether a text has nothing in it that must not stay; not asked for short words
 */
export function copyText(
  from: Uint8Array,
  at: number,
  to: Uint8Array,
  shift: number,
  isClean: (text: string) => boolean,
): number {
  let [end, wordFrom, isPlain] = [at, at, true];
  for (; end < from.length; end += 1) {
    const byte = from[end]!;
    to[end + shift] = byte;
    if ((classes[byte]! & IS_WORD) !== 0) continue;
    if (byte === QUOTE) break;
    if (byte === BACKSLASH || byte < SPACE) return -1;
    if (byte !== SPACE || end - wordFrom > WORD_BYTES_MAX) isPlain = false;
    wordFrom = end + 1;
  }
  if (isPlain && end - wordFrom <= WORD_BYTES_MAX) return end;
  const text = decoded(from.subarray(at, end));
  return text !== undefined && isClean(text) ? end : -1;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined for bytes that are no UTF-8. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function copyDigits(from: Uint8Array, at: number, to: Uint8Array, shift: number): number {
  let end = at;
  for (; isDigit(from[end]); end += 1) to[end + shift] = from[end]!;
  return end;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}
