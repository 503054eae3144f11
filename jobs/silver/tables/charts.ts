import { count } from '../../base/words.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { isDatedByRecord } from '../../sources/charts/index.ts';
import {
  type Build,
  type Built,
  estimateRows,
  isInRebuild,
  isWholeRebuild,
  NOTHING_BUILT,
  type TimeTable,
} from '../build.ts';
import { type Month, monthOf, monthPartition, monthStart, periodBounds } from '../months.ts';
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

const TABLE = 'chart_entries';

/** The months of silver.chart_entries that new chart files (or the rebuild interval) touch. */
export async function planCharts(build: Build): Promise<TimeTable> {
  const files = build.index.filter((file) => file.table === 'charts_csv');
  const months = new Set(files.filter((file) => build.isNew(file)).flatMap(monthsOfFile));
  const committed = (build.committed.get(TABLE) ?? []).map(
    ({ partition }) => Number(partition.year) * 12 + Number(partition.month) - 1,
  );
  for (const month of [...files.flatMap(monthsOfFile), ...committed]) {
    if (isInRebuild(build, monthStart(month), monthStart(month + 1))) months.add(month);
  }
  const rowsOf = estimateRows(files, (file) => file.periods.map(periodBounds), monthOf);
  return {
    table: TABLE,
    parts: [...months].sort(ascending).map((month) => ({
      table: TABLE,
      ...{ number: month, partition: monthPartition(month), fromMs: monthStart(month), toMs: monthStart(month + 1) },
      ...{ inputs: filesOf(files, new Set([month])), rows: rowsOf.get(month) ?? 0 },
    })),
    build: (wanted, takenAhead) => buildMonths(build, files, new Set(wanted), takenAhead),
  };
}

async function buildMonths(
  build: Build,
  files: readonly BronzeFile[],
  wanted: ReadonlySet<Month>,
  takenAhead: ReadonlySet<Month> | undefined,
): Promise<Built> {
  const { db, effects } = build;
  const isUnplaced = (file: BronzeFile): boolean =>
    (build.isNew(file) || isWholeRebuild(build)) && file.periods.length === 0 && file.rows > 0;
  if (wanted.size === 0 && (takenAhead === undefined || !files.some(isUnplaced))) return NOTHING_BUILT;
  effects.progress.start('charts');
  const own = filesOf(files, wanted);
  await createSourceFiles(
    db,
    own,
    (file) => build.isNew(file),
    (file) => build.isNew(file) || isWholeRebuild(build),
  );
  const local = await localBronze(effects.store, own);
  await createBronze(
    db,
    'charts_csv',
    local.map(({ path }) => path),
  );
  await createStage(db, 'region_names');
  await createStage(db, 'stg_charts');
  await db.run(
    `create or replace table chart_rows as
     select * from stg_charts where problem is not null or ${takenAhead === undefined ? isInMonth(wanted) : `not ${isInMonth(takenAhead)}`}`,
  );
  const more = takenAhead === undefined ? [] : await freshMonths(build, wanted);
  if (more.length > 0) {
    // A record's date that the index does not know: the month has other files.
    return buildMonths(build, files, new Set([...wanted, ...more]), takenAhead);
  }
  await db.run(
    `create or replace table placed_rows as
     select file_no, source_row, concat_ws('|', chart, region, period_start, rank, entry) as key, ${MONTH} as part
     from chart_rows where problem is null`,
  );
  await db.run('create or replace table known_keys (key varchar)');
  const placed = await placedRows(db, 'key_accounts');
  await refuse(db, 'chart_rows', 'charts_refused');
  const months = [...wanted].sort(ascending);
  const staged = await stagePartitions(
    db,
    TABLE,
    `select * from (${silverSelect(TABLE)}\n) where ${isInMonth(wanted)}`,
    months.map(monthPartition),
    effects.scratch,
  );
  await db.run('drop table chart_rows');
  effects.progress.end(count(staged.length, 'month'));
  return { staged, placed: placed.filter(({ part }) => wanted.has(part)) };
}

/** Files that may hold rows of these months. */
function filesOf(files: readonly BronzeFile[], months: ReadonlySet<Month>): BronzeFile[] {
  return files.filter(
    (file) =>
      file.periods.length === 0 || isDatedByRecord(file.kind) || monthsOfFile(file).some((month) => months.has(month)),
  );
}

function monthsOfFile(file: BronzeFile): Month[] {
  return file.periods.map((period) => monthOf(periodBounds(period)[0]));
}

/** Months outside of `wanted` that rows of new files (in a rebuild of everything: of all files) are in. */
async function freshMonths({ db }: Build, wanted: ReadonlySet<Month>): Promise<Month[]> {
  const rows = await db.rows<{ month: bigint }>(
    `select distinct ${MONTH} as month from chart_rows inner join source_files using (file_no) where problem is null and is_judged`,
  );
  return rows.map(({ month }) => Number(month)).filter((month) => !wanted.has(month));
}

const MONTH = 'year(period_start) * 12 + month(period_start) - 1';

/** True of a row in one of these months, as SQL. */
function isInMonth(months: ReadonlySet<Month>): string {
  return months.size === 0 ? 'false' : `coalesce(${MONTH} in (${[...months].join(', ')}), false)`;
}

function ascending(a: number, b: number): number {
  return a - b;
}
