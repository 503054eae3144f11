import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError, makeFolders, onDisk } from '../base/disk.ts';
import { isErrno } from '../base/errors.ts';

/** What is known of a file that has not changed since. */
export interface KnownHashes {
  sha256: string;
  /** Archives: the hashes of the files in it that were loaded; absent for other files. */
  members?: string[];
}

export interface HashCache {
  get(stamp: string): KnownHashes | undefined;
  set(stamp: FileStamp, hashes: KnownHashes): void;
  /** Forgets files that are, or hold, one of these. @param hashes SHA-256 (hex) */
  remove(hashes: ReadonlySet<string>): void;
  /** Writes what is new. */
  save(): Promise<void>;
}

export interface FileStamp {
  /**
   * Device, inode, size and both change times to the nanosecond: any write to the file, and any replacement
   * of it, changes it.
   */
  id: string;
  bytes: number;
  changedAtMs: number;
}

const FORMAT = 1;
const ENTRIES_MAX = 100_000;
/**
 * A file written to twice within one tick of the file system's clock keeps its times: what is younger than
 * this is not remembered.
 */
const SETTLED_MS = 2_000;

/** The identity of a file's content, without reading it. @throws the file system's error */
export async function stampOf(path: string): Promise<FileStamp> {
  const found = await stat(path, { bigint: true });
  return {
    id: [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(':'),
    bytes: Number(found.size),
    changedAtMs: Math.max(Number(found.mtimeMs), Number(found.ctimeMs)),
  };
}

/**
 * Remembers hashes of files that are read where they lie, so that an export loaded before costs a few `stat`
 * calls. Only a cache: it may be deleted at any time, holds no names, and is never the reason for a wrong
 * answer (a stamp that is not found means: read the file).
 *
 * @param now wall clock (Unix ms)
 */
export async function openHashCache(cacheDir: string, now: () => number): Promise<HashCache> {
  // Older versions wrote the same file under this name: `forget` must find it.
  const path = join(cacheDir, 'fingerprints.json');
  const entries = new Map<string, KnownHashes>(await readEntries(path));
  let isChanged = false;
  return {
    get: (stamp) => entries.get(stamp),
    set(stamp, hashes) {
      if (Math.abs(now() - stamp.changedAtMs) < SETTLED_MS || now() < stamp.changedAtMs) return;
      entries.delete(stamp.id);
      entries.set(stamp.id, hashes);
      isChanged = true;
    },
    remove(hashes) {
      for (const [stamp, { sha256, members = [] }] of entries) {
        if (![sha256, ...members].some((hash) => hashes.has(hash))) continue;
        entries.delete(stamp);
        isChanged = true;
      }
    },
    async save() {
      if (!isChanged) return;
      const text = JSON.stringify({ format: FORMAT, entries: [...entries].slice(-ENTRIES_MAX) });
      await onDisk(path, () => replaceFile(cacheDir, path, text), {
        failed: 'it is a cache: remove it, or set XDG_CACHE_HOME to a folder that you may write',
      });
    },
  };
}

async function replaceFile(folder: string, path: string, text: string): Promise<void> {
  await makeFolders(folder);
  const staged = `${path}.${process.pid}`;
  try {
    const handle = await open(staged, 'w', 0o600);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    await rename(staged, path);
  } finally {
    await rm(staged, { force: true });
  }
}

async function readEntries(path: string): Promise<[string, KnownHashes][]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return [];
    throw diskError(error, path);
  }
  try {
    const stored = JSON.parse(text) as { format?: number; entries?: [string, KnownHashes][] };
    return stored.format === FORMAT && Array.isArray(stored.entries) ? stored.entries : [];
  } catch {
    return []; // cut off by a full disk: the next save writes it anew
  }
}
