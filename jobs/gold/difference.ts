/** What changes in one table of prod. Numbers of `dev` and `prod` are null where the table is not there. */
export interface TableDifference {
  table: string;
  rows: { dev: number | null; prod: number | null };
  /** Rows of dev whose key prod does not have, and the other way round; null where the keys cannot be compared. */
  keys: { added: number | null; removed: number | null };
  columns: { added: string[]; removed: string[] };
  /** Sums of the numeric columns that differ. */
  sums: { column: string; dev: number | null; prod: number | null }[];
}

/** True where prod would show something else than before. */
export function isChanged({ rows, keys, columns, sums }: TableDifference): boolean {
  const isSameKeys = !keys.added && !keys.removed;
  return rows.dev !== rows.prod || !isSameKeys || columns.added.length + columns.removed.length + sums.length > 0;
}
