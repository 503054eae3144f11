import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../base/errors.ts';
import { hashFile, hashText } from '../base/hash.ts';
import { type Gzip, openGzip } from '../formats/gzip.ts';
import { type Budget, nestedArchive, openBudget, packingOf, unknownArchive } from '../formats/packing.ts';
import { type Archive, type ArchiveEntry, openArchive } from '../formats/zip.ts';
import { refuseChanged } from './given.ts';
import type { InputFile } from './input-files.ts';
import { reasonToIgnore, type Source } from './source.ts';
import { type Candidate, type Ended, type Given, refused } from './walked.ts';

/** Where files are unpacked to, and who says which files of an archive are passed over. */
export interface Unpacking {
  work: string;
  sources: readonly Source[];
}

/**
 * Unpacks a given file: yields the file itself, the file in a gzip, or one by one the files of a zip. The
 * next one is unpacked when it is asked for, so that one lies there at a time.
 *
 * @throws `file_changed` (75), and what reading the given file throws: the rest of it cannot be had
 */
export async function* candidatesOf(given: Given, unpacking: Unpacking): AsyncGenerator<Candidate | Ended> {
  const { path, name, packing } = given;
  if (packing === undefined) yield { given, path, name, contentName: name, isTemporary: false };
  else if (packing.as === 'other') yield await refusal(given, name, await hashFile(path), unknownArchive(packing.kind));
  else if (packing.as === 'gzip') yield await gunzip(given, { path, name }, given.stamp.bytes, openBudget(), unpacking);
  else yield* filesOfArchive(given, unpacking);
}

/** Removes what was unpacked for a candidate whose way has ended. */
export async function discard({ path, isTemporary }: Candidate): Promise<void> {
  if (isTemporary) await rm(path, { force: true });
}

async function* filesOfArchive(given: Given, unpacking: Unpacking): AsyncGenerator<Candidate | Ended> {
  const { path, name } = given;
  const sha256 = given.archive!;
  const budget = openBudget();
  let archive: Archive;
  try {
    archive = await openArchive(path, budget);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    yield await refusal(given, name, sha256, error);
    return;
  }
  try {
    for (const entry of archive.entries) yield await fileOfEntry(given, entry, budget, unpacking);
    await refuseChanged(given);
    if (archive.entries.length === 0) yield { name, as: 'ignored', reason: 'an archive without files' };
  } finally {
    archive.close();
  }
}

async function fileOfEntry(
  given: Given,
  entry: ArchiveEntry,
  budget: Budget,
  unpacking: Unpacking,
): Promise<Candidate | Ended> {
  const name = `${given.name}/${entry.name}`;
  // What cannot be unpacked has no hash of its own.
  const stand = hashText(`${given.archive}/${entry.name}`);
  if (entry.refusal !== undefined) return refusal(given, name, stand, entry.refusal);
  try {
    const reason = await reasonToIgnore(unpacking.sources, entry.name, () => entry.head());
    if (reason !== undefined) return { name, as: 'ignored', reason };
    const packing = packingOf(await entry.head());
    if (packing?.as === 'zip' || packing?.as === 'other') throw nestedArchive();
    const path = await unpack(unpacking, entry.unpack);
    if (packing === undefined) return { given, path, name, contentName: name, isTemporary: true };
    try {
      return await gunzip(given, { path, name }, entry.packedBytes, budget, unpacking);
    } finally {
      await rm(path, { force: true });
    }
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return refusal(given, name, stand, error);
  }
}

/** @param packedBytes that the file takes in what was given: what it unpacks to is measured against them */
async function gunzip(
  given: Given,
  { path, name }: InputFile,
  packedBytes: number,
  budget: Budget,
  unpacking: Unpacking,
): Promise<Candidate | Ended> {
  let gzip: Gzip;
  try {
    gzip = await openGzip(path, packedBytes, budget);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return refusal(given, name, await hashFile(path), error);
  }
  const { sha256 } = gzip;
  const packing = packingOf(gzip.head);
  if (packing !== undefined) {
    const error = packing.as === 'other' ? unknownArchive(packing.kind) : nestedArchive();
    return refusal(given, name, sha256, error);
  }
  const unpacked = await unpack(unpacking, (target) => gzip.unpack(target));
  return { given, path: unpacked, name, contentName: name.replace(/\.gz$/i, ''), sha256, isTemporary: true };
}

/** @returns where the file is: it stays until somebody removes it */
async function unpack({ work }: Unpacking, write: (target: string) => Promise<unknown>): Promise<string> {
  const path = join(work, `${randomUUID()}.file`);
  try {
    await write(path);
    return path;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

async function refusal(given: Given, name: string, sha256: string, error: JobError): Promise<Ended> {
  await refuseChanged(given);
  return refused(name, sha256, error);
}

function isRefusal(error: unknown): error is JobError {
  return error instanceof JobError && error.exit === 'data';
}
