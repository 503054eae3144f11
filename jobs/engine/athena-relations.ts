import { createHash } from 'node:crypto';
import { JobError } from '../errors.ts';
import { readContracts } from '../lake/contracts.ts';
import { type Target, tablePrefix } from '../lake/keys.ts';
import {
  type GoldVersion,
  type LakeState,
  type OutputFile,
  readBronzeIndex,
  readSilverFiles,
  type SilverFile,
} from '../lake/manifest.ts';
import type { LakeStore, ObjectInfo } from '../lake/store.ts';
import type { Catalog } from './athena-catalog.ts';
import { identifier, literal } from './athena-sql.ts';
import type { DeclaredColumn } from './index.ts';

/** Where the tables of a lake are: its objects, and what Glue calls them. */
export interface Places {
  store: LakeStore;
  catalog: Catalog;
  /** `s3://bucket/prefix` without a slash at its end. */
  lakeUri: string;
  /** The database of a layer: `listenlake_silver`. */
  databaseOf(layer: string): string;
}

/** Between model and run in the name of a run's table; no model has it in its name. */
export const RUN_MARK = '__';
/** A filter by file names has to fit into a statement. */
const EXTRA_OBJECTS_MAX = 500;

/** A table of bronze or silver as the state has it: its objects are all there, and others in its folder are left out. */
export async function sourceRelation(
  places: Places,
  state: LakeState,
  layer: 'bronze' | 'silver',
  table: string,
): Promise<string> {
  const { store } = places;
  const contract = readContracts().find((one) => one.layer === layer && one.table === table);
  if (contract === undefined) throw new Error(`there is no table ${layer}.${table}`);
  const files: (OutputFile & Partial<Pick<SilverFile, 'partition'>>)[] =
    layer === 'silver'
      ? await readSilverFiles(store, state, table)
      : (await readBronzeIndex(store, state)).filter((file) => file.table === table && file.rows > 0);
  const columns = [...contract.columns, ...contract.partition];
  if (files.length === 0) return emptyRelation(columns);
  const there = new Map((await objectsOf(store, tablePrefix(layer, table))).map((object) => [object.key, object]));
  for (const file of files) {
    const found = there.get(file.key);
    if (found === undefined) throw damaged('object_missing', file.key, 'the lake has lost this object');
    if (found.bytes !== file.bytes)
      throw damaged('object_damaged', file.key, 'the object is not the one that was committed');
    there.delete(file.key);
  }
  const extra = [...there.keys()];
  if (extra.length > EXTRA_OBJECTS_MAX) {
    throw new JobError('object_unknown', 'data', `${extra.length} objects beside ${layer}.${table} are not committed`, {
      place: { file: extra[0]! },
      hint: 'run `listenlake gc`, or take them away',
    });
  }
  const conditions = contract.partition.map(({ name }) => {
    const values = files.map(({ partition }) => partition?.[name]).filter((value) => value !== undefined);
    // Without it every partition that could be is looked for: 35 years of 12 months.
    const sorted = values.toSorted((a, b) => (a < b ? -1 : 1));
    return `${identifier(name)} between ${literal(sorted[0]!)} and ${literal(sorted.at(-1)!)}`;
  });
  if (extra.length > 0) {
    conditions.push(`"$path" not in (${extra.map((key) => literal(`${places.lakeUri}/${key}`)).join(', ')})`);
  }
  const name = `${identifier(places.databaseOf(layer))}.${identifier(table)}`;
  if (conditions.length === 0) return name;
  const names = columns.map((column) => identifier(column.name)).join(', ');
  return `(select ${names} from ${name} where ${conditions.join(' and ')})`;
}

/** A table of a version, whatever is published now. */
export async function goldRelation(
  places: Places,
  target: Target,
  version: GoldVersion,
  model: string,
  file: OutputFile,
): Promise<string> {
  const { catalog, databaseOf, lakeUri } = places;
  const objects = await objectsOf(places.store, file.key);
  if (objects.length === 0 && file.bytes > 0) throw damaged('object_missing', file.key, 'the lake has lost this table');
  if (hashOf(file.key, objects) !== file.sha256)
    throw damaged('object_damaged', file.key, 'the table is not the one that was committed');
  const database = databaseOf(`gold_${target}`);
  for (const name of [runTable(model, version.runId), model]) {
    const found = await catalog.find(database, name);
    if (found?.StorageDescriptor?.Location === `${lakeUri}/${file.key}`)
      return `${identifier(database)}.${identifier(name)}`;
  }
  throw new JobError('catalog_missing', 'data', `no table in Glue points at ${model} of the run ${version.runId}`, {
    hint: 'run `listenlake enrich --rebuild`',
  });
}

/** The table of one run in Glue: `fct_plays__20261121t065400_3f9a`. */
export function runTable(model: string, runId: string): string {
  return `${model}${RUN_MARK}${runId.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')}`;
}

/** Every object under a prefix, in key order. */
export async function objectsOf(store: LakeStore, prefix: string): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = [];
  for await (const object of store.list(prefix)) objects.push(object);
  return objects;
}

/** What tells one set of objects from another, without reading them. */
export function hashOf(prefix: string, objects: readonly ObjectInfo[]): string {
  const hash = createHash('sha256');
  for (const { key, bytes, version } of objects) hash.update(`${key.slice(prefix.length)} ${bytes} ${version}\n`);
  return hash.digest('hex');
}

function emptyRelation(columns: readonly DeclaredColumn[]): string {
  const nulls = columns.map(
    ({ name, type }) => `cast(null as ${type === 'timestamp' ? 'timestamp(3)' : type}) as ${identifier(name)}`,
  );
  return `(select ${nulls.join(', ')} where false)`;
}

function damaged(code: 'object_damaged' | 'object_missing', key: string, message: string): JobError {
  return new JobError(code, 'data', message, {
    place: { file: key },
    hint: 'an interrupted `listenlake transform` leaves this: run it again; otherwise `listenlake doctor --verify` says how to rebuild it from bronze',
  });
}
