import { JobError } from '../errors.ts';
import { type Contract, readContracts } from '../lake/contracts.ts';
import { type Target, tablePrefix } from '../lake/keys.ts';
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
  type SilverFile,
} from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { type Catalog, contractTable, declaredColumns } from './athena-catalog.ts';
import { differencesOf } from './athena-differences.ts';
import { identifier, literal } from './athena-sql.ts';
import { CHECK_RESULT_COLUMNS, CHECK_RESULTS, type CheckResultRow } from './check-results.ts';
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

/** Text that stands for a table after `from`, and its columns. */
export interface Relation {
  text: string;
  columns: readonly DeclaredColumn[];
}

/** Between model and run in the name of a run's table; no model has it in its name. */
export const RUN_MARK = '__';
/** A filter by file names has to fit into a statement. */
const EXTRA_OBJECTS_MAX = 500;

/**
 * A table of bronze or silver as the state has it: its objects are all there, others in its folder are left out, and only its partitions are
 * looked for (without that the engine looks into every day or month that could be).
 *
 * @param isExact for jobs: the objects are the committed ones, and so is the table in Glue. A reader also reads what a job is replacing now
 * @throws `object_missing`, `object_damaged`, `object_unknown`, `catalog_altered` (65); `catalog_missing` (78)
 */
export async function sourceRelation(
  places: Places,
  state: LakeState,
  layer: 'bronze' | 'silver',
  table: string,
  isExact: boolean,
): Promise<Relation> {
  const { store } = places;
  if (layer === 'silver' && table === CHECK_RESULTS) {
    return { text: await checkResultsRelation(store, state), columns: CHECK_RESULT_COLUMNS };
  }
  const contract = readContracts().find((one) => one.layer === layer && one.table === table);
  if (contract === undefined) throw new Error(`there is no table ${layer}.${table}`);
  const files: (OutputFile & Partial<Pick<SilverFile, 'partition'>>)[] =
    layer === 'silver'
      ? await readSilverFiles(store, state, table)
      : objectsOfFiles((await readBronzeIndex(store, state)).filter((file) => file.table === table && file.rows > 0));
  const columns = [...contract.columns, ...contract.partition].map(({ name, type }) => ({ name, type }));
  if (files.length === 0) return { text: emptyRelation(columns), columns };
  if (isExact) await refuseAltered(places, contract);
  const there = new Map((await objectsOf(store, tablePrefix(layer, table))).map((object) => [object.key, object]));
  for (const file of files) {
    const found = there.get(file.key);
    if (found === undefined) throw damaged('object_missing', file.key, 'the lake has lost this object');
    if (isExact && found.bytes !== file.bytes)
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
  if (conditions.length === 0) return { text: name, columns };
  const names = columns.map((column) => identifier(column.name)).join(', ');
  return { text: `(select ${names} from ${name} where ${conditions.join(' and ')})`, columns };
}

/** What `check` has kept, written into the statement: a few hundred short rows, and no table that somebody would have to publish. */
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
    hint: 'run `listenlake enrich --rebuild`',
  });
}

/** Throws where the objects of a table of gold are not the ones that were committed. @throws `object_missing`, `object_damaged` (65) */
export async function verifyGold({ store }: Pick<Places, 'store'>, file: OutputFile): Promise<void> {
  const objects = await objectsOf(store, file.key);
  if (objects.length === 0 && file.bytes > 0) throw damaged('object_missing', file.key, 'the lake has lost this table');
  if (hashOf(file.key, objects) !== file.sha256)
    throw damaged('object_damaged', file.key, 'the table is not the one that was committed');
}

/** The table of one run in Glue: `fct_plays__20261121t065400_3f9a`. */
export function runTable(model: string, runId: string): string {
  return `${model}${RUN_MARK}${runId.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')}`;
}

/** What was altered by hand would give other rows, or none, without a word. Projected ranges are left to `doctor`. */
async function refuseAltered({ catalog, databaseOf, lakeUri }: Places, contract: Contract): Promise<void> {
  const database = databaseOf(contract.layer);
  const actual = await catalog.find(database, contract.table);
  const differences = differencesOf(contractTable(contract, lakeUri), actual).filter((text) => !/\.range /.test(text));
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

function damaged(code: 'object_damaged' | 'object_missing', key: string, message: string): JobError {
  return new JobError(code, 'data', message, {
    place: { file: key },
    hint: 'an interrupted `listenlake transform` leaves this: run it again; otherwise `listenlake doctor --verify` says how to rebuild it from bronze',
  });
}
