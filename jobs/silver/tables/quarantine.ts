import { JobError } from '../../base/errors.ts';
import { JSON_FILES_AT_ONCE, quoteText } from '../../engine/duckdb/database.ts';
import { contractOf } from '../../lake/contracts.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { type Build, isWholeRebuild } from '../build.ts';
import { sqlType } from '../columns.ts';
import { type StagedPartition, stagePartitions } from '../partition.ts';
import { addRefusals, dropLifted } from '../refusals.ts';
import { createResult, isReadable, localBronze } from '../relations.ts';

const TABLE = 'quarantine';
/** Columns of a refused row: those of silver.quarantine. `load` writes the same ones for whole files. */
const columns = () =>
  contractOf('silver', TABLE).columns.map((column) => `${quoteText(column.name)}: ${quoteText(sqlType(column))}`);

/** Makes `refused_rows`, empty: every builder adds the rows it refuses. */
export async function createRefusedRows({ db }: Pick<Build, 'db'>): Promise<void> {
  const definitions = contractOf('silver', TABLE).columns.map((column) => `${column.name} ${sqlType(column)}`);
  await db.run(`create table refused_rows (${definitions.join(', ')})`);
}

/**
 * Builds the dates of silver.quarantine that this run adds to; call it after all other builders. A rebuild of
 * everything does without a partition that cannot be read: its rows are found again, under the date of this
 * run.
 *
 * @param loadedOn `YYYY-MM-DD`, the partition of rows that nobody refused before
 * @param knownPaths local files of the committed partitions
 * @throws `object_damaged` (65) for one of them that cannot be read
 */
export async function buildQuarantine(
  build: Build,
  loadedOn: string,
  knownPaths: readonly { path: string; loadedOn: string }[],
): Promise<StagedPartition[]> {
  const { db, effects, index } = build;
  const isJudged = (file: (typeof index)[number]): boolean => build.isNew(file) || isWholeRebuild(build);
  const names = contractOf('silver', TABLE).columns.map(({ name }) => name);
  await addRefusedFiles(
    build,
    index.filter((file) => file.table === 'refused' && isJudged(file) && !build.refusals.byKey.has(file.key)),
  );
  await addRefusals(build, index.filter(isJudged));
  const [found] = await db.rows<{ n: bigint }>('select count(*) as n from refused_rows');
  const isLifted = build.refusals.triedAgain.size > 0 || [...build.lifted.values()].some((file) => build.isNew(file));
  if ((found?.n ?? 0n) === 0n && !isWholeRebuild(build) && !isLifted) return [];

  const readable: (typeof knownPaths)[number][] = [];
  for (const each of knownPaths) {
    if (await isReadable(db, each.path)) readable.push(each);
    else if (!isWholeRebuild(build)) {
      throw new JobError('object_damaged', 'data', `silver.quarantine of ${each.loadedOn} cannot be read`, {
        hint: 'run `listenlake transform --rebuild`: bronze is whole, so silver can be built from it again',
      });
    }
  }
  const known = readable.map(
    ({ path, loadedOn: date }) =>
      `select ${names.join(', ')}, ${quoteText(date)} as loaded_on from read_parquet(${quoteText(path)})`,
  );
  await db.run(
    `create or replace table known_quarantine as
     ${known.length > 0 ? known.join('\nunion all\n') : `select *, cast(null as varchar) as loaded_on from refused_rows where false`}`,
  );
  await db.run(`create or replace table run_dates as select ${quoteText(loadedOn)} as loaded_on`);
  await db.run('create or replace table judged_files (source_key varchar, is_refused boolean)');
  const judged = index.filter(isJudged).map((file) => `(${quoteText(file.sourceKey)}, ${file.table === 'refused'})`);
  for (let start = 0; start < judged.length; start += 1000) {
    await db.run(`insert into judged_files values ${judged.slice(start, start + 1000).join(', ')}`);
  }
  await dropLifted(build);
  // All files are judged: what is known of another one was removed from bronze, and goes with it.
  if (isWholeRebuild(build))
    await db.run('delete from known_quarantine where source_key not in (select source_key from judged_files)');
  await createResult(db, TABLE);
  const dates = await db.rows<{ loaded_on: string }>('select distinct loaded_on from quarantine');
  const wanted = new Set(dates.map(({ loaded_on }) => loaded_on));
  for (const { partition } of build.committed.get(TABLE) ?? []) wanted.add(String(partition.loaded_on));
  const partitions = [...wanted].sort().map((date) => ({ loaded_on: date }));
  return stagePartitions(db, TABLE, 'select * from quarantine', partitions, effects.scratch);
}

/** Adds the rows about files that `load` has refused: a bounded number of objects with each statement. */
async function addRefusedFiles({ db, effects }: Build, files: readonly BronzeFile[]): Promise<void> {
  const objects = [...new Map(files.map((file) => [file.key, file])).values()];
  const names = contractOf('silver', TABLE).columns.map(({ name }) => name);
  for (let start = 0; start < objects.length; start += JSON_FILES_AT_ONCE) {
    const local = await localBronze(effects.store, objects.slice(start, start + JSON_FILES_AT_ONCE));
    await db.run(
      `insert into refused_rows select ${names.join(', ')}
       from read_json([${local.map(({ path }) => quoteText(path)).join(', ')}],
         format = 'newline_delimited', columns = {${columns().join(', ')}})`,
    );
  }
}

/** Rows that this run refused, by file and by code; only of files that are new. */
export async function countRefused(
  build: Build,
): Promise<{ bySource: Map<string, number>; byCode: Record<string, number> }> {
  const rows = await build.db.rows<{ source_key: string; is_file: boolean; code: string; n: bigint }>(
    `select source_key, row_number = 0 as is_file, code, count(*) as n
     from (select distinct on (source_key, file_name, row_number, code) * from refused_rows)
     group by all order by code`,
  );
  const fresh = new Set(
    build.index.filter((file) => build.isNew(file)).map((file) => `${file.table === 'refused'} ${file.sourceKey}`),
  );
  const bySource = new Map<string, number>();
  const byCode: Record<string, number> = {};
  for (const { source_key, is_file, code, n } of rows) {
    const source = `${is_file} ${source_key}`;
    if (!fresh.has(source)) continue;
    bySource.set(source, (bySource.get(source) ?? 0) + Number(n));
    byCode[code] = (byCode[code] ?? 0) + Number(n);
  }
  return { bySource, byCode };
}
