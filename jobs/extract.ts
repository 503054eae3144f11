import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Effects } from './effects.ts';
import { isErrno, JobError } from './errors.ts';
import { landingKey } from './lake/keys.ts';
import { inputDenied, walkInputs } from './sources/input-files.ts';

export interface ExtractInput {
  /** Files, folders and zips. */
  paths: readonly string[];
  userId: string;
}

/** One file that was put into landing, was there already, or could not be read. */
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
 * Sources to landing: every file (of a folder: every file in it; a zip stays a zip) as it is, under the hash of its content and its own name. The same
 * content under the same name again is nothing new. Bytes are streamed and never edited.
 *
 * @throws `input_missing` (64); `disk_full`, `disk_failed` (74); `store_unavailable` (69)
 */
export async function extract(input: ExtractInput, effects: Effects): Promise<ExtractResult> {
  const { store, progress, signal } = effects;
  const files: ExtractedFile[] = [];
  progress.start('extract');
  for await (const found of walkInputs(input.paths)) {
    if (signal.aborted) {
      throw new JobError('stopped', 'tempfail', `stopped after ${files.length} files`, {
        hint: 'run it again: it goes on where it stopped',
      });
    }
    files.push('error' in found ? failed(found.name, found.error) : await extractFile(found.path, found.name, store));
    progress.update(files.length, found.name);
  }
  const count = (status: ExtractedFile['status']): number => files.filter((file) => file.status === status).length;
  progress.end(`${count('new')} new files in landing, ${count('known')} known`);
  return { files, exit: count('changed') > 0 ? 'tempfail' : count('refused') > 0 ? 'data' : 'ok' };
}

async function extractFile(path: string, name: string, store: Effects['store']): Promise<ExtractedFile> {
  try {
    const handle = await open(path, 'r');
    try {
      const before = await handle.stat({ bigint: true });
      const hash = createHash('sha256');
      for await (const chunk of createReadStream(path, {
        fd: handle.fd,
        autoClose: false,
        start: 0,
        highWaterMark: 1024 ** 2,
      }))
        hash.update(chunk as Buffer);
      const sha256 = hash.digest('hex');
      const key = landingKey(sha256, basename(name));
      const bytes = Number(before.size);
      if ((await store.head(key)) !== undefined) return { fileName: name, bytes, status: 'known', key };
      const written = await store.put(key, { file: path }, { ifAbsent: true });
      const after = await handle.stat({ bigint: true });
      const isSame =
        before.size === after.size &&
        before.mtimeNs === after.mtimeNs &&
        (await open(path, 'r').then(closeAfterStat)).ino === before.ino;
      if (!isSame) {
        if (written.status === 'written') await store.delete(key);
        throw new JobError('file_changed', 'tempfail', 'it changed while it was read', {
          hint: 'run it again when it is complete',
        });
      }
      return { fileName: name, bytes, status: written.status === 'written' ? 'new' : 'known', key };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof JobError && error.code === 'file_changed') return failed(name, error);
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'ELOOP') && error.path === path)
      return failed(name, inputDenied(name, error));
    throw error;
  }
}

async function closeAfterStat(handle: Awaited<ReturnType<typeof open>>): Promise<{ ino: bigint }> {
  try {
    return await handle.stat({ bigint: true });
  } finally {
    await handle.close();
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
