import { relative } from 'node:path';
import { isElsewhere } from '../lake/store.ts';

/** Lists longer than this end in "and N more": the whole of it is a table in the lake. */
const LINES_MAX = 8;
export const LABEL_CHARS = 12;

/** One line of a summary: a label and what is said under it. */
export function row(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_CHARS)} ${text}`;
}

/** The lines, or the first of them and how many more there are. */
export function capped(lines: string[]): string[] {
  return lines.length <= LINES_MAX
    ? lines
    : [...lines.slice(0, LINES_MAX - 1), row('', `and ${lines.length - LINES_MAX + 1} more`)];
}

/** `12,345`. */
export function number(value: number): string {
  return value.toLocaleString('en');
}

/**
 * The text with each command in it as this program was typed, so that a hint can be copied as it is:
 * `./listenlake run` where nobody has put `listenlake` on the path.
 *
 * @param command how it was typed; empty: `listenlake`
 */
export function asTyped(text: string, command: string | undefined, names: readonly string[]): string {
  if (!command || command === 'listenlake') return text;
  const said = command.includes('/') ? quoted(command) : command; // `npx listenlake` is two words
  return text.replaceAll(new RegExp(`\\blistenlake (?=(?:${names.join('|')}|--help)\\b)`, 'g'), () => `${said} `);
}

/** A word as a shell takes it whole. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A path as a person would type it. */
export function shown(path: string): string {
  if (isElsewhere(path)) return path;
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}
