import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { type Embedded, openEmbedded, quoteName, quoteText } from '../../jobs/engine/duckdb/database.ts';
import { type Contract, type ContractColumn, readContracts } from '../../jobs/lake/contracts.ts';
import type { PartitionValues } from '../../jobs/lake/keys.ts';
import { stagePartitions } from '../../jobs/silver/partition.ts';

/** What is used of parquetjs-lite, which has no types. */
interface ParquetReader {
  getCursor(): { next(): Promise<Record<string, unknown> | null> };
  getRowCount(): { valueOf(): number };
  close(): Promise<void>;
}

const require = createRequire(import.meta.url);
const parquet = require('parquetjs-lite') as { ParquetReader: { openFile(path: string): Promise<ParquetReader> } };
const compression = require('parquetjs-lite/lib/compression.js') as {
  PARQUET_COMPRESSION_METHODS: Record<string, { inflate(bytes: Buffer): Buffer }>;
};
// It knows the number of zstd in a file, but cannot unpack it: Node can.
compression.PARQUET_COMPRESSION_METHODS.ZSTD = { inflate: (bytes) => zstdDecompressSync(bytes) };

// It reads INT64 as bigint and then makes a date of it, which throws: the number of milliseconds is what the
// file holds.
const types = require('parquetjs-lite/lib/types.js') as {
  PARQUET_LOGICAL_TYPES: Record<string, { fromPrimitive(value: bigint): unknown }>;
};
types.PARQUET_LOGICAL_TYPES.TIMESTAMP_MILLIS!.fromPrimitive = (value) => new Date(Number(value));

const CONTRACTS = readContracts().filter(({ format }) => format === 'parquet');

let folder: string;
let db: Embedded;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-parquet-'));
  db = await openEmbedded({ memoryMb: 128, threads: 1, tempDir: join(folder, 'spill'), folders: [folder] });
});
afterAll(async () => {
  db.close();
  await rm(folder, { recursive: true, force: true });
});

/**
 * Values that are easily lost: the ends of a type, 64-bit integers beyond 2^53, milliseconds, letters outside
 * of ASCII, the empty text.
 */
const VALUES: Record<ContractColumn['type'], readonly string[]> = {
  varchar: [`'plain'`, `''`, `'ün “ïcödé” 🎵'`, `'a' || chr(0) || 'b'`],
  boolean: ['true', 'false'],
  integer: ['0', '-1', '2147483647', '-2147483648'],
  bigint: ['0', '9007199254740993', '-9223372036854775808', '9223372036854775807'],
  double: ['0', '-0.5', '1.7976931348623157e308', '0.1'],
  timestamp: [
    `timestamp_ms '2024-02-29 23:59:59.999'`,
    `timestamp_ms '2006-01-01 00:00:00'`,
    `timestamp_ms '2040-12-31 12:00:00.001'`,
  ],
  date: [`date '2024-02-29'`, `date '1970-01-01'`, `date '1900-01-01'`],
};
const ROWS = 12;

/** Rows in which each column goes through its values, with null between them where it may be null. */
function selectOf(contract: Contract): string {
  const rows = Array.from({ length: ROWS }, (_, row) => {
    const cells = contract.columns.map((column, index) => {
      const values = column.nullable ? ['null', ...VALUES[column.type]] : VALUES[column.type];
      const type = column.type === 'timestamp' ? 'timestamp_ms' : column.type;
      return `cast(${values[(row + index) % values.length]} as ${type}) as ${quoteName(column.name)}`;
    });
    return `select ${cells.join(', ')}`;
  });
  return rows.join('\nunion all\n');
}

/** Writes the rows as the product does. @returns the files */
async function write(contract: Contract): Promise<string[]> {
  const select = selectOf(contract);
  if (contract.layer === 'bronze') {
    const path = join(folder, `${contract.table}.parquet`);
    await db.run(`copy (${select}) to ${quoteText(path)} (format parquet, compression zstd)`);
    return [path];
  }
  const partitions = await partitionsOf(contract, select);
  const own =
    partitions.length > 0 && contract.partition.some(({ from }) => !contract.columns.some(({ name }) => name === from));
  const [first] = Object.entries(partitions[0] ?? {});
  const given = own ? `select *, ${quoteText(String(first?.[1]))} as ${first?.[0]} from (${select})` : select;
  const staged = await stagePartitions(db, contract.table, given, partitions.length > 0 ? partitions : [{}], folder);
  return staged.map(({ path }) => path ?? '');
}

async function partitionsOf(contract: Contract, select: string): Promise<PartitionValues[]> {
  const [first] = contract.partition;
  if (first === undefined) return [];
  if (!contract.columns.some(({ name }) => name === first.from)) return [{ [first.name]: '2024-02-29' }];
  const values = contract.partition.map(({ name, from }) =>
    name === 'year' || name === 'month'
      ? `cast(${name}(${from}) as integer) as ${name}`
      : `strftime(${from}, '%Y-%m-%d') as ${name}`,
  );
  return db.rows<PartitionValues>(`select distinct ${values.join(', ')} from (${select})`);
}

/** A cell in a form that both readers can be brought to. */
function plain(value: unknown, type: ContractColumn['type']): string | null {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  if (type === 'date' && typeof value === 'number') return new Date(value * 86_400_000).toISOString();
  return String(value);
}

describe.each(CONTRACTS.map((contract) => [`${contract.layer}.${contract.table}`, contract] as const))(
  '%s',
  (_name, contract) => {
    test('the engine and parquetjs-lite read back what was written, value by value', async () => {
      const files = await write(contract);
      const names = contract.columns.map(({ name }) => quoteName(name)).join(', ');
      const written = await db.rows(`select ${names} from (${selectOf(contract)})`);
      const byEngine: Record<string, unknown>[] = [];
      const byParquetjs: Record<string, unknown>[] = [];
      for (const file of files) {
        const engineRows = await db.rows(
          `select ${names} from read_parquet(${quoteText(file)}, hive_partitioning = false)`,
        );
        byEngine.push(...engineRows);
        const reader = await parquet.ParquetReader.openFile(file);
        const cursor = reader.getCursor();
        const own: Record<string, unknown>[] = [];
        for (let row = await cursor.next(); row !== null; row = await cursor.next()) own.push(row);
        await reader.close();
        expect(own).toHaveLength(engineRows.length);
        byParquetjs.push(...own);
      }
      const cells = (rows: readonly Record<string, unknown>[]): (string | null)[][] =>
        rows.map((row) => contract.columns.map(({ name, type }) => plain(row[name], type)));
      // The files are sorted and cut by partition; as a set they are the rows that went in.
      const texts = (rows: (string | null)[][]): string[] => rows.map((row) => JSON.stringify(row)).sort();
      expect(texts(cells(byEngine))).toEqual(texts(cells(written)));
      expect(cells(byParquetjs)).toEqual(cells(byEngine));
    });

    test('the file says the types that the contract says', async () => {
      const [file] = await write(contract);
      const schema = await db.rows<{ name: string; type: string; converted_type: string | null }>(
        `select name, type, converted_type from parquet_schema(${quoteText(file ?? '')}) where type is not null`,
      );
      const expected: Record<ContractColumn['type'], string> = {
        varchar: 'BYTE_ARRAY UTF8',
        boolean: 'BOOLEAN null',
        integer: 'INT32 INT_32',
        bigint: 'INT64 INT_64',
        double: 'DOUBLE null',
        timestamp: 'INT64 TIMESTAMP_MILLIS',
        date: 'INT32 DATE',
      };
      expect(schema.map(({ name, type, converted_type }) => `${name} ${type} ${converted_type}`)).toEqual(
        contract.columns.map(({ name, type }) => `${name} ${expected[type]}`),
      );
    });
  },
);
