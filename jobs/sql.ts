import stringWidth from 'string-width';
import { visible, visibleField } from './base/visible.ts';
import { clipped, padded } from './base/width.ts';
import { count } from './base/words.ts';
import type { Effects } from './effects/index.ts';
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
const TERMINAL_ROWS = 40;
const GAP = '  ';
const BYTE_UNITS: readonly [size: number, name: string][] = [
  [1e12, 'TB'],
  [1e9, 'GB'],
  [1e6, 'MB'],
  [1e3, 'kB'],
];
const NUMBER = /^(tinyint|smallint|integer|bigint|hugeint|u\w+int|ubigint|uinteger|float|double|decimal\(.*\))$/;

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
  return format === 'csv' ? formatCsv(result) : formatTable(result, terminal);
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

function formatCsv({ columns, rows }: ResultSet): string {
  const field = (value: SqlValue): string => {
    if (value === null) return '';
    const text = typeof value === 'string' ? visibleField(value) : String(value);
    return text === '' || /[",;\t\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ name }) => name), ...rows].map((row) => row.map(field).join(',')).join('\r\n');
}

/** `1.4 MB scanned, about 0.00005 USD at list price`; undefined where a query costs nothing. */
export function scannedText({ scannedBytes, costUsd }: ResultSet): string | undefined {
  if (scannedBytes === undefined) return undefined;
  const unit = BYTE_UNITS.find(([size]) => scannedBytes >= size) ?? [1, 'bytes'];
  const size = (scannedBytes / unit[0]).toLocaleString('en', { maximumFractionDigits: unit[0] === 1 ? 0 : 1 });
  const cost = costUsd === undefined ? '' : `, about ${costUsd.toFixed(costUsd < 0.01 ? 5 : 2)} USD at list price`;
  return `${size} ${unit[1]} scanned${cost}`;
}

function formatTable(result: ResultSet, terminal: TerminalSize | undefined): string {
  const { columns, rows } = result;
  const scanned = scannedText(result);
  const isNumber = columns.map(({ type }) => NUMBER.test(type));
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
  const capped = wanted.map((width) => Math.min(width, CELL_MAX_COLUMNS));
  const widths = terminal === undefined ? capped : fitted(capped, isNumber, terminal.columns);
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, index) => padded(clipped(cells[index]!, width), width, isNumber[index] ? 'start' : 'end'))
      .join(GAP)
      .trimEnd();
  const left = header.slice(widths.length);
  return [
    line(header),
    widths.map((width) => '─'.repeat(width)).join(GAP),
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

/**
 * Widths of the columns that a terminal has room for. The widest text gives way first, down to a few columns;
 * numbers are never cut; what still has no room is left out from the right.
 */
function fitted(wanted: readonly number[], isNumber: readonly boolean[], room: number): number[] {
  const widths = [...wanted];
  const total = (): number => widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1));
  while (total() > room) {
    const texts = widths.flatMap((width, index) => (isNumber[index] || width <= TEXT_MIN_COLUMNS ? [] : [index]));
    const widest = texts.toSorted((a, b) => widths[b]! - widths[a]!)[0];
    if (widest !== undefined) widths[widest] = widths[widest]! - 1;
    else if (widths.length > 1) widths.pop();
    else return [Math.max(1, room)];
  }
  return widths;
}
