import type { DeclaredColumn } from './index.ts';

/** Columns of `silver.check_results`: one row per test of the last check of each scope (see check.ts). */
export const CHECK_RESULT_COLUMNS = [
  { name: 'scope', type: 'varchar' },
  { name: 'table_name', type: 'varchar' },
  { name: 'test', type: 'varchar' },
  { name: 'severity', type: 'varchar' },
  { name: 'status', type: 'varchar' },
  { name: 'failing_rows', type: 'bigint' },
  { name: 'message', type: 'varchar' },
] as const satisfies readonly DeclaredColumn[];

export const CHECK_RESULTS = 'check_results';

/** One row of it, as `check` keeps them. */
export type CheckResultRow = Record<(typeof CHECK_RESULT_COLUMNS)[number]['name'], string | number | null>;
