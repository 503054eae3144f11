/**
 * What a terminal would obey instead of showing: control characters, and marks that turn the direction of
 * text.
 */
const MARKS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/**
 * Begins like a formula for a spreadsheet, also after blanks or marks of no width, and in the full-width form
 * that some read the same.
 */
const FORMULA = /^(?:[\t\r\n]|[\s\u00ad\u200b-\u200f\u2060]*[=+\-@\uff1d\uff0b\uff0d\uff20])/u;
const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;

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
