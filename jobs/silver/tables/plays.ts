import { DAY_MS } from '../../base/time.ts';
import { count } from '../../base/words.ts';
import { stopIfAsked } from '../../effects/index.ts';
import type { Embedded } from '../../engine/duckdb/database.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { bronzeTable, SOURCES } from '../../sources/index.ts';
import {
  type Build,
  type Built,
  dealt,
  estimateRows,
  inParallel,
  isInRebuild,
  isWholeRebuild,
  type TimeTable,
} from '../build.ts';
import { periodBounds, sqlTimestamp, yearOf, yearStart } from '../months.ts';
import {
  createBronze,
  createResult,
  createSourceFiles,
  createStage,
  type LocalBronze,
  placedRows,
  readableBronze,
  refuse,
  silverSelect,
} from '../relations.ts';
import { type PlayPair, pairOff } from './play-pairs.ts';
import { stageByTime } from './time-partitions.ts';

const TABLE = 'plays';
/**
 * An offline play can be reported this long after it ended (`is_offline_start` in macros.sql, and a day for
 * its length).
 */
const OFFLINE_REACH_MS = 46 * DAY_MS;
/**
 * Plays this near to a year can decide about rows of it: a play under a day, a minute at its ends, and a song
 * on repeat overnight.
 */
const MARGIN_MS = 2 * DAY_MS;
/** Bronze table to the stage that types its plays. */
const STAGES: Readonly<Record<string, string>> = Object.fromEntries(
  SOURCES.flatMap(({ tables }) => tables).flatMap(({ name, plays }) => (plays ? [[name, plays.stage]] : [])),
);
const TABLES = Object.keys(STAGES);

/** True for bronze that feeds silver.plays. */
function feedsPlays(file: BronzeFile): boolean {
  const plays = bronzeTable(file.table)?.plays;
  return plays !== undefined && (plays.kinds === undefined || plays.kinds.includes(file.kind));
}

/**
 * The years of silver.plays that new bronze (or the rebuild interval) touches, each from all bronze that may
 * reach into it.
 *
 * A year is a function of the rows that ended in it or within two days of it, and of those that were reported
 * with them (which is up to 46 days later), and of nothing else: so it does not matter which run builds it,
 * or what else that run builds.
 */
export async function planPlays(build: Build): Promise<TimeTable> {
  const files = build.index.filter(feedsPlays);
  const fresh = files.filter((file) => build.isNew(file));
  const isAsked = fresh.length > 0 || build.rebuild !== undefined;
  const known = new Map<BronzeFile, [number, number][]>();
  if (isAsked) for (const file of files) known.set(file, await reportedIn(build, file));
  const rowsOf = estimateRows(files, (file) => known.get(file) ?? [], yearOf);
  const years = isAsked ? yearsToBuild(build, files, fresh, known) : [];
  return {
    table: TABLE,
    parts: years.map((year) => ({
      table: TABLE,
      number: year,
      partition: { year },
      fromMs: yearStart(year),
      toMs: yearStart(year + 1),
      inputs: reaching(files, known, yearStart(year), yearStart(year + 1)),
      rows: rowsOf.get(year) ?? 0,
    })),
    async build(wanted) {
      const built: Built = { staged: [], placed: [] };
      if (wanted.length === 0) return built;
      build.effects.progress.start('plays', wanted.length);
      for (const chunk of chunks(wanted, rowsOf, build.limits.passRows)) {
        const part = await buildChunk(build, files, known, chunk);
        built.staged.push(...part.staged);
        built.placed.push(...part.placed);
      }
      build.effects.progress.end(count(built.staged.length, 'year'));
      return built;
    },
  };
}

/**
 * Files with plays that were reported so near to the interval that they may say something about plays that
 * ended in it.
 */
function reaching(
  files: readonly BronzeFile[],
  known: ReadonlyMap<BronzeFile, readonly [number, number][]>,
  fromMs: number,
  toMs: number,
): BronzeFile[] {
  return files.filter((file) =>
    (known.get(file) ?? []).some(([from, to]) => from < toMs + OFFLINE_REACH_MS + MARGIN_MS && to > fromMs - MARGIN_MS),
  );
}

/** When the file's plays were reported, as half-open intervals. A file whose index does not say is asked. */
async function reportedIn(build: Build, file: BronzeFile): Promise<[number, number][]> {
  if (file.periods.length > 0) return file.periods.map(periodBounds);
  if (file.rows === 0) return [];
  await readFiles(build, [file], await readableBronze(build.db, build.effects, [file]), build.db);
  const rows = await build.db.rows<{ ms: bigint }>(
    `select distinct epoch_ms(date_trunc('month', reported_at)) as ms from (${silverSelect('play_rows')}) where problem is null`,
  );
  const found = rows.map(({ ms }) => periodBounds(new Date(Number(ms)).toISOString().slice(0, 7)));
  // All rows are refused: it must still be read once, for quarantine.
  return found.length > 0 ? found : [[yearStart(1970), yearStart(1971)]];
}

function yearsToBuild(
  build: Build,
  files: readonly BronzeFile[],
  fresh: readonly BronzeFile[],
  known: ReadonlyMap<BronzeFile, [number, number][]>,
): number[] {
  const years = new Set<number>();
  for (const file of fresh) {
    for (const [from, to] of known.get(file) ?? []) {
      const reach = bronzeTable(file.table)?.plays?.isReportedLate ? OFFLINE_REACH_MS : 0;
      addYears(years, from - MARGIN_MS - reach, to + MARGIN_MS);
    }
  }
  if (build.rebuild !== undefined) {
    const all = new Set<number>();
    for (const file of files) {
      for (const [from, to] of known.get(file) ?? []) addYears(all, from - OFFLINE_REACH_MS, to + DAY_MS);
    }
    for (const { partition } of build.committed.get(TABLE) ?? []) all.add(Number(partition.year));
    for (const year of all) if (isInRebuild(build, yearStart(year), yearStart(year + 1))) years.add(year);
  }
  return [...years].sort((a, b) => a - b);
}

/** Adds the years that overlap the half-open interval (Unix ms). */
function addYears(years: Set<number>, fromMs: number, toMs: number): void {
  for (let year = yearOf(fromMs); yearStart(year) < toMs; year += 1) years.add(year);
}

/**
 * Groups of neighbouring years with at most about `rowsMax` rows; a year in between ends a group, so that
 * nobody reads what lies in it.
 */
function chunks(years: readonly number[], rowsOf: ReadonlyMap<number, number>, rowsMax: number): number[][] {
  const groups: number[][] = [];
  let rows = 0;
  for (const year of years) {
    const more = rowsOf.get(year) ?? 0;
    const last = groups.at(-1);
    const isFar = year - (last?.at(-1) ?? year) > 1;
    if (last === undefined || isFar || (rows + more > rowsMax && rows > 0)) {
      groups.push([year]);
      rows = more;
    } else {
      last.push(year);
      rows += more;
    }
  }
  return groups;
}

async function buildChunk(
  build: Build,
  files: readonly BronzeFile[],
  known: ReadonlyMap<BronzeFile, [number, number][]>,
  years: readonly number[],
): Promise<Built> {
  const { db, effects } = build;
  stopIfAsked(effects.signal);
  const fromMs = yearStart(years[0]!);
  const toMs = yearStart(years.at(-1)! + 1);
  const near = reaching(files, known, fromMs, toMs);
  const local = await readableBronze(db, effects, near);
  const sorted = await readFiles(build, near, local, db);
  const hasOthers = sorted.some((file) => file.table !== 'export_extended');
  // A play of account data finds the play of the extended export by the time of the report: all that were
  // reported with it must be seen.
  const reportedToMs =
    toMs + MARGIN_MS + (sorted.some((file) => file.table === 'export_account') ? OFFLINE_REACH_MS : 0);
  await createPlayRows(
    build,
    local,
    `where problem is not null
       or ended_at >= ${sqlTimestamp(fromMs - MARGIN_MS)} and ended_at < ${sqlTimestamp(toMs + MARGIN_MS)}
       or reported_at >= ${sqlTimestamp(fromMs - MARGIN_MS)} and reported_at < ${sqlTimestamp(reportedToMs)}`,
  );
  const touched = await touchedYears(build, years);
  await resolveCopies(db, hasOthers);
  await resolveSources(build, hasOthers, years);
  await createResult(db, 'play_marks');
  await db.run(
    `create or replace table chunk_years as
     select * from (values ${years.map((year) => `(${year})`).join(', ')}) as years(number)`,
  );
  const placed = await placedRows(db, 'play_accounts');
  await refuse(db, 'play_rows', 'plays_refused');
  const staged = await stageByTime(build, {
    table: TABLE,
    stages: STAGES,
    rows: { table: 'play_rows', part: 'year(ended_at)' },
    parts: touched.map((year) => ({
      number: year,
      values: { year },
      fromMs: yearStart(year),
      toMs: yearStart(year + 1),
    })),
    files: sorted,
    paths: new Map(local.map(({ file, path }) => [file, path])),
  });
  for (const table of [
    'play_rows',
    'play_repeats',
    'play_copies',
    'play_names',
    'play_account_matches',
    'play_item_matches',
    'play_marks',
  ]) {
    await db.run(`drop table ${table}`);
  }
  return { staged, placed };
}

/** Makes `play_rows`, a part of the files on each connection. */
async function createPlayRows({ db, effects }: Build, local: readonly LocalBronze[], where: string): Promise<void> {
  await createResult(db, 'play_rows', 'limit 0');
  await inParallel(
    db,
    effects.config.threads,
    dealt(local, effects.config.threads),
    async () => {},
    async (connection, part) => {
      await readBronze(connection, part);
      await connection.run(`insert into play_rows select * from (${silverSelect('play_rows')}\n) ${where}`);
    },
  );
}

/**
 * Makes `source_files`, the bronze relations and the stages on a connection; the files come back in `file_no`
 * order.
 */
async function readFiles(
  build: Build,
  files: readonly BronzeFile[],
  local: readonly LocalBronze[],
  db: Embedded,
): Promise<BronzeFile[]> {
  const sorted = await createSourceFiles(
    build.db,
    files,
    (file) => build.isNew(file),
    (file) => build.isNew(file) || isWholeRebuild(build),
  );
  await readBronze(db, local);
  return sorted;
}

async function readBronze(db: Embedded, local: readonly LocalBronze[]): Promise<void> {
  for (const table of TABLES) {
    await createBronze(
      db,
      table,
      local.filter(({ file }) => file.table === table).map(({ path }) => path),
    );
  }
  for (const stage of Object.values(STAGES)) await createStage(db, stage);
}

/** Years of the chunk that hold, or are near to, a row of a new file; and those to rebuild. */
async function touchedYears({ db, ...build }: Build, years: readonly number[]): Promise<number[]> {
  const rows = await db.rows<{ starts_ms: bigint; ends_ms: bigint }>(
    `select distinct
        epoch_ms(date_trunc('month', least(ended_at, reported_at) - interval 2 day
            - case when source_rank = 2 then interval 46 day else interval 0 day end)) as starts_ms,
        epoch_ms(greatest(ended_at, reported_at) + interval 2 day) // 86400000 * 86400000 as ends_ms
     from play_rows inner join source_files using (file_no)
     where problem is null and is_new`,
  );
  const touched = new Set<number>();
  for (const { starts_ms, ends_ms } of rows) addYears(touched, Number(starts_ms), Number(ends_ms) + 1);
  return years.filter(
    (year) => touched.has(year) || isInRebuild({ db, ...build }, yearStart(year), yearStart(year + 1)),
  );
}

/**
 * Tables `play_repeats`, `play_names` and `play_copies`. Names are read only where something is compared by
 * name: where there is more than one source, or where rows of one moment and length hold different content.
 */
async function resolveCopies(db: Embedded, hasOthers: boolean): Promise<void> {
  await createResult(db, 'play_repeats');
  const [mixed] = await db.rows<{ n: bigint }>('select count(*) as n from play_repeats where is_mixed');
  await createResult(db, 'play_names', hasOthers || (mixed?.n ?? 0n) > 0n ? '' : 'limit 0');
  await createResult(db, 'play_copies');
}

/** Tables `play_account_matches` and `play_item_matches`: empty where there is only one source. */
async function resolveSources({ db }: Build, hasOthers: boolean, years: readonly number[]): Promise<void> {
  const only = hasOthers ? '' : 'limit 0';
  await createResult(db, 'play_account_matches', only);
  await db.run(
    `create or replace table play_item_matches (file_no integer, source_row bigint, winner_file_no integer, winner_row bigint,
      is_of_item boolean, is_of_winner boolean)`,
  );
  if (!hasOthers) return;
  const candidates = await db.rows<{
    file_no: number;
    source_row: bigint;
    source_rank: number;
    winner_file_no: number;
    winner_row: bigint;
    played_ms: bigint;
    winner_ended_ms: bigint;
  }>(
    `select file_no, source_row, source_rank, winner_file_no, winner_row, epoch_ms(played_at) as played_ms, epoch_ms(winner_ended_at) as winner_ended_ms
     from (${silverSelect('play_candidates')})
     order by user_hash, played_at, file_no, source_row, abs(epoch_ms(winner_ended_at) - epoch_ms(played_at)),
       winner_ended_at, winner_file_no, winner_row`,
  );
  const pairs: PlayPair[] = candidates.map((row) => ({
    item: `${row.file_no}:${row.source_row}`,
    rank: row.source_rank,
    play: `${row.winner_file_no}:${row.winner_row}`,
    itemMs: Number(row.played_ms),
    playMs: Number(row.winner_ended_ms),
  }));
  // The years beside the chunk, too: their pairs tell whether a play of the chunk is new or known.
  const around = new Set(years.flatMap((year) => [year - 1, year, year + 1]));
  const matches = [...around].flatMap((year) => pairOff(pairs, yearStart(year), yearStart(year + 1), MARGIN_MS));
  const values = matches.map(({ item, play, isOfItem, isOfPlay }) => {
    const [[fileNo, row], [playFileNo, playRow]] = [item.split(':'), play.split(':')];
    return `(${fileNo}, ${row}, ${playFileNo}, ${playRow}, ${isOfItem}, ${isOfPlay})`;
  });
  for (let start = 0; start < values.length; start += 1000) {
    await db.run(`insert into play_item_matches values ${values.slice(start, start + 1000).join(', ')}`);
  }
  // The two halves of a pair that lie in two years come from two calls.
  await db.run(
    `create or replace table play_item_matches as
     select file_no, source_row, winner_file_no, winner_row, bool_or(is_of_item) as is_of_item, bool_or(is_of_winner) as is_of_winner
     from play_item_matches group by all`,
  );
}
