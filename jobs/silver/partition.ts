import { rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolders } from '../base/disk.ts';
import { hashObject } from '../base/hash.ts';
import { type Embedded, quoteName, quoteText } from '../engine/duckdb/database.ts';
import { type Contract, contractOf } from '../lake/contracts.ts';
import { type PartitionValues, silverKey, silverPartitionPrefix } from '../lake/keys.ts';
import type { SilverFile } from '../lake/manifest.ts';
import { sqlType } from './columns.ts';

/**
 * A partition that was written aside; `rows` 0 means that it holds nothing any more and must go: its key is
 * the partition's prefix then.
 */
export interface StagedPartition extends SilverFile {
  table: string;
  /** The staged file; undefined when there are no rows, and where the engine has put them in their place already. */
  path: string | undefined;
}

/**
 * Writes partitions of a table aside: the contract's columns in its order, types and sort order, zstd. The
 * engine runs a statement on one thread (see `transform`), so rows come in one order, and the same rows give
 * the same bytes.
 *
 * @param select has the contract's columns, and those partition columns that do not follow from one of them
 * @param wanted partitions that are to be rebuilt; those without rows come back as empty. Rows outside of
 *   them are a bug
 */
export async function stagePartitions(
  db: Embedded,
  table: string,
  select: string,
  wanted: readonly PartitionValues[],
  scratch: string,
): Promise<StagedPartition[]> {
  const contract = contractOf('silver', table);
  const columns = contract.columns.map(
    (column) => `cast(${quoteName(column.name)} as ${sqlType(column)}) as ${quoteName(column.name)}`,
  );
  // The key after the sort order: rows that are equal in it cannot change places between two runs.
  const order = [...new Set([...contract.sort, ...contract.key])].filter((name) =>
    contract.columns.some((column) => column.name === name),
  );
  if (contract.partition.length === 0) {
    const sorted = `select ${columns.join(', ')} from (${select}\n) order by ${order.map(quoteName).join(', ')}`;
    return [await writeFile(db, table, {}, sorted, scratch)];
  }
  if (wanted.length === 0) return [];
  const own = contract.columns.map(({ name }) => quoteName(name)).join(', ');
  if (wanted.length === 1) {
    // Straight into its file: a large partition is alone, and is not held a second time.
    const parts = contract.partition.map((partition) => partitionSql(contract, partition));
    const sorted = `select ${own} from (select ${[...columns, ...parts].join(', ')} from (${select}\n)) as rows
      where case when ${isIn(wanted[0]!)} then true else error('a row of ${table} is in none of the partitions to build') end
      order by ${order.map(quoteName).join(', ')}`;
    return [await writeFile(db, table, wanted[0]!, sorted, scratch)];
  }
  // Sorted once and cut into files then. The engine's own partitioned writing does not keep the order of
  // rows, and one statement for each partition from the source spends more on planning than on rows.
  const names = contract.partition.map(({ name }) => quoteName(name));
  await db.run(
    `create or replace temp table partition_rows as
     select ${[...columns, ...contract.partition.map((partition) => partitionSql(contract, partition))].join(', ')}
     from (${select}\n) order by ${[...names, ...order.map(quoteName)].join(', ')}`,
  );
  const staged: StagedPartition[] = [];
  for (const partition of wanted) {
    staged.push(
      await writeFile(db, table, partition, `select ${own} from partition_rows where ${isIn(partition)}`, scratch),
    );
  }
  const [all] = await db.rows<{ n: bigint }>('select count(*) as n from partition_rows');
  await db.run('drop table partition_rows');
  const written = staged.reduce((sum, { rows }) => sum + rows, 0);
  if (Number(all?.n) !== written)
    throw new Error(`${all?.n} rows of ${table}, but ${written} in the partitions to build`);
  return staged;
}

/** True of a row of the partition, as SQL. */
function isIn(partition: PartitionValues): string {
  return Object.entries(partition)
    .map(([name, value]) => `${quoteName(name)} = ${typeof value === 'number' ? value : quoteText(value)}`)
    .join(' and ');
}

/** @param select its rows come in the order in which they are to be written */
async function writeFile(
  db: Embedded,
  table: string,
  partition: PartitionValues,
  select: string,
  scratch: string,
): Promise<StagedPartition> {
  const prefix = silverPartitionPrefix(table, partition);
  const path = join(scratch, prefix, 'part-0.parquet');
  await makeFolders(dirname(path));
  // Without bloom filters: they cost 8 % of the size and serve look-ups of single values, which nobody does
  // here.
  const [result] = await db.rows<{ Count: bigint }>(
    `copy (${select}) to ${quoteText(path)} (format parquet, compression zstd, write_bloom_filter false)`,
  );
  const rows = Number(result?.Count ?? 0n);
  if (rows === 0) {
    await rm(path, { force: true });
    return { table, partition, key: prefix, rows, bytes: 0, sha256: '', path: undefined };
  }
  const sha256 = await hashObject(path);
  const key = silverKey(table, partition, sha256);
  return { table, partition, key, rows, bytes: (await stat(path)).size, sha256, path };
}

/** A partition column: of the select itself, or the year, month or date of the column it is from. */
function partitionSql(contract: Contract, { name, type, from }: Contract['partition'][number]): string {
  if (!contract.columns.some((column) => column.name === from))
    return `cast(${quoteName(name)} as ${type}) as ${quoteName(name)}`;
  if (name === 'year' || name === 'month') return `cast(${name}(${quoteName(from)}) as integer) as ${quoteName(name)}`;
  return `strftime(${quoteName(from)}, '%Y-%m-%d') as ${quoteName(name)}`;
}
