import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { diskError, makeFolders } from '../../base/disk.ts';
import { isErrno, JobError } from '../../base/errors.ts';
import { LOCK_STALE_MS, LOCK_WAIT_MAX_MS, parseToken, type Token, type TokenStore } from './token-store.ts';
import type { Web } from './transport.ts';

const FILE_MODE = 0o600;
const LOCK_POLL_MS = 100;

/** A login in a file of its owner alone (mode 0600), beside it the locks of those who want to change it. */
export function fileTokenStore(path: string, web: Pick<Web, 'sleep' | 'random' | 'now'>): TokenStore {
  return {
    place: path,
    read: () => readToken(path),
    change: (isWanted, next) =>
      withTokenLock(path, web, async () => {
        // Another job may have changed it while we waited.
        const now = await readToken(path);
        if (!isWanted(now)) return now;
        const { token, failure } = await next(now);
        await writeToken(path, token);
        if (failure !== undefined) throw failure;
        return token;
      }),
    replace: (token) => withTokenLock(path, web, () => writeToken(path, token)),
    close() {},
  };
}

/**
 * @throws `not_logged_in` (77) where there is no file; `token_file_open` (78) where others may read it;
 *   `token_invalid` (77) where it is not a login; `disk_failed` (74)
 */
async function readToken(path: string): Promise<Token> {
  const place = { file: path };
  let text: string;
  try {
    const { mode } = await stat(path);
    // Windows knows no such modes: there the folder of the profile keeps others out.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      const octal = (mode & 0o777).toString(8).padStart(4, '0');
      throw new JobError('token_file_open', 'config', `others may read this login (mode ${octal}); it must be 0600`, {
        place,
        hint: `chmod 600 ${path}`,
      });
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) {
      throw new JobError('not_logged_in', 'auth', 'nobody has logged in to Spotify here', {
        place,
        hint: 'run `listenlake login`',
      });
    }
    throw diskFailed(path, error);
  }
  const token = parseToken(text);
  if (token === undefined) {
    throw new JobError('token_invalid', 'auth', 'this is not a login that listenlake wrote', {
      place,
      hint: 'run `listenlake login`',
    });
  }
  return token;
}

/**
 * Replaces the login as a whole, durably, readable by its owner alone. Call it inside `withTokenLock`.
 * @throws `disk_failed` (74)
 */
async function writeToken(path: string, token: Token): Promise<void> {
  const aside = `${path}.new`;
  try {
    await makeFolders(dirname(path));
    // Left by a process that was killed; a fresh file has our mode for certain.
    await rm(aside, { force: true });
    const handle = await open(aside, 'wx', FILE_MODE);
    try {
      await handle.chmod(FILE_MODE);
      await handle.writeFile(`${JSON.stringify(token, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, path);
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } catch (error) {
      if (!isErrno(error, 'EISDIR', 'EPERM', 'EINVAL')) throw error; // file systems that cannot flush a folder
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw diskFailed(path, error);
  }
}

/**
 * Lets one process at a time change the login, so that two jobs never send the same refresh token. Whoever
 * wants to lays a file of its own beside it and goes on when it sees no other: of two at once never both do.
 * Where several wait, the first by name stays and the others step back. Files of processes that are gone are
 * removed.
 *
 * @throws `token_busy` (75) when others hold it for a minute
 */
async function withTokenLock<T>(
  path: string,
  web: Pick<Web, 'sleep' | 'random' | 'now'>,
  action: () => Promise<T>,
): Promise<T> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.lock.`;
  const own = `${prefix}${Buffer.from(hostname()).toString('hex').slice(0, 32)}.${process.pid}.${randomBytes(6).toString('hex')}`;
  let isLaid = false;
  try {
    await makeFolders(folder);
    for (let waitedMs = 0; ; ) {
      let others = await othersOf(folder, prefix, own, web.now());
      if (!isLaid && others.length === 0) {
        await (await open(join(folder, own), 'wx', FILE_MODE)).close();
        isLaid = true;
        others = await othersOf(folder, prefix, own, web.now());
      }
      if (isLaid && others.length === 0) break;
      if (isLaid && others.some((name) => name < own)) {
        await rm(join(folder, own), { force: true });
        isLaid = false;
      }
      if (waitedMs >= LOCK_WAIT_MAX_MS) {
        throw new JobError('token_busy', 'tempfail', 'another job is refreshing this login', {
          place: { file: path },
          hint: 'run it again later',
        });
      }
      const waitMs = LOCK_POLL_MS * (1 + web.random());
      waitedMs += waitMs;
      await web.sleep(waitMs);
    }
  } catch (error) {
    await rm(join(folder, own), { force: true });
    throw diskFailed(path, error);
  }
  try {
    return await action();
  } finally {
    await rm(join(folder, own), { force: true });
  }
}

/** Names of the lock files of other live processes. */
async function othersOf(folder: string, prefix: string, own: string, now: number): Promise<string[]> {
  const others: string[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || name === own) continue;
    const [host, pid] = name.slice(prefix.length).split('.');
    const isGone = host === own.slice(prefix.length).split('.')[0] && !isAlive(Number(pid));
    if (isGone || (await isStale(join(folder, name), now))) await rm(join(folder, name), { force: true });
    else others.push(name);
  }
  return others;
}

/** Left by a process on another host. Given back meanwhile: not stale, and its owner may lay it again. */
async function isStale(path: string, now: number): Promise<boolean> {
  try {
    return now - (await stat(path)).mtimeMs > LOCK_STALE_MS;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isErrno(error, 'ESRCH');
  }
}

function diskFailed(path: string, error: unknown): unknown {
  return diskError(error, path, {
    failed: 'check the rights of the file and its folder, or set LISTENLAKE_SPOTIFY_TOKEN_FILE',
  });
}
