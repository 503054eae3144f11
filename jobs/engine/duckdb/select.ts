import {
  type DuckDBConnection,
  DuckDBDecimalType,
  type DuckDBPreparedStatement,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
  StatementType,
} from '@duckdb/node-api';
import { JobError } from '../../base/errors.ts';
import type { BuildRequest, ResultColumn, ResultSet, SqlValue } from '../index.ts';
import { messageOf, quoteName, translateDiskError } from './database.ts';

/**
 * What a statement that only reads can begin with. The kind that the engine's parser finds is checked as
 * well.
 */
const READING_WORDS = /^(select|with|from|values|table|explain|describe|desc|show|summarize|\()/i;
const COMMENTS = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/;
/** What the engine says of a file that is not what it was when it was written. */
const DAMAGE =
  /No magic bytes|Footer length|TProtocolException|Invalid Parquet|No files found that match|Cannot open file|corrupt|too small to be a Parquet|ZSTD Decompression|Error reading Parquet|Could not read enough bytes|Malformed JSON|cannot be read: /i;
const MISTAKE =
  /^(Parser|Catalog|Binder|Conversion|Out of Range|Invalid Input|Not implemented|Syntax|Mismatch Type|Invalid Type|Parameter Not Resolved|Expression|Divide by Zero|Sequence|Interrupt)[A-Za-z ]* Error: /;

/**
 * Runs one statement that reads, row by row up to a limit.
 *
 * @throws `sql_invalid`, `sql_refused`, `result_too_large` (64), `object_damaged` (65); what the disk says
 *   (74)
 */
export async function runSelect(
  connection: DuckDBConnection,
  sql: string,
  parameters: readonly SqlValue[],
  maxRows: number,
): Promise<ResultSet> {
  const prepared = await prepareSelect(connection, sql);
  try {
    if (prepared.parameterCount !== parameters.length) {
      throw new JobError(
        'sql_invalid',
        'usage',
        `the statement has ${prepared.parameterCount} parameters, ${parameters.length} values were given`,
      );
    }
    return await translateSqlError(async () => {
      for (const [index, value] of parameters.entries()) bind(prepared, index + 1, value);
      const result = await prepared.stream();
      const columns = columnsOf(result.columnNames(), result.columnTypes());
      const rows: SqlValue[][] = [];
      for await (const chunk of result.yieldRows()) {
        if (rows.length + chunk.length > maxRows) {
          throw new JobError('result_too_large', 'usage', `the result has more than ${maxRows} rows`, {
            hint: 'add a limit or aggregate',
          });
        }
        for (const row of chunk) rows.push(row.map(toSqlValue));
      }
      return { columns, rows };
    });
  } finally {
    prepared.destroySync();
  }
}

/** Names and types that a select gives, without running it. @throws as `runSelect` */
export async function describeSelect(connection: DuckDBConnection, sql: string): Promise<ResultColumn[]> {
  const prepared = await prepareSelect(connection, sql);
  try {
    const indexes = Array.from({ length: prepared.columnCount }, (_, index) => index);
    return columnsOf(
      indexes.map((index) => prepared.columnName(index)),
      indexes.map((index) => prepared.columnType(index)),
    );
  } finally {
    prepared.destroySync();
  }
}

/** The name of an unknown table in an engine's complaint, if that is what it is. */
export function unknownTableOf(error: unknown): string | undefined {
  return error instanceof JobError && error.code === 'sql_invalid'
    ? /Table with name (\S+) does not exist/.exec(error.message)?.[1]
    : undefined;
}

/**
 * The engine looks into `main` too, where production's tables stand for other clients: a bare name that
 * gold_dev lacks must stay unknown there, and not be answered from production.
 *
 * @throws `sql_invalid` (64), with the words of a table that does not exist
 */
export async function refuseBareProduction(connection: DuckDBConnection, sql: string): Promise<void> {
  const production = await connection.runAndReadAll(
    `select view_name from duckdb_views() where schema_name = 'main' and not internal
     except select view_name from duckdb_views() where schema_name = 'gold_dev'`,
  );
  if (production.currentRowCount === 0) return;
  const tree = await connection.runAndReadAll('select json_serialize_sql($1::varchar)', [sql]);
  // What is no single select has no tree but an error, which holds no table: it is told when it runs.
  const named = bareTables(JSON.parse(String(tree.getRowsJS()[0]![0])));
  const found = (production.getRowsJS() as [string][]).map(([name]) => name).find((name) => named.has(name));
  if (found !== undefined)
    throw new JobError('sql_invalid', 'usage', `Catalog Error: Table with name ${found} does not exist!`);
}

/**
 * Names of tables without a schema in a tree of syntax, in lower case, but for those that the select makes
 * itself.
 */
function bareTables(tree: unknown): Set<string> {
  const named = new Set<string>();
  const made = new Set<string>();
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(walk);
    if (typeof node !== 'object' || node === null) return;
    const { type, schema_name, table_name, cte_map } = node as Record<string, unknown>;
    if (type === 'BASE_TABLE' && !schema_name) named.add(String(table_name).toLowerCase());
    for (const { key } of (cte_map as { map?: { key: string }[] } | undefined)?.map ?? []) made.add(key.toLowerCase());
    for (const value of Object.values(node)) walk(value);
  };
  walk(tree);
  return new Set([...named].filter((name) => !made.has(name)));
}

async function prepareSelect(connection: DuckDBConnection, sql: string): Promise<DuckDBPreparedStatement> {
  const text = sql.replace(COMMENTS, '');
  if (text.replace(/;\s*$/, '') === '') throw new JobError('sql_invalid', 'usage', 'there is no statement');
  if (!READING_WORDS.test(text)) throw refused(/^\S*/.exec(text)?.[0] ?? text);
  // `explain analyze` runs what it explains, and `explain` takes any statement: what follows must be a select
  // as well.
  if (/^explain\b/i.test(text)) (await prepareSelect(connection, text.slice('explain'.length))).destroySync();
  const extracted = await translateSqlError(() => connection.extractStatements(sql));
  if (extracted.count !== 1) {
    throw new JobError('sql_refused', 'usage', `one statement at a time, these are ${extracted.count}`);
  }
  const prepared = await translateSqlError(() => extracted.prepare(0));
  const kind = prepared.statementType;
  if (kind !== StatementType.SELECT && kind !== StatementType.EXPLAIN) {
    prepared.destroySync();
    throw refused(StatementType[kind] ?? 'another kind');
  }
  return prepared;
}

function refused(what: string): JobError {
  return new JobError(
    'sql_refused',
    'usage',
    `only statements that read tables run here, this is ${what.toUpperCase().slice(0, 40)}`,
    {
      hint: 'tables are made by the jobs',
    },
  );
}

function bind(prepared: DuckDBPreparedStatement, index: number, value: SqlValue): void {
  if (value === null) prepared.bindNull(index);
  else if (typeof value === 'string') prepared.bindVarchar(index, value);
  else if (typeof value === 'boolean') prepared.bindBoolean(index, value);
  else if (typeof value === 'bigint') {
    if (BigInt.asIntN(64, value) === value) prepared.bindBigInt(index, value);
    else prepared.bindHugeInt(index, value);
  } else if (Number.isSafeInteger(value)) prepared.bindBigInt(index, BigInt(value));
  else prepared.bindDouble(index, value);
}

function columnsOf(names: readonly string[], types: readonly DuckDBType[]): ResultColumn[] {
  return names.map((name, index) => ({ name, type: typeName(types[index]!) }));
}

/** The names of the contracts and the models' `data_type`; a time's precision is not part of them. */
function typeName(type: DuckDBType): string {
  if (type instanceof DuckDBDecimalType) return `decimal(${type.width},${type.scale})`;
  switch (type.typeId) {
    case DuckDBTypeId.TIMESTAMP:
    case DuckDBTypeId.TIMESTAMP_MS:
    case DuckDBTypeId.TIMESTAMP_S:
      return 'timestamp';
    default:
      return type.toString().toLowerCase();
  }
}

function toSqlValue(value: DuckDBValue): SqlValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'object') {
    const text = value.toString();
    // Times come without their zeros; everything here is milliseconds, and finer only where a value is.
    const time = /^(\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))?$/.exec(text);
    return time === null ? text : `${time[1]}.${(time[2] ?? '').padEnd(3, '0').replace(/(?<=^\d{3})0+$/, '')}`;
  }
  return value;
}

/** Runs an action of the engine and says what went wrong in it as `runSelect` does. */
export async function translateSqlError<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await translateDiskError(action);
  } catch (error) {
    throw error instanceof JobError ? error : toJobError(error);
  }
}

/** Mistakes of the statement and damaged objects; anything else stays as it is. */
function toJobError(error: unknown): unknown {
  const text = messageOf(error).replace(/^Failed to extract statements: /, '');
  const [head = text] = text.split('\n\nLINE ', 1);
  const message = head.replace(/\n(Did you mean|Candidate)/g, '; $1').replaceAll(/\s*\n\s*/g, ' ');
  if (DAMAGE.test(head)) {
    return new JobError('object_damaged', 'data', message, {
      hint: 'run `listenlake doctor --verify`; bronze is whole, so the lake can be rebuilt from it',
      cause: error,
    });
  }
  if (/^Permission Error: /.test(text)) {
    return new JobError('sql_refused', 'usage', 'only the tables of the lake can be read here, no other file', {
      hint: 'bring files in with `listenlake extract`',
      cause: error,
    });
  }
  if (!MISTAKE.test(text)) return error;
  return new JobError('sql_invalid', 'usage', `${message}${placeOf(text)}`, { cause: error });
}

/**
 * ` (line 2, column 15)` from the engine's excerpt; a long line is cut in it, and then only the line is
 * known.
 */
function placeOf(text: string): string {
  const excerpt = /\n\nLINE (\d+): (.*)\n( *)\^/.exec(text);
  if (excerpt === null) return '';
  const [, line = '', shown = '', indent = ''] = excerpt;
  const column = indent.length - `LINE ${line}: `.length + 1;
  return shown.startsWith('...') ? ` (line ${line})` : ` (line ${line}, column ${column})`;
}

/** The select as it is stored: in its declared types, sorted; times in milliseconds. */
export function typedSelect({ select, columns, sort }: BuildRequest): string {
  const typed = columns.map(
    ({ name, type }) =>
      `cast(${quoteName(name)} as ${type === 'timestamp' ? 'timestamp_ms' : type}) as ${quoteName(name)}`,
  );
  const order = sort.length === 0 ? '' : ` order by ${sort.map((name) => `${quoteName(name)} nulls last`).join(', ')}`;
  return `select ${typed.join(', ')} from (${select}\n) as model${order}`;
}
