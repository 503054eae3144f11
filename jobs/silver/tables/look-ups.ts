import { JobError } from '../../base/errors.ts';
import { type Embedded, quoteName, quoteText } from '../../engine/duckdb/database.ts';
import { contractOf } from '../../lake/contracts.ts';
import type { Collection, LookUps, SilverFile } from '../../lake/manifest.ts';
import { sqlType } from '../columns.ts';
import { isReadable, silverSelect } from '../relations.ts';
import type { TableLists } from '../statistics.ts';

/** Tables that say what there is to look up. */
const TABLES = [
  'plays',
  'playlist_items',
  'saved_tracks',
  'chart_entries',
  'tracks',
  'albums',
  'artists',
  'track_artists',
];
/** Objects of silver that are fetched at once, where they are elsewhere. */
const FILES_AT_ONCE = 8;

/** True where a run changes what there is to look up. */
export function isLookUpChange(lists: readonly TableLists[]): boolean {
  return lists.some(
    ({ table, before, after }) => TABLES.includes(table) && JSON.stringify(before) !== JSON.stringify(after),
  );
}

/**
 * What the Web API could still describe, as silver is after the run. `extract metadata` works it off: it may
 * not read silver itself.
 *
 * @param localPath of a silver file: staged in this run or committed
 * @returns undefined where an object of silver is gone or damaged: whoever asks for the tables is told, and
 *   nothing depends on the queue
 */
export async function buildLookUps(
  db: Embedded,
  lists: readonly TableLists[],
  localPath: (file: SilverFile) => Promise<string>,
): Promise<LookUps | undefined> {
  const paths = new Map<string, string[]>();
  try {
    for (const table of TABLES) {
      paths.set(table, await localPaths(lists.find((list) => list.table === table)?.after ?? [], localPath));
    }
  } catch (error) {
    if (error instanceof JobError && error.code === 'object_missing') return undefined;
    throw error;
  }
  try {
    return await readQueue(db, paths);
  } catch (error) {
    for (const path of [...paths.values()].flat()) if (!(await isReadable(db, path))) return undefined;
    throw error;
  }
}

async function readQueue(db: Embedded, paths: ReadonlyMap<string, readonly string[]>): Promise<LookUps> {
  for (const [table, files] of paths) {
    const columns = contractOf('silver', table).columns;
    const nulls = columns.map((column) => `cast(null as ${sqlType(column)}) as ${quoteName(column.name)}`);
    const names = columns.map(({ name }) => quoteName(name));
    const select =
      files.length === 0
        ? `select ${nulls.join(', ')} where false`
        : `select ${names.join(', ')} from read_parquet([${files.map(quoteText).join(', ')}])`;
    await db.run(`create or replace temp view ${quoteName(`silver_${table}`)} as ${select}`);
  }
  const wanted = await db.rows<{ collection: Collection; id: string; plays: number }>(silverSelect('look_ups'));
  const [total] = await db.rows<{ plays: bigint }>('select count(track_id) as plays from silver_plays');
  const queue: LookUps = { plays: Number(total?.plays), wanted: { tracks: [], albums: [], artists: [] } };
  for (const { collection, id, plays } of wanted) queue.wanted[collection].push([id, plays]);
  return queue;
}

async function localPaths(
  files: readonly SilverFile[],
  localPath: (file: SilverFile) => Promise<string>,
): Promise<string[]> {
  const paths: string[] = [];
  for (let start = 0; start < files.length; start += FILES_AT_ONCE) {
    paths.push(...(await Promise.all(files.slice(start, start + FILES_AT_ONCE).map(localPath))));
  }
  return paths;
}
