/** What a reader sees in a lake, told in a few numbers: for comparing two lakes table by table. */

import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';

export interface TableFingerprint {
  rows: number;
  /** Sum of the hashes of all rows: the same multiset of rows has the same sum, in whatever order. */
  hash: string;
}

/**
 * Every table of the published schemas, read through `lake.duckdb` as any client would.
 *
 * @param leaveOut columns that differ by nature, `schema.table.column`
 */
export async function fingerprint(
  lake: string,
  schemas = ['silver', 'gold_dev', 'gold_prod'],
  leaveOut: string[] = [],
): Promise<Record<string, TableFingerprint>> {
  const instance = await DuckDBInstance.create(join(lake, 'lake.duckdb'), { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    const views = await connection.runAndReadAll(
      `select table_schema, table_name from information_schema.tables where table_schema in (${schemas.map((name) => `'${name}'`).join(', ')}) order by all`,
    );
    const prints: Record<string, TableFingerprint> = {};
    for (const [schema, table] of views.getRowsJS() as [string, string][]) {
      const skipped = leaveOut
        .filter((name) => name.startsWith(`${schema}.${table}.`))
        .map((name) => name.split('.')[2]);
      const columns = skipped.length === 0 ? '*' : `* exclude (${skipped.join(', ')})`;
      const result = await connection.runAndReadAll(
        `select count(*) as n, coalesce(sum(hash(t)::hugeint), 0)::varchar as h from (select ${columns} from "${schema}"."${table}") t`,
      );
      const [rows, hash] = result.getRowsJS()[0] as [bigint, string];
      prints[`${schema}.${table}`] = { rows: Number(rows), hash };
    }
    return prints;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
