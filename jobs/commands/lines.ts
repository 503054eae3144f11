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

/** A path as a person would type it. */
export function shown(path: string): string {
  if (isElsewhere(path)) return path;
  const short = relative(process.cwd(), path);
  return short === '' || short.startsWith('..') ? path : short;
}
