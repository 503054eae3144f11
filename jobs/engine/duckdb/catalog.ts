import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { diskErrorInWords } from '../../base/disk.ts';
import { type Contract, readContracts } from '../../lake/contracts.ts';
import { silverPathPattern, type Target } from '../../lake/keys.ts';
import {
  type LakeState,
  type OutputFile,
  objectsOfFiles,
  readBronzeIndex,
  readSilverFiles,
} from '../../lake/manifest.ts';
import type { LakeStore } from '../../lake/store.ts';
import { STREAM_TABLE, streamObjects } from '../../lake/stream.ts';
import { CHECK_RESULT_COLUMNS, CHECK_RESULTS } from '../check-results.ts';
import type { DeclaredColumn, Schema } from '../index.ts';
import { JSON_FILES_AT_ONCE, literalPath, messageOf, parquetRelation, quoteName, quoteText } from './database.ts';

/** A table of a catalog: the select behind its view, and the objects that the select reads. */
export interface CatalogTable {
  schema: Exclude<Schema, 'run'>;
  name: string;
  select: string;
  files: readonly OutputFile[];
  /** As the contract says; empty for gold, whose files say it themselves. */
  columns: readonly DeclaredColumn[];
}

export const SCHEMAS = ['bronze', 'silver', 'gold_dev', 'gold_prod'] as const;
/** Its tables stand in `main` too. */
const BARE_SCHEMA = 'gold_prod';
/** A catalog of another layout is made again, though its tables are the same. */
const LAYOUT = 2;
const GOLD_SCHEMA = { dev: 'gold_dev', prod: 'gold_prod' } as const satisfies Record<Target, Schema>;

/**
 * Every table that readers may see in one state of a folder lake. Views name their files one by one, never by
 * a pattern: what lies in a folder is not yet part of a table, and what an interrupted run left there never
 * will be.
 */
export async function catalogTables(store: LakeStore, root: string, state: LakeState): Promise<CatalogTable[]> {
  const tables: CatalogTable[] = [];
  const bronze = Map.groupBy(await readBronzeIndex(store, state), (file) => file.table);
  for (const contract of readContracts()) {
    const files =
      contract.layer === 'bronze' && contract.table === STREAM_TABLE
        ? await streamObjects(store, state)
        : contract.layer === 'bronze'
          ? objectsOfFiles(bronze.get(contract.table) ?? []).filter((file) => file.rows > 0)
          : await readSilverFiles(store, state, contract.table);
    const columns = [...contract.columns, ...contract.partition];
    tables.push({
      schema: contract.layer,
      name: contract.table,
      select: selectOf(contract, root, files),
      files,
      columns,
    });
  }
  tables.push(checkResults(root, state));
  for (const [target, version] of Object.entries(state.gold)) {
    for (const [name, file] of Object.entries(version?.tables ?? {})) {
      const select = goldSelect(root, file.key);
      tables.push({ schema: GOLD_SCHEMA[target as Target], name, select, files: [file], columns: [] });
    }
  }
  return tables;
}

/** The select behind a table of gold. */
export function goldSelect(root: string, key: string): string {
  // Else a folder called `year=1999` above the lake would be a column of every table.
  return `select * from read_parquet([${quoteText(literalPath(join(root, key)))}], hive_partitioning = false)`;
}

/** What tells one catalog from another: what is in it, and how it is laid out. */
export function fingerprintOf(tables: readonly CatalogTable[]): string {
  const hash = createHash('sha256').update(`layout ${LAYOUT}\n`);
  for (const table of tables) hash.update(`${table.schema}.${table.name}\n${table.select}\n`);
  return hash.digest('hex');
}

/**
 * In place of a table that cannot be read: every query on it fails with the reason, and no other table is
 * touched.
 */
function unreadableSelect({ columns }: CatalogTable, reason: string): string {
  const shown = columns.length === 0 ? [{ name: 'unreadable', type: 'varchar' }] : columns;
  return emptySelect(shown, `error(${quoteText(reason)}) is not null`);
}

/**
 * Makes a catalog: a database of views, and the fingerprint of the state that it shows.
 *
 * @param path absent; a catalog that was begun there and failed is the caller's to remove
 * @throws what the engine says of a disk or a system that refuses; a table whose files are damaged costs only
 *   itself
 */
export async function writeCatalog(path: string, tables: readonly CatalogTable[], fingerprint: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  try {
    await connection.run(`attach ${quoteText(path)} as lake`);
    for (const schema of SCHEMAS) await connection.run(`create schema lake.${schema}`);
    let unreadable = 0;
    for (const table of tables) {
      try {
        await createViews(connection, table, table.select);
      } catch (error) {
        // A view takes its columns from its first file: one that is gone or damaged shows here, and costs
        // only its own table. What the disk or the system refused is no fault of the table, and no catalog
        // comes of it.
        if (diskErrorInWords(error) !== error) throw error;
        const [text] = messageOf(error).split('\n', 1);
        const reason = `${table.schema}.${table.name} cannot be read: ${text}`;
        await createViews(connection, table, unreadableSelect(table, reason));
        unreadable += 1;
      }
    }
    // With a table missing this is no catalog of the state yet: the next publish tries again.
    const version = unreadable === 0 ? fingerprint : `${fingerprint}, without ${unreadable}`;
    await connection.run(`create table lake.main.catalog_version as select ${quoteText(version)} as fingerprint`);
    // Its log goes into the file now, where it fails aloud: what cannot be written when it is detached is
    // lost without a word.
    await connection.run('checkpoint lake');
    await connection.run('detach lake');
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * The table's view in its schema. Those of production stand in `main` too, where any client finds them by
 * their bare names (`select * from top_tracks`). Both have the same select: a view that names another one
 * would look for it in the wrong place where the catalog is attached under another name.
 */
async function createViews(
  connection: DuckDBConnection,
  { schema, name }: CatalogTable,
  select: string,
): Promise<void> {
  for (const place of schema === BARE_SCHEMA ? [schema, 'main'] : [schema])
    await connection.run(`create or replace view lake.${place}.${quoteName(name)} as ${select}`);
}

function selectOf(contract: Contract, root: string, files: readonly OutputFile[]): string {
  if (files.length === 0) return emptySelect([...contract.columns, ...contract.partition], 'false');
  const columns = contract.columns.map(({ name }) => quoteName(name));
  if (contract.format === 'json') {
    const named = contract.columns.map(({ name, jsonKey = name }) => `${quoteName(jsonKey)} as ${quoteName(name)}`);
    const keys = contract.columns.map(({ name, jsonKey = name, type }) => ({ name: jsonKey, type }));
    return batchesOf(files)
      .map((some) => `select ${named.join(', ')} from ${readJson(root, some, 'newline_delimited', keys)}`)
      .join('\nunion all\n');
  }
  const partitions = contract.partition.map((_, index) => partitionColumn(contract, index));
  const missing = contract.columns.filter(({ mayBeMissing }) => mayBeMissing);
  const rows = parquetRelation(pathList(root, files), missing, ['filename = true']);
  return `select ${[...columns, ...partitions].join(', ')} from ${rows}`;
}

/**
 * A scan of JSON holds memory for each of its files until it ends: 1,200 files of one line need more than 256
 * MiB.
 */
function batchesOf(files: readonly OutputFile[]): (readonly OutputFile[])[] {
  const batches: (readonly OutputFile[])[] = [];
  for (let start = 0; start < files.length; start += JSON_FILES_AT_ONCE) {
    batches.push(files.slice(start, start + JSON_FILES_AT_ONCE));
  }
  return batches;
}

/** Filters on it skip whole files (measured: 1 of 2,000 read). */
function partitionColumn({ table, partition }: Contract, index: number): string {
  const pattern = silverPathPattern(
    table,
    partition.map((column) => column.name),
  );
  const { name, type } = partition[index]!;
  return `cast(regexp_extract(filename, ${quoteText(pattern)}, ${index + 1}) as ${type}) as ${quoteName(name)}`;
}

function emptySelect(columns: readonly DeclaredColumn[], condition: string): string {
  const nulls = columns.map(({ name, type }) => `cast(null as ${type}) as ${quoteName(name)}`);
  return `select ${nulls.join(', ')} where ${condition}`;
}

function checkResults(root: string, state: LakeState): CatalogTable {
  const keys = Object.keys(state.checks)
    .sort()
    .map((scope) => state.checks[scope]!.key);
  const columns = CHECK_RESULT_COLUMNS.map(({ name }) => quoteName(name)).join(', ');
  const files = [...new Set(keys)].map((key) => ({ key, rows: 0, bytes: 0, sha256: '' }));
  const select =
    files.length === 0
      ? emptySelect(CHECK_RESULT_COLUMNS, 'false')
      : `select ${columns} from ${readJson(root, files, 'array', CHECK_RESULT_COLUMNS)}`;
  return { schema: 'silver', name: CHECK_RESULTS, select, files: [], columns: CHECK_RESULT_COLUMNS };
}

function readJson(
  root: string,
  files: readonly OutputFile[],
  format: 'array' | 'newline_delimited',
  columns: readonly DeclaredColumn[],
): string {
  const types = columns.map(({ name, type }) => `${quoteName(name)}: ${quoteText(type)}`).join(', ');
  return `read_json(${pathList(root, files)}, format = '${format}', columns = {${types}})`;
}

function pathList(root: string, files: readonly OutputFile[]): string {
  return `[${files.map(({ key }) => quoteText(literalPath(join(root, key)))).join(', ')}]`;
}
