import { JobError } from '../../base/errors.ts';
import { type Contract, readContracts } from '../../lake/contracts.ts';
import { objectFolder, type Target, tablePrefix } from '../../lake/keys.ts';
import {
  type GoldVersion,
  getState,
  hashOf,
  type LakeState,
  type OutputFile,
  objectsOf,
  objectsOfFiles,
  readBronzeIndex,
  readSilverFiles,
} from '../../lake/manifest.ts';
import type { LakeStore, ObjectInfo } from '../../lake/store.ts';
import { STREAM_TABLE, streamObjects } from '../../lake/stream.ts';
import { CHECK_RESULT_COLUMNS, CHECK_RESULTS, type CheckResultRow } from '../check-results.ts';
import type { DeclaredColumn } from '../index.ts';
import { contractTable, declaredColumns } from './catalog.ts';
import { differencesOf, structureDifferences } from './differences.ts';
import type { Places, PublishedPlaces } from './places.ts';
import { requireRegistered } from './silver.ts';
import { identifier, literal } from './sql.ts';

/** Text that stands for a table after `from`, and its columns. */
export interface Relation {
  text: string;
  columns: readonly DeclaredColumn[];
  /** Of a table of silver: what `areUnchanged` is asked with after it was read. */
  mark?: string | undefined;
}

/** Between model and run in the name of a run's table; no model has it in its name. */
export const RUN_MARK = '__';
/** A filter by file names has to fit into a statement. */
const EXTRA_OBJECTS_MAX = 500;

/**
 * A table of bronze or silver as the state has it: its objects are all there, others beside them are left
 * out, and what Glue has of silver is what is committed.
 *
 * @throws `object_missing`, `object_damaged`, `object_unknown`, `catalog_altered` (65); `catalog_behind`,
 *   `commit_conflict` (75); `catalog_missing` (78)
 */
export async function sourceRelation(
  places: PublishedPlaces,
  state: LakeState,
  layer: 'bronze' | 'silver',
  table: string,
): Promise<Relation> {
  const { store } = places;
  if (layer === 'silver' && table === CHECK_RESULTS) {
    return { text: await checkResultsRelation(store, state), columns: CHECK_RESULT_COLUMNS };
  }
  const contract = readContracts().find((one) => one.layer === layer && one.table === table);
  if (contract === undefined) throw new Error(`there is no table ${layer}.${table}`);
  const columns = [...contract.columns, ...contract.partition].map(({ name, type }) => ({ name, type }));
  const silver = layer === 'silver' ? await readSilverFiles(store, state, table) : [];
  const files: OutputFile[] =
    layer === 'silver'
      ? silver
      : table === STREAM_TABLE
        ? await streamObjects(store, state)
        : objectsOfFiles((await readBronzeIndex(store, state)).filter((file) => file.table === table && file.rows > 0));
  if (files.length === 0) return { text: emptyRelation(columns), columns };
  await refuseAltered(places, contract);
  const mark = layer === 'silver' ? await requireRegistered(places, state, contract, silver) : undefined;
  const extra = await objectsBeside(store, tablePrefix(layer, table), files);
  if (extra.length > EXTRA_OBJECTS_MAX) {
    throw new JobError('object_unknown', 'data', `${extra.length} objects beside ${layer}.${table} are not committed`, {
      place: { file: extra[0]! },
      hint: 'run `listenlake gc`, or take them away',
    });
  }
  const name = `${identifier(places.databaseOf(layer))}.${identifier(table)}`;
  if (extra.length === 0) return { text: name, columns, mark };
  const names = columns.map((column) => identifier(column.name)).join(', ');
  const others = extra.map((key) => literal(`${places.lakeUri}/${key}`)).join(', ');
  return { text: `(select ${names} from ${name} where "$path" not in (${others}))`, columns, mark };
}

/**
 * Objects in the folders of the files that are none of them: whoever reads the folder would read them too.
 * Older versions of silver lie in folders of their own, which no table points at.
 *
 * @throws `object_missing`, `object_damaged` (65) for a file that is gone or cut: the engine would answer
 *   with fewer rows, without an error
 */
async function objectsBeside(store: LakeStore, prefix: string, files: readonly OutputFile[]): Promise<string[]> {
  const there = new Map((await objectsOf(store, prefix)).map((object) => [object.key, object]));
  let byFolder: Map<string, ObjectInfo[]> | undefined;
  const folders = new Set(files.map(({ key }) => objectFolder(key)));
  for (const file of files) {
    if (file.key.endsWith('/')) {
      byFolder ??= Map.groupBy(there.values(), ({ key }) => objectFolder(key));
      for (const { key } of versionObjects(file, byFolder.get(file.key) ?? [])) there.delete(key);
      continue;
    }
    const found = there.get(file.key);
    if (found === undefined) throw damaged('object_missing', file.key, 'the lake has lost this object');
    if (found.bytes !== file.bytes)
      throw damaged('object_damaged', file.key, 'the object is not the one that was committed');
    there.delete(file.key);
  }
  return [...there.keys()].filter((key) => folders.has(objectFolder(key)));
}

/** The objects below a version's prefix, where they are the ones that were committed. */
function versionObjects(file: OutputFile, objects: readonly ObjectInfo[]): readonly ObjectInfo[] {
  if (objects.length === 0) throw damaged('object_missing', file.key, 'the lake has lost these objects');
  if (hashOf(file.key, objects) !== file.sha256)
    throw damaged('object_damaged', file.key, 'the objects are not the ones that were committed');
  return objects;
}

/**
 * What `check` has kept, written into the statement: a few hundred short rows, and no table that somebody
 * would have to publish.
 */
async function checkResultsRelation(store: LakeStore, state: LakeState): Promise<string> {
  const keys = new Set(
    Object.keys(state.checks)
      .sort()
      .map((scope) => state.checks[scope]!.key),
  );
  const rows: CheckResultRow[] = [];
  for (const key of keys) rows.push(...(await getState<CheckResultRow[]>(store, key)));
  if (rows.length === 0) return emptyRelation(CHECK_RESULT_COLUMNS);
  const names = CHECK_RESULT_COLUMNS.map(({ name }) => name);
  const values = rows.map((row) => `(${names.map((name) => literal(row[name])).join(', ')})`);
  const typed = CHECK_RESULT_COLUMNS.map(
    ({ name, type }) => `cast(${identifier(name)} as ${type}) as ${identifier(name)}`,
  );
  return `(select ${typed.join(', ')} from (values ${values.join(', ')}) as results (${names.map(identifier).join(', ')}))`;
}

/** A table of a version, whatever is published now, and its columns. */
export async function goldRelation(
  places: Places,
  target: Target,
  version: GoldVersion,
  model: string,
  file: OutputFile,
): Promise<Relation> {
  const { catalog, databaseOf, lakeUri } = places;
  await verifyGold(places, file);
  const database = databaseOf(`gold_${target}`);
  for (const name of [runTable(model, version.runId), model]) {
    const found = await catalog.find(database, name);
    if (found?.StorageDescriptor?.Location === `${lakeUri}/${file.key}`) {
      const text = `${identifier(database)}.${identifier(name)}`;
      return { text, columns: declaredColumns(found.StorageDescriptor.Columns) };
    }
  }
  throw new JobError('catalog_missing', 'data', `no table in Glue points at ${model} of the run ${version.runId}`, {
    hint: target === 'dev' ? 'run `listenlake enrich --rebuild`' : 'run `listenlake promote --rebuild`',
  });
}

/**
 * The objects of a table of gold. @throws `object_missing`, `object_damaged` (65) where they are not the ones
 * that were committed
 */
export async function verifyGold({ store }: Pick<Places, 'store'>, file: OutputFile): Promise<ObjectInfo[]> {
  const objects = await objectsOf(store, file.key);
  if (objects.length === 0 && file.bytes > 0) throw damaged('object_missing', file.key, 'the lake has lost this table');
  if (hashOf(file.key, objects) !== file.sha256)
    throw damaged('object_damaged', file.key, 'the table is not the one that was committed');
  return objects;
}

/** The table of one run in Glue: `fct_plays__20261121t065400_3f9a`. */
export function runTable(model: string, runId: string): string {
  return `${model}${RUN_MARK}${runId.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')}`;
}

/**
 * What was altered by hand would give other rows, or none, without a word. Where a table of silver lies is
 * compared with the commit.
 */
export async function refuseAltered({ catalog, databaseOf, lakeUri }: Places, contract: Contract): Promise<void> {
  const database = databaseOf(contract.layer);
  const actual = await catalog.find(database, contract.table);
  const compare = contract.layer === 'silver' ? structureDifferences : differencesOf;
  const differences = compare(contractTable(contract, lakeUri), actual);
  if (differences.length === 0) return;
  throw new JobError(
    'catalog_altered',
    'data',
    `the table ${database}.${contract.table} ${differences.join('; it ')}`,
    {
      hint: 'run `terraform apply`; `listenlake doctor --aws` looks for more',
    },
  );
}

function emptyRelation(columns: readonly DeclaredColumn[]): string {
  const nulls = columns.map(
    ({ name, type }) => `cast(null as ${type === 'timestamp' ? 'timestamp(3)' : type}) as ${identifier(name)}`,
  );
  return `(select ${nulls.join(', ')} where false)`;
}

export function damaged(code: 'object_damaged' | 'object_missing', key: string, message: string): JobError {
  return new JobError(code, 'data', message, {
    place: { file: key },
    hint: '`listenlake doctor --verify` says how to rebuild it from bronze',
  });
}
