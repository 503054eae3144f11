/**
 * Trino's grammar without an engine: what a statement says wrong, and which functions it calls. The grammar
 * is dt-sql-parser's.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

export interface TrinoGrammar {
  /** One line for each fault, with its place; empty where the statement is Trino's. */
  faults(sql: string): string[];
  /**
   * Names of functions, lower case, in order of first use: calls (`count`), and forms with a syntax of their
   * own (`extract`).
   */
  functions(sql: string): string[];
}

/** What of dt-sql-parser is used. */
interface Parser {
  TrinoSQL: new () => {
    parse(sql: string, onFault: (fault: { startLine: number; startColumn: number; message: string }) => void): object;
    listen(listener: object, tree: object): void;
  };
  TrinoSqlListener: new () => object;
}

interface Context {
  getText(): string;
  functionName?(): Context;
}

/** Rules of the grammar that are functions without being calls. */
const FORMS = {
  enterCurrentDate: 'current_date',
  enterCurrentTime: 'current_time',
  enterCurrentTimestamp: 'current_timestamp',
  enterLocalTime: 'localtime',
  enterLocalTimestamp: 'localtimestamp',
  enterExtract: 'extract',
  enterListagg: 'listagg',
  enterNormalize: 'normalize',
  enterPosition: 'position',
  enterSubstring: 'substring',
  enterTrim: 'trim',
  enterJsonExists: 'json_exists',
  enterJsonQuery: 'json_query',
  enterJsonValue: 'json_value',
} as const;

/**
 * Its ESM build imports folders, which Node refuses: bundled first, into a folder that is gone when it is
 * loaded.
 */
export async function openTrinoGrammar(): Promise<TrinoGrammar> {
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-grammar-'));
  try {
    const outfile = join(folder, 'trino.mjs');
    await build({
      stdin: {
        contents: `export { TrinoSQL, TrinoSqlListener } from 'dt-sql-parser';`,
        resolveDir: import.meta.dirname,
      },
      bundle: true,
      format: 'esm',
      platform: 'node',
      treeShaking: true,
      outfile,
      logLevel: 'error',
    });
    return grammarOf((await import(pathToFileURL(outfile).href)) as Parser);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function grammarOf({ TrinoSQL, TrinoSqlListener }: Parser): TrinoGrammar {
  const parser = new TrinoSQL();
  // A statement is parsed once, whatever is asked of it: the long ones take a second.
  const known = new Map<string, { faults: string[]; functions: string[] }>();
  const look = (sql: string): { faults: string[]; functions: string[] } => {
    const found = known.get(sql) ?? examine(sql);
    known.set(sql, found);
    return found;
  };

  function examine(sql: string): { faults: string[]; functions: string[] } {
    const faults: string[] = [];
    const tree = parser.parse(sql, ({ startLine, startColumn, message }) =>
      faults.push(`${startLine}:${startColumn}: ${message}`),
    );
    const names = new Set<string>();
    const nothing = (): void => {};
    const listener: Record<string, unknown> = Object.assign(new TrinoSqlListener(), {
      enterEveryRule: nothing,
      exitEveryRule: nothing,
      visitTerminal: nothing,
      visitErrorNode: nothing,
      enterFunctionCall: (context: Context) => names.add(context.functionName!().getText().toLowerCase()),
    });
    for (const [rule, name] of Object.entries(FORMS)) listener[rule] = () => names.add(name);
    parser.listen(listener, tree);
    return { faults, functions: [...names] };
  }

  return { faults: (sql) => look(sql).faults, functions: (sql) => look(sql).functions };
}
