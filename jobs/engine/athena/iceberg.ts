import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { Column, Table, TableInput } from '@aws-sdk/client-glue';
import { z } from 'zod';
import { atMost } from '../../base/concurrency.ts';
import { isDamage, JobError } from '../../base/errors.ts';
import type { Finding } from '../../base/finding.ts';
import type { IcebergCopy, IcebergTable } from '../../lake/iceberg.ts';
import { icebergMetadataKey, icebergTablePrefix, PREFIX } from '../../lake/keys.ts';
import { hashOf, objectsOf } from '../../lake/manifest.ts';
import type { LakeStore } from '../../lake/store.ts';
import { onUnusedPrefix } from './build.ts';
import type { Catalog } from './catalog.ts';
import type { StatementRunner } from './client.ts';
import type { Places } from './places.ts';
import { type Relation, RUN_MARK, runTable } from './relations.ts';
import { identifier } from './sql.ts';

/** Database of the copy, as layers are named. */
export const ICEBERG_DATABASE = 'gold_iceberg';

/** Tables that are pointed elsewhere at the same time. */
const REQUESTS_AT_ONCE = 8;

/**
 * Writes the rows of a relation as an Iceberg table with one snapshot, under a prefix that nobody has used.
 * Glue has it for this moment only, by the run's name: readers see it once a commit names it.
 *
 * @returns the table; where readers have one of this model, with its UUID, because who has a table open
 *   refuses another one when it looks again
 * @throws `catalog_missing` (78) where Terraform has not made the database; `run_id_taken` (64);
 *   `engine_failed`, `engine_timeout` (69; retry helps); what the statement runner, the store and the catalog
 *   throw
 */
export async function writeIceberg(
  parts: Places & { runner: StatementRunner },
  statement: { database: string; workGroup: string },
  {
    model,
    known,
    relation,
    runId,
  }: { model: string; known: IcebergTable | undefined; relation: Relation; runId: string },
): Promise<Omit<IcebergTable, 'origin'>> {
  const { store, runner, catalog, lakeUri } = parts;
  const database = parts.databaseOf(ICEBERG_DATABASE);
  const name = runTable(model, runId);
  const prefixOf = (attempt: number): string => icebergTablePrefix(runId, model, attempt);
  return onUnusedPrefix(store, { runId, model }, prefixOf, async (prefix, attempt) => {
    // What an attempt that was killed has left would be in the way.
    if ((await findTable(catalog, database, name)) !== undefined) await catalog.drop(database, [name]);
    const finished = await runner.run({
      ...statement,
      sql: createOf(`${identifier(database)}.${identifier(name)}`, `${lakeUri}/${prefix}`, relation),
      identity: [runId, 'iceberg', model, attempt],
      isRepeatable: false,
    });
    const rows = await runner.rowsWritten(finished);
    if (rows === undefined) throw new Error(`Athena does not say how many rows it wrote for ${model}`);
    const location = (await findTable(catalog, database, name))?.Parameters?.metadata_location;
    if (location === undefined || !location.startsWith(`${lakeUri}/${prefix}`))
      throw new Error(`Athena has written ${model} to ${location} and not to ${prefix}`);
    const written = await withUuid(store, prefix, location.slice(lakeUri.length + 1), known?.uuid);
    await catalog.drop(database, [name]);
    const objects = await objectsOf(store, prefix);
    const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
    return { key: prefix, rows, bytes, sha256: hashOf(prefix, objects), ...written };
  });
}

/**
 * Points every table of the copy at its metadata, as Iceberg's engines commit: if it is still the version of
 * Glue's table that was looked at. Tables that the copy does not have are taken out.
 *
 * A role that may not see the database is not asked to mend it, and neither is one where it is gone.
 *
 * @param isWanted whether the copy is of the newest commit still
 * @returns false where somebody else was changing them: look again
 */
export async function publishIceberg(
  { store, catalog, databaseOf, lakeUri }: Places,
  copy: IcebergCopy | undefined,
  isWanted: () => Promise<boolean>,
): Promise<boolean> {
  if (copy === undefined) return true;
  const database = databaseOf(ICEBERG_DATABASE);
  const tables = await tablesOf({ catalog, databaseOf, lakeUri });
  if (tables === undefined) return true;
  const placed = await atMost(REQUESTS_AT_ONCE, Object.entries(copy.tables), async ([model, table]) => {
    const known = tables.get(model);
    if (known?.Parameters?.metadata_location === `${lakeUri}/${table.metadata}`) return true;
    let wanted: TableInput;
    try {
      wanted = icebergTable(model, lakeUri, table, await readMetadata(store, table.metadata));
    } catch (error) {
      // Readers keep what they have; the next `promote` finds the damage and makes the table again.
      if (isDamage(error)) return true;
      throw error;
    }
    if (!(await isWanted())) return false;
    if (known !== undefined) return catalog.replace(database, known, { ...wanted, Description: known.Description });
    await catalog.put(database, wanted);
    return true;
  });
  const others = [...tables.keys()].filter((name) => !(name in copy.tables) && !name.includes(RUN_MARK));
  if (others.length > 0 && (await isWanted())) await catalog.drop(database, others);
  return placed.every(Boolean);
}

/** Takes every table of the copy out of Glue, those of runs too; their objects stay. */
export async function withdrawIceberg(places: Pick<Places, 'catalog' | 'databaseOf' | 'lakeUri'>): Promise<void> {
  const names = [...((await tablesOf(places)) ?? new Map()).keys()];
  if (names.length > 0) await places.catalog.drop(places.databaseOf(ICEBERG_DATABASE), names);
}

/**
 * Tables that runs have left, `<database>.<table>`, made before (Unix ms): nobody needs them once they are
 * written.
 */
export async function unusedIceberg(
  places: Pick<Places, 'catalog' | 'databaseOf' | 'lakeUri'>,
  madeBefore: number,
): Promise<string[]> {
  const tables = [...((await tablesOf(places)) ?? [])];
  return tables
    .filter(([name, { CreateTime }]) => name.includes(RUN_MARK) && (CreateTime?.getTime() ?? 0) < madeBefore)
    .map(([name]) => `${places.databaseOf(ICEBERG_DATABASE)}.${name}`);
}

/** Tables of the copy that Glue does not show as the commit names them. */
export function icebergFindings(copy: IcebergCopy, known: ReadonlyMap<string, Table>, lakeUri: string): Finding[] {
  return Object.entries(copy.tables).flatMap(([model, { metadata }]) => {
    const shown = known.get(model)?.Parameters?.metadata_location;
    if (shown === `${lakeUri}/${metadata}`) return [];
    const what = shown === undefined ? 'is not in Glue' : 'shows another version than the one of the commit';
    return [
      {
        name: ICEBERG_DATABASE,
        verdict: 'fail',
        text: `${ICEBERG_DATABASE}.${model} ${what}: run \`listenlake promote\``,
      } as const,
    ];
  });
}

/**
 * The lake's own tables of the database: views and tables elsewhere are people's. Undefined where there is no
 * such database, or none that this role may see: most lakes have no copy.
 */
async function tablesOf({
  catalog,
  databaseOf,
  lakeUri,
}: Pick<Places, 'catalog' | 'databaseOf' | 'lakeUri'>): Promise<Map<string, Table> | undefined> {
  try {
    const tables = [...(await catalog.all(databaseOf(ICEBERG_DATABASE)))];
    const isOwn = (table: Table): boolean =>
      table.StorageDescriptor?.Location?.startsWith(`${lakeUri}/${PREFIX.iceberg}`) === true;
    return new Map(tables.filter(([, table]) => isOwn(table)));
  } catch (error) {
    if (error instanceof JobError && /^catalog_(missing|denied)$/.test(error.code)) return undefined;
    throw error;
  }
}

async function findTable(catalog: Catalog, database: string, name: string): Promise<Table | undefined> {
  try {
    return await catalog.find(database, name);
  } catch (error) {
    if (!(error instanceof JobError && error.code === 'catalog_missing')) throw error;
    throw new JobError('catalog_missing', 'config', `there is no database ${database} in Glue for the copy of prod`, {
      hint: 'set `iceberg = true` in terraform/ and apply, or LISTENLAKE_ICEBERG=false',
      cause: error,
    });
  }
}

/** A relation as an Iceberg table, in Athena's words; Iceberg has microseconds and nothing else. */
function createOf(name: string, location: string, { text, columns }: Relation): string {
  const typed = columns.map(({ name: column, type }) => {
    const precise = type === 'timestamp' ? 'timestamp(6)' : type;
    return `cast(${identifier(column)} as ${precise}) as ${identifier(column)}`;
  });
  const place = `location = '${location.replaceAll("'", "''")}'`;
  return `create table ${name}
with (table_type = 'ICEBERG', is_external = false, ${place}, format = 'PARQUET', write_compression = 'zstd')
as select ${typed.join(', ')}
from ${text}`;
}

/** What of an Iceberg table's metadata Glue is told (iceberg.apache.org/spec, table metadata). */
const METADATA = z.object({
  'table-uuid': z.uuid(),
  'current-schema-id': z.number(),
  schemas: z.array(
    z.object({
      'schema-id': z.number(),
      fields: z.array(z.object({ id: z.number(), name: z.string(), required: z.boolean(), type: z.string() })),
    }),
  ),
});
type Metadata = z.output<typeof METADATA>;

const UUID_MEMBER = /("table-uuid"\s*:\s*")[0-9a-f-]{36}(")/;

/**
 * Gives a table that has just been written the UUID that readers know it by: its metadata once more, under
 * the next number. The text is changed and not the values, because snapshots have numbers that JavaScript
 * would round.
 */
async function withUuid(
  store: LakeStore,
  prefix: string,
  key: string,
  uuid: string | undefined,
): Promise<Pick<IcebergTable, 'metadata' | 'uuid'>> {
  const text = (await buffer(await store.get(key))).toString();
  const own = METADATA.parse(JSON.parse(text))['table-uuid'];
  if (uuid === undefined || uuid === own) return { metadata: key, uuid: own };
  const version = Number(/\/(\d+)-[^/]*$/.exec(key)?.[1] ?? 0) + 1;
  const metadata = icebergMetadataKey(prefix, version, randomUUID());
  await store.put(metadata, text.replace(UUID_MEMBER, `$1${uuid}$2`), { ifAbsent: true });
  return { metadata, uuid };
}

async function readMetadata(store: LakeStore, key: string): Promise<Metadata> {
  return METADATA.parse(JSON.parse((await buffer(await store.get(key))).toString()));
}

/** Types of Iceberg that Glue calls otherwise; `decimal(p, s)` only loses its space. */
const GLUE_TYPES: Record<string, string> = { long: 'bigint' };

/**
 * Glue's table of a table of the copy, as Iceberg's own Glue catalog makes it
 * (iceberg.apache.org/docs/latest/aws, `IcebergToGlueConverter`).
 */
function icebergTable(name: string, lakeUri: string, { key, metadata }: IcebergTable, known: Metadata): TableInput {
  const schema = known.schemas.find((each) => each['schema-id'] === known['current-schema-id']);
  const columns: Column[] = (schema?.fields ?? []).map(({ id, name: column, required, type }) => ({
    Name: column,
    Type: GLUE_TYPES[type] ?? type.replaceAll(' ', ''),
    Parameters: {
      'iceberg.field.id': String(id),
      'iceberg.field.optional': String(!required),
      'iceberg.field.current': 'true',
    },
  }));
  return {
    Name: name,
    TableType: 'EXTERNAL_TABLE',
    Parameters: { EXTERNAL: 'TRUE', table_type: 'ICEBERG', metadata_location: `${lakeUri}/${metadata}` },
    PartitionKeys: [],
    StorageDescriptor: { Location: `${lakeUri}/${key.replace(/\/$/, '')}`, Columns: columns },
  };
}
