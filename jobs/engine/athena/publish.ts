import type { Table } from '@aws-sdk/client-glue';
import { atMost } from '../../base/concurrency.ts';
import { JobError } from '../../base/errors.ts';
import { goldModelPrefix, manifestKey, PREFIX, type Target } from '../../lake/keys.ts';
import { type GoldVersion, type LakeState, latestManifest } from '../../lake/manifest.ts';
import { type Catalog, goldTable, pointedAt } from './catalog.ts';
import { publishIceberg, unusedIceberg } from './iceberg.ts';
import type { Places } from './places.ts';
import { RUN_MARK, runTable } from './relations.ts';
import { publishSilver } from './silver.ts';

export const TARGETS = ['dev', 'prod'] as const satisfies readonly Target[];

/** Tables that are pointed elsewhere at the same time: the sooner all show the same version, the better. */
const REQUESTS_AT_ONCE = 8;
const PUBLISHES_MAX = 5;

/**
 * Makes Glue show the newest commit: silver, then gold, then the copy as Iceberg tables. Whoever comes late
 * must not bring back what was replaced, so the newest commit is looked for before it and after it, and
 * before every write to a partition, which knows no lock.
 *
 * @param given what to show in a lake without commits
 * @param built targets whose tables this engine has made
 * @throws `publish_conflict` (75; retry helps); what `publishSilver` throws, of which `catalog_altered` and
 *   `catalog_denied` only once gold is published, and the latter only where the newest commit is one of
 *   silver: other jobs need not have the right to register partitions
 */
export async function publishNewest(places: Places, given: LakeState, built: ReadonlySet<Target>): Promise<void> {
  const { store } = places;
  for (let attempt = 1; attempt <= PUBLISHES_MAX; attempt += 1) {
    const newest = await latestManifest(store);
    const state = newest?.state ?? given;
    const isWanted = async (): Promise<boolean> =>
      newest === undefined || (await store.head(manifestKey(newest.sequence + 1))) === undefined;
    let refused: JobError | undefined;
    let isDone = await publishSilver(places, state, isWanted).catch((error: unknown) => {
      if (!(error instanceof JobError && /^catalog_(altered|denied)$/.test(error.code))) throw error;
      const isIgnored = error.code === 'catalog_denied' && newest?.sequence !== state.silverSequence;
      if (!isIgnored) refused = error;
      return true;
    });
    for (const target of TARGETS) {
      isDone = (await publishTarget(places, target, state.gold[target], { built, isWanted })) && isDone;
    }
    isDone = (await publishIceberg(places, state.iceberg, isWanted)) && isDone;
    if (refused !== undefined) throw refused;
    if (isDone && (await isWanted())) return;
  }
  throw new JobError('publish_conflict', 'tempfail', 'others publish all the time; what was committed is whole', {
    hint: 'run it again',
  });
}

/**
 * Points every published table of a target at the version's objects. Tables of the lake that the version does
 * not have become empty.
 *
 * @param built targets whose tables this engine has made, so that it must have the right to publish them
 * @param isWanted whether the version is of the newest commit still
 * @returns false where somebody else was changing them: look again
 */
async function publishTarget(
  places: Places,
  target: Target,
  version: GoldVersion | undefined,
  { built, isWanted }: { built: ReadonlySet<Target>; isWanted: () => Promise<boolean> },
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
  const placed = await atMost(REQUESTS_AT_ONCE, [...wanted], async ([model, location]) => {
    const known = tables.get(model);
    const run = tables.get(runTable(model, version.runId));
    if (known?.StorageDescriptor?.Location === location && !isAltered(known, run)) return true;
    const columns = (run?.StorageDescriptor?.Location === location ? run : known)?.StorageDescriptor?.Columns;
    if (columns === undefined) {
      throw new JobError('catalog_missing', 'data', `Glue has neither ${database}.${model} nor the table of its run`, {
        hint: target === 'dev' ? 'run `listenlake enrich --rebuild`' : 'run `listenlake promote --rebuild`',
      });
    }
    if (!(await isWanted())) return false;
    if (known !== undefined) return catalog.replace(database, known, pointedAt(known, columns, location));
    await catalog.put(database, pointedAt(goldTable(model, [], location), columns, location));
    return true;
  });
  const others = [...tables].filter(([model]) => !wanted.has(model) && !model.includes(RUN_MARK));
  const emptied = await atMost(REQUESTS_AT_ONCE, others, async ([model, known]) => {
    const nothing = `${lakeUri}/${goldModelPrefix(target, 'none', model)}`;
    const location = known.StorageDescriptor?.Location;
    // Views and tables that people have made are theirs.
    if (location === nothing || !location?.startsWith(`${lakeUri}/${PREFIX.gold}`)) return true;
    if (!(await isWanted())) return false;
    return catalog.replace(database, known, pointedAt(known, known.StorageDescriptor?.Columns ?? [], nothing));
  });
  return [...placed, ...emptied].every(Boolean);
}

/**
 * True where somebody has changed the columns of a published table: the one of its run has them as they were
 * built.
 */
function isAltered(known: Table, run: Table | undefined): boolean {
  if (run?.StorageDescriptor?.Location !== known.StorageDescriptor?.Location) return false;
  const columnsOf = (table: Table | undefined): string =>
    JSON.stringify(table?.StorageDescriptor?.Columns?.map(({ Name, Type }) => [Name, Type]));
  return columnsOf(known) !== columnsOf(run);
}

/**
 * Tables of runs in Glue, `<database>.<table>`, that were made before `madeBefore` (Unix ms) and belong to no
 * version of the states.
 */
export async function unusedTables(
  { catalog, databaseOf, lakeUri }: Places,
  states: readonly LakeState[],
  madeBefore: number,
): Promise<string[]> {
  // By name and place: of a table that is taken over from run to run only the names of these runs are asked
  // for.
  const used = new Set(
    states.flatMap((state) =>
      Object.values(state.gold).flatMap(({ runId, tables }) =>
        Object.entries(tables).map(([model, { key }]) => `${runTable(model, runId)} ${lakeUri}/${key}`),
      ),
    ),
  );
  const unused: string[] = [];
  for (const target of TARGETS) {
    const database = databaseOf(`gold_${target}`);
    for (const [name, table] of await catalog.all(database)) {
      const location = table.StorageDescriptor?.Location ?? '';
      // Views and tables that people have made are theirs, whatever they are called.
      const isOfRun = name.includes(RUN_MARK) && location.startsWith(`${lakeUri}/${PREFIX.gold}${target}/`);
      if (isOfRun && !used.has(`${name} ${location}`) && (table.CreateTime?.getTime() ?? 0) < madeBefore)
        unused.push(`${database}.${name}`);
    }
  }
  // Tables of a work serve that work alone; what they wrote into silver is named by manifests, not by them.
  const silver = databaseOf('silver');
  for (const [name, table] of await catalog.all(silver)) {
    const location = table.StorageDescriptor?.Location ?? '';
    const isOfWork = [PREFIX.staging, PREFIX.silver].some((prefix) => location.startsWith(`${lakeUri}/${prefix}`));
    if (isOfWork && name.includes(RUN_MARK) && (table.CreateTime?.getTime() ?? 0) < madeBefore)
      unused.push(`${silver}.${name}`);
  }
  return [...unused, ...(await unusedIceberg({ catalog, databaseOf, lakeUri }, madeBefore))];
}
