import { JobError } from '../base/errors.ts';
import { isPersonalValue } from '../base/personal-fields.ts';
import { messageOf } from '../engine/duckdb/database.ts';
import { inputDenied } from '../formats/input.ts';

/** Codes of the system that say something about the disk or the process, whatever file was asked for. */
const OWN_CODES = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EBUSY']);
/** Calls that only what `load` writes itself is made with. */
const WRITING_CALLS = new Set([
  ...['write', 'writev', 'fsync', 'fdatasync', 'ftruncate', 'symlink', 'link', 'mkdir', 'mkdtemp'],
  ...['rename', 'unlink', 'rm', 'rmdir', 'chmod', 'fchmod'],
]);
/** What the engine says of a file that it has been given, where the system fails to tell that it is there. */
const NOT_SEEN = /No files found that match the pattern/;
/** What is told of an error at most. */
const WORDS_CHARS_MAX = 200;

/**
 * What an error says about one file that was read just then: its refusal (`data`), or that it changed
 * (`tempfail`). Undefined where the error is not about this file: the disk, the store, a stop.
 *
 * Whatever is neither the system's word nor an expected failure is a refusal too (`file_failed`): a file that
 * brings out a bug of the engine or of a parser must not cost the other files.
 *
 * @param own folder of temporary files, which are not the input
 * @param staged path under which the engine reads the file, if it does
 */
export function faultOfFile(error: unknown, name: string, own: string, staged?: string): JobError | undefined {
  if (error instanceof JobError) {
    if (error.exit === 'data' || error.code === 'file_changed') return error;
    if (error.code === 'memory_full') return memoryFull(error);
    const isReading = error.code === 'disk_failed' && staged !== undefined && messageOf(error.cause).includes(staged);
    return isReading ? engineFailed(error.cause, name) : undefined;
  }
  const { code, syscall, path } = systemPart(error);
  if (syscall !== undefined) {
    if (OWN_CODES.has(code ?? '') || WRITING_CALLS.has(syscall) || path?.startsWith(`${own}/`)) return undefined;
    return inputDenied(name, error);
  }
  const isOwnIo = /^IO Error/.test(messageOf(error)) && !(staged !== undefined && messageOf(error).includes(staged));
  return isOwnIo ? undefined : engineFailed(error, name);
}

/**
 * True where another try alone may end differently: the engine was short of memory, or was broken by another
 * file.
 */
export function isWorthAnotherTry(error: unknown): boolean {
  return error instanceof JobError ? error.code === 'memory_full' : systemPart(error).syscall === undefined;
}

function memoryFull(cause: JobError): JobError {
  return new JobError('memory_full', 'data', 'it needs more memory than the engine may use', {
    hint: 'raise LISTENLAKE_MEMORY_MB and run it again',
    cause,
  });
}

function engineFailed(cause: unknown, name: string): JobError {
  if (NOT_SEEN.test(messageOf(cause))) {
    return new JobError('file_failed', 'data', 'it cannot be read: the system did not tell the size of it', {
      hint: 'run it again; where it stays so, look at the disk that it lies on',
      place: { file: name },
      cause,
    });
  }
  return new JobError('file_failed', 'data', `reading it failed: ${wordsOf(cause)}`, {
    hint: 'please report it with the shape of the file',
    place: { file: name },
    cause,
  });
}

/** The first line of an error without what may be a value of the file or a path of this machine. */
function wordsOf(error: unknown): string {
  const line = messageOf(error).split('\n', 1)[0]!;
  const masked = line.replaceAll(/"[^"]*"|'[^']*'|`[^`]*`/g, '...').replace(/["'`].*$/, '...');
  return isPersonalValue(masked) ? 'its words may be personal' : masked.slice(0, WORDS_CHARS_MAX);
}

function systemPart(error: unknown): { code?: string; syscall?: string; path?: string } {
  return typeof error === 'object' && error !== null
    ? (error as { code?: string; syscall?: string; path?: string })
    : {};
}
