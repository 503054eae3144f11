import type { Effects } from '../effects.ts';
import type { Embedded } from '../engine/embedded.ts';
import type { BronzeFile, SilverFile } from '../lake/manifest.ts';
import type { StagedPartition } from './partition.ts';

/** How much is held at once. What comes out does not depend on it. */
export interface Limits {
  /** Rows of one pass over own listening: about 100 bytes each are held for all of them. */
  readonly passRows: number;
  /** Rows of neighbouring partitions that are written together: planning a statement costs as much as 5,000 rows. */
  readonly groupRows: number;
  /** Up to this many rows bronze may be read over and over, in whatever order its rows are. */
  readonly rereadRows: number;
}

/** Measured with a million plays in one file: 420 MiB at the peak; with passes of a million and groups of 80,000 it was 510, no faster. */
export const LIMITS: Limits = Object.freeze({ passRows: 600_000, groupRows: 40_000, rereadRows: 250_000 });

/** What every builder of silver tables works with. */
export interface Build {
  readonly db: Embedded;
  readonly effects: Effects;
  /** Every loaded file. */
  readonly index: readonly BronzeFile[];
  /** Partitions to rebuild although no new bronze touches them: half-open, UTC, Unix ms. */
  readonly rebuild: { fromMs: number; toMs: number } | undefined;
  /** The files of each table as they were committed. */
  readonly committed: ReadonlyMap<string, readonly SilverFile[]>;
  isNew(file: BronzeFile): boolean;
  readonly limits: Limits;
}

/** Rows of one bronze file that a builder placed: the first of a key that the table did not have, or another one. */
export interface PlacedRows {
  sourceKey: string;
  newRows: number;
  duplicateRows: number;
}

/** What a builder wants changed. Partitions it does not name stay as they are. Rows it refused are in the table `refused_rows`. */
export interface Built {
  staged: StagedPartition[];
  placed: PlacedRows[];
}

export const NOTHING_BUILT: Built = Object.freeze({ staged: [], placed: [] });

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

/** Runs `action` for every item on a few connections at once; the first failure stops the rest. Results in the order of the items. */
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
