import { type Embedded, quoteText } from '../engine/duckdb/database.ts';
import { type BronzeFile, objectsOfFiles, type SilverFile } from '../lake/manifest.ts';
import { sqlTimestamp } from './months.ts';
import { type StagedPartition, stagePartitions } from './partition.ts';
import { isReadable } from './relations.ts';

const TABLE = 'table_stats';

/**
 * Column that says when something happened, for tables that have one; other dated tables have a date as
 * partition.
 */
const MOMENTS: Readonly<Record<string, string>> = {
  plays: 'ended_at',
  listening_events: 'occurred_at',
  capture_polls: 'polled_at',
  export_files: 'last_at',
  chart_entries: 'period_start',
  tracks: 'last_seen_at',
  track_observations: 'seen_at',
  artists: 'last_seen_at',
  albums: 'last_seen_at',
  playlists: 'last_seen_at',
  weather_days: 'weather_date',
  time_zones: 'valid_from',
};

/** One table's numbers before and after a run. */
export interface TableLists {
  table: string;
  before: readonly SilverFile[];
  after: readonly SilverFile[];
}

/**
 * Builds silver.table_stats: rows and bytes of every table of bronze and silver (but of itself).
 *
 * @param committedStats local file of the committed table_stats: a table that this run does not change keeps
 *   its `rows_before`
 * @param localPath of a silver file: staged in this run or committed
 * @param transformedThrough bronze up to this sequence was there before the run
 */
export async function buildStatistics(
  db: Embedded,
  options: {
    index: readonly BronzeFile[];
    transformedThrough: number;
    lists: readonly TableLists[];
    committedStats: string | undefined;
    localPath: (file: SilverFile) => Promise<string>;
    scratch: string;
  },
): Promise<StagedPartition> {
  const known = await rowsBefore(db, options.committedStats);
  const values: string[] = [];
  const add = (layer: string, table: string, rows: number, bytes: number, newest: string, before: number): void => {
    values.push(`(${quoteText(layer)}, ${quoteText(table)}, ${rows}, ${bytes}, ${newest}, ${before})`);
  };
  for (const table of [...new Set(options.index.map((file) => file.table))].sort()) {
    const files = options.index.filter((file) => file.table === table);
    const old = files.filter((file) => file.sequence <= options.transformedThrough);
    const isChanged = old.length < files.length;
    const before = isChanged ? sum(old, 'rows') : (known.get(`bronze.${table}`) ?? 0);
    add('bronze', table, sum(files, 'rows'), sum(objectsOfFiles(files), 'bytes'), 'cast(null as timestamp)', before);
  }
  for (const { table, before, after } of options.lists) {
    const isChanged = JSON.stringify(before) !== JSON.stringify(after);
    const rowsThen = isChanged ? sum(before, 'rows') : (known.get(`silver.${table}`) ?? 0);
    add(
      'silver',
      table,
      sum(after, 'rows'),
      sum(after, 'bytes'),
      await newestAt(db, table, after, options.localPath),
      rowsThen,
    );
  }
  const select = `select * from (values ${values.join(', ')}) as stats(layer, table_name, rows, bytes, newest_at, rows_before)`;
  const [staged] = await stagePartitions(db, TABLE, select, [{}], options.scratch);
  if (staged === undefined) throw new Error('no table_stats');
  return staged;
}

async function rowsBefore(db: Embedded, path: string | undefined): Promise<Map<string, number>> {
  // Where it is damaged, what was before is not known any more; the rest of the table is counted anew.
  if (path === undefined || !(await isReadable(db, path))) return new Map();
  const rows = await db.rows<{ name: string; rows_before: bigint }>(
    `select layer || '.' || table_name as name, rows_before from read_parquet(${quoteText(path)})`,
  );
  return new Map(rows.map(({ name, rows_before }) => [name, Number(rows_before)]));
}

/** The newest moment, as an SQL expression: it lies in the last partition, or the partition says it. */
async function newestAt(
  db: Embedded,
  table: string,
  files: readonly SilverFile[],
  localPath: (file: SilverFile) => Promise<string>,
): Promise<string> {
  const last = files.at(-1);
  const column = MOMENTS[table];
  if (last === undefined) return 'cast(null as timestamp)';
  if (column === undefined) {
    const date = Object.values(last.partition)[0];
    return typeof date === 'string' ? `cast(${quoteText(date)} as timestamp)` : 'cast(null as timestamp)';
  }
  if (last.newestMs !== undefined) return sqlTimestamp(last.newestMs);
  const [found] = await db.rows<{ ms: bigint | null }>(
    `select epoch_ms(cast(max(${column}) as timestamp)) as ms from read_parquet(${quoteText(await localPath(last))})`,
  );
  return found?.ms == null ? 'cast(null as timestamp)' : sqlTimestamp(Number(found.ms));
}

function sum(files: readonly { rows: number; bytes: number }[], column: 'rows' | 'bytes'): number {
  return files.reduce((total, file) => total + file[column], 0);
}
