import { JobError } from '../errors.ts';
import { goldModelPrefix, PREFIX, type Target } from '../lake/keys.ts';
import type { GoldVersion, LakeState } from '../lake/manifest.ts';
import type { ObjectInfo } from '../lake/store.ts';
import { type Catalog, goldTable, pointedAt } from './athena-catalog.ts';
import { type Places, RUN_MARK, runTable } from './athena-relations.ts';

/** What failed attempts and older versions have left. */
export interface Orphans {
  /** Tables of runs, `<database>.<table>`. */
  tables: string[];
  /** Objects under `gold/` that no table of the state has. */
  objects: ObjectInfo[];
}

export const TARGETS = ['dev', 'prod'] as const satisfies readonly Target[];

/**
 * Points every published table of a target at the version's objects. Tables of the lake that the version does not have become empty.
 *
 * @param built targets whose tables this engine has made, so that it must have the right to publish them
 * @returns false where somebody else was changing them: look again
 */
export async function publishTarget(
  places: Places,
  target: Target,
  version: GoldVersion | undefined,
  built: Set<Target>,
): Promise<boolean> {
  const { catalog, databaseOf, lakeUri } = places;
  if (version === undefined) return true;
  const database = databaseOf(`gold_${target}`);
  let tables: Awaited<ReturnType<Catalog['all']>>;
  try {
    tables = await catalog.all(database);
  } catch (error) {
    // A job that has not built for this target need not have the right to see it.
    if (error instanceof JobError && error.code === 'catalog_denied' && !built.has(target)) return true;
    throw error;
  }
  const wanted = new Map(Object.entries(version.tables).map(([model, file]) => [model, `${lakeUri}/${file.key}`]));
  let isDone = true;
  for (const [model, location] of wanted) {
    const known = tables.get(model);
    if (known?.StorageDescriptor?.Location === location) continue;
    const run = tables.get(runTable(model, version.runId));
    const columns = (run?.StorageDescriptor?.Location === location ? run : known)?.StorageDescriptor?.Columns;
    if (columns === undefined) {
      throw new JobError('catalog_missing', 'data', `Glue has neither ${database}.${model} nor the table of its run`, {
        hint: `run \`listenlake enrich --rebuild\``,
      });
    }
    if (known === undefined) {
      await catalog.put(database, pointedAt(goldTable(model, [], location), columns, location));
    } else {
      isDone = (await catalog.replace(database, known, pointedAt(known, columns, location))) && isDone;
    }
  }
  for (const [model, known] of tables) {
    if (wanted.has(model) || model.includes(RUN_MARK)) continue;
    const nothing = `${lakeUri}/${goldModelPrefix(target, 'none', model)}`;
    const location = known.StorageDescriptor?.Location;
    // Views and tables that people have made are theirs.
    if (location === nothing || !location?.startsWith(`${lakeUri}/${PREFIX.gold}`)) continue;
    const columns = known.StorageDescriptor?.Columns ?? [];
    isDone = (await catalog.replace(database, known, pointedAt(known, columns, nothing))) && isDone;
  }
  return isDone;
}

/** What is under `gold/` and in Glue and belongs to no version of the state. */
export async function orphansOf({ store, catalog, databaseOf, lakeUri }: Places, state: LakeState): Promise<Orphans> {
  const keys = Object.values(state.gold).flatMap((version) =>
    Object.values(version?.tables ?? {}).map(({ key }) => key),
  );
  const objects: ObjectInfo[] = [];
  for await (const object of store.list(PREFIX.gold)) {
    if (!keys.some((key) => object.key.startsWith(key))) objects.push(object);
  }
  const locations = new Set(keys.map((key) => `${lakeUri}/${key}`));
  const tables: string[] = [];
  for (const target of TARGETS) {
    const database = databaseOf(`gold_${target}`);
    for (const [name, table] of await catalog.all(database)) {
      if (name.includes(RUN_MARK) && !locations.has(table.StorageDescriptor?.Location ?? ''))
        tables.push(`${database}.${name}`);
    }
  }
  return { tables, objects };
}
