import { createHash } from 'node:crypto';
import { type BigIntStats, createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { diskError } from './base/disk.ts';
import { isErrno, JobError } from './base/errors.ts';
import { hashChunks, hashFile } from './base/hash.ts';
import { type InputFile, walkInputs } from './bronze/input-files.ts';
import { reasonToIgnore } from './bronze/source.ts';
import type { Effects } from './effects/index.ts';
import { inputDenied, openInput, readHead } from './formats/input.ts';
import { packingOf } from './formats/packing.ts';
import { openArchive } from './formats/zip.ts';
import { landingKey } from './lake/keys.ts';
import { EMPTY_STATE, latestManifest, readBronzeIndex } from './lake/manifest.ts';
import { SOURCES } from './sources/index.ts';

export interface ExtractInput {
  /** Files, folders and zips. */
  paths: readonly string[];
  userId: string;
}

/**
 * One file that was put into landing, was there already (or is in bronze: without a key), or could not be
 * read.
 */
export interface ExtractedFile {
  fileName: string;
  bytes: number;
  status: 'new' | 'known' | 'refused' | 'changed';
  key?: string;
  code?: string;
  reason?: string;
}

export interface ExtractResult {
  files: ExtractedFile[];
  /** `tempfail` where a file changed while it was read, `data` where one could not be read. */
  exit: 'ok' | 'data' | 'tempfail';
}

/**
 * Sources to landing: every file (of a folder: every file in it; a zip stays a zip) as it is, under the hash
 * of its content and its own name. The same content under the same name again is nothing new, and neither is
 * what `load` has taken from there before, unless landing keeps what is loaded. Bytes are streamed and never
 * edited.
 *
 * @throws `input_missing` (64); `disk_full`, `disk_failed` (74); `store_unavailable` (69)
 */
export async function extract(input: ExtractInput, effects: Effects): Promise<ExtractResult> {
  const { progress, signal } = effects;
  const files: ExtractedFile[] = [];
  const loaded = await loadedFiles(effects);
  progress.start('extract');
  for await (const found of walkInputs(input.paths, effects.store.uri)) {
    if (signal.aborted) {
      throw new JobError('stopped', 'tempfail', `stopped after ${files.length} files`, {
        hint: 'run it again: it goes on where it stopped',
      });
    }
    files.push(
      'error' in found ? failed(found.name, found.error) : await extractFile(found.path, found.name, loaded, effects),
    );
    progress.update(files.length, found.name);
  }
  const count = (status: ExtractedFile['status']): number => files.filter((file) => file.status === status).length;
  progress.end(`${count('new')} new files in landing, ${count('known')} known`);
  return { files, exit: count('changed') > 0 ? 'tempfail' : count('refused') > 0 ? 'data' : 'ok' };
}

/**
 * SHA-256 of every file in bronze; none where landing is to have them, too. What was refused is not among
 * them: it may be understood now.
 */
async function loadedFiles({ store, config }: Effects): Promise<ReadonlySet<string>> {
  if (config.keepLanding) return new Set();
  const index = await readBronzeIndex(store, (await latestManifest(store))?.state ?? EMPTY_STATE);
  return new Set(index.filter(({ table }) => table !== 'refused').map(({ sourceKey }) => sourceKey));
}

async function extractFile(
  path: string,
  name: string,
  loaded: ReadonlySet<string>,
  effects: Effects,
): Promise<ExtractedFile> {
  try {
    const handle = await openInput(path, name);
    try {
      return await extractOpened(handle, { path, name }, loaded, effects);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const isOwn = error instanceof JobError && /^(file_changed|input_)/.test(error.code);
    if (isOwn) return failed(name, error);
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'ELOOP') && error.path === path)
      return failed(name, inputDenied(name, error));
    throw error;
  }
}

/** @throws `file_changed` (75) */
async function extractOpened(
  handle: FileHandle,
  { path, name }: InputFile,
  loaded: ReadonlySet<string>,
  { store, scratch }: Effects,
): Promise<ExtractedFile> {
  const before = await handle.stat({ bigint: true });
  const opened = { fd: handle.fd, autoClose: false, start: 0, highWaterMark: 1024 ** 2 };
  const sha256 = await hashChunks(createReadStream(path, opened));
  const key = landingKey(sha256, basename(name));
  const file = { fileName: name, bytes: Number(before.size) };
  if ((await store.head(key)) !== undefined) return { ...file, status: 'known', key };
  if (loaded.has(sha256) || (await isLoadedArchive(path, name, loaded, scratch))) return { ...file, status: 'known' };
  // What is put is what was hashed: a copy of the open file, whatever becomes of its name meanwhile.
  const copy = join(scratch, 'extract-copy');
  let isSame = (await copyOpened(handle, copy)) === sha256;
  const written = isSame ? await store.put(key, { file: copy }, { ifAbsent: true }) : undefined;
  await rm(copy, { force: true });
  isSame &&= await isStill(path, before);
  if (written !== undefined && isSame) return { ...file, status: written.status === 'written' ? 'new' : 'known', key };
  if (written?.status === 'written') await store.delete(key);
  throw new JobError('file_changed', 'tempfail', 'it changed while it was read', {
    hint: 'run it again when it is complete',
  });
}

/**
 * True for a zip of which every file that may hold listening is in bronze: `load` knows those, and not the
 * zip.
 */
async function isLoadedArchive(
  path: string,
  name: string,
  loaded: ReadonlySet<string>,
  scratch: string,
): Promise<boolean> {
  if (loaded.size === 0 || packingOf(await readHead(path, name, 4))?.as !== 'zip') return false;
  const aside = join(scratch, 'extract-member');
  try {
    const archive = await openArchive(path);
    try {
      let files = 0;
      for (const entry of archive.entries) {
        if (entry.refusal !== undefined) return false;
        if ((await reasonToIgnore(SOURCES, entry.name, () => entry.head())) !== undefined) continue;
        await entry.unpack(aside);
        const sha256 = await hashFile(aside);
        await rm(aside, { force: true });
        if (!loaded.has(sha256)) return false;
        files += 1;
      }
      return files > 0;
    } finally {
      archive.close();
      await rm(aside, { force: true });
    }
  } catch (error) {
    if (error instanceof JobError && error.exit === 'data') return false; // load says what is wrong with it
    throw error;
  }
}

/** Copies an open file to a new one. @returns SHA-256 (hex) of what was copied */
async function copyOpened(handle: FileHandle, target: string): Promise<string> {
  const hash = createHash('sha256');
  const hashed = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
  try {
    const chunks = handle.createReadStream({ autoClose: false, start: 0, highWaterMark: 1024 ** 2 });
    await pipeline(chunks, hashed, createWriteStream(target, { mode: 0o600 }));
  } catch (error) {
    throw diskError(error, target);
  }
  return hash.digest('hex');
}

/** Whether the file of this name is still the one that was looked at, unchanged. */
async function isStill(path: string, before: BigIntStats): Promise<boolean> {
  try {
    const now = await stat(path, { bigint: true });
    return now.ino === before.ino && now.size === before.size && now.mtimeNs === before.mtimeNs;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

function failed(name: string, error: JobError): ExtractedFile {
  return {
    fileName: name,
    bytes: 0,
    status: error.exit === 'tempfail' ? 'changed' : 'refused',
    code: error.code,
    reason: error.message,
  };
}
