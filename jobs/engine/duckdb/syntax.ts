import { JobError } from '../../base/errors.ts';
import { type Embedded, openEmbedded } from './database.ts';

/**
 * A node of a syntax tree, as `json_serialize_sql` writes it
 * (https://duckdb.org/docs/stable/data/json/sql_to_and_from_json). What a node has further depends on its
 * type; what is null, empty or the default is left out.
 */
export interface SyntaxNode {
  /** `SELECT_NODE`, `JOIN`, `COLUMN_REF`, `CASE_EXPR`, ... */
  type: string;
  /** Of an expression: `COLUMN_REF`, `FUNCTION`, `WINDOW`, ... */
  class?: string;
  alias?: string;
  [key: string]: unknown;
}

/** The dialect that is read: for who renders selects. */
export const SYNTAX_DIALECT = 'duckdb';

/** Selects as trees, without running them and without the tables that they name. */
export interface SyntaxReader {
  /**
   * The tree of one select; undefined where it becomes more than that (a `pivot` that looks at values first).
   *
   * @throws `sql_invalid` (64) for what the parser does not take, and for several statements
   */
  read(select: string): Promise<SyntaxNode | undefined>;
  /** Names of the functions that make one value of many rows. */
  readonly aggregates: ReadonlySet<string>;
  close(): void;
}

/** The parser of the models: it sees no file and no table. */
export async function openSyntaxReader(): Promise<SyntaxReader> {
  const db = await openEmbedded({ memoryMb: 128, threads: 1, tempDir: '', folders: [] });
  const names = await db.rows<{ name: string }>(
    "select distinct function_name as name from duckdb_functions() where function_type = 'aggregate'",
  );
  return {
    read: (select) => readTree(db, select),
    aggregates: new Set([...names.map(({ name }) => name), 'count_star']),
    close: () => db.close(),
  };
}

async function readTree(db: Embedded, select: string): Promise<SyntaxNode | undefined> {
  const [row] = await db.rows<{ tree: string }>(
    'select json_serialize_sql($1::varchar, skip_null := true, skip_empty := true, skip_default := true) as tree',
    [select],
  );
  const { error, error_type, error_message, statements } = JSON.parse(row!.tree) as {
    error: boolean;
    error_type?: string;
    error_message?: string;
    statements?: { node: SyntaxNode }[];
  };
  if (error_type === 'not implemented') return undefined;
  if (error || statements?.length !== 1)
    throw new JobError('sql_invalid', 'usage', error_message ?? 'not one statement');
  return statements[0]!.node;
}
