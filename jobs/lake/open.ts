import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '../base/config.ts';
import { JobError } from '../base/errors.ts';
import { makeScratch, openFolderLake, sweepStaging } from './folder/store.ts';
import { PREFIX } from './keys.ts';
import { isElsewhere, type LakeStore, schemeOf } from './store.ts';

/** A store, and where a command's private files go. */
export interface Place {
  store: LakeStore;
  /** Removes what killed commands left on the lake's disk. @param now Unix ms */
  sweep(now: number): Promise<void>;
  /** Makes a private folder on the lake's disk, or on the system's for a lake elsewhere. */
  makeScratch(): Promise<string>;
}

/** A store is a folder beside this file and a line here. */
const STORES: Readonly<Record<string, (uri: string, config: Pick<Config, 'aws'>) => Promise<Place>>> = {
  file: openFolder,
  s3: openBucket,
};

/**
 * Opens the store that a lake's address names.
 *
 * @throws `lake_unsupported` (78) for an address of a store that there is not; what opening the store throws
 */
export async function openPlace(config: Pick<Config, 'lakeUri' | 'aws'>): Promise<Place> {
  const scheme = schemeOf(config.lakeUri);
  const open = STORES[scheme];
  if (open !== undefined) return open(config.lakeUri, config);
  throw new JobError('lake_unsupported', 'config', `there are no lakes at ${scheme}://`, {
    hint: 'give a folder or s3://bucket/prefix',
  });
}

/** What lies in the folder of a lake into which anything was ever brought. */
const MARKS = [PREFIX.manifests, PREFIX.landing, PREFIX.bronze];

/**
 * True where there is a lake to read. Of a store elsewhere its own answers tell: a bucket is made before the
 * first file.
 */
export function isLakeThere({ lakeUri }: Pick<Config, 'lakeUri'>): boolean {
  return isElsewhere(lakeUri) || MARKS.some((prefix) => existsSync(join(resolve(lakeUri), prefix)));
}

async function openFolder(uri: string): Promise<Place> {
  const root = resolve(uri);
  const store = await openFolderLake(root);
  return { store, sweep: (now) => sweepStaging(root, now), makeScratch: () => makeScratch(root) };
}

async function openBucket(uri: string, { aws }: Pick<Config, 'aws'>): Promise<Place> {
  // Only here, because the SDK takes a while to load.
  const { openS3Lake } = await import('./s3/store.ts');
  const scratch = join(tmpdir(), `listenlake-${randomBytes(8).toString('hex')}`);
  const store = await openS3Lake(uri, { isPathStyle: aws.isPathStyle, scratch });
  const make = async (): Promise<string> => {
    await mkdir(scratch, { mode: 0o700 });
    return scratch;
  };
  return { store, sweep: async () => {}, makeScratch: make };
}
