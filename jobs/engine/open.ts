import { resolve } from 'node:path';
import type { Config } from '../config.ts';
import type { LakeStore } from '../lake/store.ts';
import type { Log } from '../log.ts';
import { openDuckDbEngine } from './duckdb.ts';
import type { SqlEngine } from './index.ts';

/**
 * The engine that fits the lake: for a folder, the one in this process; for one on S3, the account's.
 *
 * @param signal aborted: a query that runs elsewhere is cancelled
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
    const { openAthenaEngine } = await import('./athena.ts');
    const { name, workGroup } = config.aws;
    return openAthenaEngine({ store, name, workGroup, signal });
  }
  return openDuckDbEngine({
    store,
    root: resolve(store.uri),
    scratch,
    memoryMb: config.memoryMb,
    threads: config.threads,
  });
}
