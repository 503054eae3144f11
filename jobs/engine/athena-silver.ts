/** Silver in Glue: each partition is registered with the location of its committed object; a table without partitions points at its one. */
import type { PartitionInput, Table } from '@aws-sdk/client-glue';
import { atMost } from '../at-most.ts';
import { JobError } from '../errors.ts';
import { type Contract, readContracts } from '../lake/contracts.ts';
import { isImmutableSilverKey } from '../lake/keys.ts';
import { type LakeState, latestManifest, readSilverFiles, type SilverFile } from '../lake/manifest.ts';
import { contractPartitions, contractTable, pointedAt } from './athena-catalog.ts';
import { structureDifferences } from './athena-differences.ts';
import { partitionChanges } from './athena-partitions.ts';
import type { Places, PublishedPlaces } from './athena-places.ts';

const TABLES_AT_ONCE = 8;
/** Partitions that a message names; the rest are counted. */
const SHOWN_MAX = 3;

/**
 * Makes Glue's silver the committed one. Only what differs is written: partitions that are new, then those that have another object now, and
 * last those without rows.
 *
 * @param isWanted whether `state` is the newest commit still: whoever was asleep meanwhile must not bring back what was replaced
 * @returns true where Glue had all of it already; after any change it is to be looked at again, because partitions know no lock
 * @throws `catalog_altered` (65) for a table that would ignore its partitions; `catalog_missing` (78), `catalog_denied` (77),
 *   `catalog_unavailable` (69; retry helps)
 */
export async function publishSilver(
  places: Places,
  state: LakeState,
  isWanted: () => Promise<boolean>,
): Promise<boolean> {
  const known = await places.catalog.all(places.databaseOf('silver'));
  const contracts = readContracts().filter(({ layer }) => layer === 'silver');
  const done = await atMost(TABLES_AT_ONCE, contracts, (contract) =>
    publishTable(places, state, contract, known.get(contract.table), isWanted),
  );
  return done.every(Boolean);
}

async function publishTable(
  { store, catalog, lakeUri, databaseOf }: Places,
  state: LakeState,
  contract: Contract,
  known: Table | undefined,
  isWanted: () => Promise<boolean>,
): Promise<boolean> {
  const files = await readSilverFiles(store, state, contract.table);
  // Objects of a lake of format 1 were replaced in place. The next `transform` rebuilds it, and then there is something to register.
  if (!files.every(({ key }) => isImmutableSilverKey(key))) return true;
  const database = databaseOf('silver');
  const wanted = contractTable(contract, lakeUri, files);
  if (contract.partition.length === 0) {
    if (known === undefined) throw altered(database, contract.table, ['is not in Glue']);
    const location = wanted.StorageDescriptor?.Location ?? '';
    if (known.StorageDescriptor?.Location === location) return true;
    if (await isWanted()) {
      await catalog.replace(database, known, pointedAt(known, known.StorageDescriptor?.Columns ?? [], location));
    }
    return false;
  }
  // Glue would take the partitions all the same: with a projection nobody looks at them, with other keys every question fails.
  const faults = structureDifferences(wanted, known).filter((text) => !/ columns? /.test(text));
  if (faults.length > 0) throw altered(database, contract.table, faults);
  const changes = partitionChanges(
    contractPartitions(contract, lakeUri, files),
    await catalog.partitions(database, contract.table),
  );
  if (changes.create.length + changes.update.length + changes.remove.length === 0) return true;
  await catalog.register(database, contract.table, changes, isWanted);
  return false;
}

/** What Glue has of a table of silver and the commit has not, or the other way round, each in a few words; nothing where they are the same. */
export async function silverDifferences(
  { catalog, lakeUri, databaseOf }: Pick<Places, 'catalog' | 'lakeUri' | 'databaseOf'>,
  contract: Contract,
  files: readonly SilverFile[],
): Promise<string[]> {
  const database = databaseOf('silver');
  if (contract.partition.length === 0) {
    const wanted = contractTable(contract, lakeUri, files).StorageDescriptor?.Location;
    const actual = (await catalog.find(database, contract.table))?.StorageDescriptor?.Location;
    return actual === wanted ? [] : [`lies in ${actual ?? 'nothing'} instead of ${wanted}`];
  }
  const { create, update, remove } = partitionChanges(
    contractPartitions(contract, lakeUri, files),
    await catalog.partitions(database, contract.table),
  );
  const named = (values: readonly string[] = []): string =>
    contract.partition.map(({ name }, index) => `${name}=${values[index]}`).join('/');
  const all = [
    ...create.map(({ Values }: PartitionInput) => `lacks the partition ${named(Values)}`),
    ...update.map(({ Values }: PartitionInput) => `has another version of the partition ${named(Values)}`),
    ...remove.map((values) => `has the partition ${named(values)} too many`),
  ];
  if (all.length <= SHOWN_MAX) return all;
  return [...all.slice(0, SHOWN_MAX), `differs in ${all.length - SHOWN_MAX} more partitions`];
}

/**
 * Before a table of silver is read: what Glue has of it is what the state has. Where a job was killed between its commit and its publishing,
 * this publishes first.
 *
 * @throws `commit_conflict` (75; retry helps) where the table is of a newer commit by now; `catalog_behind` (75) where the role may not register
 */
export async function requireRegistered(
  places: PublishedPlaces,
  state: LakeState,
  contract: Contract,
  files: readonly SilverFile[],
): Promise<void> {
  if ((await silverDifferences(places, contract, files)).length === 0) return;
  await places.publishIfAllowed();
  const differences = await silverDifferences(places, contract, files);
  if (differences.length === 0) return;
  const { table } = contract;
  const newest = (await latestManifest(places.store))?.state ?? state;
  if (newest.silver[table] !== state.silver[table]) {
    throw new JobError('commit_conflict', 'tempfail', `another run has committed silver.${table} meanwhile`, {
      hint: 'run it again',
    });
  }
  throw new JobError(
    'catalog_behind',
    'tempfail',
    `silver.${table} in Glue is not the committed one: it ${differences.join('; it ')}`,
    { hint: 'run `listenlake transform`, whose role may register partitions' },
  );
}

function altered(database: string, table: string, differences: readonly string[]): JobError {
  return new JobError('catalog_altered', 'data', `the table ${database}.${table} ${differences.join('; it ')}`, {
    hint: 'run `terraform apply` and then `listenlake transform`; what was committed is whole',
  });
}
