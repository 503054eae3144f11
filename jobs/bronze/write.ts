import { JobError } from '../base/errors.ts';
import { isPersonalKey, withoutPersonal } from '../base/personal-fields.ts';
import { literalPath, quoteName, quoteText } from '../engine/duckdb/database.ts';
import { duplicateColumn, readCsv } from '../formats/csv.ts';
import { writeLines } from '../formats/json/lines.ts';
import { contractOf } from '../lake/contracts.ts';
import type { Recognised } from './examine.ts';
import { writeRecords } from './records.ts';
import { draftOfRows, writeRows } from './rows.ts';
import type { BronzeDraft, People, StagedFile } from './source.ts';

type OfForm<Form extends Recognised['form']> = Extract<Recognised, { form: Form }>;

/**
 * Writes a recognised file as its bronze object, in the columns of the bronze contract.
 *
 * @param people needed for kinds that name people; without it, rows with an `account` have none
 * @throws `kind_unsupported`, `csv_malformed`, `parsers_disagree`, ... (65): the file is refused
 */
export async function writeBronze(
  staged: StagedFile,
  recognised: Recognised,
  people: People | undefined,
): Promise<BronzeDraft> {
  switch (recognised.form) {
    case 'rows':
      return writeJsonRows(staged, recognised, people);
    case 'documents':
      return recognised.source.write(staged, recognised.scan, people);
    case 'csv':
      return recognised.header.shape.rows === undefined
        ? writeCsv(staged, recognised)
        : writeCsvRows(staged, recognised, people);
  }
}

async function writeJsonRows(
  staged: StagedFile,
  { source, scan }: OfForm<'rows'>,
  people: People | undefined,
): Promise<BronzeDraft> {
  const hint = 'please report it with the shape of the file';
  const rows = await writeRows(staged, source, scan, staged.path, people?.sql).catch((error: unknown) => {
    if (!(error instanceof Error && /^Invalid Input Error/.test(error.message))) throw error;
    throw new JobError('parsers_disagree', 'data', 'the file passed the check, but the engine cannot read it', {
      hint,
      cause: error,
    });
  });
  if (rows !== scan.rows) {
    const what = `${scan.rows} rows were checked, but the engine read ${rows}`;
    throw new JobError('parsers_disagree', 'data', what, { hint });
  }
  return draftOfRows(staged, source, scan, rows);
}

/** Records as they are: each is one JSON text, beside what the file's name says of all of them. */
async function writeCsv(staged: StagedFile, { encoding, header, named }: OfForm<'csv'>): Promise<BronzeDraft> {
  const { shape } = header;
  const periods = new Set<string>(named?.periods);
  let rows = 0;
  const kept = header.names.filter((column) => shape.columns.includes(column.trim()) || !isPersonalKey(column));
  async function* lines(): AsyncGenerator<string> {
    for await (const record of readCsv(staged.path, encoding, header)) {
      rows += 1;
      const period = shape.periodOf?.(record);
      if (period !== undefined) periods.add(period);
      const clean = Object.fromEntries(kept.map((column) => [column, withoutPersonal(record[column] ?? '')]));
      yield JSON.stringify({ row_number: rows, record: JSON.stringify(clean) });
    }
  }
  await writeLines(staged.scratch, lines());
  const values: Record<string, string | null> = { ...named?.columns, source_key: staged.sha256, shape: shape.name };
  const columns = contractOf('bronze', shape.table).columns.map(({ name }) => {
    if (name === 'row_number' || name === 'record') return name;
    return `${values[name] ? quoteText(values[name]) : 'cast(null as varchar)'} as ${quoteName(name)}`;
  });
  await staged.engine.run(`
    copy (
        select ${columns.join(', ')}
        from read_json(${quoteText(literalPath(staged.scratch))}, format = 'newline_delimited',
          columns = {row_number: 'bigint', record: 'varchar'}, compression = 'uncompressed')
    ) to ${quoteText(staged.output)} (format parquet, compression zstd)`);
  const { table, name: kind } = shape;
  return { table, kind, format: 'parquet', rows, readRows: rows, periods: [...periods].sort() };
}

/** Records that are rows of a kind of JSON as well: its keys, and nothing for an empty cell. */
async function writeCsvRows(
  staged: StagedFile,
  { encoding, header }: OfForm<'csv'>,
  people: People | undefined,
): Promise<BronzeDraft> {
  const { rows } = header.shape;
  if ('recordsOf' in rows!) {
    return writeRecords(staged, rows.source, rows.recordsOf(staged.path, encoding, header), people);
  }
  const { source, keyOf, cellOf } = rows!;
  const keys = header.names.map((name) => keyOf.get(name) ?? name);
  if (new Set(keys).size !== keys.length) throw duplicateColumn();
  async function* records(): AsyncGenerator<Record<string, string>> {
    for await (const record of readCsv(staged.path, encoding, header)) {
      const cells = header.names.flatMap((name, index) => {
        const text = record[name] ?? '';
        return text === '' ? [] : [[keys[index]!, cellOf?.(keys[index]!, text) ?? text]];
      });
      yield Object.fromEntries(cells);
    }
  }
  return writeRecords(staged, source, records(), people);
}
