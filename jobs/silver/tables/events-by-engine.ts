import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../../base/errors.ts';
import { DAY_MS } from '../../base/time.ts';
import { count } from '../../base/words.ts';
import { type Effects, stopIfAsked } from '../../effects/index.ts';
import { quoteName, quoteText } from '../../engine/duckdb/database.ts';
import { type DeclaredColumn, type EngineWork, PARTS_MAX, type ResultSet } from '../../engine/index.ts';
import { silverPartitionPrefix } from '../../lake/keys.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { type Build, type Built, isWholeRebuild, NOTHING_BUILT, type PlacedRows } from '../build.ts';
import { periodBounds, sqlTimestamp } from '../months.ts';
import type { StagedPartition } from '../partition.ts';
import { createSourceFiles, silverSelect } from '../relations.ts';

export const TABLE = 'listening_events';

/** Rows of one statement that writes dates: far below what an engine does in the half hour that it gives one. */
const ROWS_MAX = 200_000_000;
/** Refused rows that are fetched at once: each is a row of quarantine in the end. */
const REFUSED_MAX = 200_000;

const SOURCE_FILES: readonly DeclaredColumn[] = [
  { name: 'file_no', type: 'integer' },
  { name: 'source_key', type: 'varchar' },
  { name: 'is_new', type: 'boolean' },
  { name: 'is_judged', type: 'boolean' },
  { name: 'sequence', type: 'bigint' },
  { name: 'loaded', type: 'varchar' },
];
const EVENT_ROWS: readonly DeclaredColumn[] = [
  { name: 'file_no', type: 'integer' },
  { name: 'source_row', type: 'bigint' },
  { name: 'occurred_at', type: 'timestamp' },
  { name: 'problem', type: 'varchar' },
  { name: 'id_hash', type: 'bigint' },
  { name: 'id_check', type: 'bigint' },
  { name: 'facts', type: 'integer' },
];
const EVENT_MARKS: readonly DeclaredColumn[] = [
  { name: 'file_no', type: 'integer' },
  { name: 'source_row', type: 'bigint' },
  { name: 'winner_file_no', type: 'integer' },
  { name: 'winner_row', type: 'bigint' },
  { name: 'is_kept', type: 'boolean' },
  { name: 'copies', type: 'integer' },
  { name: 'ended_at', type: 'timestamp' },
];
/** What quarantine says of a refused row, as `stg_events` gives it. */
const REFUSED: readonly DeclaredColumn[] = [
  { name: 'file_no', type: 'integer' },
  { name: 'source_key', type: 'varchar' },
  { name: 'source_row', type: 'bigint' },
  { name: 'event_id', type: 'varchar' },
  { name: 'track_id', type: 'varchar' },
  { name: 'action', type: 'varchar' },
  { name: 'topic', type: 'varchar' },
  { name: 'partition_number', type: 'integer' },
  { name: 'record_offset', type: 'bigint' },
  { name: 'problem', type: 'varchar' },
  { name: 'given_time', type: 'varchar' },
  { name: 'given_length', type: 'varchar' },
];

/**
 * Whether the lake's engine builds silver.listening_events on machines of its own. It depends on all events
 * there are, not on those that are new: the ids of every one of them have to be read to find copies.
 */
export function isOfEngine(
  { config, engine }: Pick<Effects, 'config' | 'engine'>,
  files: readonly BronzeFile[],
): boolean {
  if (engine.openWork === undefined || config.engineEventsMin === 0) return false;
  return files.reduce((sum, { rows }) => sum + rows, 0) >= config.engineEventsMin;
}

/** What is to be built. */
interface Share {
  files: readonly BronzeFile[];
  /** Dates by number of days since 1970, that new bronze or the rebuild interval touches by the index alone. */
  wanted: readonly number[];
  /** Dates that are committed. */
  committed: readonly number[];
}

/**
 * Builds the dates of silver.listening_events that new bronze touches by statements of the engine: what
 * `planListeningEvents` says of them holds here, too, and the selects are the same. Nothing but counts, dates
 * and refused rows comes to this process.
 *
 * A date is as many objects as the engine makes of it, in no order, so a date that is built again is always
 * another version.
 *
 * @throws what `EngineWork` throws; Error (a bug) where the engine has written other rows than it had counted
 */
export async function buildByEngine(build: Build, { files, wanted, committed }: Share): Promise<Built> {
  const { effects } = build;
  const isJudged = (file: BronzeFile): boolean => build.isNew(file) || isWholeRebuild(build);
  if (wanted.length === 0 && !files.some(isJudged)) return NOTHING_BUILT;
  effects.progress.start('events');
  const sorted = await createSourceFiles(build.db, files, (file) => build.isNew(file), isJudged);
  const work = effects.engine.openWork!();
  try {
    await readBronze(work, build, { sorted, isJudged });
    const placed = await accountsOf(work);
    await fetchRefused(work, build, sorted);
    const dates = new Map((await numbers(work, silverSelect('event_dates'))).map(([day, rows]) => [day!, rows!]));
    // Rebuilt although nothing in them is new; those of them without a row are to go.
    for (const [day, rows] of await rowsOfDates(
      work,
      wanted.filter((day) => !dates.has(day)),
    ))
      dates.set(day, rows);
    const staged: StagedPartition[] = [];
    for (const range of rangesOf(dates)) {
      stopIfAsked(effects.signal);
      staged.push(...(await writeRange(work, sorted, range)));
      effects.progress.update(staged.length);
    }
    effects.log.info({ table: TABLE, ...work.spent() }, 'the engine has built the events');
    effects.progress.end(count(staged.length, 'date'));
    // A date also goes where a copy at another one has taken its last event.
    const touched = new Set([...wanted, ...dates.keys(), ...(isWholeRebuild(build) ? committed : [])]);
    const gone = [...touched].filter((day) => (dates.get(day) ?? 0) === 0);
    return { staged: [...staged, ...gone.map(emptyDate)], placed };
  } finally {
    await closeWork(work, effects);
  }
}

/** What stays is of no use to anybody, and collected some day: no reason to fail. */
async function closeWork(work: EngineWork, { log }: Effects): Promise<void> {
  try {
    await work.close();
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    log.warn({ reason: error.message }, 'tables that served a transform could not be removed');
  }
}

async function readBronze(
  work: EngineWork,
  build: Build,
  { sorted, isJudged }: { sorted: readonly BronzeFile[]; isJudged: (file: BronzeFile) => boolean },
): Promise<void> {
  const rows = sorted.map((file, index) => ({
    ...{ file_no: index, source_key: file.sourceKey, is_new: build.isNew(file), is_judged: isJudged(file) },
    ...{ sequence: file.sequence, loaded: file.loadedAt === undefined ? null : momentOf(file.loadedAt) },
  }));
  await work.put('source_entries', SOURCE_FILES, rows);
  work.define('source_files', 'select source_entries.*, cast(loaded as timestamp) as loaded_at from source_entries');
  await work.bronze(TABLE, sorted);
  work.define('stg_events', silverSelect('stg_events'));
  await work.keep('event_rows', EVENT_ROWS, silverSelect('event_rows'));
  await work.keep('event_marks', EVENT_MARKS, silverSelect('event_marks'));
}

/** Rows of new files by what became of them. Which date they are of nobody asks: nothing is staged ahead. */
async function accountsOf(work: EngineWork): Promise<PlacedRows[]> {
  const { rows } = await work.query(
    `select source_key, sum(new_rows) as new_rows, sum(duplicate_rows) as duplicate_rows
     from (${silverSelect('event_accounts')}\n) as accounts group by source_key`,
  );
  return rows.map(([sourceKey, newRows, duplicateRows]) => ({
    ...{ sourceKey: String(sourceKey), part: 0, newRows: Number(newRows), duplicateRows: Number(duplicateRows) },
  }));
}

/** Adds the refused rows of judged files to `refused_rows`, some files at a time. */
async function fetchRefused(work: EngineWork, build: Build, sorted: readonly BronzeFile[]): Promise<void> {
  const problems = await numbers(work, silverSelect('event_problems'));
  const names = REFUSED.map(({ name }) => name).join(', ');
  for (const some of groupsOf(problems, REFUSED_MAX)) {
    stopIfAsked(build.effects.signal);
    await work.bronze(
      TABLE,
      some.map(([fileNo]) => sorted[fileNo!]!),
    );
    const found = await work.query(
      `select ${names} from stg_events where problem is not null and file_no in (${some.map(([fileNo]) => fileNo).join(', ')})`,
    );
    await addRefused(build, found);
  }
}

async function addRefused({ db, effects }: Build, { rows }: ResultSet): Promise<void> {
  const path = join(effects.scratch, 'refused-events.json');
  const lines = rows.map((row) => {
    const texts = row.map((value) => (value === null ? null : String(value)));
    return `${JSON.stringify(Object.fromEntries(REFUSED.map(({ name }, index) => [name, texts[index]])))}\n`;
  });
  await writeFile(path, lines.join(''));
  const texts = REFUSED.map(({ name }) => `${quoteText(name)}: 'varchar'`).join(', ');
  const casts = REFUSED.map(({ name, type }) => `cast(${quoteName(name)} as ${type}) as ${quoteName(name)}`);
  await db.run(
    `create or replace temp view stg_events as select ${casts.join(', ')}
     from read_json(${quoteText(path)}, format = 'newline_delimited', columns = {${texts}})`,
  );
  await db.run(`insert into refused_rows ${silverSelect('events_refused')}; drop view stg_events`);
  await rm(path);
}

/** Rows that are kept of dates, of those that have any. */
async function rowsOfDates(work: EngineWork, days: readonly number[]): Promise<Map<number, number>> {
  if (days.length === 0) return new Map();
  const found = await numbers(
    work,
    `select day_number(event_rows.occurred_at) as day, count(*) as kept_rows
     from event_rows
     left join event_marks
         on event_rows.file_no = event_marks.file_no and event_rows.source_row = event_marks.source_row
     where event_rows.problem is null and coalesce(event_marks.is_kept, true)
     group by day_number(event_rows.occurred_at)`,
  );
  const wanted = new Set(days);
  return new Map(found.filter(([day]) => wanted.has(day!)).map(([day, rows]) => [day!, rows!]));
}

/** Dates with rows in ascending order, as many together as one statement may write. */
function rangesOf(dates: ReadonlyMap<number, number>): (readonly [day: number, rows: number])[][] {
  const days = [...dates].filter(([, rows]) => rows > 0).sort(([a], [b]) => a - b);
  return groupsOf(days, ROWS_MAX).flatMap((group) =>
    Array.from({ length: Math.ceil(group.length / PARTS_MAX) }, (_, index) =>
      group.slice(index * PARTS_MAX, (index + 1) * PARTS_MAX).map(([day, rows]) => [day!, rows!] as const),
    ),
  );
}

async function writeRange(
  work: EngineWork,
  sorted: readonly BronzeFile[],
  range: readonly (readonly [day: number, rows: number])[],
): Promise<StagedPartition[]> {
  const days = new Set(range.map(([day]) => day));
  // Only the files that may have rows of these dates are read again.
  await work.bronze(
    TABLE,
    sorted.filter((file) => file.periods.length === 0 || datesOfFile(file).some((day) => days.has(day))),
  );
  const written = await work.write({
    ...{ table: TABLE, select: silverSelect(TABLE), moment: 'occurred_at' },
    partitions: range.map(([day]) => ({ event_date: dateText(day * DAY_MS) })),
    constants: {
      interval_start: sqlTimestamp(Math.min(...days) * DAY_MS),
      interval_end: sqlTimestamp((Math.max(...days) + 1) * DAY_MS),
    },
  });
  const rowsOf = new Map(written.map(({ partition, rows }) => [partition.event_date, rows]));
  for (const [day, rows] of range) {
    const date = dateText(day * DAY_MS);
    if (rowsOf.get(date) !== rows) throw new Error(`${rowsOf.get(date)} events of ${date} were written, not ${rows}`);
  }
  return written.map((file) => ({ ...file, table: TABLE, path: undefined }));
}

function emptyDate(day: number): StagedPartition {
  const partition = { event_date: dateText(day * DAY_MS) };
  const key = silverPartitionPrefix(TABLE, partition);
  return { table: TABLE, partition, key, rows: 0, bytes: 0, sha256: '', path: undefined };
}

/** Neighbours in groups whose second numbers sum up to at most `most`; a larger one is alone. */
function groupsOf(pairs: readonly number[][], most: number): number[][][] {
  const groups: number[][][] = [];
  let held = 0;
  for (const pair of pairs) {
    const n = pair[1] ?? 0;
    const last = groups.at(-1);
    if (last === undefined || held + n > most) {
      groups.push([pair]);
      held = n;
    } else {
      last.push(pair);
      held += n;
    }
  }
  return groups;
}

async function numbers(work: EngineWork, select: string): Promise<number[][]> {
  return (await work.query(select)).rows.map((row) => row.map(Number));
}

/** `2026-10-05 12:00:00.000`, which every engine reads. */
function momentOf(iso: string): string {
  return new Date(iso).toISOString().replace('T', ' ').replace('Z', '');
}

/** Dates that rows of a file may be of, by number of days since 1970. */
export function datesOfFile(file: BronzeFile): number[] {
  return file.periods.map((period) => dayOf(periodBounds(period)[0]));
}

export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

/** `YYYY-MM-DD`, UTC. */
export function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
