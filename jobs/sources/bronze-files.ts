import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Embedded, literalPath, quoteText } from '../engine/embedded.ts';
import { JobError } from '../errors.ts';
import { readCsv } from './csv.ts';
import type { Recognised } from './examine.ts';
import { periodsOfRows, writeRows } from './json-rows.ts';
import { isPersonalKey, withoutPersonal } from './personal-fields.ts';
import type { ApiReader } from './spotify-api.ts';
import { hasUtf8Mark } from './text-encoding.ts';

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
}

/** Reads ids of people as their pseudonyms. */
export interface PeopleReaders {
  api: ApiReader;
  /** See `createPseudonymSql`. */
  pseudonymSql: (column: string) => string;
}

/** Text that gathers before one write. */
const WRITE_CHARS = 256 * 1024;

/**
 * Writes a recognised file as its bronze object to `output`, in the columns of the bronze contract.
 *
 * @param file local path that the engine may read, without characters of a glob
 * @param scratch path for a temporary file; the caller removes it
 * @param people needed for kinds that name people: API answers, rows with `people`
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
  if (recognised.form === 'api') return writeApiPages(people!.api, recognised.scan.form === 'lines', source, output);
  if (recognised.form === 'csv') return writeCsv(engine, recognised, source, output, scratch);
  const { source: kind, scan } = recognised;
  const rows = await writeRows(engine, kind, scan, source.file, source.sha256, output, people?.pseudonymSql).catch(
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
  const periods = await periodsOfRows(engine, recognised.source, output);
  return {
    table: recognised.source.table,
    kind: recognised.source.kind,
    format: 'parquet',
    rows,
    readRows: rows,
    periods,
  };
}

async function writeApiPages(
  api: ApiReader,
  isLines: boolean,
  source: { file: string; name: string; sha256: string },
  output: string,
): Promise<BronzeDraft> {
  const kinds = new Map<string, number>();
  const periods = new Set<string>();
  let [rows, items, line] = [0, 0, 0];
  await writeLines(output, async function* () {
    for await (const text of isLines ? linesOf(source.file) : wholeOf(source.file)) {
      line += 1;
      if (text.trim() === '') continue;
      const page = inRow(isLines ? line : undefined, () => api.read(text, source.name));
      rows += 1;
      items += page.items;
      kinds.set(page.kind, (kinds.get(page.kind) ?? 0) + 1);
      for (const period of page.periods) periods.add(period);
      const { kind, observedAt, timeRange, playlistId, body } = page;
      yield JSON.stringify({
        source_key: source.sha256,
        row_number: rows,
        kind,
        observed_at: observedAt,
        time_range: timeRange,
        playlist_id: playlistId,
        body,
      });
    }
  });
  const kind = kinds.size === 1 ? [...kinds.keys()][0]! : 'api_mixed';
  return { table: 'api_pages', kind, format: 'json', rows, readRows: items, periods: [...periods].sort() };
}

async function writeCsv(
  engine: Embedded,
  { shape, encoding, header, headerLine, place }: Extract<Recognised, { form: 'csv' }>,
  source: { file: string; sha256: string },
  output: string,
  scratch: string,
): Promise<BronzeDraft> {
  const periods = new Set<string>(place?.periodStart ? [place.periodStart.slice(0, 7)] : []);
  let rows = 0;
  const isKept = (column: string): boolean => shape.columns.includes(column.trim()) || !isPersonalKey(column);
  const kept = header.filter(isKept);
  await writeLines(scratch, async function* () {
    for await (const record of readCsv(source.file, encoding, header, headerLine)) {
      rows += 1;
      const period = shape.periodOf?.(record);
      if (period !== undefined) periods.add(period);
      const clean = Object.fromEntries(kept.map((column) => [column, withoutPersonal(record[column] ?? '')]));
      yield JSON.stringify({ row_number: rows, record: JSON.stringify(clean) });
    }
  });
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

/** SHA-256 (hex) of a local file. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function writeLines(path: string, lines: () => AsyncGenerator<string>): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    let parts: string[] = [];
    let chars = 0;
    for await (const line of lines()) {
      parts.push(line, '\n');
      chars += line.length;
      if (chars > WRITE_CHARS) {
        await handle.write(parts.join(''));
        [parts, chars] = [[], 0];
      }
    }
    await handle.write(parts.join(''));
  } finally {
    await handle.close();
  }
}

async function* wholeOf(path: string): AsyncGenerator<string> {
  const parts: Buffer[] = [];
  for await (const chunk of createReadStream(path)) parts.push(chunk as Buffer);
  yield withoutMark(Buffer.concat(parts));
}

/** Lines by the line feed only: other line separators may stand inside JSON texts. The scanner has bounded their length. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let isFirst = true;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 })) {
    let from = 0;
    for (let at = (chunk as Buffer).indexOf(10); at >= 0; at = (chunk as Buffer).indexOf(10, from)) {
      const line = Buffer.concat([...rest, (chunk as Buffer).subarray(from, at)]);
      yield isFirst ? withoutMark(line) : line.toString('utf8');
      [rest, from, isFirst] = [[], at + 1, false];
    }
    rest.push((chunk as Buffer).subarray(from));
  }
  const last = Buffer.concat(rest);
  yield isFirst ? withoutMark(last) : last.toString('utf8');
}

function withoutMark(bytes: Buffer): string {
  return (hasUtf8Mark(bytes) ? bytes.subarray(3) : bytes).toString('utf8');
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
