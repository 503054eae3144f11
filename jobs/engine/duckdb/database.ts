import { type DuckDBConnection, DuckDBInstance, type DuckDBValue, version } from '@duckdb/node-api';
import { diskErrorInWords } from '../../base/disk.ts';
import { JobError } from '../../base/errors.ts';
import { connectTo, disconnect } from './connections.ts';

export interface EmbeddedOptions {
  /**
   * Memory of the engine in MiB; what does not fit is spilled to `tempDir`. Buffers of readers come on top
   * (measured: about 60 MiB).
   */
  memoryMb: number;
  threads: number;
  /** Where it spills; emptied by the engine itself. */
  tempDir: string;
  /**
   * Folders that statements may read and write; everything else, and every extension and network access, is
   * refused.
   */
  folders: string[];
}

/**
 * The engine in this process: reads JSON, CSV and Parquet from local files and writes Parquet. `load` and
 * `transform` work with it wherever the lake lies (objects come and go through the store), and the embedded
 * `SqlEngine` is built on it.
 */
export interface Embedded {
  /** Runs one or more statements for their effect. */
  run(sql: string): Promise<void>;
  /** Rows of one statement as objects; 64-bit integers are bigint. Values for `$1`, `$2`, ... in order. */
  rows<T extends Record<string, unknown>>(sql: string, values?: DuckDBValue[]): Promise<T[]>;
  /** A further connection to the same database, for statements that run at the same time. */
  connect(): Promise<Embedded>;
  /** The driver's own connection: for streaming results and types. */
  readonly connection: DuckDBConnection;
  close(): void;
}

/**
 * Opens an in-memory database with the lake's settings: UTC, integer division as in the other engine, nothing
 * loaded from outside.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  return translateDiskError(() => openInMemory(options));
}

async function openInMemory(options: EmbeddedOptions): Promise<Embedded> {
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${options.memoryMb}MiB`,
    threads: String(options.threads),
    temp_directory: options.tempDir,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    preserve_insertion_order: 'true',
  });
  const connection = await connectTo(instance);
  await connection.run(`set TimeZone = 'UTC'`);
  await connection.run(`set global integer_division = true`);
  // Folders first, the lock last: after it no statement can widen what may be read.
  const folders = options.folders.map((folder) => quoteText(folder.endsWith('/') ? folder : `${folder}/`));
  await connection.run(`set global allowed_directories = [${folders.join(', ')}]`);
  await connection.run(`set global enable_external_access = false`);
  await connection.run(`set global lock_configuration = true`);
  return wrap(instance, connection, true);
}

/**
 * Small JSON files that one `read_json` may name: each costs memory until the statement ends (measured: 1,200
 * need over 256 MiB, 64 need 10).
 */
export const JSON_FILES_AT_ONCE = 64;

/** A text as an SQL literal. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * The path as the engine's readers want it: they take `[`, `*` and `?` for patterns, even in the name of the
 * lake's folder.
 */
export function literalPath(path: string): string {
  return path.replace(/[[*?]/g, '[$&]');
}

/**
 * Parquet files as a relation.
 *
 * @param list of paths, as SQL
 * @param columns those that some files, or all of them, may lack: there they are null
 * @param options further arguments of the reader, as SQL
 */
export function parquetRelation(
  list: string,
  columns: readonly { name: string; type: string }[],
  options: readonly string[] = [],
): string {
  const read = (...more: string[]): string => `read_parquet(${[list, ...options, ...more].join(', ')})`;
  if (columns.length === 0) return read();
  const nulls = columns.map(({ name, type }) => `cast(null as ${type}) as ${quoteName(name)}`).join(', ');
  return `(select * from ${read('union_by_name = true')} union all by name select ${nulls} where false)`;
}

/** A name as an SQL identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function wrap(instance: DuckDBInstance, connection: DuckDBConnection, isOwner: boolean): Embedded {
  return {
    connection,
    async run(sql) {
      await translateDiskError(() => connection.run(sql));
    },
    async rows<T extends Record<string, unknown>>(sql: string, values?: DuckDBValue[]) {
      const reader = await translateDiskError(() => connection.runAndReadAll(sql, values));
      return reader.getRowObjectsJS() as T[];
    },
    async connect() {
      return wrap(instance, await translateDiskError(() => connectTo(instance)), false);
    },
    close() {
      disconnect(connection);
      if (isOwner) instance.closeSync();
    },
  };
}

/**
 * What the system refused, and memory or a spill that does not fit, is the user's to mend; all else the
 * engine says stays as it is.
 */
export async function translateDiskError<T>(action: () => Promise<T>, place?: string): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const text = messageOf(error);
    if (/max_temp_directory_size/i.test(text)) {
      throw new JobError('disk_full', 'io', firstLine(text), {
        hint: 'make room on the disk and run it again',
        cause: error,
      });
    }
    if (/^Out of Memory Error/i.test(text)) {
      throw new JobError('memory_full', 'io', firstLine(text), { hint: 'raise LISTENLAKE_MEMORY_MB', cause: error });
    }
    throw diskErrorInWords(error, place);
  }
}

/** Version of the engine in this process. */
export function engineVersion(): string {
  return version();
}

/**
 * True for what the engine says of the values it reads: a cast, an overflow, a page that cannot be decoded, a
 * column that a file lacks, its own assertions. False for the machine's faults (disk, rights, a signal) and
 * for mistakes in the text of a statement.
 */
export function isDataError(error: unknown): boolean {
  return !(error instanceof JobError) && DATA_ERROR.test(messageOf(error));
}

const DATA_ERROR =
  /^(Conversion|Invalid|Invalid Input|Invalid type|Unknown Type|Out of Range|Decimal|Mismatch Type|Divide by Zero|Object Size|Serialization|Not implemented|Binder|INTERNAL|FATAL) Error: /;

/**
 * What a thrown value says. Errors of native modules may be of another realm, where `instanceof Error` does
 * not hold.
 */
export function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
