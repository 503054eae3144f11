/**
 * Silver in Glue: each partition is registered with the location of its committed object; a table without
 * partitions points at its one.
 */
import { randomBytes } from 'node:crypto';
import type { PartitionInput, Table } from '@aws-sdk/client-glue';
import { atMost } from '../../base/concurrency.ts';
import { JobError } from '../../base/errors.ts';
import { type Contract, contractOf, readContracts } from '../../lake/contracts.ts';
import { isImmutableSilverKey } from '../../lake/keys.ts';
import { type LakeState, latestManifest, readSilverFiles, type SilverFile } from '../../lake/manifest.ts';
import { contractPartitions, contractTable, listedOnce, pointedAt } from './catalog.ts';
import { structureDifferences } from './differences.ts';
import { type PartitionChanges, partitionChanges } from './partitions.ts';
import type { Places, PublishedPlaces } from './places.ts';

const TABLES_AT_ONCE = 8;
/** Partitions that a message names; the rest are counted. */
const SHOWN_MAX = 3;
/**
 * A parameter of a partition that is another one for every publishing that writes it: Glue has no version of
 * partitions.
 */
const WRITTEN_BY = 'listenlake.written_by';

/**
 * Makes Glue's silver the committed one. Only what differs is written: partitions that are new, then those
 * that have another object now, and last those without rows.
 *
 * @param isWanted whether `state` is the newest commit still: whoever was asleep meanwhile must not bring
 *   back what was replaced
 * @returns true where Glue had all of it already; after any change it is to be looked at again, because
 *   partitions know no lock
 * @throws `catalog_altered` (65) for a table that would ignore its partitions; `catalog_missing` (78),
 *   `catalog_denied` (77), `catalog_unavailable` (69; retry helps)
 */
export async function publishSilver(
  places: Places,
  state: LakeState,
  isWanted: () => Promise<boolean>,
): Promise<boolean> {
  const known = await places.catalog.all(places.databaseOf('silver'));
  const contracts = readContracts().filter(({ layer }) => layer === 'silver');
  const signature = randomBytes(8).toString('hex');
  const done = await atMost(TABLES_AT_ONCE, contracts, (contract) =>
    publishTable(places, state, contract, known.get(contract.table), { isWanted, signature }),
  );
  return done.every(Boolean);
}

interface Publishing {
  isWanted(): Promise<boolean>;
  /** Of this publishing and no other. */
  signature: string;
}

async function publishTable(
  places: Places,
  state: LakeState,
  contract: Contract,
  known: Table | undefined,
  publishing: Publishing,
): Promise<boolean> {
  const files = await readSilverFiles(places.store, state, contract.table);
  // Objects of a lake of format 1 were replaced in place. The next `transform` rebuilds it, and then there is
  // something to register.
  if (!files.every(({ key }) => isImmutableSilverKey(key))) return true;
  const database = places.databaseOf('silver');
  const wanted = contractTable(contract, places.lakeUri, files);
  // Glue would take the partitions all the same: with a projection nobody looks at them, with other keys
  // every question fails.
  const faults = structureDifferences(wanted, known).filter((text) => !/ columns? /.test(text));
  if (known === undefined || faults.length > 0) throw altered(database, contract.table, faults);
  if (contract.partition.length > 0) return publishPartitions(places, contract, files, publishing);
  const location = wanted.StorageDescriptor?.Location ?? '';
  if (known.StorageDescriptor?.Location === location) return true;
  if (await publishing.isWanted()) {
    const columns = known.StorageDescriptor?.Columns ?? [];
    await places.catalog.replace(database, known, pointedAt(known, columns, location));
  }
  return false;
}

async function publishPartitions(
  { catalog, lakeUri, databaseOf }: Places,
  contract: Contract,
  files: readonly SilverFile[],
  { isWanted, signature }: Publishing,
): Promise<boolean> {
  const [database, { table }] = [databaseOf('silver'), contract];
  const { create, update, remove } = partitionChanges(
    contractPartitions(contract, lakeUri, files),
    await catalog.partitions(database, table),
  );
  if (create.length + update.length + remove.length === 0) return true;
  const signed = (inputs: readonly PartitionInput[]): PartitionInput[] =>
    inputs.map((input) => ({ ...input, Parameters: { [WRITTEN_BY]: signature } }));
  await catalog.register(database, table, { create: signed(create), update: signed(update), remove }, isWanted);
  return false;
}

/** What Glue has of a table of silver, compared with a commit. */
interface Registration {
  /** What one of them has and the other has not, each in a few words; nothing where they are the same. */
  differences: string[];
  /**
   * Another text after any write: to tell later that nobody has written meanwhile, not even something and
   * then the same again.
   */
  mark: string;
}

/** @returns each difference of Glue and the commit in a few words; nothing where they are the same */
export async function silverDifferences(
  places: Pick<Places, 'catalog' | 'lakeUri' | 'databaseOf'>,
  contract: Contract,
  files: readonly SilverFile[],
): Promise<string[]> {
  return (await registrationOf(places, contract, files)).differences;
}

async function registrationOf(
  { catalog, lakeUri, databaseOf }: Pick<Places, 'catalog' | 'lakeUri' | 'databaseOf'>,
  contract: Contract,
  files: readonly SilverFile[],
): Promise<Registration> {
  const database = databaseOf('silver');
  if (contract.partition.length === 0) {
    const wanted = contractTable(contract, lakeUri, files).StorageDescriptor?.Location;
    const table = await catalog.find(database, contract.table);
    const actual = table?.StorageDescriptor?.Location;
    const differences = actual === wanted ? [] : [`lies in ${actual ?? 'nothing'} instead of ${wanted}`];
    // Its place is named by its content. A version is not the same in each answer of a catalog.
    return { differences, mark: JSON.stringify([actual]) };
  }
  const partitions = await catalog.partitions(database, contract.table);
  const mark = partitions.map(({ Values, StorageDescriptor, Parameters }) =>
    JSON.stringify([Values, StorageDescriptor?.Location, Parameters?.[WRITTEN_BY]]),
  );
  const changes = partitionChanges(contractPartitions(contract, lakeUri, files), partitions);
  return { differences: worded(contract, changes), mark: mark.sort().join('\n') };
}

function worded({ partition }: Contract, { create, update, remove }: PartitionChanges): string[] {
  const named = (values: readonly string[] = []): string =>
    partition.map(({ name }, index) => `${name}=${values[index]}`).join('/');
  const all = [
    ...create.map(({ Values }) => `lacks the partition ${named(Values)}`),
    ...update.map(({ Values }) => `has another version of the partition ${named(Values)}`),
    ...remove.map((values) => `has the partition ${named(values)} too many`),
  ];
  if (all.length <= SHOWN_MAX) return all;
  return [...all.slice(0, SHOWN_MAX), `differs in ${all.length - SHOWN_MAX} more partitions`];
}

/**
 * Before a table of silver is read: what Glue has of it is what the state has. Where a job was killed between
 * its commit and its publishing, this publishes first.
 *
 * @returns its mark, for `isUnchanged` after the reading
 * @throws `commit_conflict` (75; retry helps) where the table is of a newer commit by now; `catalog_behind`
 *   (75) where the role may not register
 */
export async function requireRegistered(
  places: PublishedPlaces,
  state: LakeState,
  contract: Contract,
  files: readonly SilverFile[],
): Promise<string> {
  const first = await registrationOf(places, contract, files);
  if (first.differences.length === 0) return first.mark;
  await places.publishIfAllowed();
  const { differences, mark } = await registrationOf(places, contract, files);
  if (differences.length === 0) return mark;
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

/**
 * Tables of silver that nobody has written to in Glue since they were marked: whoever read them in between
 * has read one state.
 */
export async function areUnchanged(
  { catalog, lakeUri, databaseOf }: Places,
  marks: ReadonlyMap<string, string>,
): Promise<boolean> {
  const places = { catalog: { ...catalog, find: listedOnce(catalog) }, lakeUri, databaseOf };
  const same = await atMost(TABLES_AT_ONCE, [...marks], async ([table, mark]) => {
    return (await registrationOf(places, contractOf('silver', table), [])).mark === mark;
  });
  return same.every(Boolean);
}

function altered(database: string, table: string, differences: readonly string[]): JobError {
  return new JobError('catalog_altered', 'data', `the table ${database}.${table} ${differences.join('; it ')}`, {
    hint: 'run `terraform apply` and then `listenlake transform`; what was committed is whole',
  });
}
