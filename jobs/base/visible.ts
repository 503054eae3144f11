/**
 * What a terminal would obey instead of showing: control characters, and marks that turn the direction of
 * text.
 */
const MARKS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/** Blanks of all scripts, and marks of no width. */
const BLANKS = '\\s\u00a0\u00ad\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff';
/**
 * Begins like a formula for a spreadsheet, also after blanks or marks of no width, and in the full-width form
 * that some read the same. As text, because engines read it as well: RE2 and JavaScript take it alike.
 */
export const FORMULA_PATTERN = `^(?:[\\t\\r\\n]|[${BLANKS}]*[=+\\-@\uff1d\uff0b\uff0d\uff20])`;
/** Texts that begin so and are none. */
export const NUMBER_PATTERN = '^[-+]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][-+]?[0-9]+)?$';
const FORMULA = new RegExp(FORMULA_PATTERN, 'u');
const NUMBER = new RegExp(NUMBER_PATTERN);

/**
 * The text with every mark that a terminal would obey written out: `\n`, `\t`, `\u001b`.
 *
 * @param kept marks that stay, e.g. `\n` where lines are meant
 */
export function visible(text: string, kept = ''): string {
  return text.replace(MARKS, (mark) => {
    if (kept.includes(mark)) return mark;
    if (mark === '\n') return '\\n';
    if (mark === '\t') return '\\t';
    return escaped(mark);
  });
}

/** The same for JSON: inside its texts these are escapes, and the value stays what it was. */
export function visibleJson(json: string): string {
  return json.replace(MARKS, (mark) => (mark === '\n' ? mark : escaped(mark)));
}

/**
 * A text as a field of a CSV: what a spreadsheet would run as a formula gets an apostrophe in front; numbers
 * stay numbers.
 */
export function visibleField(text: string): string {
  const shown = visible(text, '\n\t');
  return FORMULA.test(text) && !NUMBER.test(text) ? `'${shown}` : shown;
}

function escaped(mark: string): string {
  return `\\u${mark.codePointAt(0)!.toString(16).padStart(4, '0')}`;
}
