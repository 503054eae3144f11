import stringWidth from 'string-width';
import { visible, visibleField } from './base/visible.ts';
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

/** Wider cells are cut on a terminal; CSV and JSON hold the whole value. */
const CELL_MAX_CHARS = 60;
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
 *   read; control characters are shown, not sent to the terminal
 * - `csv`: RFC 4180 with a header; null is an empty field, an empty text is `""`; control characters are
 *   shown as in the table, but for line breaks and tabs; a text that a spreadsheet would run as a formula
 *   gets an apostrophe in front (`json` has the text as it is)
 * - `json`: one array of objects; integers of any size and decimals as exact JSON numbers; not-a-number and
 *   infinities as text
 */
export function formatResult(result: ResultSet, format: SqlFormat): string {
  if (format === 'json') return formatJson(result);
  return format === 'csv' ? formatCsv(result) : formatTable(result);
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

function formatTable(result: ResultSet): string {
  const { columns, rows } = result;
  const scanned = scannedText(result);
  const isNumber = columns.map(({ type }) => NUMBER.test(type));
  const header = columns.map(({ name }) => shown(name));
  const body = rows.map((row) => row.map((value) => (value === null ? '' : shown(String(value)))));
  const widths = header.map((name, index) =>
    body.reduce((width, row) => Math.max(width, stringWidth(row[index]!)), stringWidth(name)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        const padding = ' '.repeat(widths[index]! - stringWidth(cell));
        return isNumber[index] ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [
    line(header),
    rule,
    ...body.map(line),
    `${rows.length.toLocaleString('en')} ${rows.length === 1 ? 'row' : 'rows'}`,
    ...(scanned === undefined ? [] : [scanned]),
  ].join('\n');
}

/** Short enough for a table, and without what a terminal would obey. */
function shown(text: string): string {
  const inert = visible(text);
  const characters = [...inert];
  return characters.length <= CELL_MAX_CHARS ? inert : `${characters.slice(0, CELL_MAX_CHARS - 1).join('')}…`;
}
