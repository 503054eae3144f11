import stringWidth from 'string-width';
import { visible } from './base/visible.ts';
import { clipped, padded } from './base/width.ts';
import { count, scannedText } from './base/words.ts';
import type { Effects } from './effects/index.ts';
import { csvText } from './engine/csv-text.ts';
import type { ResultSet, SqlValue } from './engine/index.ts';
import type { Target } from './lake/keys.ts';

export type SqlFormat = 'table' | 'csv' | 'json';

export interface SqlInput {
  /** One statement that reads. */
  statement: string;
  /** Values for `?`, in order. */
  parameters?: readonly SqlValue[];
  /** Schema of unqualified names. */
  target: Target;
  /** Default: the engine's own limit. */
  maxRows?: number;
}

/** How much a terminal has room for, in signs of single width. */
export interface TerminalSize {
  columns: number;
}

/** Wider cells are cut; CSV and JSON hold the whole value. */
const CELL_MAX_COLUMNS = 60;
/** What a text keeps, however narrow the terminal. */
const TEXT_MIN_COLUMNS = 8;
/** Below it a name is no longer told apart from others: identifiers are left out before. */
const TEXT_READABLE_COLUMNS = 16;
const TERMINAL_ROWS = 40;
const GAP = '  ';
const NUMBER = /^(tinyint|smallint|integer|bigint|hugeint|u\w+int|ubigint|uinteger|float|double|decimal\(.*\))$/;
const TIME = /^(date|time|timestamp)/;

/** Rows of one statement over the published tables. @throws as `SqlEngine.query` */
export async function sql(input: SqlInput, { engine }: Pick<Effects, 'engine'>): Promise<ResultSet> {
  const { statement, parameters = [], target, maxRows } = input;
  return engine.query(statement, { parameters, target, ...(maxRows !== undefined && { maxRows }) });
}

/**
 * A result as text without a final newline.
 *
 * - `table`: aligned columns, the number of rows and, where the engine is paid by them, the bytes it has
 *   read; control characters are shown, not sent to the terminal. On a terminal it fits the width, holds 40
 *   rows at most, and numbers are rounded
 * - `csv`: RFC 4180 with a header; null is an empty field, an empty text is `""`; control characters are
 *   shown as in the table, but for line breaks and tabs; a text that a spreadsheet would run as a formula
 *   gets an apostrophe in front (`json` has the text as it is)
 * - `json`: one array of objects; integers of any size and decimals as exact JSON numbers; not-a-number and
 *   infinities as text
 */
export function formatResult(result: ResultSet, format: SqlFormat, terminal?: TerminalSize): string {
  if (format === 'json') return formatJson(result);
  return format === 'csv' ? csvText(result) : formatTable(result, terminal);
}

function formatJson({ columns, rows }: ResultSet): string {
  const names = uniqueNames(columns.map(({ name }) => name)).map((name) => JSON.stringify(name));
  const isDecimal = columns.map(({ type }) => type.startsWith('decimal('));
  const cell = (value: SqlValue, index: number): string => {
    if (typeof value === 'bigint') return value.toString();
    if (typeof value === 'string' && isDecimal[index]) return value;
    if (typeof value === 'number' && !Number.isFinite(value)) return JSON.stringify(String(value));
    return JSON.stringify(value);
  };
  const lines = rows.map(
    (row) => `{${row.map((value, index) => `${names[index]}: ${cell(value, index)}`).join(', ')}}`,
  );
  return lines.length === 0 ? '[]' : `[\n${lines.join(',\n')}\n]`;
}

/** An object holds a name once: the second `n` is `n_2`. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let copy = 2; taken.has(unique); copy += 1) unique = `${name}_${copy}`;
    taken.add(unique);
    return unique;
  });
}

function formatTable(result: ResultSet, terminal: TerminalSize | undefined): string {
  const { columns, rows } = result;
  const scanned = scannedText(result);
  const isNumber = columns.map(({ type }) => NUMBER.test(type));
  const isFixed = columns.map(({ type }) => NUMBER.test(type) || TIME.test(type));
  const listed = terminal === undefined ? rows : rows.slice(0, TERMINAL_ROWS);
  const cell = (value: SqlValue, index: number): string => {
    if (value === null) return '';
    return terminal !== undefined && isNumber[index] ? rounded(value) : visible(String(value));
  };
  const header = columns.map(({ name }) => visible(name));
  const body = listed.map((row) => row.map(cell));
  const wanted = header.map((name, index) =>
    body.reduce((width, row) => Math.max(width, stringWidth(row[index]!)), stringWidth(name)),
  );
  const capped = wanted.map((width) => Math.max(1, Math.min(width, CELL_MAX_COLUMNS)));
  const widths = terminal === undefined ? capped : fitted(header, capped, isFixed, terminal.columns);
  const line = (cells: readonly string[]): string =>
    widths
      .flatMap((width, index) =>
        width > 0 ? [padded(clipped(cells[index]!, width), width, isNumber[index] ? 'start' : 'end')] : [],
      )
      .join(GAP)
      .trimEnd();
  const left = header.filter((_, index) => widths[index] === 0);
  return [
    line(header),
    widths.flatMap((width) => (width > 0 ? ['─'.repeat(width)] : [])).join(GAP),
    ...body.map(line),
    [
      count(rows.length, 'row'),
      ...(listed.length < rows.length ? [`${listed.length} shown`] : []),
      ...(left.length > 0 ? [`no room for ${left.join(', ')}`] : []),
    ].join(', '),
    ...(scanned === undefined ? [] : [scanned]),
  ].join('\n');
}

/**
 * As a person reads it: 12,345.7 and 0.0312. Whole numbers below 10,000 stay as they are, years are among
 * them.
 */
function rounded(value: SqlValue): string {
  if (/^-?\d+$/.test(String(value))) {
    const whole = BigInt(String(value));
    return whole > -10_000n && whole < 10_000n ? String(whole) : whole.toLocaleString('en');
  }
  const number = Number(value);
  if (!Number.isFinite(number)) return String(value);
  const size = Math.abs(number);
  const decimals = size >= 1_000 ? 1 : size >= 1 ? 2 : 4;
  return number.toLocaleString('en', { maximumFractionDigits: decimals });
}

/** Columns that name a thing for machines: the name for people stands beside them. */
const IDENTIFIER_COLUMN = /_(?:id|key|uri)$/;

/**
 * Widths of the columns that a terminal has room for; 0 for a column that is left out. Identifiers are left out
 * where names would not stay readable beside them, the last one first; what still has no room is left out from
 * the right. Of the rest identifiers give way first, then the widest text. Numbers and times are never cut.
 */
function fitted(header: readonly string[], wanted: readonly number[], isFixed: readonly boolean[], room: number) {
  const isIdentifier = header.map((name, index) => IDENTIFIER_COLUMN.test(name) && !isFixed[index]);
  let shown = header.map((_, index) => index);
  const least = (index: number, text: number): number =>
    isFixed[index] ? wanted[index]! : Math.min(wanted[index]!, isIdentifier[index] ? TEXT_MIN_COLUMNS : text);
  const needed = (width: (index: number) => number): number =>
    shown.reduce((sum, index) => sum + width(index), GAP.length * (shown.length - 1));
  const leaveOut = (among: readonly number[], text: number): void => {
    for (const index of among.toReversed()) {
      if (shown.length > 1 && needed((each) => least(each, text)) > room)
        shown = shown.filter((each) => each !== index);
    }
  };
  leaveOut(
    shown.filter((index) => isIdentifier[index]),
    TEXT_READABLE_COLUMNS,
  );
  leaveOut(shown, TEXT_MIN_COLUMNS);

  const widths = header.map((_, index) => (shown.includes(index) ? wanted[index]! : 0));
  const shrink = (among: readonly number[], minimum: number): void => {
    for (let excess = needed((index) => widths[index]!) - room; excess > 0; excess -= 1) {
      const widest = among.filter((index) => widths[index]! > minimum).toSorted((a, b) => widths[b]! - widths[a]!)[0];
      if (widest === undefined) return;
      widths[widest] = widths[widest]! - 1;
    }
  };
  shrink(
    shown.filter((index) => isIdentifier[index]),
    TEXT_MIN_COLUMNS,
  );
  shrink(
    shown.filter((index) => !isFixed[index]),
    TEXT_MIN_COLUMNS,
  );
  return shown.length === 1 ? widths.map((width) => Math.min(width, Math.max(1, room))) : widths;
}
