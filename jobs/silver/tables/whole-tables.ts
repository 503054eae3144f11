import { count } from '../../base/words.ts';
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

/** A small table of silver that is made of one bronze table, as a whole. */
interface WholeTable {
  table: string;
  bronze: string;
  /** Select that types the rows of bronze: with `file_no`, `source_row` and `problem`. */
  stage: string;
  /** What the select of the table calls the typed rows. */
  rows: string;
  /** SQL over them: the key of the row that a row feeds; null of one that feeds none. */
  key: string;
  /** Select of the rows that are refused. */
  refused: string;
}

/** A new file can correct what another one says, and a place has 365 rows a year. */
export const buildWeather = builderOf({
  table: 'weather_days',
  bronze: 'weather_csv',
  stage: 'stg_weather',
  rows: 'weather_rows',
  key: `concat_ws('|', place, time_zone, weather_date)`,
  refused: 'weather_refused',
});

/** A new file of a person takes the place of the one before. */
export const buildTimeZones = builderOf({
  table: 'time_zones',
  bronze: 'time_zones_csv',
  stage: 'stg_time_zones',
  rows: 'time_zone_rows',
  key: `case when is_current or not is_new then concat_ws('|', user_id, valid_from, time_zone, valid_to) end`,
  refused: 'time_zones_refused',
});

/** Builds the table from all of its bronze whenever any of that is new, or in a rebuild. */
function builderOf({ table, bronze, stage, rows, key, refused }: WholeTable): (build: Build) => Promise<Built> {
  return async (build) => {
    const { db, effects } = build;
    const files = build.index.filter((file) => file.table === bronze);
    if (!files.some((file) => build.isNew(file)) && build.rebuild === undefined) return NOTHING_BUILT;
    if (files.length === 0 && !build.committed.get(table)?.length) return NOTHING_BUILT;
    effects.progress.start(table.replaceAll('_', ' '));
    const sorted = await createSourceFiles(
      db,
      files,
      (file) => build.isNew(file),
      (file) => build.isNew(file) || isWholeRebuild(build),
    );
    const local = await localBronze(effects.store, sorted);
    await createBronze(
      db,
      bronze,
      local.map(({ path }) => path),
    );
    await createStage(db, stage);
    await db.run(`create or replace table ${rows} as select * from ${stage}`);
    await db.run(
      `create or replace table placed_rows as
       select file_no, source_row, ${key} as key, 0 as part from ${rows} where problem is null`,
    );
    await db.run('create or replace table known_keys (key varchar)');
    const placed = await placedRows(db, 'key_accounts');
    await refuse(db, rows, refused);
    const staged = await stagePartitions(db, table, silverSelect(table), [{}], effects.scratch);
    await db.run(`drop table ${rows}`);
    effects.progress.end(count(staged[0]?.rows ?? 0, 'row'));
    return { staged, placed };
  };
}
