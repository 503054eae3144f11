/** The functions that models, questions and tests may call. */

/**
 * The same on DuckDB and Trino, as this project uses them. tests/parity/parity.test.ts runs what calls them
 * on both; a new one belongs here once its edges (null, nothing, ties, negative numbers) are known to be the
 * same on both. `greatest` and `least` are not: they leave out nulls on DuckDB and are null with them on
 * Trino.
 */
export const SHARED_FUNCTIONS: readonly string[] = [
  'avg',
  'coalesce',
  'count',
  'count_if',
  'date_diff',
  'date_trunc',
  'extract',
  'floor',
  'lag',
  'lead',
  'lower',
  'max',
  'min',
  'mod',
  'length',
  'nullif',
  'ntile',
  'position',
  'rank',
  'replace',
  'round',
  'row_number',
  'split_part',
  'sqrt',
  'starts_with',
  'substr',
  'sum',
];

/**
 * Macro (warehouse/macros) to the functions that its rendering calls on each engine and that the other has
 * not, or has otherwise.
 */
export const PER_DIALECT: Readonly<Record<string, { athena: readonly string[]; duckdb: readonly string[] }>> = {
  add_ms: { athena: ['date_add'], duckdb: ['to_milliseconds'] },
  compose: { athena: ['normalize'], duckdb: ['nfc_normalize'] },
  local_time: { athena: ['at_timezone', 'with_timezone'], duckdb: [] },
  replace_all: { athena: ['regexp_replace'], duckdb: ['regexp_replace'] },
};
