import type { Embedded } from '../engine/embedded.ts';
import type { PartitionValues } from '../lake/keys.ts';
import type { BronzeFile } from '../lake/manifest.ts';
import { type Build, type Built, inParallel, isWholeRebuild, NOTHING_BUILT, type PlacedRows } from './build.ts';
import { monthOf, monthPartition } from './months.ts';
import { stagePartitions } from './partition.ts';
import {
  createBronze,
  createResult,
  createSourceFiles,
  createStage,
  localBronze,
  placedRows,
  refuse,
  silverSelect,
} from './relations.ts';

const WHOLE_TABLES = ['tracks', 'artists', 'albums', 'track_artists', 'track_genres', 'track_features', 'playlists'];
const SNAPSHOT_TABLES = ['playlist_items', 'saved_tracks', 'top_items'];

/**
 * Builds what Web API responses and tracks files describe: tracks, artists, albums and what joins them, playlists, dated snapshots and
 * the ledger of polls. All of it from all such bronze whenever any of it is new (or in a rebuild of everything): a new response can
 * change what is newest anywhere. What comes out as before is not written again.
 */
export async function buildCatalogue(build: Build): Promise<Built> {
  const { db, effects } = build;
  const files = build.index.filter((file) => file.table === 'api_pages' || file.table === 'tracks_csv');
  if (!files.some((file) => build.isNew(file)) && build.rebuild === undefined) return NOTHING_BUILT;
  const tables = [...WHOLE_TABLES, ...SNAPSHOT_TABLES, 'capture_polls'];
  if (files.length === 0 && !tables.some((table) => build.committed.get(table)?.length)) return NOTHING_BUILT;
  effects.progress.start('catalogue');
  await createSourceFiles(
    db,
    files,
    (file) => build.isNew(file),
    (file) => build.isNew(file) || isWholeRebuild(build),
  );
  await read(build, files);
  await createItems(db);
  await createResult(db, 'api_playlists');
  await createStage(db, 'stg_tracks_csv');
  await db.run('create or replace table csv_tracks as select * from stg_tracks_csv');
  for (const name of ['track_facts', 'track_newest', 'album_facts', 'artist_facts', 'snapshot_rows', 'poll_rows']) {
    await createResult(db, name);
  }
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
  for (const name of [
    'api_items',
    'api_playlists',
    'csv_tracks',
    'track_facts',
    'track_newest',
    'album_facts',
    'artist_facts',
    'snapshot_rows',
    'poll_rows',
  ]) {
    await db.run(`drop table ${name}`);
  }
  effects.progress.end(`${staged.length} tables`);
  return { staged: staged.flat(), placed };
}

async function read({ db, effects }: Build, files: readonly BronzeFile[]): Promise<void> {
  const local = await localBronze(effects.store, files);
  for (const table of ['api_pages', 'tracks_csv']) {
    await createBronze(
      db,
      table,
      local.filter(({ file }) => file.table === table).map(({ path }) => path),
    );
  }
}

/** `api_items`, batch by batch: memory grows with a batch, not with what was ever captured. */
async function createItems(db: Embedded): Promise<void> {
  await createResult(db, 'api_pages');
  const batches = await db.rows<{ batch: bigint }>(
    'select distinct cast(batch as bigint) as batch from api_pages order by batch',
  );
  await db.run('create or replace table api_batch as select * from api_pages where false');
  await db.run(`create or replace table api_items as select * from (${silverSelect('api_items')}\n)`);
  for (const { batch } of batches) {
    await db.run(`create or replace table api_batch as select * from api_pages where batch = ${batch}`);
    await db.run(`insert into api_items select * from (${silverSelect('api_items')}\n)`);
  }
  for (const name of ['api_batch', 'api_pages']) await db.run(`drop table ${name}`);
}

/** New and known rows by the key of the table that they feed; a track (album, artist) is known, too, where an old play mentions it. */
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
