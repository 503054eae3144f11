import { createReadStream, existsSync, type ReadStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno, JobError } from './errors.ts';

/**
 * What the system says by code (Node's errors) and in words (the engine's: glibc's and musl's `strerror`).
 */
const WORDS: Record<string, string[]> = {
  ENOSPC: ['No space left on device'],
  EDQUOT: ['Disk quota exceeded', 'Quota exceeded'],
  EFBIG: ['File too large'],
  EMFILE: ['Too many open files', 'No file descriptors available'],
  ENFILE: ['Too many open files in system'],
  EIO: ['Input/output error', 'I/O error', 'fsync failed'],
  EROFS: ['Read-only file system'],
  EACCES: ['Permission denied'],
  EPERM: ['Operation not permitted'],
  ENOMEM: ['Cannot allocate memory', 'Out of memory'],
  ENXIO: ['No such device or address'],
  ENODEV: ['No such device'],
  ESTALE: ['Stale file handle'],
  EBUSY: ['Device or resource busy', 'Resource busy'],
  ELOOP: ['Too many levels of symbolic links', 'Symbolic link loop'],
  ENAMETOOLONG: ['File name too long', 'Filename too long'],
};
const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];
const EXHAUSTED = ['EMFILE', 'ENFILE'];
/**
 * Of a path that a person gave, or that the lake must have. Of any other path these are our bugs, and stay
 * what they are.
 */
const OF_PATHS = ['ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'EXDEV', 'EINVAL'];
/** Of a connection, `EACCES` and `EPERM` are no fault of the disk. */
const NETWORK_CALLS = /^(connect|listen|bind|accept|getaddrinfo|send|shutdown)/;

/**
 * Makes a folder with its parents; one that is there stays as it is. Node's own `recursive` never ends where
 * a folder exists and the system says of each new one in it that there is no such folder, as `/proc` does
 * (seen with Node 24).
 *
 * @returns the topmost folder that was made; undefined where all were there
 * @throws the system's error of the folder that could not be made
 */
export async function makeFolders(path: string, mode = 0o700): Promise<string | undefined> {
  try {
    return (await makeOne(path, mode)) ? path : undefined;
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || dirname(path) === path) throw error;
    const first = await makeFolders(dirname(path), mode);
    return (await makeOne(path, mode)) ? (first ?? path) : first;
  }
}

/** @returns false where the folder is there already */
async function makeOne(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (await isFolder(path)) return false;
    throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Words for one place; the others are those of the lake. */
export interface DiskAdvice {
  full?: string;
  failed?: string;
}

/**
 * A fault of the disk, of a file's rights or of the process's limits, as a person should read it:
 * `disk_full`, `disk_failed` or `files_exhausted` (74; a retry helps once the cause is gone), with the path
 * and the remedy. Any other error comes back as it is. This is the one place that knows what the system's
 * codes mean.
 *
 * @param error of Node's file system
 * @param path what was at work, for errors that do not name one (`read`, `write` and `fsync` do not)
 */
export function diskError(error: unknown, path: string, advice: DiskAdvice = {}): unknown {
  if (error instanceof JobError || isNetwork(error)) return error;
  const code = [...Object.keys(WORDS), ...OF_PATHS].find((each) => isErrno(error, each));
  return code === undefined ? error : described(code, code, path, advice, error);
}

/** Runs an action on a file or folder; what the disk or the system refuses is said as `diskError` does. */
export async function onDisk<T>(path: string, action: () => Promise<T>, advice: DiskAdvice = {}): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw diskError(error, path, advice);
  }
}

/**
 * As `diskError`, for whatever has come up unexplained at the end of a command: errors of Node that only the
 * system can be the cause of (a missing file is a bug of ours), and what an engine says in words.
 *
 * @param place where the command works, for errors that name no path
 */
export function systemError(error: unknown, place: string): unknown {
  if (error instanceof JobError) return placed(error, place);
  if (isNetwork(error)) return error;
  const code = Object.keys(WORDS).find((each) => isErrno(error, each));
  if (code === undefined) return diskErrorInWords(error, place);
  const named = typeof error === 'object' && error !== null && 'path' in error ? String(error.path) : place;
  return described(code, code, named, {}, error);
}

/** As `diskError`, from the engine's words, which name the path in quotation marks or not at all. */
export function diskErrorInWords(error: unknown, place?: string): unknown {
  if (error instanceof JobError) return error;
  const text = typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : '';
  const [line = ''] = text.split('\n', 1);
  const hidden = HIDDEN.exec(text)?.[1]?.replaceAll(/\[([[*?])\]/g, '$1');
  if (hidden !== undefined && existsSync(hidden))
    return described('EIO', 'the engine cannot see it, and it is there', hidden, {}, error);
  const code = Object.keys(WORDS).findLast((each) => WORDS[each]!.some((words) => text.includes(words)));
  if (code === undefined || !ENGINE_SAYS.test(text)) return error;
  const named = /"(\/[^"]+)"/.exec(line)?.[1] ?? place;
  return described(code, line, named, {}, error);
}

/**
 * Node's stream of a file, or of `start` to `end` (both inclusive) of it; what goes wrong with it comes as
 * `diskError`, with the path. Node's own says `EIO: i/o error, read`, and not of what.
 */
export function readStream(path: string, options: Parameters<typeof createReadStream>[1] = {}): ReadStream {
  const stream = createReadStream(path, options);
  const destroy = stream._destroy.bind(stream);
  stream._destroy = (error, done) => destroy(error, (last) => done(last && (diskError(last, path) as Error)));
  return stream;
}

/**
 * A file that is there and is not found: its status could not be read, which the engine takes for its
 * absence.
 */
const HIDDEN = /No files found that match the pattern "(\/[^"]+)"/;
/** How an engine's complaint about the system begins, wherever it stands in a chain of them. */
const ENGINE_SAYS = /\b(IO|FATAL|INTERNAL|TransactionContext|Permission|Out of Memory) Error: |\bFailed to /;

function described(
  code: string,
  message: string,
  path: string | undefined,
  advice: DiskAdvice,
  cause: unknown,
): JobError {
  const options = { place: path === undefined ? {} : { file: path }, cause };
  if (FULL.includes(code)) {
    const hint = advice.full ?? 'make room and run it again; what was committed is whole';
    return new JobError('disk_full', 'io', `cannot write: ${message}`, { ...options, hint });
  }
  if (EXHAUSTED.includes(code)) {
    const hint = 'raise the limit of open files (`ulimit -n`) and run it again; what was committed is whole';
    return new JobError('files_exhausted', 'io', `too many open files: ${message}`, { ...options, hint });
  }
  if (code === 'ENOMEM') {
    const hint = 'give it more memory, or lower LISTENLAKE_MEMORY_MB, and run it again; what was committed is whole';
    return new JobError('memory_full', 'io', `no memory: ${message}`, { ...options, hint });
  }
  const hint = advice.failed ?? 'it must be readable and writable, and its disk well; then run it again';
  return new JobError('disk_failed', 'io', `cannot use it: ${message}`, { ...options, hint });
}

/** With the place where the command works, where a fault of the disk says none. */
function placed(error: JobError, place: string): JobError {
  if (error.exit !== 'io' || error.place.file !== undefined) return error;
  const { code, exit, message, hint, cause } = error;
  return new JobError(code, exit, message, { place: { file: place }, cause, ...(hint === undefined ? {} : { hint }) });
}

function isNetwork(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'syscall' in error && NETWORK_CALLS.test(String(error.syscall));
}
