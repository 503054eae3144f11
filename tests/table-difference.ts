/** Two engines' answers compared row by row: what differs is named by table, key and column. */
import type { ResultSet, SqlValue } from '../jobs/engine/index.ts';

/** Relative: sums of doubles depend on the order in which an engine adds. Everything else is compared exactly. */
const DOUBLE_TOLERANCE = 1e-9;
/** Enough to see what is wrong with a table. */
const LINES_MAX = 8;

export interface Side {
  /** What it is called in a difference: `DuckDB`. */
  name: string;
  result: ResultSet;
}

/**
 * Rows as multisets: the same columns with the same types, and for each key the same rows, whatever their order.
 *
 * @param table its name, for the lines
 * @param key columns that identify a row; empty: all of them
 * @returns one line for each difference (at most 8, then how many more); empty where the tables agree
 */
export function tableDifferences(table: string, key: readonly string[], left: Side, right: Side): string[] {
  const columns = columnDifferences(table, left, right);
  if (columns.length > 0) return columns;
  const lines: string[] = [];
  const ours = byKey(key, left.result);
  const theirs = byKey(key, right.result);
  for (const [text, rows] of ours) {
    const others = theirs.get(text) ?? [];
    if (rows.length !== others.length) {
      const counts = `${count(rows.length)} on ${left.name}, ${count(others.length)} on ${right.name}`;
      lines.push(`${table} ${text}: ${counts}`);
      continue;
    }
    for (const [index, row] of rows.entries()) {
      lines.push(...rowDifferences(`${table} ${text}`, left, right, row, others[index]!));
    }
  }
  for (const [text, rows] of theirs) {
    if (!ours.has(text)) lines.push(`${table} ${text}: none on ${left.name}, ${count(rows.length)} on ${right.name}`);
  }
  return shortened(lines);
}

/** As `tableDifferences`, but the order of the rows counts, too: for a question whose order is total. */
export function answerDifferences(question: string, left: Side, right: Side): string[] {
  const columns = columnDifferences(question, left, right);
  if (columns.length > 0) return columns;
  const lines: string[] = [];
  const [ours, theirs] = [left.result.rows, right.result.rows];
  if (ours.length !== theirs.length)
    lines.push(`${question}: ${count(ours.length)} on ${left.name}, ${count(theirs.length)} on ${right.name}`);
  for (const [index, row] of ours.entries()) {
    const other = theirs[index];
    if (other !== undefined) lines.push(...rowDifferences(`${question} row ${index + 1}`, left, right, row, other));
  }
  return shortened(lines);
}

function columnDifferences(table: string, left: Side, right: Side): string[] {
  const shown = ({ result }: Side): string => result.columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  const [ours, theirs] = [shown(left), shown(right)];
  return ours === theirs ? [] : [`${table}: columns are (${ours}) on ${left.name}, (${theirs}) on ${right.name}`];
}

function rowDifferences(
  where: string,
  left: Side,
  right: Side,
  row: readonly SqlValue[],
  other: readonly SqlValue[],
): string[] {
  return left.result.columns.flatMap(({ name, type }, index) => {
    const [ours, theirs] = [row[index]!, other[index]!];
    if (isSame(ours, theirs, type)) return [];
    return [`${where}: ${name} is ${shownValue(ours)} on ${left.name}, ${shownValue(theirs)} on ${right.name}`];
  });
}

function isSame(left: SqlValue, right: SqlValue, type: string): boolean {
  if (Object.is(left, right)) return true;
  if (typeof left !== 'number' || typeof right !== 'number' || type !== 'double') return false;
  // 0 and -0 are one value to both engines.
  return left === right || Math.abs(left - right) <= DOUBLE_TOLERANCE * Math.max(Math.abs(left), Math.abs(right));
}

/** Key as text to its rows; rows that share a key in an order that both sides have. */
function byKey(key: readonly string[], { columns, rows }: ResultSet): Map<string, SqlValue[][]> {
  const indexes = key.map((name) => columns.findIndex((column) => column.name === name));
  const missing = key.filter((_, at) => indexes[at]! < 0);
  if (missing.length > 0) throw new Error(`the key has columns that are not in the table: ${missing.join(', ')}`);
  const text = (row: readonly SqlValue[]): string =>
    key.length === 0
      ? row.map((value, at) => (columns[at]!.type === 'double' ? 'about' : shownValue(value))).join(', ')
      : key.map((name, at) => `${name} ${shownValue(row[indexes[at]!]!)}`).join(', ');
  const grouped = Map.groupBy(rows, text);
  for (const group of grouped.values()) {
    if (group.length > 1) group.sort(compareRows);
  }
  return grouped;
}

function compareRows(left: readonly SqlValue[], right: readonly SqlValue[]): number {
  for (const [index, value] of left.entries()) {
    const other = right[index]!;
    if (typeof value === 'number' && typeof other === 'number' && value !== other) return value - other;
    const [one, two] = [shownValue(value), shownValue(other)];
    if (one !== two) return one < two ? -1 : 1;
  }
  return 0;
}

function shownValue(value: SqlValue): string {
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

function count(rows: number): string {
  return rows === 0 ? 'none' : `${rows} ${rows === 1 ? 'row' : 'rows'}`;
}

function shortened(lines: readonly string[]): string[] {
  if (lines.length <= LINES_MAX) return [...lines];
  return [...lines.slice(0, LINES_MAX), `and ${lines.length - LINES_MAX} more`];
}
