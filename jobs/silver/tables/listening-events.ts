import { DAY_MS } from '../../base/time.ts';
import { count } from '../../base/words.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import {
  type Build,
  type Built,
  estimateRows,
  isInRebuild,
  isWholeRebuild,
  NOTHING_BUILT,
  type TimeTable,
} from '../build.ts';
import { periodBounds, sqlTimestamp } from '../months.ts';
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
} from '../relations.ts';
import { buildByEngine, datesOfFile, dateText, dayOf, isOfEngine, TABLE } from './events-by-engine.ts';
import { stageByTime } from './time-partitions.ts';

/** A part of silver.listening_events that is to be built. */
interface Share {
  files: readonly BronzeFile[];
  local: readonly LocalBronze[];
  /** Dates by number of days since 1970. */
  wanted: ReadonlySet<number>;
  /** See `TimeTable.build`. */
  takenAhead: ReadonlySet<number> | undefined;
}

/**
 * The dates of silver.listening_events that new bronze (or the rebuild interval) touches.
 *
 * An event counts once in the whole lake, also where a copy of it has another date: so the ids of what is
 * built are looked up in all bronze (one column of it), and a date that has lost or won an event by it is
 * built, too.
 */
export async function planListeningEvents(build: Build): Promise<TimeTable> {
  const files = build.index.filter((file) => file.table === TABLE);
  const fresh = files.filter((file) => build.isNew(file));
  const dates = new Set(fresh.flatMap(datesOfFile));
  for (const day of [...committedDates(build), ...files.flatMap(datesOfFile)]) {
    if (isInRebuild(build, day * DAY_MS, (day + 1) * DAY_MS)) dates.add(day);
  }
  const rowsOf = estimateRows(files, (file) => file.periods.map(periodBounds), dayOf);
  return {
    table: TABLE,
    parts: [...dates].sort(ascending).map((day) => ({
      table: TABLE,
      ...{ number: day, partition: { event_date: dateText(day * DAY_MS) } },
      ...{ fromMs: day * DAY_MS, toMs: (day + 1) * DAY_MS },
      ...{ inputs: files, rows: rowsOf.get(day) ?? 0 },
    })),
    isOfEngine: isOfEngine(build.effects, files),
    build: (wanted, takenAhead) =>
      isOfEngine(build.effects, files)
        ? buildByEngine(build, { files, wanted, committed: committedDates(build) })
        : buildDates(build, files, wanted, takenAhead),
  };
}

async function buildDates(
  build: Build,
  files: readonly BronzeFile[],
  wanted: readonly number[],
  takenAhead: ReadonlySet<number> | undefined,
): Promise<Built> {
  const { db, effects } = build;
  // A file whose index names no date has none that can be read, or refused rows only: it must be looked at
  // once.
  const isUnplaced = (file: BronzeFile): boolean =>
    (build.isNew(file) || isWholeRebuild(build)) && file.periods.length === 0 && file.rows > 0;
  if (wanted.length === 0 && (takenAhead === undefined || !files.some(isUnplaced))) return NOTHING_BUILT;
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
  const isAll = takenAhead?.size === 0 && (files.every((file) => build.isNew(file)) || isWholeRebuild(build));
  const share: Share = { files, local, wanted: new Set(wanted), takenAhead };
  const { dates, affects } = isAll ? await readEverything(build) : await readWhatIsTouched(build, share);
  await createResult(db, 'event_marks');
  await read(
    build,
    local.filter(({ file }) => build.isNew(file) || isWholeRebuild(build)),
  );
  const placed = await placedRows(db, 'event_accounts');
  await refuse(db, 'event_rows', 'events_refused');
  const staged = await stageByTime(build, {
    table: TABLE,
    stages: { [TABLE]: 'stg_events' },
    rows: { table: 'event_rows', part: 'epoch_ms(occurred_at) // 86400000' },
    parts: dates.map((day) => ({
      number: day,
      values: { event_date: dateText(day * DAY_MS) },
      fromMs: day * DAY_MS,
      toMs: (day + 1) * DAY_MS,
    })),
    files: sorted,
    paths: new Map(local.map(({ file, path }) => [file, path])),
  });
  await db.run('drop table event_rows; drop table event_marks');
  effects.progress.end(count(staged.length, 'date'));
  // Copies at other dates are at hand, too: those dates account for them.
  const own = new Set(dates);
  return { staged, placed: placed.filter(({ part }) => own.has(part)), affects };
}

async function read({ db }: Build, local: readonly LocalBronze[]): Promise<void> {
  await createBronze(
    db,
    TABLE,
    local.map(({ path }) => path),
  );
}

/** Dates to build, ascending, and by date the others that hold copies of its new rows. */
interface Touched {
  dates: number[];
  affects: Map<number, number[]>;
}

/** Makes `event_rows` of all bronze. */
async function readEverything(build: Build): Promise<Touched> {
  await createResult(build.db, 'event_rows');
  const dates = new Set([...(await datesOf(build, 'event_rows')), ...committedDates(build)]);
  return { dates: [...dates].sort(ascending), affects: new Map() };
}

/**
 * Makes `event_rows` of the dates that new files touch: all rows of those dates, and their copies wherever
 * they are.
 */
async function readWhatIsTouched(build: Build, { local, wanted, takenAhead }: Share): Promise<Touched> {
  const { db } = build;
  const isOf = (file: BronzeFile, dates: ReadonlySet<number>): boolean =>
    datesOfFile(file).some((date) => dates.has(date));
  const own = local.filter(
    ({ file }) => build.isNew(file) && (isOf(file, wanted) || (takenAhead !== undefined && file.periods.length === 0)),
  );
  await read(build, own);
  await db.run(
    `create or replace table fresh_rows as select * from (${silverSelect('event_rows')}\n)
     where problem is not null or ${takenAhead === undefined ? isAtDate(wanted) : `not ${isAtDate(takenAhead)}`}`,
  );
  await readCopies(build, local, 'fresh_rows');
  const affects = await copiedDates(build);
  const dates = new Set(wanted);
  if (takenAhead !== undefined) {
    for (const date of [...(await datesOf(build, 'fresh_rows')), ...(await datesOf(build, 'event_copies'))]) {
      if (!takenAhead.has(date)) dates.add(date);
    }
  }
  const touched = local.filter(({ file }) => file.periods.length === 0 || isOf(file, dates));
  await read(build, [...new Set([...own, ...touched])]);
  await createResult(db, 'event_rows', `where problem is not null or ${isAtDate(dates)}`);
  await readCopies(build, local, 'event_rows');
  await db.run('insert into event_rows select * from event_copies; drop table event_copies; drop table fresh_rows');
  return { dates: [...dates].sort(ascending), affects };
}

/** True of a row of `event_rows` at one of these dates, as SQL. */
function isAtDate(dates: ReadonlySet<number>): string {
  const values = [...dates].map((date) => `(${sqlTimestamp(date * DAY_MS)})`);
  if (values.length === 0) return 'false';
  return `coalesce(date_trunc('day', occurred_at) in (select day from (values ${values.join(', ')}) as days(day)), false)`;
}

/** By date of a row of `fresh_rows`: the dates of rows of `event_copies` that may be copies of it. */
async function copiedDates({ db }: Build): Promise<Map<number, number[]>> {
  const rows = await db.rows<{ day: bigint; copied: bigint }>(
    `select distinct
        epoch_ms(fresh_rows.occurred_at) // 86400000 as day,
        epoch_ms(event_copies.occurred_at) // 86400000 as copied
     from fresh_rows
     inner join event_copies on fresh_rows.id_hash = event_copies.id_hash
     where fresh_rows.problem is null and event_copies.problem is null`,
  );
  const affects = new Map<number, number[]>();
  for (const { day, copied } of rows) {
    affects.set(Number(day), [...(affects.get(Number(day)) ?? []), Number(copied)]);
  }
  return affects;
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
  const rows = await db.rows<{ day: bigint }>(
    `select distinct epoch_ms(occurred_at) // 86400000 as day from ${table} where problem is null`,
  );
  return rows.map(({ day }) => Number(day));
}

function committedDates(build: Build): number[] {
  return (build.committed.get(TABLE) ?? []).map(({ partition }) =>
    dayOf(Date.parse(`${partition.event_date}T00:00:00Z`)),
  );
}

function ascending(a: number, b: number): number {
  return a - b;
}
