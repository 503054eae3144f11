/**
 * A table of prod as an Iceberg table. The first four are those of every committed object (`OutputFile`):
 * `key` is the prefix of all that belongs to it.
 */
export interface IcebergTable {
  key: string;
  rows: number;
  bytes: number;
  sha256: string;
  /** Key of the metadata file that readers begin with. */
  metadata: string;
  /** Iceberg's name of the table, the same one for every version of it. */
  uuid: string;
  /** What tells the table of `gold_prod` that it was made from (gold/versions.ts). */
  origin: string;
}

/** The copy of prod as Iceberg tables (decision 35). */
export interface IcebergCopy {
  /** Run of the version of `gold_prod` that it shows. */
  runId: string;
  /** Model to table; every model of that version has one. */
  tables: Record<string, IcebergTable>;
}
