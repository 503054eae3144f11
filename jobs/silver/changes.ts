import { contractOf } from '../lake/contracts.ts';
import { isImmutableSilverKey, type PartitionValues, silverPartitionPrefix } from '../lake/keys.ts';
import type { SilverFile } from '../lake/manifest.ts';
import type { StagedPartition } from './partition.ts';
import type { TableLists } from './statistics.ts';

export interface TableChange {
  table: string;
  rowsBefore: number;
  rowsAfter: number;
  /** Partitions (whole tables: 1) that were written because their content changed. */
  written: number;
  /** Partitions that have no rows any more. */
  removed: number;
}

/**
 * Whether a partition is not what was committed. The key tells: it holds the partition and the hash of its
 * bytes.
 */
export function isChange(part: StagedPartition, committed: ReadonlyMap<string, readonly SilverFile[]>): boolean {
  const there = committedPartition(committed.get(part.table), part);
  return part.rows === 0 ? there !== undefined : there?.key !== part.key;
}

/** The committed file of a partition. */
export function committedPartition(
  committed: readonly SilverFile[] | undefined,
  { table, partition }: { table: string; partition: PartitionValues },
): SilverFile | undefined {
  if (committed === undefined) return undefined;
  let known = byPartition.get(committed);
  if (known === undefined) {
    known = new Map(committed.map((file) => [silverPartitionPrefix(table, file.partition), file]));
    byPartition.set(committed, known);
  }
  return known.get(silverPartitionPrefix(table, partition));
}

/** A table can have thousands of partitions, and is asked for each of them. */
const byPartition = new WeakMap<readonly SilverFile[], ReadonlyMap<string, SilverFile>>();

/**
 * The file list of a table after the changes, in partition order. Files of a lake of format 1 are not taken
 * over.
 */
export function listOf(table: string, before: readonly SilverFile[], changes: readonly StagedPartition[]): TableLists {
  const kept = before.filter(({ key }) => isImmutableSilverKey(key));
  const files = new Map(kept.map((file) => [silverPartitionPrefix(table, file.partition), file]));
  for (const { table: own, key, rows, bytes, sha256, partition, newestMs } of changes) {
    if (own !== table) continue;
    const prefix = silverPartitionPrefix(table, partition);
    if (rows === 0) files.delete(prefix);
    else files.set(prefix, { key, rows, bytes, sha256, partition, ...(newestMs !== undefined && { newestMs }) });
  }
  return { table, before, after: [...files.values()].sort(inPartitionOrder(table)) };
}

/** How much of a table the changes change. */
export function changeOf({ table, before, after }: TableLists, changes: readonly StagedPartition[]): TableChange {
  const own = changes.filter((change) => change.table === table);
  return {
    table,
    rowsBefore: before.reduce((sum, { rows }) => sum + rows, 0),
    rowsAfter: after.reduce((sum, { rows }) => sum + rows, 0),
    written: own.filter(({ rows }) => rows > 0).length,
    removed: own.filter(({ rows }) => rows === 0).length,
  };
}

/** Compares the partitions of a table, column by column. */
export function inPartitionOrder(
  table: string,
): (a: { partition: PartitionValues }, b: { partition: PartitionValues }) => number {
  const columns = contractOf('silver', table).partition.map(({ name }) => name);
  return (a, b) => {
    for (const column of columns) {
      const [left, right] = [a.partition[column] ?? '', b.partition[column] ?? ''];
      if (left !== right) return left < right ? -1 : 1;
    }
    return 0;
  };
}
