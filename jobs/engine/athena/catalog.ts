import {
  BatchDeleteTableCommand,
  type Column,
  CreateTableCommand,
  type ErrorDetail,
  GetTableCommand,
  GetTablesCommand,
  GlueClient,
  type PartitionInput,
  type Table,
  type TableInput,
  UpdateTableCommand,
} from '@aws-sdk/client-glue';
import { type AwsOptions, awsCaller, clientSettings, nameOf, toJobError } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';
import type { Contract } from '../../lake/contracts.ts';
import { emptySilverPrefix, objectFolder, tablePrefix } from '../../lake/keys.ts';
import type { SilverFile } from '../../lake/manifest.ts';
import type { DeclaredColumn } from '../index.ts';
import { type PartitionCalls, partitionCalls } from './partitions.ts';

/**
 * Tables of Glue and their partitions. Databases are full names (`listenlake_gold_dev`), locations are
 * `s3://.../` with their slash.
 */
export interface Catalog extends PartitionCalls {
  /**
   * The table, or undefined where there is none. @throws `catalog_missing` (78) where the database is not
   * there
   */
  find(database: string, table: string): Promise<Table | undefined>;
  /** Every table of a database by name. @throws `catalog_missing` (78) */
  all(database: string): Promise<Map<string, Table>>;
  /** Makes the table, or points the one of this name at the location and columns. */
  put(database: string, table: TableInput): Promise<void>;
  /**
   * Replaces a table if it is still what `known` is, under the version that Glue gives of it now.
   *
   * @returns false where somebody else has changed it meanwhile; nothing has happened then
   * @throws `catalog_unlocked` (78) where Glue gives no version: then nothing would keep two jobs apart
   */
  replace(database: string, known: Table, table: TableInput): Promise<boolean>;
  /** Removes tables, not their objects; one that is gone is fine. */
  drop(database: string, tables: readonly string[]): Promise<void>;
  close(): void;
}

/** One request of Glue removes as many. */
const TABLES_AT_ONCE = 100;

/** Types of contracts and models to Glue's; `decimal(p,s)` is the same in both. */
const GLUE_TYPES: Record<string, string> = {
  bigint: 'bigint',
  boolean: 'boolean',
  date: 'date',
  double: 'double',
  integer: 'int',
  timestamp: 'timestamp',
  varchar: 'string',
};

/**
 * What Glue's databases begin with: Glue takes no hyphens in names that SQL uses. @param name `name` of
 * terraform/
 */
export function databasePrefix(name: string): string {
  return `${name.replaceAll('-', '_')}_`;
}

const FORMATS = {
  json: {
    InputFormat: 'org.apache.hadoop.mapred.TextInputFormat',
    OutputFormat: 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat',
    SerdeInfo: {
      SerializationLibrary: 'org.openx.data.jsonserde.JsonSerDe',
      Parameters: { 'ignore.malformed.json': 'false' },
    },
  },
  parquet: {
    InputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat',
    OutputFormat: 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat',
    SerdeInfo: {
      SerializationLibrary: 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe',
      Parameters: { 'serialization.format': '1' },
    },
  },
} as const;

export function openCatalog(options: AwsOptions): Catalog {
  const aws = awsCaller(() => new GlueClient(clientSettings(options)), options);

  async function find(database: string, name: string): Promise<Table | undefined> {
    try {
      const { Table: found } = await aws.send((client) =>
        client.send(new GetTableCommand({ DatabaseName: database, Name: name })),
      );
      return found;
    } catch (error) {
      if (nameOf(error) !== 'EntityNotFoundException') throw translated(error, database);
      if (/database/i.test((error as Error).message)) throw missing(database, error);
      return undefined;
    }
  }

  /**
   * @param current as `find` has just read it: of a table in a listing, the version is not to be relied on
   */
  async function update(database: string, current: Table, table: TableInput): Promise<boolean> {
    const { VersionId } = current;
    if (VersionId === undefined) {
      throw new JobError('catalog_unlocked', 'config', `Glue gives no version of ${database}.${table.Name}`, {
        hint: 'without it two jobs could publish over each other: use a Glue Data Catalog of AWS; what was committed is whole',
      });
    }
    try {
      await aws.send((client) =>
        client.send(
          new UpdateTableCommand({ DatabaseName: database, TableInput: table, VersionId, SkipArchive: true }),
        ),
      );
      return true;
    } catch (error) {
      if (nameOf(error) !== 'ConcurrentModificationException') throw translated(error, database);
      // An update whose answer was lost is refused when it is sent again: what lies there tells.
      const now = await find(database, table.Name ?? '');
      return now?.StorageDescriptor?.Location === table.StorageDescriptor?.Location;
    }
  }

  async function replace(database: string, known: Table, table: TableInput): Promise<boolean> {
    const current = await find(database, table.Name ?? '');
    if (current === undefined || fingerprintOf(known) !== fingerprintOf(current)) return false;
    return update(database, current, table);
  }

  return {
    ...partitionCalls(aws),
    find,
    replace,
    async all(database) {
      const tables = new Map<string, Table>();
      let token: string | undefined;
      do {
        try {
          const page = await aws.send((client) =>
            client.send(new GetTablesCommand({ DatabaseName: database, NextToken: token })),
          );
          for (const table of page.TableList ?? []) tables.set(table.Name ?? '', table);
          token = page.NextToken;
        } catch (error) {
          throw nameOf(error) === 'EntityNotFoundException' ? missing(database, error) : translated(error, database);
        }
      } while (token !== undefined);
      return tables;
    },
    async put(database, table) {
      try {
        await aws.send((client) => client.send(new CreateTableCommand({ DatabaseName: database, TableInput: table })));
      } catch (error) {
        if (nameOf(error) === 'EntityNotFoundException') throw missing(database, error);
        if (nameOf(error) !== 'AlreadyExistsException') throw translated(error, database);
        const known = await find(database, table.Name ?? '');
        if (known !== undefined && isSame(known, table)) return;
        if (known === undefined || !(await update(database, known, table))) {
          throw new JobError('publish_conflict', 'tempfail', `somebody else is changing ${database}.${table.Name}`, {
            hint: 'run it again',
            cause: error,
          });
        }
      }
    },
    async drop(database, tables) {
      for (let start = 0; start < tables.length; start += TABLES_AT_ONCE) {
        const TablesToDelete = tables.slice(start, start + TABLES_AT_ONCE);
        try {
          const { Errors = [] } = await aws.send((client) =>
            client.send(new BatchDeleteTableCommand({ DatabaseName: database, TablesToDelete })),
          );
          const failed = Errors.find(({ ErrorDetail }) => ErrorDetail?.ErrorCode !== 'EntityNotFoundException');
          if (failed !== undefined) throw refused(`${database}.${failed.TableName}`, failed.ErrorDetail);
        } catch (error) {
          throw translated(error, database);
        }
      }
    },
    close: () => aws.close(),
  };
}

/**
 * Finds tables in one listing of their database, made when the first of them is asked for: a session asks for
 * nearly all.
 */
export function listedOnce(catalog: Catalog): Catalog['find'] {
  const databases = new Map<string, ReturnType<Catalog['all']>>();
  return async (database, table) => {
    const tables = databases.get(database) ?? catalog.all(database);
    databases.set(database, tables);
    tables.catch(() => databases.delete(database));
    return (await tables).get(table);
  };
}

/**
 * The external table of a contract. A table without partitions lies where its one committed object lies; one
 * with partitions has a location of its own that nothing is read from, because each partition is registered
 * with its own.
 *
 * @param lakeUri `s3://bucket/prefix` without a slash at its end
 * @param files what the commit has of a table of silver; without any, the table lies where no object is
 */
export function contractTable(contract: Contract, lakeUri: string, files: readonly SilverFile[] = []): TableInput {
  const { layer, table, partition } = contract;
  const isMoved = layer === 'silver' && partition.length === 0;
  const [file] = files;
  const own = file === undefined ? emptySilverPrefix(table) : objectFolder(file.key);
  return {
    Name: table,
    Description: contract.description,
    TableType: 'EXTERNAL_TABLE',
    Parameters: { EXTERNAL: 'TRUE', classification: contract.format },
    PartitionKeys: glueColumns(partition),
    StorageDescriptor: {
      ...FORMATS[contract.format],
      ...serdeOf(contract),
      Location: `${lakeUri}/${isMoved ? own : tablePrefix(layer, table)}`,
      Columns: glueColumns(contract.columns),
    },
  };
}

/** Where the keys of JSON are called otherwise than the columns, the reader is told. */
function serdeOf({ format, columns }: Contract): Pick<NonNullable<TableInput['StorageDescriptor']>, 'SerdeInfo'> {
  const { SerializationLibrary, Parameters } = FORMATS[format].SerdeInfo;
  const keys = columns.flatMap(({ name, jsonKey }) => (jsonKey === undefined ? [] : [[`mapping.${name}`, jsonKey]]));
  return { SerdeInfo: { SerializationLibrary, Parameters: { ...Parameters, ...Object.fromEntries(keys) } } };
}

/**
 * What Glue is to have of the partitions of a table of silver: one for each committed object, values written
 * as numbers and dates are in SQL.
 */
export function contractPartitions(
  contract: Contract,
  lakeUri: string,
  files: readonly SilverFile[],
): PartitionInput[] {
  if (contract.partition.length === 0) return [];
  return files.map(({ key, partition }) => ({
    Values: contract.partition.map(({ name }) => String(partition[name])),
    StorageDescriptor: {
      ...FORMATS[contract.format],
      Location: `${lakeUri}/${objectFolder(key)}`,
      Columns: glueColumns(contract.columns),
    },
  }));
}

/** A table of Parquet files without partitions: what gold is. */
export function goldTable(name: string, columns: readonly DeclaredColumn[], location: string): TableInput {
  return {
    Name: name,
    TableType: 'EXTERNAL_TABLE',
    Parameters: { EXTERNAL: 'TRUE', classification: 'parquet', 'parquet.compression': 'ZSTD' },
    PartitionKeys: [],
    StorageDescriptor: { ...FORMATS.parquet, Location: location, Columns: glueColumns(columns) },
  };
}

/** A table of a work: objects of one format below a location, and partitions that are registered one by one. */
export function workTable(
  name: string,
  columns: readonly DeclaredColumn[],
  {
    location,
    format = 'parquet',
    partition = [],
  }: { location: string; format?: keyof typeof FORMATS; partition?: readonly DeclaredColumn[] },
): TableInput {
  const table = goldTable(name, columns, location);
  return {
    ...table,
    Parameters: { ...table.Parameters, classification: format },
    PartitionKeys: glueColumns(partition),
    StorageDescriptor: { ...table.StorageDescriptor, ...FORMATS[format] },
  };
}

/** `known` with the columns and the location of `source`; its words (description, comments) stay. */
export function pointedAt(known: TableInput, columns: readonly Column[], location: string): TableInput {
  const comments = new Map(known.StorageDescriptor?.Columns?.map(({ Name, Comment }) => [Name, Comment]));
  return {
    Name: known.Name,
    Description: known.Description,
    TableType: known.TableType,
    Parameters: known.Parameters,
    PartitionKeys: known.PartitionKeys,
    StorageDescriptor: {
      ...FORMATS.parquet,
      Location: location,
      Columns: columns.map(({ Name, Type }) => ({ Name, Type, Comment: comments.get(Name) })),
    },
  };
}

/** Columns of a table of Glue in our types. */
export function declaredColumns(columns: readonly Column[] = []): { name: string; type: string }[] {
  const ours = new Map(Object.entries(GLUE_TYPES).map(([type, glue]) => [glue, type]));
  return columns.map(({ Name = '', Type = '' }) => ({ name: Name, type: ours.get(Type) ?? Type }));
}

function glueColumns(columns: readonly DeclaredColumn[]): Column[] {
  return columns.map(({ name, type }) => ({ Name: name, Type: GLUE_TYPES[type] ?? type }));
}

function isSame(known: Table, wanted: TableInput): boolean {
  const shape = (table: Table | TableInput): unknown => [
    table.StorageDescriptor?.Location,
    table.StorageDescriptor?.Columns?.map(({ Name, Type }) => [Name, Type]),
  ];
  return JSON.stringify(shape(known)) === JSON.stringify(shape(wanted));
}

/** What tells that a table was changed since it was listed. */
function fingerprintOf({ UpdateTime, Parameters = {}, StorageDescriptor: storage }: Table): string {
  const parameters = Object.entries(Parameters).sort();
  const columns = storage?.Columns?.map(({ Name, Type, Comment }) => [Name, Type, Comment]);
  return JSON.stringify([UpdateTime?.getTime(), parameters, storage?.Location, columns]);
}

function missing(database: string, cause: unknown): JobError {
  return new JobError('catalog_missing', 'config', `there is no database ${database} in Glue`, {
    hint: 'make it with `terraform apply`; LISTENLAKE_AWS_NAME is the name that Terraform was given',
    cause,
  });
}

function refused(table: string, detail: ErrorDetail | undefined): JobError {
  return new JobError('catalog_unavailable', 'unavailable', `cannot remove ${table}: ${detail?.ErrorMessage}`, {
    hint: 'run it again later; nothing that readers see is touched',
  });
}

function translated(error: unknown, database: string): unknown {
  return toJobError(error, 'catalog', `use the tables of ${database}`);
}
