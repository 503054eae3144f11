import { type Build, type Built, isWholeRebuild, NOTHING_BUILT } from '../build.ts';
import { stagePartitions } from '../partition.ts';
import {
  createBronze,
  createSourceFiles,
  createStage,
  localBronze,
  placedRows,
  refuse,
  silverSelect,
} from '../relations.ts';

const TABLE = 'weather_days';

/**
 * Builds silver.weather_days from all weather files whenever any of them is new (or in a rebuild): a new file
 * can correct what another one says, and a place has 365 rows a year.
 */
export async function buildWeather(build: Build): Promise<Built> {
  const { db, effects } = build;
  const files = build.index.filter(({ table }) => table === 'weather_csv');
  if (!files.some((file) => build.isNew(file)) && build.rebuild === undefined) return NOTHING_BUILT;
  if (files.length === 0 && !build.committed.get(TABLE)?.length) return NOTHING_BUILT;
  effects.progress.start('weather');
  const sorted = await createSourceFiles(
    db,
    files,
    (file) => build.isNew(file),
    (file) => build.isNew(file) || isWholeRebuild(build),
  );
  const local = await localBronze(effects.store, sorted);
  await createBronze(
    db,
    'weather_csv',
    local.map(({ path }) => path),
  );
  await createStage(db, 'stg_weather');
  await db.run('create or replace table weather_rows as select * from stg_weather');
  await db.run(
    `create or replace table placed_rows as
     select file_no, source_row, concat_ws('|', place, time_zone, weather_date) as key, 0 as part
     from weather_rows where problem is null`,
  );
  await db.run('create or replace table known_keys (key varchar)');
  const placed = await placedRows(db, 'key_accounts');
  await refuse(db, 'weather_rows', 'weather_refused');
  const staged = await stagePartitions(db, TABLE, silverSelect(TABLE), [{}], effects.scratch);
  await db.run('drop table weather_rows');
  effects.progress.end(`${staged[0]?.rows ?? 0} days`);
  return { staged, placed };
}
