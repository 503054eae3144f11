import type { Effects } from '../effects/index.ts';
import type { Embedded } from '../engine/duckdb/database.ts';
import type { PartitionValues } from '../lake/keys.ts';
import type { BronzeFile, Refusal, SilverFile } from '../lake/manifest.ts';
import type { StreamBatch } from '../lake/stream.ts';
import type { StagedPartition } from './partition.ts';

/** How much is held at once. What comes out does not depend on it. */
export interface Limits {
  /** Rows of one pass over own listening: about 100 bytes each are held for all of them. */
  readonly passRows: number;
  /**
   * Rows of neighbouring partitions that are written together: planning a statement costs as much as 5,000
   * rows.
   */
  readonly groupRows: number;
  /** Up to this many rows bronze may be read over and over, in whatever order its rows are. */
  readonly rereadRows: number;
}

/**
 * Measured with a million plays in one file and the engine held to 256 MiB: 444 MiB at the peak where they
 * are of ten years (564 with passes of 600,000, no faster), 546 where all are of one: a year is the least
 * that a pass can be.
 */
export const LIMITS: Limits = Object.freeze({ passRows: 300_000, groupRows: 40_000, rereadRows: 250_000 });

/** Bronze that `transform` refuses whole: a statement fails on it, so silver is made without. */
export interface Refusals {
  /** By bronze key. */
  readonly byKey: ReadonlyMap<string, Refusal>;
  /** Keys of bronze that was refused by other code or with less memory: it counts as new. */
  readonly triedAgain: ReadonlySet<string>;
}

/** What every builder of silver tables works with. */
export interface Build {
  readonly db: Embedded;
  readonly effects: Effects;
  /** Every loaded file; one that is refused whole, by `load` or by `transform`, is of the table `refused`. */
  readonly index: readonly BronzeFile[];
  /** Every batch of a stream that is named, and whether one is new in silver. */
  readonly batches: readonly StreamBatch[];
  readonly isNewBatch: boolean;
  /** What `transform` refuses. */
  readonly refusals: Refusals;
  /**
   * Files that `load` has refused once and that are loaded by now, with what was loaded: the index is without
   * them.
   */
  readonly lifted: ReadonlyMap<BronzeFile, BronzeFile>;
  /** Partitions to rebuild although no new bronze touches them: half-open, UTC, Unix ms. */
  readonly rebuild: { fromMs: number; toMs: number } | undefined;
  /** The files of each table as they were committed. */
  readonly committed: ReadonlyMap<string, readonly SilverFile[]>;
  isNew(file: BronzeFile): boolean;
  readonly limits: Limits;
}

/**
 * Rows of one bronze file that a builder placed: the first of a key that the table did not have, or another
 * one.
 */
export interface PlacedRows {
  sourceKey: string;
  /** Number of the time partition that the rows are in; 0 of tables that are built as a whole. */
  part: number;
  newRows: number;
  duplicateRows: number;
}

/**
 * What a builder wants changed. Partitions it does not name stay as they are. Rows it refused are in the
 * table `refused_rows`.
 */
export interface Built {
  staged: StagedPartition[];
  placed: PlacedRows[];
  /**
   * By time partition: others that lose or win a row by its new rows, and that the index of bronze does not
   * tell of.
   */
  affects?: ReadonlyMap<number, readonly number[]>;
}

export const NOTHING_BUILT: Built = Object.freeze({ staged: [], placed: [] });

/** A time partition that new bronze (or the rebuild interval) may touch, by the index of bronze alone. */
export interface TimePart {
  readonly table: string;
  /** Years, months as in months.ts, or days since 1970: one of them for all parts of a table. */
  readonly number: number;
  readonly partition: PartitionValues;
  /** Half-open, UTC, Unix ms. */
  readonly fromMs: number;
  readonly toMs: number;
  /** All bronze that its rows and its accounts are a function of. */
  readonly inputs: readonly BronzeFile[];
  /** About how many rows of bronze are in it. */
  readonly rows: number;
}

/**
 * A table that is built by time: each part is a function of its inputs, so it does not matter who builds it,
 * or what else is built.
 */
export interface TimeTable {
  readonly table: string;
  /** Ascending. */
  readonly parts: readonly TimePart[];
  /** The lake's engine builds it on machines of its own: nothing of it is staged ahead. */
  readonly isOfEngine?: boolean;
  /**
   * Builds parts. Those it comes back without are as they were committed.
   *
   * @param wanted numbers of parts
   * @param had parts that somebody else has built from the same bronze: whatever else turns out to be touched
   *   is built, too. Undefined: nothing but `wanted` is built
   */
  build(wanted: readonly number[], takenAhead: ReadonlySet<number> | undefined): Promise<Built>;
}

/**
 * Rows of files by the part that `partOf` gives for the start of a period, spread evenly over the periods of
 * a file.
 */
export function estimateRows(
  files: readonly BronzeFile[],
  periodsOf: (file: BronzeFile) => readonly (readonly [fromMs: number, toMs: number])[],
  partOf: (ms: number) => number,
): Map<number, number> {
  const rows = new Map<number, number>();
  for (const file of files) {
    const periods = periodsOf(file);
    for (const [fromMs] of periods) {
      const part = partOf(fromMs);
      rows.set(part, (rows.get(part) ?? 0) + file.rows / periods.length);
    }
  }
  return rows;
}

/** Whether the rebuild interval is set and overlaps the half-open interval. */
export function isInRebuild(build: Build, fromMs: number, toMs: number): boolean {
  return build.rebuild !== undefined && fromMs < build.rebuild.toMs && toMs > build.rebuild.fromMs;
}

/** Whether everything is to be rebuilt. */
export function isWholeRebuild(build: Build): boolean {
  return (
    build.rebuild !== undefined &&
    build.rebuild.fromMs === Number.NEGATIVE_INFINITY &&
    build.rebuild.toMs === Number.POSITIVE_INFINITY
  );
}

/**
 * Items dealt out to so many connections, in turn; no empty part. One statement over many files costs far
 * less than a statement for each of them: the engine plans a stage in 16 to 50 ms.
 */
export function dealt<T>(items: readonly T[], connections: number): T[][] {
  const parts = Array.from({ length: Math.min(connections, items.length) }, () => [] as T[]);
  for (const [index, item] of items.entries()) parts[index % parts.length]!.push(item);
  return parts;
}

/**
 * Runs `action` for every item on a few connections at once; the first failure stops the rest. Results in the
 * order of the items.
 */
export async function inParallel<T, R>(
  db: Embedded,
  connections: number,
  items: readonly T[],
  prepare: (connection: Embedded) => Promise<void>,
  action: (connection: Embedded, item: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  let isFailed = false;
  const work = async (): Promise<void> => {
    const connection = await db.connect();
    try {
      await prepare(connection);
      for (let index = next++; index < items.length && !isFailed; index = next++) {
        results[index] = await action(connection, items[index] as T);
      }
    } catch (error) {
      isFailed = true;
      throw error;
    } finally {
      connection.close();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(connections, items.length) }, work));
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
  return results;
}
