import { createReadStream } from 'node:fs';
import { JobError } from '../base/errors.ts';
import { isPersonalKey, type PseudonymSql, withoutPersonal } from '../base/personal-fields.ts';
import { type Embedded, literalPath, quoteText } from '../engine/duckdb/database.ts';
import { duplicateColumn, readCsv } from '../formats/csv.ts';
import { linesOf, wholeOf, writeLines } from '../formats/json/lines.ts';
import { createJsonScanner, type JsonScan } from '../formats/json/scanner.ts';
import type { ApiAnswer, ApiReader } from '../sources/spotify-api/answers.ts';
import { writeAnswers } from '../sources/spotify-api/bronze.ts';
import type { Recognised } from './examine.ts';
import { accountsOfRows, periodsOfRows, type RowSource, rowSourceOf, writeRows } from './rows.ts';

/** A bronze object that is written but not yet in the lake. */
export interface BronzeDraft {
  table: string;
  kind: string;
  format: 'parquet' | 'json';
  /** Rows of the object. */
  rows: number;
  /** Things in the file that must be accounted for: plays, events, records, items of responses. */
  readRows: number;
  periods: string[];
  /** Pseudonyms of the accounts whose rows it holds, where it says so. */
  accounts?: string[];
}

/** Reads ids of people as their pseudonyms. */
export interface PeopleReaders {
  api: ApiReader;
  sql: PseudonymSql;
}

/**
 * Writes a recognised file as its bronze object to `output`, in the columns of the bronze contract.
 *
 * @param file local path that the engine may read, without characters of a glob
 * @param scratch path for a temporary file; the caller removes it
 * @param people needed for kinds that name people: API answers, rows with `people`; without it rows with an
 * `account` have none
 * @throws `kind_unsupported`, `csv_malformed`, `parsers_disagree`, ... (65): the file is refused
 */
export async function writeBronze(
  engine: Embedded,
  recognised: Recognised,
  source: { file: string; name: string; sha256: string },
  output: string,
  scratch: string,
  people?: PeopleReaders,
): Promise<BronzeDraft> {
  if (recognised.form === 'api')
    return writeApi(engine, people!.api, recognised.scan.form === 'lines', source, output, scratch);
  if (recognised.form === 'csv') {
    return recognised.header.shape.rows === undefined
      ? writeCsv(engine, recognised, source, output, scratch)
      : writeCsvRows(engine, recognised, source, output, scratch, people?.sql);
  }
  const { source: kind, scan } = recognised;
  const rows = await writeRows(engine, kind, scan, source.file, source.sha256, output, people?.sql).catch(
    (error: unknown) => {
      if (!(error instanceof Error && /^Invalid Input Error/.test(error.message))) throw error;
      throw new JobError('parsers_disagree', 'data', 'the file passed the check, but the engine cannot read it', {
        hint: 'please report it with the shape of the file',
        cause: error,
      });
    },
  );
  if (rows !== recognised.scan.rows) {
    throw new JobError(
      'parsers_disagree',
      'data',
      `${recognised.scan.rows} rows were checked, but the engine read ${rows}`,
      {
        hint: 'please report it with the shape of the file',
      },
    );
  }
  return draftOfRows(engine, kind, rows, output);
}

async function draftOfRows(engine: Embedded, source: RowSource, rows: number, output: string): Promise<BronzeDraft> {
  const { table, kind } = source;
  const periods = await periodsOfRows(engine, source, output);
  const accounts = await accountsOfRows(engine, source, output);
  return { table, kind, format: 'parquet', rows, readRows: rows, periods, ...(accounts.length > 0 && { accounts }) };
}

async function writeApi(
  engine: Embedded,
  api: ApiReader,
  isLines: boolean,
  source: { file: string; name: string; sha256: string },
  output: string,
  scratch: string,
): Promise<BronzeDraft> {
  const kinds = new Set<string>();
  const periods = new Set<string>();
  async function* answers(): AsyncGenerator<ApiAnswer> {
    let line = 0;
    for await (const text of isLines ? linesOf(source.file) : wholeOf(source.file)) {
      line += 1;
      if (text.trim() === '') continue;
      const answer = inRow(isLines ? line : undefined, () => api.read(text, source.name));
      kinds.add(answer.kind);
      for (const period of answer.periods) periods.add(period);
      yield answer;
    }
  }
  const { rows, items } = await writeAnswers(engine, api, answers(), source.sha256, output, scratch);
  const kind = kinds.size === 1 ? [...kinds][0]! : 'api_mixed';
  return { table: 'api_answers', kind, format: 'parquet', rows, readRows: items, periods: [...periods].sort() };
}

async function writeCsv(
  engine: Embedded,
  { encoding, header, place }: Extract<Recognised, { form: 'csv' }>,
  source: { file: string; sha256: string },
  output: string,
  scratch: string,
): Promise<BronzeDraft> {
  const { shape } = header;
  const periods = new Set<string>(place?.periodStart ? [place.periodStart.slice(0, 7)] : []);
  let rows = 0;
  const isKept = (column: string): boolean => shape.columns.includes(column.trim()) || !isPersonalKey(column);
  const kept = header.names.filter(isKept);
  async function* lines(): AsyncGenerator<string> {
    for await (const record of readCsv(source.file, encoding, header)) {
      rows += 1;
      const period = shape.periodOf?.(record);
      if (period !== undefined) periods.add(period);
      const clean = Object.fromEntries(kept.map((column) => [column, withoutPersonal(record[column] ?? '')]));
      yield JSON.stringify({ row_number: rows, record: JSON.stringify(clean) });
    }
  }
  await writeLines(scratch, lines());
  const text = (value: string | null | undefined): string => (value ? quoteText(value) : 'cast(null as varchar)');
  await engine.run(`
    copy (
        select
            ${quoteText(source.sha256)} as source_key,
            row_number,
            ${quoteText(shape.name)} as shape,
            ${text(place?.chart)} as chart,
            ${text(place?.region)} as region,
            ${text(place?.periodStart)} as period_start,
            ${text(place?.periodEnd)} as period_end,
            record,
        from read_json(${quoteText(literalPath(scratch))}, format = 'newline_delimited', columns = {row_number: 'bigint', record: 'varchar'}, compression = 'uncompressed')
    ) to ${quoteText(output)} (format parquet, compression zstd)`);
  return {
    table: shape.table,
    kind: shape.name,
    format: 'parquet',
    rows,
    readRows: rows,
    periods: [...periods].sort(),
  };
}

/** Records that are rows of a JSON source as well: its keys, and nothing for an empty cell. */
async function writeCsvRows(
  engine: Embedded,
  { encoding, header }: Extract<Recognised, { form: 'csv' }>,
  source: { file: string; name: string; sha256: string },
  output: string,
  scratch: string,
  pseudonyms: PseudonymSql | undefined,
): Promise<BronzeDraft> {
  const { source: kind, keyOf, cellOf } = header.shape.rows!;
  const keys = header.names.map((name) => keyOf.get(name) ?? name);
  if (new Set(keys).size !== keys.length) throw duplicateColumn();
  let rows = 0;
  async function* lines(): AsyncGenerator<string> {
    yield '[';
    for await (const record of readCsv(source.file, encoding, header)) {
      rows += 1;
      const cells = header.names.flatMap((name, index) => {
        const text = record[name] ?? '';
        return text === '' ? [] : [[keys[index]!, cellOf?.(keys[index]!, text) ?? text]];
      });
      yield `${rows > 1 ? ',' : ''}${JSON.stringify(Object.fromEntries(cells))}`;
    }
    yield ']';
  }
  await writeLines(scratch, lines());
  // From here on as if it had been given as JSON: the same bounds, the same reading.
  const scan = await scanOf(scratch);
  if (rows > 0) rowSourceOf(scan, source.name, [kind]);
  await writeRows(engine, kind, scan, scratch, source.sha256, output, pseudonyms);
  return draftOfRows(engine, kind, rows, output);
}

async function scanOf(path: string): Promise<JsonScan> {
  const scanner = createJsonScanner();
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 })) scanner.write(chunk as Buffer);
  return scanner.end();
}

function inRow<T>(row: number | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof JobError) || row === undefined) throw error;
    throw new JobError(error.code, error.exit, error.message, {
      hint: error.hint ?? '',
      place: { ...error.place, row },
      cause: error,
    });
  }
}
