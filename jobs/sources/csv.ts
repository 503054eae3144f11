import { createReadStream } from 'node:fs';
import { parse } from 'csv-parse';
import { JobError } from '../errors.ts';

/** A CSV record longer than this is not one of the known files (their records are under 2 KiB). */
const RECORD_CHARS_MAX = 256 * 1024;
/** As many records as the engine holds at once, and the characters that they may have together. */
const BATCH_RECORDS = 2_048;
const BATCH_CHARS_MAX = 8 * 1024 ** 2;
const COLUMNS_MAX = 1_000;

export type CsvEncoding = 'utf-8' | 'windows-1252';

/** One kind of CSV file: recognised by its header. */
export interface CsvShape {
  /** Also the `kind` of the file. */
  name: string;
  table: 'tracks_csv' | 'charts_csv';
  /** Columns that must be there, in any order; others may be. */
  columns: readonly string[];
  /** Says nothing about people or listening that is not in `columns`; told from another shape by having this many columns. */
  columnCount?: readonly number[];
  /** Where and when a chart is from, by file name. @throws `chart_date_missing` (65) */
  place?: (fileName: string) => ChartPlace;
  /** Months (`YYYY-MM`) that a record belongs to, where the record itself says. */
  periodOf?: (record: Record<string, string>) => string | undefined;
}

/** Dates are `YYYY-MM-DD`; the end is exclusive. Null where each record says. */
export interface ChartPlace {
  chart: string;
  region: string;
  periodStart: string | null;
  periodEnd: string | null;
}

/** The shape that a header belongs to, if there is one. The first column may be an index without a name. */
export function shapeOfHeader(header: readonly string[], shapes: readonly CsvShape[]): CsvShape | undefined {
  const names = new Set(header.map((name) => name.trim()));
  return shapes.find(
    (shape) =>
      shape.columns.every((column) => names.has(column)) && (shape.columnCount?.includes(header.length) ?? true),
  );
}

/**
 * Finds the header in the beginning of a file: its first line, or its second where the first is a note (empty cells and one sentence).
 *
 * @returns undefined where neither line is a known header
 */
export async function recogniseCsv(
  path: string,
  encoding: CsvEncoding,
  shapes: readonly CsvShape[],
): Promise<{ shape: CsvShape; header: string[]; headerLine: number } | undefined> {
  let line = 0;
  for await (const record of records(path, encoding, { to: 2, isLenient: true })) {
    line += 1;
    const shape = shapeOfHeader(record, shapes);
    if (shape !== undefined) return { shape, header: record, headerLine: line };
  }
  return undefined;
}

/**
 * Every record after the header: header to text value, as given. Bounded memory.
 *
 * @throws `csv_malformed`, `csv_duplicate_column`, `csv_rows_too_large` (65) with the row (1-based, header and note not counted)
 */
export async function* readCsv(
  path: string,
  encoding: CsvEncoding,
  header: readonly string[],
  headerLine: number,
): AsyncGenerator<Record<string, string>> {
  if (new Set(header).size !== header.length || header.length > COLUMNS_MAX) {
    throw new JobError('csv_duplicate_column', 'data', 'two columns have the same name', {
      hint: 'only one of them can be right',
    });
  }
  let row = 0;
  const refuseLarge = largeBatches();
  const source = records(path, encoding, { from: headerLine + 1, isLenient: false });
  try {
    for await (const record of source) {
      row += 1;
      if (record.length !== header.length) {
        throw new JobError('csv_malformed', 'data', `${record.length} fields where the header has ${header.length}`, {
          hint: 'download or copy the file again',
          place: { row },
        });
      }
      refuseLarge(record, row);
      yield Object.fromEntries(header.map((name, index) => [name, record[index] ?? '']));
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && /^CSV_/.test(String(error.code)))) throw error;
    throw new JobError('csv_malformed', 'data', `not a whole CSV file (${String(error.code)})`, {
      hint: 'download or copy the file again',
      place: { row: row + 1 },
      cause: error,
    });
  }
}

/** Adds up the last records, and refuses what the engine and every later job could not hold in memory. */
function largeBatches(): (record: readonly string[], row: number) => void {
  const sizes = new Float64Array(BATCH_RECORDS);
  let chars = 0;
  return (record, row) => {
    const size = record.reduce((sum, value) => sum + value.length, 0);
    chars += size - sizes[row % BATCH_RECORDS]!;
    sizes[row % BATCH_RECORDS] = size;
    if (chars <= BATCH_CHARS_MAX) return;
    throw new JobError('csv_rows_too_large', 'data', '2,048 records that take more than 8 MiB', {
      hint: 'this is not a file of a known kind',
      place: { row },
    });
  };
}

async function* records(
  path: string,
  encoding: CsvEncoding,
  range: { from?: number; to?: number; isLenient: boolean },
): AsyncGenerator<string[]> {
  const source = createReadStream(path, { highWaterMark: 256 * 1024 });
  const parser = parse({
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
      if (!parser.write(text))
        await new Promise<void>((resolve) => void parser.once('drain', resolve).once('close', resolve));
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
