import { stopIfAsked } from '../effects.ts';
import type { Embedded } from '../engine/embedded.ts';
import type { BronzeFile } from '../lake/manifest.ts';
import {
  type Build,
  type Built,
  estimateRows,
  inParallel,
  isInRebuild,
  isWholeRebuild,
  type TimeTable,
} from './build.ts';
import { type Month, monthOf, monthPartition, monthStart, periodBounds, sqlTimestamp } from './months.ts';
import { type PlayPair, pairOff } from './play-pairs.ts';
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
} from './relations.ts';
import { stageByTime } from './time-partitions.ts';

const TABLE = 'plays';
const DAY_MS = 86_400_000;
/** An offline play can be reported this long after it ended (`is_offline_start` in macros.sql, and a day for its length). */
const OFFLINE_REACH_MS = 46 * DAY_MS;
/** Plays this near to a month can decide about rows of it: a play under a day, a minute at its ends, and a song on repeat overnight. */
const MARGIN_MS = 2 * DAY_MS;
/** Reading across a gap of this many months costs less than another pass. */
const GAP_MONTHS_MAX = 3;
const STAGES = {
  export_extended: 'stg_plays_extended',
  export_account: 'stg_plays_account',
  api_answers: 'stg_plays_api',
} as const;
const TABLES = Object.keys(STAGES);

/** True for bronze that feeds silver.plays. */
export function feedsPlays(file: BronzeFile): boolean {
  return (
    file.table === 'export_extended' ||
    file.table === 'export_account' ||
    // A file of Web API responses can hold several kinds.
    (file.table === 'api_answers' && (file.kind === 'recently_played' || file.kind === 'api_mixed'))
  );
}

/**
 * The months of silver.plays that new bronze (or the rebuild interval) touches, each from all bronze that may reach into it.
 *
 * A month is a function of the rows that ended in it or within two days of it, and of those that were reported with them (which is up
 * to 46 days later), and of nothing else: so it does not matter which run builds it, or what else that run builds.
 */
export async function planPlays(build: Build): Promise<TimeTable> {
  const files = build.index.filter(feedsPlays);
  const fresh = files.filter((file) => build.isNew(file));
  const isAsked = fresh.length > 0 || build.rebuild !== undefined;
  const known = new Map<BronzeFile, [number, number][]>();
  if (isAsked) for (const file of files) known.set(file, await reportedIn(build, file));
  const rowsOf = estimateRows(files, (file) => known.get(file) ?? [], monthOf);
  const months = isAsked ? monthsToBuild(build, files, fresh, known) : [];
  return {
    table: TABLE,
    parts: months.map((month) => ({
      table: TABLE,
      number: month,
      partition: monthPartition(month),
      fromMs: monthStart(month),
      toMs: monthStart(month + 1),
      inputs: reaching(files, known, monthStart(month), monthStart(month + 1)),
      rows: rowsOf.get(month) ?? 0,
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
      build.effects.progress.end(`${built.staged.length} months`);
      return built;
    },
  };
}

/** Files with plays that were reported so near to the interval that they may say something about plays that ended in it. */
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
  return found.length > 0 ? found : [[monthStart(monthOf(0)), monthStart(monthOf(0) + 1)]];
}

function monthsToBuild(
  build: Build,
  files: readonly BronzeFile[],
  fresh: readonly BronzeFile[],
  known: ReadonlyMap<BronzeFile, [number, number][]>,
): Month[] {
  const months = new Set<Month>();
  const add = (fromMs: number, toMs: number): void => {
    for (let month = monthOf(fromMs); monthStart(month) < toMs; month += 1) months.add(month);
  };
  for (const file of fresh) {
    for (const [from, to] of known.get(file) ?? []) {
      add(from - MARGIN_MS - (file.table === 'api_answers' ? 0 : OFFLINE_REACH_MS), to + MARGIN_MS);
    }
  }
  if (build.rebuild !== undefined) {
    const all = new Set<Month>();
    for (const file of files) {
      for (const [from, to] of known.get(file) ?? []) {
        for (let month = monthOf(from - OFFLINE_REACH_MS); monthStart(month) < to + DAY_MS; month += 1) all.add(month);
      }
    }
    for (const { partition } of build.committed.get(TABLE) ?? []) {
      all.add(Number(partition.year) * 12 + Number(partition.month) - 1);
    }
    for (const month of all) if (isInRebuild(build, monthStart(month), monthStart(month + 1))) months.add(month);
  }
  return [...months].sort((a, b) => a - b);
}

/** Groups of neighbouring months with at most about `rowsMax` rows; a wide gap ends a group, so that nobody reads what lies in it. */
function chunks(months: readonly Month[], rowsOf: ReadonlyMap<Month, number>, rowsMax: number): Month[][] {
  const groups: Month[][] = [];
  let rows = 0;
  for (const month of months) {
    const more = rowsOf.get(month) ?? 0;
    const last = groups.at(-1);
    const isFar = month - (last?.at(-1) ?? month) > GAP_MONTHS_MAX;
    if (last === undefined || isFar || (rows + more > rowsMax && rows > 0)) {
      groups.push([month]);
      rows = more;
    } else {
      last.push(month);
      rows += more;
    }
  }
  return groups;
}

async function buildChunk(
  build: Build,
  files: readonly BronzeFile[],
  known: ReadonlyMap<BronzeFile, [number, number][]>,
  months: readonly Month[],
): Promise<Built> {
  const { db, effects } = build;
  stopIfAsked(effects.signal);
  const fromMs = monthStart(months[0] ?? 0);
  const toMs = monthStart((months.at(-1) ?? 0) + 1);
  const near = reaching(files, known, fromMs, toMs);
  const local = await readableBronze(db, effects, near);
  const sorted = await readFiles(build, near, local, db);
  const hasOthers = sorted.some((file) => file.table !== 'export_extended');
  // A play of account data finds the play of the extended export by the time of the report: all that were reported with it must be seen.
  const reportedToMs =
    toMs + MARGIN_MS + (sorted.some((file) => file.table === 'export_account') ? OFFLINE_REACH_MS : 0);
  await createPlayRows(
    build,
    local,
    `where problem is not null
       or ended_at >= ${sqlTimestamp(fromMs - MARGIN_MS)} and ended_at < ${sqlTimestamp(toMs + MARGIN_MS)}
       or reported_at >= ${sqlTimestamp(fromMs - MARGIN_MS)} and reported_at < ${sqlTimestamp(reportedToMs)}`,
  );
  const touched = await touchedMonths(build, months);
  await createResult(db, 'play_copies');
  await resolveSources(build, hasOthers, months);
  await createResult(db, 'play_marks');
  await db.run(
    `create or replace table chunk_months as
     select * from (values ${months.map((month) => `(${month})`).join(', ')}) as months(number)`,
  );
  const placed = await placedRows(db, 'play_accounts');
  await refuse(db, 'play_rows', 'plays_refused');
  const staged = await stageByTime(build, {
    table: TABLE,
    stages: STAGES,
    rows: { table: 'play_rows', part: 'year(ended_at) * 12 + month(ended_at) - 1' },
    parts: touched.map((month) => ({
      number: month,
      values: monthPartition(month),
      fromMs: monthStart(month),
      toMs: monthStart(month + 1),
    })),
    files: sorted,
    paths: new Map(local.map(({ file, path }) => [file, path])),
  });
  for (const table of [
    'play_rows',
    'play_copies',
    'play_names',
    'play_account_matches',
    'play_api_matches',
    'play_marks',
  ]) {
    await db.run(`drop table ${table}`);
  }
  return { staged, placed };
}

/** Makes `play_rows`, a part of the files on each connection. */
async function createPlayRows({ db, effects }: Build, local: readonly LocalBronze[], where: string): Promise<void> {
  const parts = Array.from({ length: effects.config.threads }, () => [] as LocalBronze[]);
  for (const [index, file] of local.entries()) parts[index % parts.length]?.push(file);
  await createResult(db, 'play_rows', 'limit 0');
  await inParallel(
    db,
    effects.config.threads,
    parts.filter((part) => part.length > 0),
    async () => {},
    async (connection, part) => {
      await readBronze(connection, part);
      await connection.run(`insert into play_rows select * from (${silverSelect('play_rows')}\n) ${where}`);
    },
  );
}

/** Makes `source_files`, the bronze relations and the stages on a connection; the files come back in `file_no` order. */
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

/** Months of the chunk that hold, or are near to, a row of a new file; and those to rebuild. */
async function touchedMonths({ db, ...build }: Build, months: readonly Month[]): Promise<Month[]> {
  const rows = await db.rows<{ starts_ms: bigint; ends_ms: bigint }>(
    `select distinct
        epoch_ms(date_trunc('month', least(ended_at, reported_at) - interval 2 day
            - case when source_rank = 2 then interval 46 day else interval 0 day end)) as starts_ms,
        epoch_ms(greatest(ended_at, reported_at) + interval 2 day) // 86400000 * 86400000 as ends_ms
     from play_rows inner join source_files using (file_no)
     where problem is null and is_new`,
  );
  const touched = new Set<Month>();
  for (const { starts_ms, ends_ms } of rows) {
    for (let month = monthOf(Number(starts_ms)); month <= monthOf(Number(ends_ms)); month += 1) touched.add(month);
  }
  return months.filter(
    (month) => touched.has(month) || isInRebuild({ db, ...build }, monthStart(month), monthStart(month + 1)),
  );
}

/** Tables `play_names`, `play_account_matches`, `play_api_matches`: empty where there is only one source. */
async function resolveSources({ db }: Build, hasOthers: boolean, months: readonly Month[]): Promise<void> {
  const only = hasOthers ? '' : 'limit 0';
  await createResult(db, 'play_names', only);
  await createResult(db, 'play_account_matches', only);
  await db.run(
    `create or replace table play_api_matches (file_no integer, source_row bigint, winner_file_no integer, winner_row bigint,
      is_of_item boolean, is_of_winner boolean)`,
  );
  if (!hasOthers) return;
  const candidates = await db.rows<{
    file_no: number;
    source_row: bigint;
    winner_file_no: number;
    winner_row: bigint;
    played_ms: bigint;
    winner_ended_ms: bigint;
  }>(
    `select file_no, source_row, winner_file_no, winner_row, epoch_ms(played_at) as played_ms, epoch_ms(winner_ended_at) as winner_ended_ms
     from (${silverSelect('play_api_candidates')})
     order by user_hash, played_at, file_no, source_row, winner_ended_at, winner_file_no, winner_row`,
  );
  const pairs: PlayPair[] = candidates.map((row) => ({
    item: `${row.file_no}:${row.source_row}`,
    play: `${row.winner_file_no}:${row.winner_row}`,
    itemMs: Number(row.played_ms),
    playMs: Number(row.winner_ended_ms),
  }));
  // The months beside the chunk, too: their pairs tell whether a play of the chunk is new or known.
  const around = new Set(months.flatMap((month) => [month - 1, month, month + 1]));
  const matches = [...around].flatMap((month) => {
    const [fromMs, toMs] = [monthStart(month), monthStart(month + 1)];
    return pairOff(pairs, fromMs, toMs, MARGIN_MS);
  });
  const values = matches.map(({ item, play, isOfItem, isOfPlay }) => {
    const [[fileNo, row], [playFileNo, playRow]] = [item.split(':'), play.split(':')];
    return `(${fileNo}, ${row}, ${playFileNo}, ${playRow}, ${isOfItem}, ${isOfPlay})`;
  });
  for (let start = 0; start < values.length; start += 1000) {
    await db.run(`insert into play_api_matches values ${values.slice(start, start + 1000).join(', ')}`);
  }
  // The two halves of a pair that lie in two months come from two calls.
  await db.run(
    `create or replace table play_api_matches as
     select file_no, source_row, winner_file_no, winner_row, bool_or(is_of_item) as is_of_item, bool_or(is_of_winner) as is_of_winner
     from play_api_matches group by all`,
  );
}
