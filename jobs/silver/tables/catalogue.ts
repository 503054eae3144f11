import { count } from '../../base/words.ts';
import type { Embedded } from '../../engine/duckdb/database.ts';
import type { PartitionValues } from '../../lake/keys.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { type Build, type Built, inParallel, isWholeRebuild, NOTHING_BUILT, type PlacedRows } from '../build.ts';
import { monthOf, monthPartition } from '../months.ts';
import { stagePartitions } from '../partition.ts';
import {
  createBronze,
  createBronzeSlices,
  createResult,
  createSourceFiles,
  createStage,
  placedRows,
  readableBronze,
  refuse,
  silverSelect,
} from '../relations.ts';

const WHOLE_TABLES = [
  'tracks',
  'track_observations',
  'artists',
  'albums',
  'track_artists',
  'track_genres',
  'track_features',
  'playlists',
];
/** What the selects of the tables read, in the order in which it is made. */
const RESULTS = [
  'track_facts',
  'track_newest',
  'track_sightings',
  'album_facts',
  'artist_facts',
  'snapshot_rows',
  'poll_rows',
];
const SNAPSHOT_TABLES = ['playlist_items', 'saved_tracks', 'top_items'];

/**
 * Builds what Web API responses and tracks files describe: tracks and what was said of them when, artists,
 * albums and what joins them, playlists, dated snapshots and the ledger of polls. All of it is built from all
 * such bronze whenever any of it is new (or in a rebuild of everything), because a new response can change
 * what is newest anywhere. What comes out as before is not written again.
 */
export async function buildCatalogue(build: Build): Promise<Built> {
  const { db, effects } = build;
  const files = build.index.filter((file) => file.table === 'api_answers' || file.table === 'tracks_csv');
  if (!files.some((file) => build.isNew(file)) && build.rebuild === undefined) return NOTHING_BUILT;
  const tables = [...WHOLE_TABLES, ...SNAPSHOT_TABLES, 'capture_polls'];
  if (files.length === 0 && !tables.some((table) => build.committed.get(table)?.length)) return NOTHING_BUILT;
  effects.progress.start('catalogue');
  const sorted = await createSourceFiles(
    db,
    files,
    (file) => build.isNew(file),
    (file) => build.isNew(file) || isWholeRebuild(build),
  );
  await createThings(db, await read(build, sorted));
  await createResult(db, 'api_playlists');
  await createStage(db, 'stg_tracks_csv');
  await db.run('create or replace table csv_tracks as select * from stg_tracks_csv');
  for (const name of RESULTS) await createResult(db, name);
  const placed = await account(build);
  await refuse(db, 'snapshot_rows', 'snapshots_refused');
  await refuse(db, 'csv_tracks', 'tracks_refused');

  const staged = await inParallel(
    db,
    effects.config.threads,
    await tablesToStage(build),
    async () => {},
    async (connection, { table, wanted }) =>
      stagePartitions(connection, table, silverSelect(table), wanted, effects.scratch),
  );
  for (const name of ['api_things', 'api_playlists', 'csv_tracks', ...RESULTS]) await db.run(`drop table ${name}`);
  effects.progress.end(count(staged.length, 'table'));
  return { staged: staged.flat(), placed };
}

/** Makes the bronze relations. @returns paths of answers in `file_no` order; undefined for other files */
async function read({ db, effects }: Build, sorted: readonly BronzeFile[]): Promise<(string | undefined)[]> {
  const local = await readableBronze(db, effects, sorted);
  const pathsOf = (table: string): string[] => local.filter(({ file }) => file.table === table).map(({ path }) => path);
  for (const table of ['api_answers', 'tracks_csv']) await createBronze(db, table, pathsOf(table));
  return local.map(({ file, path }) => (file.table === 'api_answers' ? path : undefined));
}

/**
 * Makes `api_things`, batch by batch: memory grows with what is described, not with how often it was
 * captured.
 */
async function createThings(db: Embedded, paths: readonly (string | undefined)[]): Promise<void> {
  await createResult(db, 'api_contents');
  await db.run('create or replace table batch_contents as select * from api_contents where false');
  await createResult(db, 'api_things', 'limit 0');
  const slices = await db.rows<{ batch: bigint; file_no: number; first_row: bigint; last_row: bigint }>(
    `select batch, file_no, min(row_number) as first_row, max(row_number) as last_row
     from api_contents group by all order by batch, file_no`,
  );
  const connection = await db.connect();
  try {
    for (const [batch, own] of Map.groupBy(slices, ({ batch }) => batch)) {
      await db.run(`create or replace table batch_contents as select * from api_contents where batch = ${batch}`);
      await createBronzeSlices(
        connection,
        'api_answers',
        own.map(({ file_no, first_row, last_row }) => ({
          path: paths[file_no] ?? '',
          firstRow: Number(first_row),
          lastRow: Number(last_row),
        })),
      );
      await connection.run(`insert into api_things select * from (${silverSelect('api_things')}\n)`);
    }
  } finally {
    connection.close();
  }
  for (const name of ['batch_contents', 'api_contents']) await db.run(`drop table ${name}`);
}

/**
 * New and known rows by the key of the table that they feed; a track (album, artist) is known, too, where an
 * old play mentions it.
 */
async function account({ db }: Build): Promise<PlacedRows[]> {
  await db.run(
    `create or replace table placed_rows as
     select file_no, source_row, key, 0 as part from snapshot_rows where problem is null
     union all
     select file_no, source_row, concat_ws('|', 'track_genres', track_id, coalesce(genre, '')) as key, 0 as part from csv_tracks where track_id is not null`,
  );
  await db.run(
    `create or replace table known_keys as
     select distinct 'tracks|' || track_id as key from track_facts inner join source_files using (file_no) where not is_new
     union all
     select distinct 'albums|' || album_id as key from album_facts inner join source_files using (file_no) where not is_new
     union all
     select distinct 'artists|' || artist_id as key from artist_facts inner join source_files using (file_no) where not is_new
     union all
     select distinct 'playlists|' || playlist_id as key from api_playlists inner join source_files using (file_no) where not is_new`,
  );
  return placedRows(db, 'key_accounts');
}

/** Every table with the partitions that it has or had. */
async function tablesToStage({ db, committed }: Build): Promise<{ table: string; wanted: PartitionValues[] }[]> {
  const dates = await db.rows<{ table_name: string; snapshot_date: string }>(
    'select distinct table_name, snapshot_date from snapshot_rows where problem is null and snapshot_date is not null',
  );
  const snapshots = SNAPSHOT_TABLES.map((table) => {
    const own = new Set(
      dates.filter(({ table_name }) => table_name === table).map(({ snapshot_date }) => snapshot_date),
    );
    for (const { partition } of committed.get(table) ?? []) own.add(String(partition.snapshot_date));
    return { table, wanted: [...own].sort().map((date) => ({ snapshot_date: date })) };
  });
  const polled = await db.rows<{ ms: bigint }>(
    `select distinct epoch_ms(date_trunc('month', polled_at)) as ms from poll_rows`,
  );
  const months = new Set(polled.map(({ ms }) => monthOf(Number(ms))));
  for (const { partition } of committed.get('capture_polls') ?? []) {
    months.add(Number(partition.year) * 12 + Number(partition.month) - 1);
  }
  const polls = { table: 'capture_polls', wanted: [...months].sort((a, b) => a - b).map(monthPartition) };
  return [...WHOLE_TABLES.map((table) => ({ table, wanted: [{}] })), ...snapshots, polls];
}
