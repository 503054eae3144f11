import { resolve } from 'node:path';
import type { Config } from '../base/config.ts';
import { JobError } from '../base/errors.ts';
import type { Finding } from '../base/finding.ts';
import type { LakeState } from '../lake/manifest.ts';
import { type LakeStore, schemeOf } from '../lake/store.ts';
import type { GoldModels, SqlEngine } from './index.ts';

export interface EngineOptions {
  config: Pick<Config, 'memoryMb' | 'threads' | 'aws'>;
  /** A private folder of this command. */
  scratch: string;
  /** Aborted: a query is cancelled. */
  signal?: AbortSignal;
}

/** What an inspection of an account compares with it. */
export interface Promised {
  config: Pick<Config, 'aws'>;
  state: LakeState;
  models: GoldModels;
}

/** The engine of one kind of store, and what can be asked of the account that holds both. */
interface Pairing {
  open(store: LakeStore, options: EngineOptions): Promise<SqlEngine>;
  inspect?(store: LakeStore, promised: Promised): Promise<Finding[]>;
}

/**
 * Which engine goes with which store, by the scheme of the lake's address. A new engine is a folder beside
 * this file and a line here.
 */
const ENGINES: Readonly<Record<string, Pairing>> = {
  file: { open: openInProcess },
  s3: { open: openOnAws, inspect: inspectAws },
};

/** The engine that fits the lake: for a folder, the one in this process; for one on S3, the account's. */
export async function openEngine(store: LakeStore, options: EngineOptions): Promise<SqlEngine> {
  return pairingOf(store).open(store, options);
}

/**
 * Compares what the contracts, the models and the manifest promise with what the account holds: bucket,
 * catalog, workgroups.
 *
 * @returns one finding a line; any `fail` means that something is broken
 * @throws `lake_not_on_aws` (78) for a lake in a folder; `store_unavailable`, `catalog_unavailable`,
 *   `engine_unavailable` (69; retry helps)
 */
export async function inspectAccount(store: LakeStore, promised: Promised): Promise<Finding[]> {
  const { inspect } = pairingOf(store);
  if (inspect !== undefined) return inspect(store, promised);
  throw new JobError('lake_not_on_aws', 'config', `the lake ${store.uri} is a folder: there is no account to look at`, {
    hint: 'give the lake on AWS with --lake s3://bucket, or leave --aws out',
  });
}

function pairingOf({ uri }: LakeStore): Pairing {
  const pairing = ENGINES[schemeOf(uri)];
  if (pairing === undefined) throw new Error(`no engine goes with ${uri}`);
  return pairing;
}

async function openInProcess(store: LakeStore, { config, scratch, signal }: EngineOptions): Promise<SqlEngine> {
  const { openDuckDbEngine } = await import('./duckdb/engine.ts');
  const { memoryMb, threads } = config;
  return openDuckDbEngine({ store, root: resolve(store.uri), scratch, memoryMb, threads, signal });
}

// The SDK takes a while to load: only a lake on AWS waits for it.
async function openOnAws(store: LakeStore, { config, signal }: EngineOptions): Promise<SqlEngine> {
  const { openAthenaEngine } = await import('./athena/engine.ts');
  const { name, workGroup } = config.aws;
  return openAthenaEngine({
    store,
    name,
    workGroup,
    writer: { memoryMb: config.memoryMb, threads: config.threads },
    signal,
  });
}

async function inspectAws(store: LakeStore, { config, state, models }: Promised): Promise<Finding[]> {
  const { inspectBucket } = await import('../lake/s3/inspect.ts');
  const { inspectCatalog } = await import('./athena/inspect.ts');
  const { name, workGroup, isPathStyle } = config.aws;
  return [
    ...(await inspectBucket(store.uri, { isPathStyle })),
    ...(await inspectCatalog({ store, name, workGroup, state, models })),
  ];
}
