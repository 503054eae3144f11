import type { BronzeFile } from '../lake/manifest.ts';
import { type Build, type Built, isInRebuild, isWholeRebuild, NOTHING_BUILT } from './build.ts';
import { periodBounds, sqlTimestamp } from './months.ts';
import {
  createBronze,
  createResult,
  createSourceFiles,
  createStage,
  type LocalBronze,
  localBronze,
  placedRows,
  refuse,
  silverSelect,
} from './relations.ts';
import { stageByTime } from './time-partitions.ts';

const DAY_MS = 86_400_000;
const TABLE = 'listening_events';

/**
 * Builds the dates of silver.listening_events that new bronze (or the rebuild interval) touches.
 *
 * An event counts once in the whole lake, also where a copy of it has another date: so the ids of what is built are looked up in all
 * bronze (one column of it), and a date that has lost or won an event by it is built, too.
 */
export async function buildListeningEvents(build: Build): Promise<Built> {
  const { db, effects } = build;
  const files = build.index.filter((file) => file.table === TABLE);
  const fresh = files.filter((file) => build.isNew(file));
  if (fresh.length === 0 && build.rebuild === undefined) return NOTHING_BUILT;
  if (files.length === 0 && !build.committed.get(TABLE)?.length) return NOTHING_BUILT;
  effects.progress.start('events');
  const local = await localBronze(effects.store, files);
  const sorted = await createSourceFiles(
    db,
    files,
    (file) => build.isNew(file),
    (file) => build.isNew(file) || isWholeRebuild(build),
  );
  await read(build, local);
  await createStage(db, 'stg_events');
  const isAll = fresh.length === files.length || isWholeRebuild(build);
  const dates = isAll ? await readEverything(build) : await readWhatIsTouched(build, local);
  await createResult(db, 'event_marks');
  await read(build, local);
  const placed = await placedRows(db, 'event_accounts');
  await refuse(db, 'event_rows', 'events_refused');
  const staged = await stageByTime(build, {
    table: TABLE,
    stages: { [TABLE]: 'stg_events' },
    rows: { table: 'event_rows', part: 'epoch_ms(occurred_at) // 86400000' },
    parts: dates.map((ms) => ({
      number: ms / DAY_MS,
      values: { event_date: dateText(ms) },
      fromMs: ms,
      toMs: ms + DAY_MS,
    })),
    files: sorted,
    paths: new Map(local.map(({ file, path }) => [file, path])),
  });
  await db.run('drop table event_rows; drop table event_marks');
  effects.progress.end(`${staged.length} dates`);
  return { staged, placed };
}

async function read({ db }: Build, local: readonly LocalBronze[]): Promise<void> {
  await createBronze(
    db,
    TABLE,
    local.map(({ path }) => path),
  );
}

/** Makes `event_rows` of all bronze. @returns dates to build (first moment, Unix ms) */
async function readEverything(build: Build): Promise<number[]> {
  await createResult(build.db, 'event_rows');
  const dates = new Set(await datesOf(build, 'event_rows'));
  for (const ms of committedDates(build)) dates.add(ms);
  return [...dates].sort((a, b) => a - b);
}

/**
 * Makes `event_rows` of the dates that new files touch: all rows of those dates, and their copies wherever they are.
 * @returns dates to build (first moment, Unix ms)
 */
async function readWhatIsTouched(build: Build, local: readonly LocalBronze[]): Promise<number[]> {
  const { db } = build;
  await read(
    build,
    local.filter(({ file }) => build.isNew(file)),
  );
  await db.run(`create or replace table fresh_rows as ${silverSelect('event_rows')}`);
  await readCopies(build, local, 'fresh_rows');
  const dates = new Set([...(await datesOf(build, 'fresh_rows')), ...(await datesOf(build, 'event_copies'))]);
  const known = [
    ...committedDates(build),
    ...local.flatMap(({ file }) => file.periods.map((period) => periodBounds(period)[0])),
  ];
  for (const ms of known) if (isInRebuild(build, ms, ms + DAY_MS)) dates.add(ms);
  const sorted = [...dates].sort((a, b) => a - b);

  const isTouched = (file: BronzeFile): boolean =>
    file.periods.length === 0 || file.periods.some((period) => dates.has(periodBounds(period)[0]));
  await read(
    build,
    local.filter(({ file }) => build.isNew(file) || isTouched(file)),
  );
  const values = sorted.map((ms) => `(${sqlTimestamp(ms)})`);
  await createResult(
    db,
    'event_rows',
    values.length === 0
      ? 'where problem is not null'
      : `where problem is not null or date_trunc('day', occurred_at) in (select day from (values ${values.join(', ')}) as days(day))`,
  );
  await readCopies(build, local, 'event_rows');
  await db.run('insert into event_rows select * from event_copies; drop table event_copies; drop table fresh_rows');
  return sorted;
}

/** Makes `event_copies`: rows of any file that have the id of a row of `table` and are not in it. */
async function readCopies(build: Build, local: readonly LocalBronze[], table: string): Promise<void> {
  const { db } = build;
  await read(build, local);
  const places = await db.rows<{ source_key: string }>(
    `create or replace table event_places as
     select source_files.file_no, source_files.source_key, bronze.row_number as source_row
     from bronze_${TABLE} as bronze
     inner join source_files on bronze.source_key = source_files.source_key
     semi join (select id_hash from ${table} where problem is null) as wanted on hash(bronze.event_id) = wanted.id_hash
     anti join ${table} as there on source_files.file_no = there.file_no and bronze.row_number = there.source_row;
     select distinct source_key from event_places`,
  );
  const keys = new Set(places.map(({ source_key }) => source_key));
  await read(
    build,
    local.filter(({ file }) => keys.has(file.sourceKey)),
  );
  await db.run(
    `create or replace table event_copies as
     select rows.* from (${silverSelect('event_rows')}\n) as rows
     semi join event_places on rows.file_no = event_places.file_no and rows.source_row = event_places.source_row;
     drop table event_places`,
  );
}

async function datesOf({ db }: Build, table: string): Promise<number[]> {
  const rows = await db.rows<{ ms: bigint }>(
    `select distinct epoch_ms(date_trunc('day', occurred_at)) as ms from ${table} where problem is null`,
  );
  return rows.map(({ ms }) => Number(ms));
}

function committedDates(build: Build): number[] {
  return (build.committed.get(TABLE) ?? []).map(({ partition }) => Date.parse(`${partition.event_date}T00:00:00Z`));
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
