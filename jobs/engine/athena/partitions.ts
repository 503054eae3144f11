import {
  BatchCreatePartitionCommand,
  BatchDeletePartitionCommand,
  BatchUpdatePartitionCommand,
  type ErrorDetail,
  GetPartitionsCommand,
  type GlueClient,
  type Partition,
  type PartitionInput,
} from '@aws-sdk/client-glue';
import { type AwsCaller, isTransient, nameOf, toJobError } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';

/** What makes Glue's partitions of a table the wanted ones. */
export interface PartitionChanges {
  create: PartitionInput[];
  update: PartitionInput[];
  /** Values of partitions. */
  remove: string[][];
}

/**
 * Partitions of one table in Glue. They have no version: whoever writes last wins, so read them again after
 * writing.
 */
export interface PartitionCalls {
  /**
   * All of them, without their columns. @throws `catalog_missing` (78), `catalog_denied` (77),
   * `catalog_unavailable` (69; retry helps)
   */
  partitions(database: string, table: string): Promise<Partition[]>;
  /**
   * Creates, changes, and removes last. What somebody else has done meanwhile (made, taken away) is left as
   * it is, and so is what Glue was too busy for: look again afterwards.
   *
   * @param isWanted asked before every request; false ends it, because a newer commit wants something else
   * @throws as `partitions`
   */
  register(database: string, table: string, changes: PartitionChanges, isWanted: () => Promise<boolean>): Promise<void>;
}

/**
 * Limits of one request: docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html and its
 * neighbours.
 */
const CREATED_AT_ONCE = 100;
const UPDATED_AT_ONCE = 100;
const REMOVED_AT_ONCE = 25;
const LISTED_AT_ONCE = 1000;
/** What an answer says of partitions that somebody else has made or removed meanwhile. */
const SETTLED = /^(AlreadyExistsException|EntityNotFoundException)$/;

export function partitionCalls(aws: AwsCaller<GlueClient>): PartitionCalls {
  async function call<T>(database: string, table: string, action: (client: GlueClient) => Promise<T>): Promise<T> {
    try {
      return await aws.send(action);
    } catch (error) {
      throw translated(error, database, table);
    }
  }

  return {
    async partitions(database, table) {
      const found: Partition[] = [];
      let token: string | undefined;
      do {
        const page = await call(database, table, (client) =>
          client.send(
            new GetPartitionsCommand({
              DatabaseName: database,
              TableName: table,
              ExcludeColumnSchema: true,
              MaxResults: LISTED_AT_ONCE,
              NextToken: token,
            }),
          ),
        );
        found.push(...(page.Partitions ?? []));
        token = page.NextToken;
      } while (token !== undefined);
      return found;
    },
    async register(database, table, { create, update, remove }, isWanted) {
      const place = { DatabaseName: database, TableName: table };
      const details: (ErrorDetail | undefined)[] = [];
      for (const PartitionInputList of batchesOf(create, CREATED_AT_ONCE)) {
        if (!(await isWanted())) return;
        const command = new BatchCreatePartitionCommand({ ...place, PartitionInputList });
        const { Errors = [] } = await call(database, table, (client) => client.send(command));
        details.push(...Errors.map(({ ErrorDetail }) => ErrorDetail));
      }
      for (const batch of batchesOf(update, UPDATED_AT_ONCE)) {
        if (!(await isWanted())) return;
        const Entries = batch.map((input) => ({ PartitionValueList: input.Values, PartitionInput: input }));
        const command = new BatchUpdatePartitionCommand({ ...place, Entries });
        const { Errors = [] } = await call(database, table, (client) => client.send(command));
        details.push(...Errors.map(({ ErrorDetail }) => ErrorDetail));
      }
      for (const batch of batchesOf(remove, REMOVED_AT_ONCE)) {
        if (!(await isWanted())) return;
        const PartitionsToDelete = batch.map((Values) => ({ Values }));
        const command = new BatchDeletePartitionCommand({ ...place, PartitionsToDelete });
        const { Errors = [] } = await call(database, table, (client) => client.send(command));
        details.push(...Errors.map(({ ErrorDetail }) => ErrorDetail));
      }
      for (const detail of details) refuseUnlessSettled(detail, database, table);
    },
  };
}

/** What is to be done so that `actual` becomes `wanted`: only what is not as it should be. */
export function partitionChanges(wanted: readonly PartitionInput[], actual: readonly Partition[]): PartitionChanges {
  const there = new Map(actual.map((partition) => [valuesOf(partition), partition]));
  const changes: PartitionChanges = { create: [], update: [], remove: [] };
  for (const input of wanted) {
    const known = there.get(valuesOf(input));
    if (known === undefined) changes.create.push(input);
    else if (shapeOf(known) !== shapeOf(input)) changes.update.push(input);
    there.delete(valuesOf(input));
  }
  changes.remove = [...there.values()].map(({ Values = [] }) => Values);
  return changes;
}

function valuesOf({ Values = [] }: Partition | PartitionInput): string {
  return JSON.stringify(Values);
}

/**
 * Where a partition lies and how it is read. Its columns are those of the files that lie there, so another
 * location says that they differ.
 */
function shapeOf({ StorageDescriptor: storage }: Partition | PartitionInput): string {
  return JSON.stringify([storage?.Location, storage?.InputFormat, storage?.SerdeInfo?.SerializationLibrary]);
}

function* batchesOf<T>(items: readonly T[], size: number): Iterable<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/** An answer may say of single partitions that they failed. */
function refuseUnlessSettled(detail: ErrorDetail | undefined, database: string, table: string): void {
  const { ErrorCode = 'unknown', ErrorMessage = '' } = detail ?? {};
  const error = Object.assign(new Error(ErrorMessage), { name: ErrorCode });
  if (SETTLED.test(ErrorCode) || isTransient(error)) return;
  const known = translated(error, database, table);
  if (known instanceof JobError) throw known;
  throw new JobError(
    'catalog_unavailable',
    'unavailable',
    `cannot register partitions of ${database}.${table}: ${ErrorCode}: ${ErrorMessage}`,
    { hint: 'run it again later; what was committed is whole', cause: error },
  );
}

function translated(error: unknown, database: string, table: string): unknown {
  if (nameOf(error) !== 'EntityNotFoundException')
    return toJobError(error, 'catalog', `use the partitions of ${database}.${table}`);
  return new JobError('catalog_missing', 'config', `there is no table ${database}.${table} in Glue`, {
    hint: 'make it with `terraform apply`; LISTENLAKE_AWS_NAME is the name that Terraform was given',
    cause: error,
  });
}
