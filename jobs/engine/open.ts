import { resolve } from 'node:path';
import type { Config } from '../base/config.ts';
import { JobError } from '../base/errors.ts';
import type { Finding } from '../base/finding.ts';
import type { Log } from '../base/log.ts';
import type { LakeState } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { openDuckDbEngine } from './duckdb/engine.ts';
import type { SqlEngine } from './index.ts';

/**
 * The engine that fits the lake: for a folder, the one in this process; for one on S3, the account's.
 *
 * @param signal aborted: a query is cancelled
 */
export async function openEngine(
  store: LakeStore,
  {
    config,
    scratch,
    signal,
  }: { config: Pick<Config, 'memoryMb' | 'threads' | 'aws'>; scratch: string; log?: Log; signal?: AbortSignal },
): Promise<SqlEngine> {
  if (store.uri.startsWith('s3://')) {
    // Only here, because the SDK takes a while to load.
    const { openAthenaEngine } = await import('./athena/engine.ts');
    const { name, workGroup } = config.aws;
    return openAthenaEngine({ store, name, workGroup, signal });
  }
  return openDuckDbEngine({
    store,
    root: resolve(store.uri),
    scratch,
    memoryMb: config.memoryMb,
    threads: config.threads,
    signal,
  });
}

/**
 * Compares what the contracts, the models and the manifest promise with what the account holds: bucket, catalog, workgroups.
 *
 * @returns one finding a line; any `fail` means that something is broken
 * @throws `lake_not_on_aws` (78) for a lake in a folder; `store_unavailable`, `catalog_unavailable`, `engine_unavailable` (69; retry helps)
 */
export async function inspectAccount(
  store: LakeStore,
  config: Pick<Config, 'aws'>,
  state: LakeState,
): Promise<Finding[]> {
  const { uri } = store;
  if (!uri.startsWith('s3://')) {
    throw new JobError('lake_not_on_aws', 'config', `the lake ${uri} is a folder: there is no account to look at`, {
      hint: 'give the lake on AWS with --lake s3://bucket, or leave --aws out',
    });
  }
  const { inspectBucket } = await import('../lake/s3/inspect.ts');
  const { inspectCatalog } = await import('./athena/inspect.ts');
  const { name, workGroup, isPathStyle } = config.aws;
  return [...(await inspectBucket(uri, { isPathStyle })), ...(await inspectCatalog({ store, name, workGroup, state }))];
}
