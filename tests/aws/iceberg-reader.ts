/** A reader of somebody else: PyIceberg in a process of its own, on Glue and S3 as it finds them. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ResultSet, SqlValue } from '../../jobs/engine/index.ts';
import { environmentOf } from './local.ts';

const PROGRAM = fileURLToPath(new URL('./read_iceberg.py', import.meta.url));

/**
 * A table as PyIceberg has it. Decimals, dates, times (`YYYY-MM-DD HH:MM:SS.mmm`) and large numbers are text.
 */
export interface ReadTable {
  columns: string[];
  /** Iceberg's names of types. */
  types: string[];
  rows: (string | number | boolean | null)[][];
  snapshots: number;
  /** Address of the metadata file that it has read. */
  metadata: string;
  uuid: string;
}

export interface IcebergReader {
  /** Opens `<database>.<table>` and reads it. @throws Error with its words where it cannot */
  load(name: string): Promise<ReadTable>;
  /** Looks again at the table that is open. @throws Error with its words where it cannot */
  refresh(): Promise<ReadTable>;
  close(): void;
}

/** Iceberg's names of types that are called otherwise here. */
const TYPES: Record<string, string> = { string: 'varchar', int: 'integer', long: 'bigint' };

/** The table as the project's own engines would answer it. */
export function resultOf({ columns, types, rows }: ReadTable): ResultSet {
  const named = columns.map((name, at) => ({ name, type: TYPES[types[at]!] ?? types[at]!.replaceAll(' ', '') }));
  const typed = (value: ReadTable['rows'][number][number], at: number): SqlValue =>
    value !== null && named[at]!.type === 'bigint' ? BigInt(value) : value;
  return { columns: named, rows: rows.map((row) => row.map(typed)) };
}

/** @param python one that has PyIceberg; @param endpoint where Glue and S3 are */
export function openIcebergReader(python: string, endpoint: string): IcebergReader {
  const child = spawn(python, [PROGRAM], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...environmentOf(endpoint) },
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2_000);
  });
  // Where it has ended, the next answer says so.
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function ask(command: string): Promise<ReadTable> {
    child.stdin.write(`${command}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`PyIceberg has ended: ${words}`);
    return JSON.parse(value) as ReadTable;
  }
  return {
    load: (name) => ask(`load ${name}`),
    refresh: () => ask('refresh'),
    close: () => void child.stdin.end(),
  };
}
