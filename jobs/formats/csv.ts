import { createReadStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { parse } from 'csv-parse';
import { JobError } from '../base/errors.ts';
import { isPersonalValue } from '../base/personal-fields.ts';
import { beyondUsual, refuseLongRows } from './long-rows.ts';

/** A CSV record longer than this is not one of the known files (their records are under 2 KiB). */
const RECORD_CHARS_MAX = 256 * 1024;
/** As many records as the engine holds at once, and the characters that they may have together. */
const BATCH_RECORDS = 2_048;
const BATCH_CHARS_MAX = 8 * 1024 ** 2;
const COLUMNS_MAX = 1_000;

export type CsvEncoding = 'utf-8' | 'windows-1252';

/** One kind of CSV file: recognised by its header. */
export interface CsvShape {
  name: string;
  /** For people: "it looks like ...". */
  what: string;
  /** Columns that must be there, in any order, case and spacing. */
  columns: readonly string[];
  /**
   * Columns that files of this kind may have besides, although their names look as if they changed what a row
   * means.
   */
  optional?: readonly string[];
  /**
   * Files of this kind may have no header: the columns that they have then, and what their first records are.
   */
  headless?: { columns: readonly string[]; fits(records: readonly string[][]): boolean };
  /** No table takes files of this kind: what to do instead. They are named, and refused. */
  remedy?: string;
}

/**
 * A header and what it was read as: `names` are its columns in the spelling of the shape, others as given.
 */
export interface CsvHeader<Shape extends CsvShape = CsvShape> {
  shape: Shape;
  names: string[];
  /** Records before the first one of data; 0 where there is no header. */
  headerLine: number;
  delimiter: string;
}

const DELIMITERS = [',', ';', '\t', '|'] as const;
/**
 * The header is the first line, or stands below a note (empty cells and one sentence) or below the `sep=;`
 * that spreadsheets write.
 */
const HEADER_LINES_MAX = 3;

/**
 * Words of a column's name that say that a row is not what it would be without the column: another place,
 * another time, somebody's. A file with such a column that its shape does not know is another kind of file.
 */
const MEANING = new Set([
  ...['country', 'countries', 'region', 'market', 'territory', 'city', 'date', 'day', 'week', 'month', 'snapshot'],
  ...['timestamp', 'ts', 'chart', 'rank', 'position', 'user', 'userid', 'username', 'listener'],
]);
/** What such a word belongs to when it is about the song. */
const ABOUT_THE_SONG = /release|album|available|peak/i;

function changesMeaning(column: string): boolean {
  const words = column
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/);
  return !ABOUT_THE_SONG.test(column) && (words.some((word) => MEANING.has(word)) || words.join('') === 'time');
}

/**
 * Columns are told apart without regard to case and to what stands between words: `Track.Name` is
 * `track_name`.
 */
function columnKey(name: string): string {
  return name.toLowerCase().replaceAll(/[\s._-]+/g, '');
}

/** How a header fits a shape: columns that are missing, and columns that make it another kind of file. */
function compare(header: readonly string[], shape: CsvShape): { missing: string[]; foreign: string[] } {
  const there = new Set(header.map(columnKey));
  const known = new Set([...shape.columns, ...(shape.optional ?? [])].map(columnKey));
  return {
    missing: shape.columns.filter((column) => !there.has(columnKey(column))),
    foreign: header.filter((name) => !known.has(columnKey(name)) && changesMeaning(name)),
  };
}

/** The shape that a header belongs to as a whole: of several the one with the most columns. */
export function shapeOfHeader<Shape extends CsvShape>(
  header: readonly string[],
  shapes: readonly Shape[],
): Shape | undefined {
  const fitting = shapes.filter((shape) => {
    const { missing, foreign } = compare(header, shape);
    return missing.length === 0 && foreign.length === 0;
  });
  return fitting.sort((a, b) => b.columns.length - a.columns.length)[0];
}

/**
 * Finds the header in the beginning of a file, and what stands between its columns.
 *
 * @throws `kind_unknown` (65) where no header is known: it says what the file looks like, what is missing,
 *   and the header that was seen; `kind_unsupported` (65) for a kind that no table is made of
 */
export async function recogniseCsv<Shape extends CsvShape>(
  path: string,
  encoding: CsvEncoding,
  shapes: readonly Shape[],
): Promise<CsvHeader<Shape>> {
  let seen: string[] = [];
  for (const delimiter of DELIMITERS) {
    const lines = await firstRecords(path, encoding, delimiter);
    for (const [index, line] of lines.entries()) {
      const shape = shapeOfHeader(line, shapes);
      if (shape === undefined) {
        if (closeness(line, shapes) > closeness(seen, shapes) || seen.length === 0) seen = line;
        continue;
      }
      if (shape.remedy !== undefined) {
        const seen = `its header: ${shownColumns(line)}`;
        throw new JobError('kind_unsupported', 'data', `${shape.what}, which no table is made of; ${seen}`, {
          hint: shape.remedy,
        });
      }
      const spelling = new Map([...shape.columns, ...(shape.optional ?? [])].map((name) => [columnKey(name), name]));
      const names = line.map((name) => spelling.get(columnKey(name)) ?? name.trim());
      return { shape, names, headerLine: index + 1, delimiter };
    }
  }
  const headless = await recogniseHeadless(path, encoding, shapes);
  if (headless === undefined) throw unknownHeader(seen, shapes);
  return headless;
}

/** A file that begins with a record: told by what stands in its first ones. */
async function recogniseHeadless<Shape extends CsvShape>(
  path: string,
  encoding: CsvEncoding,
  shapes: readonly Shape[],
): Promise<CsvHeader<Shape> | undefined> {
  const [delimiter] = DELIMITERS;
  const first = await firstRecords(path, encoding, delimiter);
  const shape = shapes.find(({ headless }) => first.length > 0 && headless?.fits(first));
  return shape && { shape, names: [...shape.headless!.columns], headerLine: 0, delimiter };
}

async function firstRecords(path: string, encoding: CsvEncoding, delimiter: string): Promise<string[][]> {
  const lines: string[][] = [];
  try {
    for await (const record of records(path, encoding, { delimiter, to: HEADER_LINES_MAX, isLenient: true }))
      lines.push(record);
  } catch (error) {
    if (!isCsvError(error)) throw error; // too long for a record: no header is found in it
  }
  return lines;
}

/** The shape that a header is nearest to, where it has half of its columns and more. */
function nearest(header: readonly string[], shapes: readonly CsvShape[]): CsvShape | undefined {
  const share = (shape: CsvShape): number => 1 - compare(header, shape).missing.length / shape.columns.length;
  const [best] = shapes.toSorted((a, b) => share(b) - share(a));
  return best !== undefined && share(best) >= 0.5 ? best : undefined;
}

function closeness(header: readonly string[], shapes: readonly CsvShape[]): number {
  const shape = nearest(header, shapes);
  return shape === undefined ? 0 : 1 - compare(header, shape).missing.length / shape.columns.length;
}

const SHOWN_COLUMNS_MAX = 24;
const SHOWN_CHARS_MAX = 32;

/** Cells of a first line as a message may show them: a file without a header begins with somebody's data. */
export function shownColumns(names: Iterable<string>): string {
  const all = [...names];
  const shown = all.slice(0, SHOWN_COLUMNS_MAX).map((name) => {
    const text = name.trim().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
    if (isPersonalValue(text)) return '...';
    return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}...` : text;
  });
  return `${shown.join(', ')}${all.length > SHOWN_COLUMNS_MAX ? `, and ${all.length - SHOWN_COLUMNS_MAX} more` : ''}`;
}

function unknownHeader(header: readonly string[], shapes: readonly CsvShape[]): JobError {
  const shape = nearest(header, shapes);
  const fault = { missing: [] as string[], foreign: [] as string[], ...(shape && compare(header, shape)) };
  const but = [
    ...(fault.missing.length > 0 ? [`has no column ${shownColumns(fault.missing)}`] : []),
    ...(fault.foreign.length > 0 ? [`its column ${shownColumns(fault.foreign)} gives its rows another meaning`] : []),
  ];
  const what =
    shape === undefined
      ? 'none of the kinds of files that are known'
      : `it looks like ${shape.what}, but ${but.join(', and ')}`;
  return new JobError('kind_unknown', 'data', `${what}; its header: ${shownColumns(header)}`, {
    hint: 'see docs/your-data.md for what can be loaded',
  });
}

/** A header in which two columns mean the same. */
export function duplicateColumn(): JobError {
  return new JobError('csv_duplicate_column', 'data', 'two columns have the same name', {
    hint: 'only one of them can be right',
  });
}

function isCsvError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && /^CSV_/.test(String(error.code));
}

/**
 * Every record after the header: column (as the header's `names` spell it) to text value, as given. Bounded
 * memory.
 *
 * @throws `csv_malformed`, `csv_duplicate_column`, `csv_rows_too_large`, `rows_too_long` (65) with the row
 *   (1-based, header and note not counted)
 */
export async function* readCsv(
  path: string,
  encoding: CsvEncoding,
  { shape, names: header, headerLine, delimiter }: CsvHeader,
): AsyncGenerator<Record<string, string>> {
  if (new Set(header).size !== header.length || header.length > COLUMNS_MAX) throw duplicateColumn();
  let row = 0;
  const known = new Set([...shape.columns, ...(shape.optional ?? [])]);
  const refuseLarge = largeBatches(header.map((name) => known.has(name.trim())));
  const source = records(path, encoding, { delimiter, from: headerLine + 1, isLenient: false });
  try {
    for await (const record of source) {
      row += 1;
      if (record.length !== header.length) throw malformedCsv(record.length, header.length, row);
      refuseLarge(record, row);
      yield Object.fromEntries(header.map((name, index) => [name, record[index] ?? '']));
    }
  } catch (error) {
    throw brokenCsv(error, row + 1);
  }
}

/**
 * Every record of a file that is several tables below one another, with its number (1-based, empty lines not
 * counted). Records without any text part the tables as empty lines do: spreadsheets write such. Bounded
 * memory.
 *
 * @throws `csv_malformed`, `rows_too_long` (65) with the row
 */
export async function* readCsvTables(
  path: string,
  encoding: CsvEncoding,
  delimiter: string,
): AsyncGenerator<{ cells: string[]; row: number }> {
  let [row, beyond] = [0, 0];
  try {
    for await (const cells of records(path, encoding, { delimiter, isLenient: false })) {
      row += 1;
      beyond += beyondUsual(cells.reduce((sum, { length }) => sum + length, 0));
      refuseLongRows(beyond, 'records');
      if (cells.some((cell) => cell.trim() !== '')) yield { cells, row };
    }
  } catch (error) {
    throw brokenCsv(error, row + 1);
  }
}

/** A record that has not as many fields as its header. @param row 1-based */
export function malformedCsv(fields: number, expected: number, row: number): JobError {
  return new JobError('csv_malformed', 'data', `${fields} fields where the header has ${expected}`, {
    hint: 'download or copy the file again',
    place: { row },
  });
}

/** What the parser has thrown as the refusal of the file; any other error as it is. */
function brokenCsv(error: unknown, row: number): unknown {
  if (!isCsvError(error)) return error;
  return new JobError('csv_malformed', 'data', `not a whole CSV file (${error.code})`, {
    hint: 'download or copy the file again',
    place: { row },
    cause: error,
  });
}

/**
 * Adds up the last records, and refuses what the engine and every later job could not hold in memory.
 *
 * @param isKnown for each column whether a later job reads it: lyrics beside a track are not
 */
function largeBatches(isKnown: readonly boolean[]): (record: readonly string[], row: number) => void {
  const sizes = new Float64Array(BATCH_RECORDS);
  let [chars, beyond] = [0, 0];
  return (record, row) => {
    const size = record.reduce((sum, value) => sum + value.length, 0);
    beyond += beyondUsual(record.reduce((sum, value, index) => sum + (isKnown[index] ? value.length : 0), 0));
    refuseLongRows(beyond, 'records');
    chars += size - sizes[row % BATCH_RECORDS]!;
    sizes[row % BATCH_RECORDS] = size;
    if (chars <= BATCH_CHARS_MAX) return;
    throw new JobError('csv_rows_too_large', 'data', '2,048 records that take more than 8 MiB', {
      hint: 'this is not a file of a known kind',
      place: { row },
    });
  };
}

/** Resolves when the stream takes more, or never will; leaves no listener behind. */
function roomIn(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      stream.off('drain', end).off('close', end);
      resolve();
    };
    stream.on('drain', end).on('close', end);
  });
}

async function* records(
  path: string,
  encoding: CsvEncoding,
  range: { delimiter: string; from?: number; to?: number; isLenient: boolean },
): AsyncGenerator<string[]> {
  const source = createReadStream(path, { highWaterMark: 256 * 1024 });
  const parser = parse({
    delimiter: range.delimiter,
    relax_column_count: true,
    relax_quotes: range.isLenient,
    skip_empty_lines: true,
    max_record_size: RECORD_CHARS_MAX,
    ...(range.from === undefined ? {} : { from: range.from }),
    ...(range.to === undefined ? {} : { to: range.to }),
  });
  // Not pipe(): with it an error of the file would not reach the reader of the records.
  source.on('error', (error) => parser.destroy(error));
  const decoder = new TextDecoder(encoding, { fatal: encoding === 'utf-8' });
  const decode = async function* (): AsyncGenerator<string> {
    for await (const chunk of source) yield decoder.decode(chunk as Buffer, { stream: true });
    yield decoder.decode();
  };
  const feeding = (async () => {
    for await (const text of decode()) {
      if (parser.destroyed || parser.writableEnded) return;
      if (!parser.write(text)) await roomIn(parser);
    }
    parser.end();
  })().catch((error: Error) => void parser.destroy(error));
  try {
    for await (const record of parser) yield record as string[];
  } finally {
    source.destroy();
    parser.destroy();
    await feeding;
  }
}
