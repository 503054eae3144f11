import { copyBare, copyHarmless, copyInstant, copyLiteral, copyText, HARMLESS_BYTES_MAX, NULL } from './bytes.ts';
import type { Lines } from './lines.ts';

/**
 * Events of one producer have the same names in the same order. For each such sequence the bytes are compared
 * with what JSON.stringify would spell, and copied in the same go: a fraction of the time of a parser. What
 * it does not know goes the long way.
 */

/** So many sequences are remembered; a new one takes the place of the one that was not seen for longest. */
const SHAPES_MAX = 16;
const FIELDS_MAX = 64;
/** A name that stays in its place when it is parsed and spelt again; a number would not. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const [QUOTE, BACKSLASH, COMMA, COLON, OPEN, CLOSE] = [0x22, 0x5c, 0x2c, 0x3a, 0x7b, 0x7d];

/**
 * What the values of a field have looked like: a number or a word without quotes, a text without the signs of
 * an address, a time, a text that somebody has to look at, and anything. `required`: a harmless text with
 * something in it, or a time. All but `required` may be null.
 */
type Kind = 'bare' | 'harmless' | 'instant' | 'text' | 'any' | 'required';

const HARMLESS_TEXT = new RegExp(`^[A-Za-z0-9_-]{0,${HARMLESS_BYTES_MAX}}$`);
const INSTANT_TEXT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
/** The one secret that is short enough to be harmless by its signs. */
const AWS_KEY = /a[ks]ia/i;

/** True for a text that is no person's value by any rule, and no id that is replaced. */
export function isHarmless(text: string): boolean {
  return HARMLESS_TEXT.test(text) && !AWS_KEY.test(text);
}

/** True for a date and time in UTC. */
export function isInstant(text: string): boolean {
  return INSTANT_TEXT.test(text);
}

interface Field {
  /** What stands between the quotes of its name. */
  name: Uint8Array;
  kind: Kind;
}

/** One sequence of names. */
interface Shape {
  names: string;
  fields: Field[];
}

/** The sequences of names that were seen, the last one first. */
export class EventShapes {
  readonly #shapes: Shape[] = [];
  readonly #required: ReadonlySet<string>;
  readonly #isClean: (text: string) => boolean;

  /**
   * @param required fields that an event must have, as harmless texts; ids of people among them
   * @param isClean whether a text has nothing in it that must not stay
   */
  constructor(required: ReadonlySet<string>, isClean: (text: string) => boolean) {
    this.#required = required;
    this.#isClean = isClean;
  }

  /**
   * Adds the text of an event to lines as a JSON string, if it is one as JSON.stringify spells it, flat, in
   * UTF-8, with nothing in it that must not stay, and nothing but quotes that JSON escapes.
   *
   * @returns false where that is not known; then nothing is added
   */
  copy(event: Uint8Array, lines: Lines): boolean {
    for (let index = 0; index < this.#shapes.length; index += 1) {
      if (!this.#copyAs(this.#shapes[index]!.fields, event, lines)) continue;
      if (index > 0) this.#shapes.unshift(...this.#shapes.splice(index, 1));
      return true;
    }
    return false;
  }

  /** Each quote gets a backslash in the copy, so from there on the copy is one byte further ahead. */
  #copyAs(fields: readonly Field[], event: Uint8Array, lines: Lines): boolean {
    const to = lines.roomFor(2 * event.length + 2);
    const start = lines.used;
    to[start] = QUOTE;
    to[start + 1] = OPEN;
    let [at, shift] = [1, start + 1];
    if (event[0] !== OPEN) return false;
    for (let index = 0; index < fields.length; index += 1) {
      const { name, kind } = fields[index]!;
      if (index > 0) {
        if (event[at] !== COMMA) return false;
        to[at + shift] = COMMA;
        at += 1;
      }
      if (event[at] !== QUOTE) return false;
      putQuote(to, at + shift++);
      at = copyLiteral(event, at + 1, name, to, shift);
      if (at === -1 || event[at] !== QUOTE || event[at + 1] !== COLON) return false;
      putQuote(to, at + shift++);
      to[at + 1 + shift] = COLON;
      at += 2;
      if (event[at] !== QUOTE) at = copyUnquoted(kind, event, at, to, shift);
      else {
        putQuote(to, at + shift++);
        at = this.#copyQuoted(kind, event, at + 1, to, shift);
        if (at === -1 || event[at] !== QUOTE) return false;
        putQuote(to, at + shift++);
        at += 1;
      }
      if (at === -1) return false;
    }
    if (event[at] !== CLOSE || at + 1 !== event.length) return false;
    to[at + shift] = CLOSE;
    to[at + shift + 1] = QUOTE;
    lines.took(at + shift + 2 - start);
    return true;
  }

  #copyQuoted(kind: Kind, event: Uint8Array, at: number, to: Uint8Array, shift: number): number {
    switch (kind) {
      case 'harmless':
        return copyHarmless(event, at, to, shift);
      case 'instant':
        return copyInstant(event, at, to, shift);
      case 'text':
      case 'any':
        return copyText(event, at, to, shift, this.#isClean);
      case 'bare':
        return -1;
      case 'required': {
        const end = copyHarmless(event, at, to, shift);
        return end > at && event[end] === QUOTE ? end : copyInstant(event, at, to, shift);
      }
    }
  }

  /** Remembers the names and kinds of values of an event that the long way has found clean. */
  learn(event: Record<string, unknown>): void {
    const names = Object.keys(event);
    if (names.length > FIELDS_MAX || !names.every((name) => PLAIN_NAME.test(name))) return;
    const key = names.join(',');
    const kinds = Object.entries(event).map(([name, value]) => (this.#required.has(name) ? 'required' : kindOf(value)));
    const known = this.#shapes.find((shape) => shape.names === key);
    if (known !== undefined) {
      for (const [index, field] of known.fields.entries()) field.kind = widened(field.kind, kinds[index]!);
    } else {
      if (this.#shapes.length === SHAPES_MAX) this.#shapes.pop();
      const fields = names.map((name, index) => ({ name: Buffer.from(name), kind: kinds[index]! }));
      this.#shapes.push({ names: key, fields });
    }
  }
}

function putQuote(to: Uint8Array, at: number): void {
  to[at] = BACKSLASH;
  to[at + 1] = QUOTE;
}

function copyUnquoted(kind: Kind, event: Uint8Array, at: number, to: Uint8Array, shift: number): number {
  if (kind === 'required') return -1;
  return kind === 'bare' || kind === 'any' ? copyBare(event, at, to, shift) : copyLiteral(event, at, NULL, to, shift);
}

function kindOf(value: unknown): Kind {
  if (typeof value !== 'string') return 'bare';
  return HARMLESS_TEXT.test(value) ? 'harmless' : isInstant(value) ? 'instant' : 'text';
}

function widened(one: Kind, other: Kind): Kind {
  if (one === other) return one;
  return one === 'any' || one === 'bare' || other === 'bare' ? 'any' : 'text';
}
