import { open } from 'node:fs/promises';
import { JobError } from '../base/errors.ts';
import {
  isPersonalKey,
  isPersonalSql,
  type PseudonymSql,
  withoutPersonal,
  withoutPersonalSql,
} from '../base/personal-fields.ts';
import { type Embedded, literalPath, quoteName, quoteText } from '../engine/duckdb/database.ts';
import { JSON_BATCH_ROWS, type JsonScan } from '../formats/json/scanner.ts';
import { refuseLongRows } from '../formats/long-rows.ts';
import { contractOf } from '../lake/contracts.ts';
import type { FileKeys } from '../lake/manifest.ts';
import { monthsAround } from './periods.ts';
import type { BronzeDraft, PassedOver, RowSource, StagedFile } from './source.ts';

/**
 * A row group is built in memory: with the engine's default of four times this a file of 650 MB needs 445 MiB
 * in all, so 235. Spotify's own files have 15,000 to 19,000 rows.
 */
const ROW_GROUP_ROWS = 30_720;
/** Where rows are large, a row group has fewer of them: about so many bytes of the file. */
const ROW_GROUP_BYTES = 32 * 1024 ** 2;
/**
 * A row, and as many rows as the engine holds at once, at most. Real rows are under 2 KiB. Measured in 256
 * MiB: 2,048 rows of 16 KiB do not load, and three rows with a name of 7 MiB load and then stop every later
 * run.
 */
const ROW_BYTES_MAX = 256 * 1024;
const BATCH_BYTES_MAX = 8 * 1024 ** 2;
/** Bronze columns that are not keys of the file. */
const OWN_COLUMNS = new Set(['source_key', 'row_number', 'extra']);
/** Keys that the contract does not know; real drift is one to four at a time. */
const UNKNOWN_KEYS_MAX = 200;
const EXTRA_NAME_CHARS_MAX = 64;
/** Names of unknown keys that the index keeps of a file: it is read by every job. */
const RECORDED_KEYS_MAX = 20;
/**
 * Whether any column of the row holds something personal. The name is longer than that of any key that is
 * read, so that no file has it.
 */
const IS_PERSONAL = quoteName('is personal?'.padEnd(EXTRA_NAME_CHARS_MAX + 1, '?'));
/** The columns of a row that has something to replace, in their order; null for every other row. */
const CLEANED = quoteName('cleaned'.padEnd(EXTRA_NAME_CHARS_MAX + 1, '?'));
/** Accounts of one file that are told apart in the index: an export is of one. */
const ACCOUNTS_MAX = 10;
/** Where the first text of a key is looked for: some 90 rows of an export. */
const HEAD_BYTES = 64 * 1024;
/**
 * JSON scalars that are kept of unknown keys: true, false, a number, a code without blanks (`mobile`,
 * `2026-11-21T10:00:00Z`).
 */
const EXTRA_VALUE_PATTERN = '^(true|false|-?[0-9][0-9.eE+-]{0,31}|"[A-Za-z0-9_.:/+-]{0,64}")$';

/**
 * The source that a file's rows belong to, by their keys.
 *
 * @param name the file's name: decides only where there are no rows
 * @returns undefined where no source fits
 * @throws `schema_drift` when a required key is gone, `row_not_object`, `not_a_list`, `json_row_too_large`,
 * `json_rows_too_large`,
 *   `rows_too_long` (65)
 */
export function rowSourceOf(scan: JsonScan, name: string, sources: readonly RowSource[]): RowSource | undefined {
  if (scan.form === 'array' && scan.rows === 0)
    return sources.find((source) => source.name.test(name.slice(name.lastIndexOf('/') + 1)));
  const source =
    sources.find(({ required }) => required.every((key) => scan.keys.has(key))) ??
    sources.find(({ typical, required }) => [...typical, ...required].filter((key) => scan.keys.has(key)).length >= 2);
  if (source === undefined) return undefined;
  const missing = source.required.filter((key) => !scan.keys.has(key));
  if (missing.length > 0) {
    throw new JobError(
      'schema_drift',
      'data',
      `no row has the key ${missing.join(', ')}, which files of the kind ${source.kind} have`,
      {
        hint: 'the format has changed: look for a newer listenlake',
      },
    );
  }
  if (scan.firstOtherRow !== undefined) {
    throw new JobError('row_not_object', 'data', 'a row that is not an object', {
      hint: 'export or copy it again',
      place: scan.firstOtherRow,
    });
  }
  if (source.isList && scan.form !== 'array') {
    throw new JobError('not_a_list', 'data', 'one object where a list of plays should be', {
      hint: 'export or copy it again',
    });
  }
  refuseLargeRows(scan);
  return source;
}

/**
 * The engine holds a batch of rows in memory, and so does every later job: what cannot be held is refused
 * here, once.
 */
function refuseLargeRows({ largestRow, largestBatch, rows, beyondUsual }: JsonScan): void {
  const hint = 'take the file as Spotify made it';
  if (largestRow.bytes > ROW_BYTES_MAX) {
    const sizes = `${sizeOf(largestRow.bytes)}, more than ${sizeOf(ROW_BYTES_MAX)}`;
    throw new JobError('json_row_too_large', 'data', `a row of ${sizes}`, {
      hint,
      place: { row: largestRow.row, byte: largestRow.byte },
    });
  }
  if (largestBatch.bytes > BATCH_BYTES_MAX) {
    const count = Math.min(rows, JSON_BATCH_ROWS).toLocaleString('en');
    const sizes = `${sizeOf(largestBatch.bytes)}, more than ${sizeOf(BATCH_BYTES_MAX)}`;
    throw new JobError('json_rows_too_large', 'data', `${count} rows that take ${sizes}`, {
      hint,
      place: { row: largestBatch.row, byte: largestBatch.byte },
    });
  }
  refuseLongRows(beyondUsual, 'rows');
}

function sizeOf(bytes: number): string {
  const [size, unit] = bytes < 1024 ** 2 ? [bytes / 1024, 'KiB'] : [bytes / 1024 ** 2, 'MiB'];
  return `${size.toLocaleString('en', { maximumFractionDigits: 1 })} ${unit}`;
}

/** Rows of a row group: whole batches of the engine, and at least one. */
function rowGroupRows({ largestBatch }: JsonScan): number {
  const batches = Math.floor(ROW_GROUP_BYTES / Math.max(1, largestBatch.bytes));
  return Math.min(ROW_GROUP_ROWS, JSON_BATCH_ROWS * Math.max(1, batches));
}

/**
 * Writes the rows of a checked file as Parquet (zstd) in the contract's columns and order, all text, without
 * what the rule for values finds (personal-fields.ts); an object where a scalar should be is `[nested]`. Of a
 * key that the contract does not know, `extra` keeps a short scalar, unless the rule for names or the one for
 * values finds it; known personal keys are not even read.
 *
 * @param path the checked file; a path without characters of a glob
 * @param pseudonyms needed for a source with `people` or `derived`
 * @returns rows written
 * @throws `json_too_many_keys`, `schema_keys_clash` (65)
 */
export async function writeRows(
  { engine, sha256, output }: StagedFile,
  source: RowSource,
  scan: JsonScan,
  path: string,
  pseudonyms: PseudonymSql | undefined,
): Promise<number> {
  const columns = contractOf('bronze', source.table).columns.map(({ name }) => name);
  const known = knownKeys(source);
  const unknown = unknownKeys(scan, known);
  const reads = [
    ...[...known.keys()].map((key) => `${quoteText(key)}: 'varchar'`),
    ...unknown.map((key) => `${quoteText(key)}: 'json'`),
  ];
  const isReplaced = (name: string): boolean =>
    source.people?.includes(name) === true || name === source.account?.column;
  const cleaned = [...known].filter(([, name]) => !isReplaced(name)).map(([key]) => quoteName(key));
  const values = columns.map((name) => {
    if (name === 'source_key') return `${quoteText(sha256)} as source_key`;
    if (name === 'extra') return `${extraSql(unknown)} as extra`;
    return `${valueSql(name, source, pseudonyms, cleaned)} as ${quoteName(name)}`;
  });
  if (source.account !== undefined && pseudonyms !== undefined) {
    const usual = await firstText(path, source.account.key);
    for (const statement of pseudonyms.usualName(usual)) await engine.run(statement);
  }
  const [written] = await engine.rows<{ Count: bigint }>(`
    copy (
        select ${values.join(', ')}
        from (
            select *, ${cleanedSql(cleaned)} as ${CLEANED}
            from (
                select *, ${isPersonalSql(cleaned)} as ${IS_PERSONAL}
                from read_json(${quoteText(literalPath(path))}, format = '${formatOf(scan)}',
                  columns = {${reads.join(', ')}}, compression = 'uncompressed')
            )
        )
    ) to ${quoteText(output)} (format parquet, compression zstd, row_group_size ${rowGroupRows(scan)})`);
  return Number(written?.Count);
}

/** How the engine is to read it: it takes lines for such only where no byte order mark stands before them. */
function formatOf({ form, hasBom }: JsonScan): string {
  if (form === 'array') return 'array';
  return form === 'lines' && !hasBom ? 'newline_delimited' : 'unstructured';
}

/**
 * A column of the contract that is a key of the file, or is made of keys.
 *
 * @param cleaned the columns of which the list in `CLEANED` is made
 */
function valueSql(
  name: string,
  source: RowSource,
  pseudonyms: PseudonymSql | undefined,
  cleaned: readonly string[],
): string {
  if (name === 'row_number') return 'row_number() over ()';
  const derived = source.derived?.[name];
  if (derived !== undefined) return derived(pseudonyms!);
  const value = quoteName(source.keyOf(name));
  if (name === source.account?.column) return pseudonyms?.userName(value) ?? 'cast(null as varchar)';
  if (source.people?.includes(name) === true) return withoutNestedSql(value, pseudonyms!.id(value));
  return `case when ${CLEANED} is null then ${value} else ${CLEANED}[${cleaned.indexOf(value) + 1}] end`;
}

/**
 * The first text that stands under a key at the head of a JSON file. A hint: it may be of any depth, and
 * undefined proves nothing.
 */
async function firstText(file: string, key: string): Promise<string | undefined> {
  const handle = await open(file, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const head = buffer.toString('utf8', 0, bytesRead);
    const found = new RegExp(`${JSON.stringify(key)}\\s*:\\s*("(?:[^"\\\\]|\\\\.){1,200}")`).exec(head)?.[1];
    return found === undefined ? undefined : String(JSON.parse(found));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    await handle.close();
  }
}

/** What the index of bronze says of an object of such rows. */
export async function draftOfRows(
  { engine, output }: StagedFile,
  source: RowSource,
  scan: JsonScan,
  rows: number,
): Promise<BronzeDraft> {
  const { table, kind } = source;
  const periods = await periodsOfRows(engine, source, output);
  const accounts = await accountsOfRows(engine, source, output);
  const passedOver = await passedOverOf(engine, source, output);
  return {
    ...{ table, kind, format: 'parquet', rows, readRows: rows - (passedOver?.rows ?? 0), periods },
    ...(accounts.length > 0 && { accounts }),
    ...(rows > 0 && { keys: keysOf(scan, source) }),
    ...(passedOver && { passedOver }),
  };
}

async function passedOverOf(engine: Embedded, source: RowSource, file: string): Promise<PassedOver | undefined> {
  if (source.passedOver === undefined) return undefined;
  const { isSql, why } = source.passedOver;
  const [found] = await engine.rows<{ n: bigint }>(
    `select count(*) as n from read_parquet(${quoteText(literalPath(file))}) where ${isSql}`,
  );
  const rows = Number(found?.n ?? 0);
  return rows > 0 ? { rows, why } : undefined;
}

/**
 * The accounts whose rows are in a bronze object, as pseudonyms: at most `ACCOUNTS_MAX`, in order; none where
 * it does not say.
 */
async function accountsOfRows(engine: Embedded, source: RowSource, file: string): Promise<string[]> {
  if (source.account === undefined) return [];
  const name = quoteName(source.account.column);
  const found = await engine.rows<{ account: string }>(
    `select distinct ${name} as account from read_parquet(${quoteText(literalPath(file))})
     where ${name} is not null order by account limit ${ACCOUNTS_MAX}`,
  );
  return found.map(({ account }) => account);
}

/** The months (a day's margin around them) or dates that rows of a bronze object may touch. */
async function periodsOfRows(engine: Embedded, source: RowSource, file: string): Promise<string[]> {
  const days = await engine.rows<{ day: string }>(`
    select distinct cast(cast(moment as date) as varchar) as day
    from (${source.daysSql} from read_parquet(${quoteText(literalPath(file))}))
    where moment >= timestamp '2002-01-01' and moment < timestamp '2041-01-01'
    order by day`);
  return source.period === 'day' ? days.map(({ day }) => day) : monthsAround(days.map(({ day }) => day));
}

/** Keys of the file to the columns of the contract that they fill. */
function knownKeys(source: RowSource): Map<string, string> {
  const columns = contractOf('bronze', source.table).columns.map(({ name }) => name);
  return new Map(columns.filter((name) => !OWN_COLUMNS.has(name)).map((name) => [source.keyOf(name), name]));
}

/** How the keys of the rows differ from those of the contract. */
function keysOf(scan: JsonScan, source: RowSource): FileKeys {
  const known = knownKeys(source);
  const given = [...known].filter(([, name]) => source.derived?.[name] === undefined).map(([key]) => key);
  return {
    unknown: unknownKeys(scan, known)
      .map((key) => withoutPersonal(key))
      .sort()
      .slice(0, RECORDED_KEYS_MAX),
    absent: given.filter((key) => !scan.keys.has(key)).sort(),
    partial: given.filter((key) => scan.keys.has(key) && scan.keys.get(key)! < scan.rows).sort(),
  };
}

function unknownKeys(scan: JsonScan, known: Map<string, string>): string[] {
  const unknown = [...scan.keys.keys()].filter(
    (key) => !known.has(key) && !isPersonalKey(key) && key !== '' && key.length <= EXTRA_NAME_CHARS_MAX,
  );
  if (unknown.length > UNKNOWN_KEYS_MAX) {
    throw new JobError('json_too_many_keys', 'data', `${unknown.length} keys that files of this kind do not have`, {
      hint: 'this is not a file of a known kind',
    });
  }
  // The engine tells column names apart without regard to case.
  const names = new Set([...known.keys(), ...known.values()].map((name) => name.toLowerCase()));
  for (const key of unknown) {
    if (names.has(key.toLowerCase())) {
      throw new JobError(
        'schema_keys_clash',
        'data',
        `the key ${JSON.stringify(key.slice(0, 80))} differs from another one only in its spelling`,
        {
          hint: 'export it again',
        },
      );
    }
    names.add(key.toLowerCase());
  }
  return unknown;
}

/**
 * The columns without what is personal in them, as one list, for a row that has something to replace. The
 * rule stands in the statement once and not once for each column, because the engine compiles each expression
 * of it anew: on 500,000 plays in 33 files that took half of the time that it writes (4.6 s of processor, now
 * 2.6).
 */
function cleanedSql(columns: readonly string[]): string {
  const isOpened = columns.map((column) => `starts_with(${column}, '{') or starts_with(${column}, '[')`).join(' or ');
  const clean = `case when ${IS_PERSONAL} then ${withoutPersonalSql('value')} else value end`;
  return `case when ${IS_PERSONAL} or ${isOpened}
    then list_transform([${columns.join(', ')}], lambda value: ${withoutNestedSql('value', clean)}) end`;
}

/**
 * A scalar as `clean`; an object or a list in its place hides its names from the rule for names, and goes.
 */
function withoutNestedSql(value: string, clean: string): string {
  const isNested = `(starts_with(${value}, '{') or starts_with(${value}, '[')) and regexp_matches(${value}, '"\\s*:') and json_valid(${value})`;
  return `case when ${isNested} then '[nested]' else ${clean} end`;
}

/**
 * One JSON object of the unknown keys that a row has and whose values may stay; those stay the JSON they
 * were.
 */
function extraSql(keys: readonly string[]): string {
  if (keys.length === 0) return 'cast(null as varchar)';
  const members = keys.map((key) => {
    const value = `cast(${quoteName(key)} as varchar)`;
    const isKept = `regexp_matches(${value}, ${quoteText(EXTRA_VALUE_PATTERN)}) and not ${isPersonalSql([value])}`;
    return `case when ${isKept} then ${quoteText(`${JSON.stringify(key)}:`)} || ${value} end`;
  });
  return `nullif('{' || concat_ws(',', ${members.join(', ')}) || '}', '{}')`;
}
