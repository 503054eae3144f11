import { join } from 'node:path';
import { stopIfAsked } from '../../effects/index.ts';
import { type Embedded, quoteText } from '../../engine/duckdb/database.ts';
import type { PartitionValues } from '../../lake/keys.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { type Build, inParallel } from '../build.ts';
import { sqlTimestamp } from '../months.ts';
import { type StagedPartition, stagePartitions } from '../partition.ts';
import { type BronzeSlice, createBronze, createBronzeSlices, createStage, silverSelect } from '../relations.ts';

/**
 * When groups would read more than this many times the rows they hold, the rows are sorted by group first.
 */
const REREAD_MAX = 4;

/** Partitions by time of a table whose rows come one by one from bronze. */
export interface TimePartitions {
  /** Silver table; the select of its name gives the rows of `interval_start()` to `interval_end()`. */
  table: string;
  /** Bronze table to the stage that types it. */
  stages: Readonly<Record<string, string>>;
  /**
   * Table with `file_no`, `source_row` and `problem`, and the number of a row's partition as an SQL
   * expression over it.
   */
  rows: { table: string; part: string };
  /** By number, ascending: half-open UTC intervals (Unix ms). */
  parts: readonly { number: number; values: PartitionValues; fromMs: number; toMs: number }[];
  /** In `file_no` order. */
  files: readonly BronzeFile[];
  paths: ReadonlyMap<BronzeFile, string>;
}

/**
 * Writes partitions aside, a few neighbours at a time, straight from the bronze rows that fall into them:
 * nothing is held but the groups at work. Measured on 500,000 plays of 30 files: a table in between would
 * double the time.
 */
export async function stageByTime(build: Build, partitions: TimePartitions): Promise<StagedPartition[]> {
  const { db, effects } = build;
  const { stages, table } = partitions;
  if (partitions.parts.length === 0) return [];
  const bronzeTables = Object.keys(stages);
  const groups = await groupParts(db, partitions, build.limits.groupRows);
  const isScattered =
    groups.reduce((sum, { scanned }) => sum + scanned, 0) > build.limits.rereadRows && isReread(groups);
  const presorted = isScattered ? await presort(build, partitions, groups) : undefined;
  let done = 0;
  const staged = await inParallel(
    db,
    // One at a time where a partition alone is more than a group should be: each is sorted in memory.
    groups.some(({ held }) => held > build.limits.groupRows) ? 1 : effects.config.threads,
    groups.map((group, index) => ({ ...group, index })),
    async (connection) => {
      for (const name of bronzeTables) await createBronze(connection, name, []);
      for (const stage of Object.values(stages)) await createStage(connection, stage);
    },
    async (connection, { parts, slices, index }) => {
      stopIfAsked(effects.signal);
      for (const name of bronzeTables) {
        const some = slices.get(name) ?? [];
        const sorted = some.length > 0 ? presorted?.get(name) : undefined;
        if (sorted === undefined) await createBronzeSlices(connection, name, some);
        else await usePresorted(connection, name, sorted, index);
      }
      await createInterval(connection, parts[0]?.fromMs ?? 0, parts.at(-1)?.toMs ?? 0);
      const wanted = parts.map(({ values }) => values);
      const own = await stagePartitions(connection, table, silverSelect(table), wanted, effects.scratch);
      done += own.length;
      effects.progress.update(done);
      return own;
    },
  );
  return staged.flat();
}

/**
 * Makes `interval_start()` and `interval_end()`, the half-open interval that the selects of one statement ask
 * for.
 */
async function createInterval(db: Embedded, fromMs: number, toMs: number): Promise<void> {
  // Macros and not a relation: as constants they are compared while reading, a join on inequality would sort
  // all rows.
  await db.run(
    `create or replace temp macro interval_start() as ${sqlTimestamp(fromMs)};
     create or replace temp macro interval_end() as ${sqlTimestamp(toMs)}`,
  );
}

/** Neighbouring parts, where their rows lie by bronze table, and how many rows reading those slices reads. */
interface Group {
  parts: TimePartitions['parts'][number][];
  slices: Map<string, BronzeSlice[]>;
  held: number;
  scanned: number;
}

/** Groups of parts without a gap between them; the rows of a slice are one range. */
async function groupParts(
  db: Embedded,
  { rows, parts, files, paths }: TimePartitions,
  rowsMax: number,
): Promise<Group[]> {
  const found = await db.rows<{ part: bigint; file_no: number; first_row: bigint; last_row: bigint; n: bigint }>(
    `select cast(${rows.part} as bigint) as part, file_no, min(source_row) as first_row, max(source_row) as last_row, count(*) as n
     from ${rows.table} where problem is null group by all order by part, file_no`,
  );
  const rowsOf = new Map<number, number>();
  for (const { part, n } of found) rowsOf.set(Number(part), (rowsOf.get(Number(part)) ?? 0) + Number(n));
  const groups: Group[] = [];
  const groupOf = new Map<number, Group>();
  for (const part of parts) {
    const n = rowsOf.get(part.number) ?? 0;
    let group = groups.at(-1);
    if (group === undefined || group.parts.at(-1)?.toMs !== part.fromMs || group.held + n > rowsMax) {
      group = { parts: [], slices: new Map(), held: 0, scanned: 0 };
      groups.push(group);
    }
    group.parts.push(part);
    group.held += n;
    groupOf.set(part.number, group);
  }
  for (const { part, file_no, first_row, last_row } of found) {
    const own = groupOf.get(Number(part))?.slices;
    if (own === undefined) continue;
    const file = files[file_no];
    const path = file && paths.get(file);
    if (file === undefined || path === undefined) throw new Error(`no file ${file_no}`);
    const slices = own.get(file.table) ?? [];
    const slice = slices.find((each) => each.path === path);
    if (slice === undefined) slices.push({ path, firstRow: Number(first_row), lastRow: Number(last_row) });
    else {
      slice.firstRow = Math.min(slice.firstRow, Number(first_row));
      slice.lastRow = Math.max(slice.lastRow, Number(last_row));
    }
    own.set(file.table, slices);
  }
  for (const group of groups) {
    for (const slices of group.slices.values())
      for (const { firstRow, lastRow } of slices) group.scanned += lastRow - firstRow + 1;
  }
  return groups;
}

function isReread(groups: readonly Group[]): boolean {
  const sum = (column: 'held' | 'scanned'): number => groups.reduce((total, group) => total + group[column], 0);
  return sum('scanned') > sum('held') * REREAD_MAX;
}

/**
 * Writes the bronze rows aside in the order of their groups, by bronze table: the answer to one file with ten
 * years in any order.
 */
async function presort(
  { db, effects }: Build,
  { stages, rows, table }: TimePartitions,
  groups: readonly Group[],
): Promise<Map<string, string>> {
  const values = groups.flatMap(({ parts }, index) => parts.map(({ number }) => `(${number}, ${index})`));
  await db.run(
    `create or replace table partition_groups as select * from (values ${values.join(', ')}) as g(number, group_no)`,
  );
  const sorted = new Map<string, string>();
  for (const name of Object.keys(stages)) {
    const path = join(effects.scratch, `presorted-${table}-${name}.parquet`);
    await db.run(
      `copy (
         select bronze.*, placed.group_no
         from bronze_${name} as bronze
         inner join source_files on bronze.source_key = source_files.source_key
         inner join (
             select file_no, source_row, group_no from ${rows.table}
             inner join partition_groups on cast(${rows.part} as bigint) = partition_groups.number
             where problem is null
         ) as placed on source_files.file_no = placed.file_no and bronze.row_number = placed.source_row
         order by placed.group_no, bronze.source_key, bronze.row_number
       ) to ${quoteText(path)} (format parquet, compression zstd, row_group_size 16384)`,
    );
    sorted.set(name, path);
  }
  return sorted;
}

async function usePresorted(db: Embedded, table: string, path: string, group: number): Promise<void> {
  await db.run(
    `create or replace temp view bronze_${table} as
     select * exclude (group_no) from read_parquet(${quoteText(path)}) where group_no = ${group}`,
  );
}
