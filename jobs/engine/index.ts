import type { IcebergTable } from '../lake/iceberg.ts';
import type { PartitionValues, Target } from '../lake/keys.ts';
import type { LakeState, OutputFile, SilverFile } from '../lake/manifest.ts';

/**
 * A value of a result row, without loss: 64-bit and wider integers are bigint; decimals, times, lists and the
 * rest are text.
 */
export type SqlValue = null | boolean | number | bigint | string;

export interface ResultColumn {
  name: string;
  /**
   * `varchar`, `boolean`, `integer`, `bigint`, `double`, `decimal(p,s)`, `timestamp` (text `YYYY-MM-DD
   * HH:MM:SS.mmm`), `date` (text), ...
   */
  type: string;
}

export interface ResultSet {
  columns: ResultColumn[];
  rows: SqlValue[][];
  /** Bytes that the engine read for it, where it is paid by them. */
  scannedBytes?: number;
  /** What these bytes cost at list price, in US dollars. */
  costUsd?: number;
}

export interface QueryOptions {
  /** Values for `?`, in order. */
  parameters?: readonly SqlValue[];
  /** Schema for unqualified names; default `dev`. */
  target?: Target;
  /** Stop with `result_too_large` beyond this many rows; default `MAX_ROWS`. */
  maxRows?: number;
  /** Aborted: this statement is cancelled and ends as `stopped`. */
  signal?: AbortSignal;
}

/** How the rows of an export are written. Those of listening take the columns of `LISTENING_COLUMNS`. */
export type FileFormat = 'parquet' | 'csv' | 'json' | 'listenbrainz' | 'lastfm-csv' | 'm3u';

/** Columns of a select that becomes a file of listening, one row a play (of m3u: one a song). */
export const LISTENING_COLUMNS = [
  'started_at',
  'artist_name',
  'album_name',
  'track_name',
  'content_uri',
  'track_id',
  'duration_ms',
] as const;

/** Rows of one select that become a file of this machine. */
export interface ExportRequest {
  select: string;
  /** Values for `?`, in order. */
  parameters: readonly SqlValue[];
  target: Target;
  format: FileFormat;
  /** Absolute; its folder is there, and it is not. What a failure has begun is the caller's to remove. */
  path: string;
  /** Texts in a CSV that a spreadsheet would run as a formula get an apostrophe in front. */
  isInert: boolean;
}

export interface Exported {
  rows: number;
  /** Texts that got an apostrophe. */
  inert: number;
}

/** Results are held in memory; a query that needs more rows writes a table instead. */
export const MAX_ROWS = 1_000_000;

/** A layer as readers see it, or `run`: tables that this session has built and nobody else sees. */
export type Schema = 'bronze' | 'silver' | 'gold_dev' | 'gold_prod' | 'run';

/**
 * A column as declared: `type` is one of varchar, boolean, integer, bigint, double, decimal(p,s), timestamp,
 * date.
 */
export interface DeclaredColumn {
  name: string;
  type: string;
}

/** What today's models make: the hash of all of them, and the columns of each that becomes a table. */
export interface GoldModels {
  hash: string;
  columns: ReadonlyMap<string, readonly DeclaredColumn[]>;
}

/** One gold table to build. Nobody but the session sees it until a state that names it is published. */
export interface BuildRequest {
  model: string;
  /** One select in the engine's dialect, every table named by `relation`. */
  select: string;
  /** What the select must give, in order. */
  columns: readonly DeclaredColumn[];
  /**
   * Columns to sort the table by, so that readers skip what they do not need; may be empty. An engine of many
   * machines leaves a large table as it comes.
   */
  sort: readonly string[];
  /** The select is known to give these columns: where asking costs something, it is not asked again. */
  areColumnsKnown?: boolean;
}

/** A select that gives exactly one row, of so many columns. */
export interface SingleRow {
  sql: string;
  columns: number;
}

/**
 * For whom a session works: `state` is what `silver`, `gold_dev`, ... mean in it, whatever is committed
 * meanwhile.
 */
export interface SessionRequest {
  state: LakeState;
  target: Target;
  /** Names the tables of `build`. Must not be the run of a published version. */
  runId: string;
}

/** Work on one state of the lake, out of the readers' sight. */
export interface EngineSession {
  /** Engine and release, and how it writes tables: another one may give another table for the same select. */
  readonly writer: string;
  /**
   * How many calls of a session may be at work together: more than one where a statement waits for others'
   * machines and not for this one.
   */
  readonly concurrency: number;
  /**
   * SQL text that stands for a table: after `from`, at any place. The objects behind it are verified against
   * the manifest first.
   *
   * @throws `object_damaged`, `object_missing` (65) that name the object; Error (a bug) for a table that does
   *   not exist
   */
  relation(schema: Schema, table: string): Promise<string>;
  /** Rows of one select over relations. @throws `sql_invalid` (64) where the engine refuses it */
  query(sql: string, parameters?: readonly SqlValue[]): Promise<ResultSet>;
  /**
   * The row of each select. An engine that takes its time and money by the statement is asked for many of
   * them at once.
   *
   * @throws as `query`; which of the selects it was is not told
   */
  singleRows(selects: readonly SingleRow[]): Promise<SqlValue[][]>;
  /** Names and types that a select gives, without running it. @throws `sql_invalid` (64) */
  describe(select: string): Promise<ResultColumn[]>;
  /** Names and types of a table's columns, in order. @throws as `relation` */
  columns(schema: Schema, table: string): Promise<ResultColumn[]>;
  /**
   * Runs a select and keeps its rows as `gold/<target>/<run>/<model>/`, whole and durable; `relation('run',
   * model)` reads it.
   *
   * @throws `model_columns` (65) where the select's columns are not the declared ones; `sql_invalid` (64);
   *   `disk_full` (74)
   */
  build(request: BuildRequest): Promise<OutputFile>;
  /**
   * Takes over a table that an older run has built, with its objects where they are; `relation('run', model)`
   * reads it.
   *
   * @param columns the table's columns as declared, in order
   * @returns false where the table is not whole any more: it is to be built again
   */
  take(model: string, columns: readonly DeclaredColumn[], file: OutputFile): Promise<boolean>;
  /**
   * Keeps the very objects of a table of another target as `gold/<target>/<run>/<model>/`, whole and durable:
   * what was checked there is what is published here.
   *
   * @param columns the table's columns as declared, in order
   * @throws `object_damaged`, `object_missing` (65) where the table is not the one that was committed;
   *   `disk_full` (74)
   */
  copy(model: string, columns: readonly DeclaredColumn[], from: OutputFile): Promise<OutputFile>;
  /**
   * Writes a table of `gold_prod` as an Iceberg table of its own, whole and durable: what `publish` shows
   * once a state names it. Absent where the engine has no Iceberg tables.
   *
   * @param known the table of this model that readers have now: the new one takes its name over, so that who
   *   has it open may go on
   * @throws what `relation` and `build` throw
   */
  copyAsIceberg?(model: string, known: IcebergTable | undefined): Promise<Omit<IcebergTable, 'origin'>>;
  /**
   * To be called before what was read is committed. @throws `commit_conflict` (75; retry helps) where others
   * have changed it meanwhile
   */
  close(): Promise<void>;
}

/** Rows of a table of silver that an engine is to write where they will be read. */
export interface PartsRequest {
  /** Table of silver. */
  table: string;
  /** Gives the contract's columns. */
  select: string;
  /** Expressions for calls without arguments in it: `interval_start`, ... */
  constants: Readonly<Record<string, string>>;
  /** At most `PARTS_MAX`; rows of others are left out. */
  partitions: readonly PartitionValues[];
  /** The select's column that says when a row happened. */
  moment: string;
}

/** Partitions that one statement may write: a limit of Athena and Trino. */
export const PARTS_MAX = 100;

/**
 * Work of an engine on its own machines, on objects that are named one by one. Selects are those of
 * `warehouse/silver/`, with the macros of that folder; tables are those that were named here, and nobody else
 * sees them.
 *
 * Every call throws what the engine's statements throw: `engine_timeout`, `engine_exhausted`, `engine_failed`
 * (69; retry helps), `engine_busy` (75), `engine_denied` (77), `scan_limit` (65).
 */
export interface EngineWork {
  /**
   * Makes `bronze_<table>` exactly the rows of these objects, whatever else lies there.
   *
   * @throws `object_missing`, `object_damaged` (65) for one that is gone or of another size
   */
  bronze(table: string, files: readonly OutputFile[]): Promise<void>;
  /** Makes a table of rows that are given. */
  put(
    name: string,
    columns: readonly DeclaredColumn[],
    rows: readonly Readonly<Record<string, SqlValue>>[],
  ): Promise<void>;
  /** Makes a name stand for a select: evaluated wherever it is read. */
  define(name: string, select: string): void;
  /** Evaluates a select once, into a table. */
  keep(name: string, columns: readonly DeclaredColumn[], select: string): Promise<void>;
  /** Rows of a select. @throws `result_too_large` (64) beyond `MAX_ROWS` */
  query(select: string): Promise<ResultSet>;
  /**
   * Writes partitions whole and durable, each below a prefix that nobody has used: a manifest that names them
   * makes them part of the table, and without one they are left-overs.
   *
   * @returns those that have rows
   */
  write(request: PartsRequest): Promise<SilverFile[]>;
  /** Statements so far, what they read, and what that costs at list price. */
  spent(): { statements: number; scannedBytes: number; costUsd: number };
  /** Removes the rows that it keeps. What it has written stays, and `unusedTables` names its tables. */
  close(): Promise<void>;
}

/**
 * Port 2: SQL over the lake. Implementations: DuckDB in the process, Athena.
 *
 * The manifest is the truth and the catalog is derived from it: a job commits first and publishes then.
 * Whoever is killed in between leaves readers with the version before; the next `publish` or `query` mends
 * it.
 */
export interface SqlEngine {
  /** `target.type` of the models' macros; looked at nowhere else. */
  readonly dialect: 'duckdb' | 'athena';
  /**
   * Rows of ONE read-only statement on the published tables: schemas bronze, silver, gold_dev, gold_prod.
   *
   * @throws `sql_invalid` (64) for mistakes, with the engine's words, place and near names; `sql_refused`
   *   (64) for anything but reading the lake; `result_too_large` (64); `object_damaged` (65) for a table that
   *   cannot be read
   */
  query(sql: string, options?: QueryOptions): Promise<ResultSet>;
  /**
   * Writes the rows of one select over the published tables to a file, in the order of the select.
   *
   * @throws as `query`; an engine elsewhere sends rows and no files: there `result_too_large` (64) beyond
   *   `MAX_ROWS`; `disk_full`, `disk_failed` (74) where the file cannot be written
   */
  export(request: ExportRequest): Promise<Exported>;
  /** Opens a private view of one state. Close it. */
  session(request: SessionRequest): Promise<EngineSession>;
  /** Opens work on the engine's own machines; close it. Absent where the engine has none but this process. */
  openWork?(): EngineWork;
  /**
   * Makes readers see exactly this state, all tables at once; a reader at work goes on with the old set.
   * Doing it again changes nothing.
   */
  publish(state: LakeState): Promise<void>;
  /**
   * Tables in the catalog that sessions have built and no version of these states has.
   *
   * @param madeBefore Unix ms; younger ones may be of a session at work
   */
  unusedTables(states: readonly LakeState[], madeBefore: number): Promise<string[]>;
  /** Removes such tables from the catalog, not their objects; one that is gone is fine. */
  dropTables(names: readonly string[]): Promise<void>;
  /**
   * Takes every Iceberg table of the lake out of the catalog, not its objects; none is fine. Absent where the
   * engine has none.
   */
  withdrawIceberg?(): Promise<void>;
  /**
   * What the catalog says of each table, as text: for whoever looks for something that must not be in it.
   * Nothing where the catalog is an object of the lake.
   */
  catalogEntries(): AsyncIterable<{ name: string; text: string }>;
  close(): Promise<void>;
}
