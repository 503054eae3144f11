import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { copyFile, link, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolders, onDisk, readStream } from '../../base/disk.ts';
import { isErrno, JobError } from '../../base/errors.ts';
import type { LakeStore, ObjectBody, ObjectInfo, PutCondition, PutResult, UnfinishedWrite } from '../store.ts';

/** Files and folders of the lake belong to their owner alone. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
/** Unfinished writes and scratch folders; never listed, never read. */
export const STAGING_FOLDER = '.staging';
/**
 * A conditional replace holds its lock for milliseconds; a lock older than this was left by a killed process.
 */
const LOCK_STALE_MS = 10_000;
const LOCK_WAIT_MS = 20_000;
/** Others remove empty folders now and then, not all the time. */
const FOLDER_TRIES_MAX = 500;
/**
 * A pause of random length, because two processes that turn by turn make and remove may keep step for ever.
 */
const FOLDER_PAUSE_MAX_MS = 5;

/**
 * A lake in a folder. A write goes to a staging file beside the lake's objects, is flushed to the disk, and
 * is then linked or renamed into place, and the folder is flushed too: after a power cut the object is there
 * whole or not at all.
 *
 * @param path created when absent, with its parents
 * @throws `disk_failed` (74) where the folder cannot be made or written
 */
export async function openFolderLake(path: string): Promise<LakeStore> {
  const root = resolve(path);
  await translated(root, async () => {
    for (const folder of await makeFolder(join(root, STAGING_FOLDER))) await flushFolder(folder);
  });

  async function put(key: string, body: ObjectBody, condition: PutCondition = {}): Promise<PutResult> {
    const target = join(root, key);
    return translated(target, async () => {
      if (condition.ifAbsent && (await fileStat(target)) !== undefined) return { status: 'conflict' };
      const staged = await stage(root, body);
      try {
        if (condition.ifAbsent) {
          // A link refuses to replace: of many writers exactly one wins.
          try {
            await inFolder(target, () => link(staged, target));
          } catch (error) {
            if (isErrno(error, 'EEXIST')) return { status: 'conflict' };
            throw error;
          }
        } else if (condition.ifVersion !== undefined) {
          const isReplaced = await withLock(root, key, async () => {
            const now = await fileStat(target);
            if (now === undefined || versionOf(now) !== condition.ifVersion) return false;
            await rename(staged, target);
            return true;
          });
          if (!isReplaced) return { status: 'conflict' };
        } else {
          await inFolder(target, () => rename(staged, target));
        }
        await flushFolder(dirname(target));
        const info = await fileStat(target);
        if (info === undefined) throw new Error(`${key} vanished while it was written`);
        return { status: 'written', info: infoOf(key, info) };
      } finally {
        await removeIfThere(staged);
      }
    });
  }

  return {
    uri: path,
    async head(key) {
      const found = await translated(join(root, key), () => fileStat(join(root, key)));
      return found === undefined ? undefined : infoOf(key, found);
    },
    async get(key): Promise<Readable> {
      return readStream(await existing(root, key));
    },
    async localFile(key) {
      return existing(root, key);
    },
    localFolder: (prefix) => join(root, prefix),
    async *list(prefix) {
      yield* walk(root, prefix);
    },
    put,
    async copy(from, to) {
      const path = await existing(root, from);
      const aside = join(root, STAGING_FOLDER, stagingName());
      return translated(join(root, to), async () => {
        try {
          // Where the file system shares blocks between files, this takes no room.
          await copyFile(path, aside, constants.COPYFILE_FICLONE);
          const result = await put(to, { file: aside });
          if (result.status === 'conflict') throw new Error(`${to} was put without a condition, and in vain`);
          return result.info;
        } finally {
          await removeIfThere(aside);
        }
      });
    },
    async delete(key) {
      await translated(join(root, key), async () => {
        await removeIfThere(join(root, key));
        await removeEmptyFolders(root, key);
      });
    },
    remains: {
      oldVersions: () => Readable.from([]),
      async deleteVersion({ key }) {
        throw new Error(`a folder keeps no old versions, but ${key} is to be one`);
      },
      async *unfinished() {
        yield* staged(root);
      },
      async discard({ name }) {
        const path = join(root, STAGING_FOLDER, name);
        await translated(path, () => rm(path, { recursive: true, force: true }));
      },
    },
  };
}

async function existing(root: string, key: string): Promise<string> {
  const path = join(root, key);
  if ((await translated(path, () => fileStat(path))) === undefined) {
    throw new JobError('object_missing', 'data', 'the lake has lost this object', {
      place: { file: key },
      hint: 'run `listenlake doctor --verify` to see what is whole and what to rebuild',
    });
  }
  return path;
}

/**
 * Writes the body to a staging file and flushes it. A file body that lies in the staging folder is used as it
 * is.
 */
async function stage(root: string, body: ObjectBody): Promise<string> {
  const staging = join(root, STAGING_FOLDER);
  const staged = join(staging, stagingName());
  if (typeof body === 'object' && 'file' in body) {
    if (body.file.startsWith(`${staging}/`)) {
      await rename(body.file, staged);
    } else {
      await copyFile(body.file, staged);
    }
  } else {
    const handle = await open(staged, 'wx', FILE_MODE);
    try {
      await handle.writeFile(body);
    } catch (error) {
      await handle.close();
      await removeIfThere(staged);
      throw error;
    }
    await handle.close();
  }
  const handle = await open(staged, 'r+');
  try {
    await handle.chmod(FILE_MODE);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return staged;
}

/**
 * Makes the folder for it, once more where another process has just found it empty and removed it, and
 * flushes what new folders are in. That comes last, because it takes long: a folder that holds something is
 * not removed.
 */
async function inFolder(target: string, action: () => Promise<void>): Promise<void> {
  const changed = new Set<string>();
  for (let tries = 1; ; tries += 1) {
    try {
      for (const folder of await makeFolder(dirname(target))) changed.add(folder);
      await action();
      break;
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || tries >= FOLDER_TRIES_MAX) throw error;
      await sleep(Math.random() * FOLDER_PAUSE_MAX_MS);
    }
  }
  for (const folder of changed) await flushFolder(folder);
}

/**
 * Makes a folder with its parents. @returns the folders that have a new entry: unflushed, a power cut would
 * take all below it
 */
async function makeFolder(path: string): Promise<string[]> {
  const first = await makeFolders(path, FOLDER_MODE);
  const changed: string[] = [];
  for (let made = path; first !== undefined && made.length >= first.length; made = dirname(made))
    changed.push(dirname(made));
  return changed;
}

/** Makes the names in a folder outlast a power cut. */
export async function flushFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Compare-and-replace needs a moment alone: a lock file for each key, made only if absent. */
async function withLock<T>(root: string, key: string, action: () => Promise<T>): Promise<T> {
  const path = join(root, STAGING_FOLDER, `${createHash('sha256').update(key).digest('hex')}.lock`);
  for (let waitedMs = 0; ; waitedMs += 10) {
    try {
      await (await open(path, 'wx', FILE_MODE)).close();
      break;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      if (waitedMs > LOCK_WAIT_MS) {
        throw new JobError('store_busy', 'tempfail', `another process is replacing ${key}`, { hint: 'try again' });
      }
      const held = await fileStat(path);
      // Age by the file system's own clock against a file made now: no other clock is involved.
      if (held !== undefined && (await isStale(root, held))) await removeIfThere(path);
      await sleep(10);
    }
  }
  try {
    return await action();
  } finally {
    await removeIfThere(path);
  }
}

async function isStale(root: string, held: BigIntStats): Promise<boolean> {
  const probe = join(root, STAGING_FOLDER, `${stagingName()}.probe`);
  await (await open(probe, 'wx', FILE_MODE)).close();
  const made = await stat(probe, { bigint: true });
  await removeIfThere(probe);
  return made.mtimeMs - held.mtimeMs > BigInt(LOCK_STALE_MS);
}

async function* walk(root: string, prefix: string): AsyncIterable<ObjectInfo> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  let entries: { name: string; isFolder: boolean }[];
  try {
    const read = await translated(join(root, folder), () => readdir(join(root, folder), { withFileTypes: true }));
    entries = read.map((entry) => ({
      name: entry.isDirectory() ? `${entry.name}/` : entry.name,
      isFolder: entry.isDirectory(),
    }));
  } catch (error) {
    if (error instanceof JobError && isErrno(error.cause, 'ENOENT', 'ENOTDIR')) return;
    throw error;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, isFolder } of entries) {
    const key = `${folder}${name}`;
    if (key === `${STAGING_FOLDER}/`) continue;
    if (isFolder) {
      if (key.startsWith(prefix) || prefix.startsWith(key))
        yield* walk(root, key.length > prefix.length ? key : prefix);
    } else if (key.startsWith(prefix)) {
      const found = await translated(join(root, key), () => fileStat(join(root, key)));
      if (found !== undefined) yield infoOf(key, found);
    }
  }
}

async function fileStat(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
  }
}

/**
 * Folders that have become empty, but for the first level: those every writer expects. Who writes beside
 * makes them again (`inFolder`).
 */
async function removeEmptyFolders(root: string, key: string): Promise<void> {
  for (let folder = dirname(key); folder.includes('/'); folder = dirname(folder)) {
    try {
      await rmdir(join(root, folder));
    } catch (error) {
      if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EBUSY')) return;
      throw error;
    }
  }
}

function infoOf(key: string, found: BigIntStats): ObjectInfo {
  return { key, bytes: Number(found.size), version: versionOf(found), modifiedAt: Number(found.mtimeMs) };
}

/** The inode changes with every replace, so equal versions are the same bytes. */
function versionOf(found: BigIntStats): string {
  return `${found.ino}-${found.mtimeNs}-${found.size}`;
}

function translated<T>(path: string, action: () => Promise<T>): Promise<T> {
  return onDisk(path, action, { failed: 'the folder of the lake must be readable and writable' });
}

/**
 * Makes a scratch folder for this process beside the lake's objects (same disk, so that files can be moved
 * into place).
 * @returns its path; the caller removes it
 */
export async function makeScratch(path: string): Promise<string> {
  const scratch = join(resolve(path), STAGING_FOLDER, `${stagingName()}.scratch`);
  await translated(scratch, () => makeFolders(scratch, FOLDER_MODE));
  return scratch;
}

/** Names that processes give to what they stage; whatever else lies there is not ours. */
const STAGED = /^(?:(\d+)-([0-9a-z]+)-[0-9a-z]+(?:\.[a-z]+)?|[0-9a-f]{64}\.lock)$/;

/** What other processes have staged, whether they are still there or not. */
async function* staged(root: string): AsyncIterable<UnfinishedWrite> {
  const staging = join(root, STAGING_FOLDER);
  for (const name of (await translated(staging, () => readdir(staging))).sort()) {
    const match = STAGED.exec(name);
    if (match === null || (match[1] === String(process.pid) && match[2] === HOST)) continue;
    const path = join(staging, name);
    const found = await translated(path, () => fileStat(path));
    if (found === undefined) continue;
    yield { name, bytes: await translated(path, () => bytesBelow(path)), startedAt: Number(found.mtimeMs) };
  }
}

async function bytesBelow(path: string): Promise<number> {
  const found = await fileStat(path);
  if (found?.isDirectory() !== true) return Number(found?.size ?? 0);
  let bytes = 0;
  for (const name of await readdir(path)) bytes += await bytesBelow(join(path, name));
  return bytes;
}

/** What others left in staging longer ago than this is swept, whoever they were. */
const STAGING_KEPT_MS = 24 * 3_600_000;

/**
 * Removes what killed commands left in staging: of this host when their process is gone, of others when it is
 * older than a day.
 */
export async function sweepStaging(path: string, now: number): Promise<void> {
  const staging = join(resolve(path), STAGING_FOLDER);
  for (const name of await translated(staging, () => readdir(staging))) {
    const match = STAGED.exec(name);
    if (match === null) continue;
    const [, pid, host] = match;
    const left = join(staging, name);
    await translated(left, async () => {
      const found = await fileStat(left);
      if (found === undefined) return;
      const isGone = host === HOST && !isAlive(Number(pid));
      if (isGone || now - Number(found.mtimeMs) > STAGING_KEPT_MS) await rm(left, { recursive: true, force: true });
    });
  }
}

/** Containers that share a folder have process ids of their own, so a name says the host too. */
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

function stagingName(): string {
  return `${process.pid}-${HOST}-${randomBytes(8).toString('hex')}`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isErrno(error, 'ESRCH');
  }
}
