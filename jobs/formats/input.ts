import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { isErrno, JobError } from '../base/errors.ts';

/**
 * Left by desktop systems in folders and archives; never somebody's data. The name of macOS's icons ends with
 * a carriage return.
 */
const LITTER = /^(\..*|__MACOSX|Thumbs\.db|desktop\.ini|Icon\r)$/i;

/** How an input is opened: where somebody has put a FIFO in its place, without waiting for a writer. */
export const INPUT_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** True for hidden files and for what desktop systems leave behind. */
export function isLitter(name: string): boolean {
  return LITTER.test(name);
}

/**
 * What the file system's refusal of an input means: gone since it was listed (`file_changed`, 75), or not
 * ours to read (`input_denied`, 65).
 */
export function inputDenied(name: string, cause: unknown): JobError {
  if (!(typeof cause === 'object' && cause !== null && 'code' in cause)) throw cause;
  const place = { file: name };
  if (isErrno(cause, 'ENOENT')) {
    return new JobError('file_changed', 'tempfail', 'it vanished while it was read', {
      hint: 'run it again',
      place,
      cause,
    });
  }
  const message = `it cannot be read (${String(cause.code)})`;
  return new JobError('input_denied', 'data', message, { hint: 'check its rights', place, cause });
}

/**
 * Why this is not read: a link (`input_link`), or a FIFO, a socket, a device (`input_not_a_file`); undefined
 * for a regular file.
 */
export function otherThanFile(
  name: string,
  stats: { isFile(): boolean; isSymbolicLink(): boolean },
): JobError | undefined {
  if (stats.isFile()) return undefined;
  const [code, message, hint] = stats.isSymbolicLink()
    ? ['input_link', 'a link, which is not followed', 'give what it points to']
    : ['input_not_a_file', 'neither a file nor a folder', 'give a file, a folder or a zip'];
  return new JobError(code!, 'data', message!, { hint: hint!, place: { file: name } });
}

/**
 * Opens a regular file for reading.
 *
 * @throws `input_denied`, `input_not_a_file` (65); `file_changed` (75) where it is gone
 */
export async function openInput(path: string, name: string): Promise<FileHandle> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, INPUT_FLAGS);
    const other = otherThanFile(name, await handle.stat());
    if (other === undefined) return handle;
    throw other;
  } catch (error) {
    await handle?.close();
    if (isErrno(error, 'ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'EIO', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'ENODEV'))
      throw inputDenied(name, error);
    throw error;
  }
}

/** The first bytes of a file, at most `length`. @throws `input_denied` (65), `file_changed` (75) */
export async function readHead(path: string, name: string, length: number): Promise<Buffer> {
  const handle = await openInput(path, name);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
