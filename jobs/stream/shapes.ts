/**
 * Events of one producer have the same names in the same order. For each such sequence one regular expression
 * tells in a fraction of the time of a parser that a text is spelt exactly as JSON.stringify spells it, and
 * which of its values have to be looked at. What it does not know goes the long way.
 */

/** So many sequences are remembered; a producer that makes up more gains nothing but a slower way for itself. */
const SHAPES_MAX = 16;
const FIELDS_MAX = 64;
/** A name that stays in its place when it is parsed and spelt again; a number would not. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** Texts that no rule can find anything in: too short for a secret, and without the signs of an address. */
const HARMLESS = '[A-Za-z0-9_-]{0,40}';
const INSTANT = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?Z';
/** Numbers that JavaScript neither rounds nor spells otherwise. */
const BARE = 'null|true|false|0|-?[1-9]\\d{0,14}';
/** What the values of a field look like. A text is the one group: somebody has to look at it. */
const KINDS = {
  bare: `(?:${BARE})`,
  harmless: `(?:"${HARMLESS}"|null)`,
  instant: `(?:"${INSTANT}"|null)`,
  text: '(?:"([^"\\\\\\u0000-\\u001f]*)"|null)',
  any: `(?:"([^"\\\\\\u0000-\\u001f]*)"|${BARE})`,
};
type Kind = keyof typeof KINDS;
/** Of a field that must be there: a text with something in it. */
const REQUIRED_VALUE = `"(?:[A-Za-z0-9_-]{1,40}|${INSTANT})"`;
const HARMLESS_TEXT = new RegExp(`^${HARMLESS}$`);
const INSTANT_TEXT = new RegExp(`^${INSTANT}$`);
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

/** One sequence of names, and what their values looked like so far. */
interface Shape {
  names: string;
  kinds: Kind[];
  expression: RegExp;
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
   * True for a text that is an event as JSON.stringify spells it, flat, with nothing in it that must not stay
   * and nothing but quotes that JSON escapes. False says nothing.
   */
  knows(text: string): boolean {
    if (AWS_KEY.test(text)) return false;
    for (let index = 0; index < this.#shapes.length; index += 1) {
      const found = this.#shapes[index]!.expression.exec(text);
      if (found === null) continue;
      for (let group = 1; group < found.length; group += 1) {
        const value = found[group];
        if (value !== undefined && !this.#isClean(value)) return false;
      }
      if (index > 0) this.#shapes.unshift(...this.#shapes.splice(index, 1));
      return true;
    }
    return false;
  }

  /** Remembers the names and kinds of values of an event that the long way has found clean. */
  learn(event: Record<string, unknown>): void {
    const names = Object.keys(event);
    if (names.length > FIELDS_MAX || !names.every((name) => PLAIN_NAME.test(name))) return;
    const key = names.join(',');
    const kinds = Object.values(event).map(kindOf);
    const known = this.#shapes.find((shape) => shape.names === key);
    if (known !== undefined) {
      const wider = known.kinds.map((kind, index) => widened(kind, kinds[index]!));
      if (wider.every((kind, index) => kind === known.kinds[index])) return;
      Object.assign(known, { kinds: wider, expression: this.#expressionOf(names, wider) });
    } else if (this.#shapes.length < SHAPES_MAX) {
      this.#shapes.push({ names: key, kinds, expression: this.#expressionOf(names, kinds) });
    }
  }

  #expressionOf(names: readonly string[], kinds: readonly Kind[]): RegExp {
    const values = names.map((name, index) => (this.#required.has(name) ? REQUIRED_VALUE : KINDS[kinds[index]!]));
    return new RegExp(`^\\{${names.map((name, index) => `"${name}":${values[index]}`).join(',')}\\}$`);
  }
}

function kindOf(value: unknown): Kind {
  if (typeof value !== 'string') return 'bare';
  return HARMLESS_TEXT.test(value) ? 'harmless' : isInstant(value) ? 'instant' : 'text';
}

function widened(one: Kind, other: Kind): Kind {
  if (one === other) return one;
  return one === 'any' || one === 'bare' || other === 'bare' ? 'any' : 'text';
}
