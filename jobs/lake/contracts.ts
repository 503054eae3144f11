import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ROOT } from '../base/installation.ts';

/** Types that both engines and Parquet share. `timestamp` is UTC with milliseconds, without a zone. */
export const COLUMN_TYPES = ['varchar', 'boolean', 'integer', 'bigint', 'double', 'timestamp', 'date'] as const;

const columnSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9_]{0,62}$/),
  type: z.enum(COLUMN_TYPES),
  nullable: z.boolean(),
  unit: z.string().optional(),
  privacy: z.enum(['pseudonym']).optional(),
  /** The key in a line of JSON, where it is called otherwise than the column. */
  jsonKey: z.string().optional(),
  /** Objects that older versions wrote lack the column: it reads as null. */
  mayBeMissing: z.literal(true).optional(),
  description: z.string().min(1),
});

const partitionSchema = z.strictObject({
  name: z.string(),
  type: z.enum(['integer', 'varchar']),
  /**
   * The column it is computed from; `load` and `observed_at` stand for values of the run and of the source.
   */
  from: z.string(),
  description: z.string(),
});

const contractSchema = z.strictObject({
  layer: z.enum(['bronze', 'silver']),
  table: z.string(),
  description: z.string(),
  grain: z.string(),
  format: z.enum(['parquet', 'json']),
  key: z.array(z.string()).min(1),
  sort: z.array(z.string()).min(1),
  columns: z.array(columnSchema).min(1),
  partition: z.array(partitionSchema),
  checks: z.array(z.strictObject({ name: z.string(), expression: z.string(), severity: z.enum(['fail', 'warn']) })),
});

export type ColumnType = (typeof COLUMN_TYPES)[number];
export type ContractColumn = z.infer<typeof columnSchema>;
/**
 * One table of bronze or silver: its columns, partitions, key, sort order and checks. The file in
 * `warehouse/contracts/` is the only place that says them.
 */
export type Contract = z.infer<typeof contractSchema>;

export const WAREHOUSE_DIR = join(ROOT, 'warehouse/');

let cache: readonly Contract[] | undefined;

/**
 * All contracts, by layer and table. @throws Error (a bug) when a file does not have the contract's own shape
 */
export function readContracts(): readonly Contract[] {
  cache ??= readdirSync(`${WAREHOUSE_DIR}contracts`)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => contractSchema.parse(JSON.parse(readFileSync(`${WAREHOUSE_DIR}contracts/${name}`, 'utf8'))));
  return cache;
}

/** The contract of one table. @throws Error (a bug) when there is none */
export function contractOf(layer: 'bronze' | 'silver', table: string): Contract {
  const found = readContracts().find((contract) => contract.layer === layer && contract.table === table);
  if (found === undefined) throw new Error(`no contract for ${layer}.${table}`);
  return found;
}
