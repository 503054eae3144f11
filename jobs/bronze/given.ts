import { lstat } from 'node:fs/promises';
import { JobError } from '../base/errors.ts';
import { hashFile } from '../base/hash.ts';
import { inputDenied, otherThanFile, readHead } from '../formats/input.ts';
import { packingOf } from '../formats/packing.ts';
import type { LakeStore } from '../lake/store.ts';
import { type FileStamp, type HashCache, stampOf } from './hash-cache.ts';
import type { Input, InputFile } from './input-files.ts';
import { reasonToIgnore, type Source } from './source.ts';
import type { Stored } from './stored.ts';
import { type Ended, type Given, unreadable } from './walked.ts';

/** A file says by so many bytes what it is packed as, and whether a source claims it. */
const HEAD_BYTES = 4_096;

/**
 * Stamps an input and passes over what is known or holds no listening, before anything but its first bytes is
 * read.
 *
 * @throws `input_link`, `input_not_a_file`, `input_denied` (65); `file_changed` (75) where it is gone
 */
export async function identify(
  input: Input,
  lake: { store: LakeStore; stored: Stored; hashCache: HashCache; sources: readonly Source[] },
): Promise<Given | Ended> {
  const { name } = input;
  const { stored, sources } = lake;
  if ('error' in input) return unreadable(name, input.error);
  if ('landingKey' in input && input.sha256 !== undefined && stored.has(input.sha256, name))
    return { name, as: 'known', hashes: [input.sha256] };
  const path = 'path' in input ? input.path : await localPath(input, lake.store);
  const stamp = await stampOfFile({ path, name });
  const hashes = lake.hashCache.get(stamp.id);
  const known = hashes?.members ?? (hashes === undefined ? [] : [hashes.sha256]);
  const isArchive = hashes?.members !== undefined;
  if (known.length > 0 && known.every((sha256) => stored.has(sha256, isArchive ? undefined : name)))
    return { name, as: 'known', hashes: known };
  const head = await readHead(path, name, HEAD_BYTES);
  const isClaimed = sources.some((source) => source.claims?.(head));
  const reason = isClaimed ? undefined : await reasonToIgnore(sources, name, async () => head);
  if (reason !== undefined) return { name, as: 'ignored', reason };
  const packing = packingOf(head);
  return { path, name, stamp, packing, ...(packing?.as === 'zip' && { archive: await hashFile(path) }) };
}

/** True while the file is still the one that was met, unchanged. */
export async function isUnchanged({ path, name, stamp }: Given): Promise<boolean> {
  try {
    return (await stampOfFile({ path, name })).id === stamp.id;
  } catch (error) {
    if (error instanceof JobError) return false;
    throw error;
  }
}

/** What was read of a file that has changed meanwhile says nothing about it. @throws `file_changed` (75) */
export async function refuseChanged(given: Given): Promise<void> {
  if (await isUnchanged(given)) return;
  throw new JobError('file_changed', 'tempfail', 'it changed while it was read', {
    hint: 'run it again when it is complete',
    place: { file: given.name },
  });
}

/**
 * Where an object of landing can be read.
 *
 * @throws `file_changed` (75) where it is gone: another run has loaded it
 */
async function localPath(
  { name, landingKey }: { name: string; landingKey: string },
  store: LakeStore,
): Promise<string> {
  try {
    return await store.localFile(landingKey);
  } catch (error) {
    if (!(error instanceof JobError && error.code === 'object_missing')) throw error;
    throw inputDenied(name, Object.assign(new Error('gone'), { code: 'ENOENT' }));
  }
}

async function stampOfFile({ path, name }: InputFile): Promise<FileStamp> {
  try {
    // Before anything opens it: to open a FIFO is to wait for somebody who writes.
    const other = otherThanFile(name, await lstat(path));
    if (other !== undefined) throw other;
    return await stampOf(path);
  } catch (error) {
    if (error instanceof JobError) throw error;
    throw inputDenied(name, error);
  }
}
