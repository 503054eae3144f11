import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { diskError, makeFolders } from './base/disk.ts';
import { JobError } from './base/errors.ts';
import { count } from './base/words.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import type { FileFormat, SqlValue } from './engine/index.ts';
import { LISTENING_COLUMNS } from './engine/index.ts';
import { flushFolder } from './lake/folder/store.ts';
import type { Target } from './lake/keys.ts';
import { latestManifest } from './lake/manifest.ts';
import { isElsewhere } from './lake/store.ts';

export interface ExportInput {
  /**
   * Tables by name: of gold alone, or with their schema. None: all of gold, or for a format of listening the
   * plays.
   */
  tables: readonly string[];
  /** Folder for the files, made where it is absent. */
  folder: string;
  format: FileFormat;
  target: Target;
  /** Rows of this person alone. */
  userId?: string;
  /** Texts that a spreadsheet would run stay as they are. */
  isRaw: boolean;
  /** Replaces files of the same name. */
  isForced: boolean;
}

export interface ExportedFile {
  table: string;
  path: string;
  rows: number;
}

export interface ExportOutput {
  files: ExportedFile[];
  /** Texts that got an apostrophe, so that a spreadsheet does not run them. */
  inert: number;
  /** Plays that a format of listening has no room for: without names or address, or no music. */
  leftOut: number;
}

/** One file to be: what is asked, and its name. */
interface Planned {
  table: string;
  file: string;
  select: string;
  parameters: SqlValue[];
}

const ENDINGS: Readonly<Record<FileFormat, string>> = {
  parquet: '.parquet',
  csv: '.csv',
  json: '.json',
  listenbrainz: '.json',
  'lastfm-csv': '.csv',
  m3u: '.m3u8',
};
/** Names that the importers of these formats know. */
const LISTENING_FILES: Readonly<Partial<Record<FileFormat, string>>> = {
  listenbrainz: 'listens.json',
  'lastfm-csv': 'scrobbles.csv',
  m3u: 'plays.m3u8',
};
const PLAYS = 'silver.plays';
const TABLE = /^(?:(bronze|silver|gold_dev|gold_prod)\.)?([a-z][a-z0-9_]*)$/;
/** A folder of ours that is not finished, and what an engine lays beside it. */
const UNFINISHED = '.unfinished';
const IS_SONG = "content_type = 'track' and track_name is not null and artist_name is not null";
const IS_LISTED = `${IS_SONG} and track_id is not null`;

/**
 * Writes tables, or the plays as other services know them, as files of this machine.
 *
 * All are of one state of the lake. Each is written aside, flushed and renamed once all are whole: who is
 * killed, or runs out of disk, leaves the folder as it was.
 *
 * @throws `usage_invalid` (64) for tables, people and formats that do not go together; `files_exist` (64)
 *   where files have these names already; `user_unknown` (64) where nothing is of this person; what
 *   `SqlEngine.export` throws; `commit_conflict` (75; a retry helps) where the lake was changed meanwhile;
 *   `disk_full`, `disk_failed` (74); `stopped` (75) between two tables
 */
export async function exportTables(
  input: ExportInput,
  effects: Pick<Effects, 'config' | 'engine' | 'progress' | 'signal' | 'store'>,
): Promise<ExportOutput> {
  const { engine, progress, signal, store } = effects;
  const folder = resolve(input.folder);
  refuseInsideLake(folder, effects.config.lakeUri);
  progress.start('export');
  const before = await stateOf(store);
  const planned = await plan(input, effects);
  refuseTaken(planned, folder, input.isForced);
  const made = await onFolder(folder, () => makeFolders(folder));
  const staging = join(folder, `.${randomBytes(6).toString('hex')}${UNFINISHED}`);
  try {
    const files: ExportedFile[] = [];
    let inert = 0;
    await onFolder(folder, () => makeFolders(staging));
    for (const { table, file, select, parameters } of planned) {
      stopIfAsked(signal);
      progress.update(files.length, table);
      const path = join(staging, file);
      const { format, target, isRaw } = input;
      const request = { select, parameters, target, format, path, isInert: !isRaw };
      const written = await onFolder(folder, () => engine.export(request));
      await onFolder(folder, () => flush(path));
      files.push({ table, path: join(folder, file), rows: written.rows });
      inert += written.inert;
    }
    refuseNobody(input, files);
    const leftOut = await leftOutOf(input, effects);
    if ((await stateOf(store)) !== before)
      throw new JobError('commit_conflict', 'tempfail', 'the lake was changed during the export; nothing was written', {
        hint: 'run it again',
      });
    await onFolder(folder, () => moveAll(staging, files));
    progress.end(`${count(files.length, 'file')}, ${folder}`);
    return { files, inert, leftOut };
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    if (made !== undefined) await removeEmpty(folder, made);
    throw error;
  }
}

/** Names what readers see now. */
async function stateOf(store: Effects['store']): Promise<number> {
  return (await latestManifest(store))?.sequence ?? 0;
}

async function plan(input: ExportInput, effects: Pick<Effects, 'engine' | 'store'>): Promise<Planned[]> {
  const { format, userId } = input;
  const listening = LISTENING_FILES[format];
  if (listening !== undefined) return [await planListening(input, listening, effects)];
  const tables = input.tables.length > 0 ? input.tables : await goldTables(input.target, effects);
  const planned: Planned[] = [];
  for (const given of tables) {
    const table = qualified(given, input.target);
    const { columns } = await effects.engine.query(`select * from ${table} limit 0`, { target: input.target });
    const isPersonal = columns.some(({ name }) => name === 'user_id');
    if (userId !== undefined && !isPersonal) {
      if (input.tables.length === 0) continue;
      throw usage(`${table} is of no person: it has no column user_id`, 'leave --user out, or name other tables');
    }
    planned.push({
      table,
      file: `${table.slice(table.indexOf('.') + 1)}${ENDINGS[format]}`,
      select: `select * from ${table}${userId === undefined ? '' : ' where user_id = ?'}`,
      parameters: userId === undefined ? [] : [userId],
    });
  }
  const twice = planned.find(({ file }, at) => planned.findIndex((other) => other.file === file) !== at);
  if (twice !== undefined) throw usage(`two tables would be ${twice.file}`, 'export them into two folders');
  return planned;
}

async function goldTables(target: Target, { store }: Pick<Effects, 'store'>): Promise<string[]> {
  const tables = Object.keys((await latestManifest(store))?.state.gold[target]?.tables ?? {}).toSorted();
  if (tables.length > 0) return tables;
  throw usage(`gold_${target} has no tables yet`, target === 'prod' ? 'listenlake run' : 'listenlake enrich');
}

function qualified(given: string, target: Target): string {
  const [, schema, table] = TABLE.exec(given) ?? [];
  if (table === undefined)
    throw usage(`${JSON.stringify(given)} is no name of a table`, 'such as top_tracks or silver.plays');
  if (schema === undefined && table === 'plays') return PLAYS;
  return `${schema ?? `gold_${target}`}.${table}`;
}

/** Plays of one person: a file of two people's would make one listener of them. */
async function planListening(
  { tables, format, target, userId }: ExportInput,
  file: string,
  { engine }: Pick<Effects, 'engine'>,
): Promise<Planned> {
  if (tables.some((table) => table !== 'plays' && table !== PLAYS))
    throw usage(`--format ${format} is for plays`, 'name no table, or take parquet, csv or json');
  let person = userId;
  if (person === undefined) {
    const { rows } = await engine.query(`select distinct user_id from ${PLAYS} order by user_id limit 2`, { target });
    if (rows.length > 1) throw usage('these are the plays of several people', 'give --user');
    person = String(rows[0]?.[0] ?? '');
  }
  return { table: PLAYS, file, select: format === 'm3u' ? SONGS : LISTENS, parameters: [person] };
}

const LISTENS = `
select ${LISTENING_COLUMNS.join(', ')}
from ${PLAYS}
where user_id = ? and ${IS_SONG}
order by started_at, play_id`;

/** Each song once, the most played first, as it was called last. */
const SONGS = `
select
    max(started_at) as started_at,
    max_by(artist_name, ended_at) as artist_name,
    max_by(album_name, ended_at) as album_name,
    max_by(track_name, ended_at) as track_name,
    max(content_uri) as content_uri,
    track_id,
    max(duration_ms) as duration_ms
from ${PLAYS}
where user_id = ? and ${IS_LISTED}
group by track_id
order by count(*) desc, track_id`;

async function leftOutOf(
  { format, target, userId }: ExportInput,
  { engine }: Pick<Effects, 'engine'>,
): Promise<number> {
  if (LISTENING_FILES[format] === undefined) return 0;
  const { rows } = await engine.query(
    `select count(*) from ${PLAYS}
     where ${userId === undefined ? '' : 'user_id = ? and '}coalesce(not (${format === 'm3u' ? IS_LISTED : IS_SONG}), true)`,
    { target, parameters: userId === undefined ? [] : [userId] },
  );
  return Number(rows[0]?.[0]);
}

/** Tables with their definitions would go with `forget`; files in the lake's folder would outlive it there. */
function refuseInsideLake(folder: string, lakeUri: string): void {
  if (isElsewhere(lakeUri)) return;
  const path = relative(resolve(lakeUri), folder);
  if (path.startsWith('..') || path.startsWith('/')) return;
  throw usage(`${folder} is in the lake`, "export to a folder outside: what is in the lake is the jobs' own");
}

function refuseTaken(planned: readonly Planned[], folder: string, isForced: boolean): void {
  const taken = planned.filter(({ file }) => existsSync(join(folder, file))).map(({ file }) => file);
  if (taken.length === 0 || isForced) return;
  const [first, ...more] = taken;
  throw new JobError(
    'files_exist',
    'usage',
    `${first}${more.length > 0 ? ` and ${more.length} more` : ''} is there already`,
    {
      place: { file: folder },
      hint: 'give another folder, or --force to replace files of these names',
    },
  );
}

function refuseNobody({ userId }: ExportInput, files: readonly ExportedFile[]): void {
  if (userId === undefined || files.some(({ rows }) => rows > 0)) return;
  throw new JobError('user_unknown', 'usage', `nothing here is of ${JSON.stringify(userId)}`, {
    hint: 'listenlake sql "select user_id from dim_users" names everybody',
  });
}

async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function moveAll(staging: string, files: readonly ExportedFile[]): Promise<void> {
  for (const { path } of files) await rename(join(staging, basename(path)), path);
  await rm(staging, { recursive: true });
  await flushFolder(dirname(staging));
}

/** Takes back the folders that this export has made, from the inner one out, as far as they are empty. */
async function removeEmpty(folder: string, first: string): Promise<void> {
  for (let each = folder; each.startsWith(first); each = dirname(each)) await rmdir(each).catch(() => undefined);
}

async function onFolder<T>(folder: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw diskError(error, folder, {
      full: 'make room and run it again; nothing was written',
      failed: 'give a folder that you may write, with --to',
    });
  }
}

function usage(message: string, hint: string): JobError {
  return new JobError('usage_invalid', 'usage', message, { hint });
}
