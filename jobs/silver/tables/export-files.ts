import { count } from '../../base/words.ts';
import { type Embedded, quoteText } from '../../engine/duckdb/database.ts';
import { contractOf } from '../../lake/contracts.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { type Build, type Built, dealt, inParallel, NOTHING_BUILT } from '../build.ts';
import { sqlType } from '../columns.ts';
import { stagePartitions } from '../partition.ts';
import {
  createBronze,
  createResult,
  createSourceFiles,
  createStage,
  isReadable,
  type LocalBronze,
  localBronze,
  silverSelect,
} from '../relations.ts';

const TABLE = 'export_files';
const STAGES = { export_extended: 'stg_plays_extended', export_account: 'stg_plays_account' } as const;
const BRONZE = Object.keys(STAGES);

/**
 * Builds silver.export_files. A row is a function of one bronze file, which never changes: rows that are
 * there stay, and only files without one are read (files without a play have none, and are read again: they
 * are few and small). A rebuild, of whatever interval, reads all.
 */
export async function buildExportFiles(build: Build): Promise<Built> {
  const { db, effects } = build;
  const files = build.index.filter(({ table }) => BRONZE.includes(table));
  const isTouched = files.some((file) => build.isNew(file)) || build.rebuild !== undefined;
  if (!isTouched) return NOTHING_BUILT;
  effects.progress.start('export files');
  const missing = await withoutRow(build, files);
  await createSourceFiles(
    db,
    missing,
    (file) => build.isNew(file),
    () => false,
  );
  await createRows(build, missing);
  const staged = await stagePartitions(db, TABLE, silverSelect(TABLE), [{}], effects.scratch);
  await db.run('drop table export_file_rows');
  await db.run('drop table known_export_files');
  effects.progress.end(`${count(missing.length, 'file')} read`);
  return { staged, placed: [] };
}

/**
 * Makes `known_export_files`, the committed rows of files that are still loaded. @returns the files that have
 * none
 */
async function withoutRow(
  { db, effects, committed, rebuild }: Build,
  files: readonly BronzeFile[],
): Promise<BronzeFile[]> {
  const columns = contractOf('silver', TABLE).columns.map((column) => `${column.name} ${sqlType(column)}`);
  await db.run(`create or replace table known_export_files (${columns.join(', ')})`);
  const before = committed.get(TABLE)?.[0];
  if (before === undefined || rebuild !== undefined) return [...files];
  const path = await effects.store.localFile(before.key);
  // Where it is damaged, all of it is made anew.
  if (!(await isReadable(db, path))) return [...files];
  await db.run(`insert into known_export_files by name select * from read_parquet(${quoteText(path)})`);
  const rows = await db.rows<{ source_key: string }>('select source_key from known_export_files');
  const known = new Set(rows.map(({ source_key }) => source_key));
  const loaded = new Set(files.map(({ sourceKey }) => sourceKey));
  for (const key of known)
    if (!loaded.has(key)) await db.run(`delete from known_export_files where source_key = ${quoteText(key)}`);
  return files.filter(({ sourceKey }) => !known.has(sourceKey));
}

/** Makes `export_file_rows` of these files, some of them on each connection. */
async function createRows({ db, effects }: Build, files: readonly BronzeFile[]): Promise<void> {
  const local = await localBronze(effects.store, files);
  const read = async (connection: Embedded, part: readonly LocalBronze[]): Promise<void> => {
    for (const table of BRONZE) {
      const own = part.filter(({ file }) => file.table === table);
      await createBronze(
        connection,
        table,
        own.map(({ path }) => path),
      );
    }
    for (const stage of Object.values(STAGES)) await createStage(connection, stage);
  };
  await read(db, []);
  await createResult(db, 'export_file_rows', 'limit 0');
  await inParallel(
    db,
    effects.config.threads,
    dealt(local, effects.config.threads),
    async () => {},
    async (connection, part) => {
      await read(connection, part);
      await connection.run(`insert into export_file_rows select * from (${silverSelect('export_file_rows')}\n)`);
    },
  );
}
