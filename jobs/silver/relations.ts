import { existsSync, readFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../base/disk.ts';
import { JobError } from '../base/errors.ts';
import { hashObject } from '../base/hash.ts';
import type { Effects } from '../effects/index.ts';
import { type Embedded, parquetRelation, quoteName, quoteText } from '../engine/duckdb/database.ts';
import { type Contract, contractOf, WAREHOUSE_DIR } from '../lake/contracts.ts';
import type { BronzeFile } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { bronzeTable } from '../sources/index.ts';
import type { PlacedRows } from './build.ts';
import { sqlType } from './columns.ts';
import { sqlTimestamp } from './months.ts';

/** One select of `warehouse/silver/`, by its file's name. */
export function silverSelect(name: string): string {
  let text = selects.get(name);
  if (text === undefined) {
    text = readFileSync(`${WAREHOUSE_DIR}silver/${name}.sql`, 'utf8');
    selects.set(name, text);
  }
  return text;
}

const selects = new Map<string, string>();

/** Makes the readings of single values (`warehouse/silver/macros.sql`), once for each database. */
export async function createMacros(db: Embedded): Promise<void> {
  await db.run(silverSelect('macros'));
}

/** Makes a stage readable under its file's name, on this connection. It is evaluated where it is read. */
export async function createStage(db: Embedded, name: string): Promise<void> {
  await db.run(`create or replace temp view ${quoteName(name)} as ${silverSelect(name)}`);
}

/** Evaluates a select of `warehouse/silver/` into a table of its name, which all connections see. */
export async function createResult(db: Embedded, name: string, where = ''): Promise<void> {
  await db.run(`create or replace table ${quoteName(name)} as select * from (${silverSelect(name)}\n) ${where}`);
}

/** A bronze file and where its bytes can be read. */
export interface LocalBronze {
  file: BronzeFile;
  path: string;
}

/** A part of a bronze file, by row number (both inclusive). */
export interface BronzeSlice {
  path: string;
  firstRow: number;
  lastRow: number;
}

/**
 * Files of a table to read row by row number range are named one by one up to this many; beyond it they are
 * read whole.
 */
const SLICES_MAX = 24;

/**
 * Makes `bronze_<table>` on this connection: the rows of these files in the contract's columns, no rows when
 * there are none.
 */
export async function createBronze(db: Embedded, table: string, paths: readonly string[]): Promise<void> {
  await db.run(`create or replace temp view bronze_${table} as ${bronzeSelect(contractOf('bronze', table), paths)}`);
}

/** `createBronze` of parts of files: row groups without a row of the range are not read. */
export async function createBronzeSlices(db: Embedded, table: string, slices: readonly BronzeSlice[]): Promise<void> {
  const contract = contractOf('bronze', table);
  if (slices.length === 0 || slices.length > SLICES_MAX || contract.format !== 'parquet') {
    await createBronze(db, table, [...new Set(slices.map(({ path }) => path))]);
    return;
  }
  const parts = slices.map(
    ({ path, firstRow, lastRow }) =>
      `select * from (${bronzeSelect(contract, [path])}) where row_number between ${firstRow} and ${lastRow}`,
  );
  await db.run(`create or replace temp view bronze_${table} as ${parts.join('\nunion all\n')}`);
}

function bronzeSelect(contract: Contract, paths: readonly string[]): string {
  const columns = contract.columns;
  if (paths.length === 0) {
    const nulls = columns.map((column) => `cast(null as ${sqlType(column)}) as ${quoteName(column.name)}`);
    return `select ${nulls.join(', ')} where false`;
  }
  const list = `[${paths.map(quoteText).join(', ')}]`;
  const names = columns.map((column) => quoteName(column.name)).join(', ');
  if (contract.format === 'parquet') {
    const missing = columns.filter(({ mayBeMissing }) => mayBeMissing);
    return `select ${names} from ${parquetRelation(list, missing)}`;
  }
  const types = columns.map((column) => `${quoteText(column.name)}: ${quoteText(sqlType(column))}`);
  return `select ${names} from read_json(${list}, format = 'newline_delimited', columns = {${types.join(', ')}})`;
}

/**
 * Local paths of bronze files, in the given order. Each is hashed first: a damaged file is named and refused,
 * not half read.
 *
 * @throws `object_missing`, `object_damaged` (65)
 */
export async function localBronze(store: LakeStore, files: readonly BronzeFile[]): Promise<LocalBronze[]> {
  const local: LocalBronze[] = [];
  for (const file of files) {
    const path = await store.localFile(file.key);
    const id = `${path} ${file.sha256}`;
    if (!whole.has(id)) {
      if ((await hashObject(path)) !== file.sha256) {
        throw new JobError('object_damaged', 'data', 'its bytes are not the ones that were committed', {
          place: { file: file.key },
          hint: `delete it and load ${JSON.stringify(file.fileName)} again; \`listenlake doctor --verify\` looks for more`,
        });
      }
      whole.add(id);
    }
    local.push({ file, path });
  }
  return local;
}

/**
 * The file as the selects know it: under the name that its table has today, whose columns `readableBronze`
 * gives it.
 */
export function asRead(file: BronzeFile): BronzeFile {
  const { name = file.table } = bronzeTable(file.table) ?? {};
  return name === file.table ? file : { ...file, table: name };
}

/**
 * `localBronze`, where objects of an older form are written anew in scratch, in today's columns: once in a
 * run.
 *
 * @throws `object_missing`, `object_damaged` (65)
 */
export async function readableBronze(
  db: Embedded,
  { store, scratch }: Pick<Effects, 'store' | 'scratch'>,
  files: readonly BronzeFile[],
): Promise<LocalBronze[]> {
  const local: LocalBronze[] = [];
  for (const each of await localBronze(store, files)) {
    local.push({ ...each, path: await readablePath(db, each, scratch) });
  }
  return local;
}

async function readablePath(db: Embedded, { file, path }: LocalBronze, scratch: string): Promise<string> {
  const former = bronzeTable(file.table)?.formerly;
  if (!former?.isFormer(file.key)) return path;
  const folder = join(scratch, 'written-anew');
  const anew = join(folder, `${file.sha256}.parquet`);
  if (existsSync(anew)) return anew;
  await makeFolders(folder);
  const [lines, part] = [`${anew}.lines`, `${anew}.part`];
  for (const left of [lines, part]) await rm(left, { force: true });
  const { fileName: name, sourceKey: sha256 } = file;
  await former.writeAnew({ engine: db, path, name, sha256, output: part, scratch: lines });
  await rm(lines, { force: true });
  await rename(part, anew);
  return anew;
}

/** Files that were hashed by this process: bronze does not change. */
const whole = new Set<string>();

/**
 * Makes `source_files`: what the selects need to know of the files they read. `file_no` is in the order of
 * the hashes, so that "the first file" does not depend on what was loaded when.
 *
 * @param isNew the file was not in silver before this run
 * @param isJudged its refused rows are wanted (new files, or all of them in a rebuild)
 */
export async function createSourceFiles(
  db: Embedded,
  files: readonly BronzeFile[],
  isNew: (file: BronzeFile) => boolean,
  isJudged: (file: BronzeFile) => boolean,
): Promise<BronzeFile[]> {
  const sorted = [...files].sort((a, b) => (a.sourceKey < b.sourceKey ? -1 : a.sourceKey > b.sourceKey ? 1 : 0));
  await db.run(
    `create or replace table source_files (file_no integer, source_key varchar, user_id varchar, kind varchar, file_name varchar,
      is_video boolean, is_new boolean, is_judged boolean, sequence bigint, read_rows bigint, loaded_at timestamp)`,
  );
  const rows = sorted.map((file, index) =>
    [
      index,
      quoteText(file.sourceKey),
      file.userId === null ? 'null' : quoteText(file.userId),
      quoteText(file.kind),
      quoteText(file.fileName.replaceAll('\0', '')),
      bronzeTable(file.table)?.isVideoName?.(file.fileName) ?? false,
      isNew(file),
      isJudged(file),
      file.sequence,
      file.readRows,
      file.loadedAt === undefined ? 'null' : sqlTimestamp(Date.parse(file.loadedAt)),
    ].join(', '),
  );
  for (let start = 0; start < rows.length; start += 1000) {
    const values = rows.slice(start, start + 1000).map((row) => `(${row})`);
    await db.run(`insert into source_files values ${values.join(', ')}`);
  }
  return sorted;
}

/** True where a silver file can be read to its end. */
export async function isReadable(db: Embedded, path: string): Promise<boolean> {
  try {
    await db.rows(`select max(columns(*)) from read_parquet(${quoteText(path)})`);
    return true;
  } catch (error) {
    if (error instanceof JobError) throw error;
    return false;
  }
}

/**
 * Rows of new files by what became of them, from a select with `source_key`, `part`, `new_rows`,
 * `duplicate_rows`.
 */
export async function placedRows(db: Embedded, select: string): Promise<PlacedRows[]> {
  const rows = await db.rows<{ source_key: string; part: bigint; new_rows: bigint; duplicate_rows: bigint }>(
    silverSelect(select),
  );
  return rows.map((row) => ({
    sourceKey: row.source_key,
    part: Number(row.part),
    newRows: Number(row.new_rows),
    duplicateRows: Number(row.duplicate_rows),
  }));
}

/**
 * Adds what a select of refused rows gives to `refused_rows`, unless `rows` (with `problem` and `file_no`)
 * shows that there are none.
 */
export async function refuse(db: Embedded, rows: string, select: string): Promise<void> {
  const [refused] = await db.rows<{ n: bigint }>(
    `select count(*) as n from ${rows} inner join source_files on ${rows}.file_no = source_files.file_no
     where problem is not null and is_judged`,
  );
  if ((refused?.n ?? 0n) > 0n) await db.run(`insert into refused_rows ${silverSelect(select)}`);
}
