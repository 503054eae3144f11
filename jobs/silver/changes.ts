import { contractOf } from '../lake/contracts.ts';
import type { PartitionValues } from '../lake/keys.ts';
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

/** Whether a partition is not what was committed. */
export function isChange(part: StagedPartition, committed: ReadonlyMap<string, readonly SilverFile[]>): boolean {
  const there = committed.get(part.table)?.find(({ key }) => key === part.key);
  return part.rows === 0 ? there !== undefined : there?.sha256 !== part.sha256 || there.rows !== part.rows;
}

/** The file list of a table after the changes, in partition order. */
export function listOf(table: string, before: readonly SilverFile[], changes: readonly StagedPartition[]): TableLists {
  const files = new Map(before.map((file) => [file.key, file]));
  for (const { table: own, key, rows, bytes, sha256, partition } of changes) {
    if (own !== table) continue;
    if (rows === 0) files.delete(key);
    else files.set(key, { key, rows, bytes, sha256, partition });
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
