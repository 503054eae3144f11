/** A reader of somebody else: fakesnow in a process of its own, on a lake's folder as it finds it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SNOWFLAKE_DIR } from '../docs/readers/snowflake.ts';
import { ROOT } from '../fixtures/command-line.ts';

/** Whole numbers, dates and times (`YYYY-MM-DD HH:MM:SS.mmm`) are text. */
export interface SnowflakeTable {
  columns: string[];
  rows: (string | number | boolean | null)[][];
}

/** What `ops.refresh()` has answered. */
export type Refreshed = { said: string; copies: number } | { refused: string };

export interface SnowflakeReader {
  /** By generated file: how many statements, and the first words of those that sqlglot does not read. */
  parse(): Promise<Record<string, { statements: number; unread: string[] }>>;
  /** Schemas, stage and empty tables. @returns where others reach it, the statements that fakesnow does not know */
  setup(): Promise<{ left_out: string[]; port: number }>;
  refresh(): Promise<Refreshed>;
  /** Every table, as `silver.plays`. @param gold schema from where those of gold are */
  tables(gold?: string): Promise<Record<string, SnowflakeTable>>;
  /** How many selects dbt has compiled, and the words in them that Snowflake has otherwise or not at all. */
  compiled(folder: string): Promise<{ models: number; foreign: string[] }>;
  close(): void;
}

/** @param python one that has fakesnow; @param lake folder of the lake */
export function openSnowflakeReader(python: string, lake: string): SnowflakeReader {
  const program = join(ROOT, 'tests/oracle/snowflake_reader.py');
  const child = spawn(python, [program, join(ROOT, SNOWFLAKE_DIR), lake], { stdio: ['pipe', 'pipe', 'pipe'] });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2_000);
  });
  // Where it has ended, the next answer says so.
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function ask<T>(what: string, more: Record<string, string> = {}): Promise<T> {
    child.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`fakesnow has ended: ${words}`);
    return JSON.parse(value) as T;
  }
  return {
    parse: () => ask('parse'),
    setup: () => ask('setup'),
    refresh: () => ask('refresh'),
    tables: (gold = 'gold') => ask('tables', { gold }),
    compiled: (folder) => ask('compiled', { folder }),
    close() {
      child.stdin.end();
      child.kill();
    },
  };
}
