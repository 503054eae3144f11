import { type Build, type Built, isInRebuild, isWholeRebuild, NOTHING_BUILT } from './build.ts';
import { monthPartition, monthStart } from './months.ts';
import { stagePartitions } from './partition.ts';
import {
  createBronze,
  createSourceFiles,
  createStage,
  localBronze,
  placedRows,
  refuse,
  silverSelect,
} from './relations.ts';

/** Builds the months of silver.chart_entries that new chart files (or the rebuild interval) touch. */
export async function buildCharts(build: Build): Promise<Built> {
  const { db, effects } = build;
  const files = build.index.filter((file) => file.table === 'charts_csv');
  if (!files.some((file) => build.isNew(file)) && build.rebuild === undefined) return NOTHING_BUILT;
  if (files.length === 0 && !build.committed.get('chart_entries')?.length) return NOTHING_BUILT;
  effects.progress.start('charts');
  await createSourceFiles(
    db,
    files,
    (file) => build.isNew(file),
    (file) => build.isNew(file) || isWholeRebuild(build),
  );
  const local = await localBronze(effects.store, files);
  await createBronze(
    db,
    'charts_csv',
    local.map(({ path }) => path),
  );
  await createStage(db, 'stg_charts');
  await db.run('create or replace table chart_rows as select * from stg_charts');
  await db.run(
    `create or replace table placed_rows as
     select file_no, source_row, concat_ws('|', chart, region, period_start, rank) as key from chart_rows where problem is null`,
  );
  await db.run('create or replace table known_keys (key varchar)');
  const placed = await placedRows(db, 'key_accounts');
  await refuse(db, 'chart_rows', 'charts_refused');

  const rows = await db.rows<{ month: bigint; is_new: boolean }>(
    `select year(period_start) * 12 + month(period_start) - 1 as month, bool_or(is_new) as is_new
     from chart_rows inner join source_files using (file_no) where problem is null group by 1`,
  );
  const months = new Set(
    rows.filter(({ month, is_new }) => is_new || isToRebuild(build, Number(month))).map(({ month }) => Number(month)),
  );
  for (const { partition } of build.committed.get('chart_entries') ?? []) {
    const month = Number(partition.year) * 12 + Number(partition.month) - 1;
    if (isToRebuild(build, month)) months.add(month);
  }
  const wanted = [...months].sort((a, b) => a - b);
  const staged = await stagePartitions(
    db,
    'chart_entries',
    `select * from (${silverSelect('chart_entries')}\n) where year(period_start) * 12 + month(period_start) - 1 in (${['-1', ...wanted].join(', ')})`,
    wanted.map(monthPartition),
    effects.scratch,
  );
  await db.run('drop table chart_rows');
  effects.progress.end(`${staged.length} months`);
  return { staged, placed };
}

function isToRebuild(build: Build, month: number): boolean {
  return isInRebuild(build, monthStart(month), monthStart(month + 1));
}
