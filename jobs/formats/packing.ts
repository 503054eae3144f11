import { Transform, type TransformCallback } from 'node:stream';
import { JobError } from '../base/errors.ts';

/**
 * Limits of what is unpacked: a real export is one archive of about 60 entries and 0.1 to 1 GiB, packed about
 * 15:1.
 */
export const ENTRIES_MAX = 10_000;
export const ENTRY_BYTES_MAX = 2 * 1024 ** 3;
const TOTAL_BYTES_MAX = 4 * 1024 ** 3;
export const RATIO_MAX = 200;
/** Small files may pack better than that (a page of empty lists); they cannot hurt. */
export const RATIO_FREE_BYTES = 1024 ** 2;
/** The first bytes of a file tell what it is packed as; a tar says so at its byte 257. */
export const HEAD_BYTES = 512;
/** Unpacked files are their owner's alone. */
export const UNPACKED_MODE = 0o600;

/** What a file is packed as. `other`: an archive of a kind that is not read. */
export type Packing = { as: 'zip' | 'gzip' } | { as: 'other'; kind: string };

/** First bytes (hex) of archives that are not read, and what people call them. */
const OTHER_ARCHIVES: readonly (readonly [magic: string, kind: string])[] = [
  ['377abcaf271c', '7z'],
  ['526172211a07', 'rar'],
  ['fd377a585a00', 'xz'],
  ['425a68', 'bzip2'],
  ['28b52ffd', 'zstd'],
];
const TAR_MAGIC_AT = 257;

/**
 * What a file is packed as, by its first bytes (`HEAD_BYTES` are enough) and whatever it is called;
 * undefined: not an archive.
 */
export function packingOf(head: Buffer): Packing | undefined {
  const magic = head.toString('hex', 0, 6);
  if (/^504b(0304|0506|0708)/.test(magic)) return { as: 'zip' };
  if (magic.startsWith('1f8b')) return { as: 'gzip' };
  const other = OTHER_ARCHIVES.find(([start]) => magic.startsWith(start));
  if (other !== undefined) return { as: 'other', kind: other[1] };
  const isTar = head.toString('latin1', TAR_MAGIC_AT, TAR_MAGIC_AT + 5) === 'ustar';
  return isTar ? { as: 'other', kind: 'tar' } : undefined;
}

/** The refusal of an archive that is not read (`archive_unknown`). */
export function unknownArchive(kind: string): JobError {
  return new JobError('archive_unknown', 'data', `a ${kind} archive, which is not read`, {
    hint: 'unpack it and give the folder',
  });
}

/** The refusal of an archive inside an archive (`zip_nested`). Only gzip inside zip is read. */
export function nestedArchive(): JobError {
  return new JobError('zip_nested', 'data', 'an archive inside an archive', {
    hint: 'unpack the outer one and give the folder',
  });
}

/** Bytes that one given file may still unpack to, on all its levels together. */
export interface Budget {
  bytes: number;
}

/** The budget of one given file: 4 GiB. */
export function openBudget(): Budget {
  return { bytes: TOTAL_BYTES_MAX };
}

/** Passes everything on; an error that `see` throws ends the stream. */
export function seeing(see: (chunk: Buffer) => void): Transform {
  return new Transform({
    highWaterMark: 1024 ** 2,
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      try {
        see(chunk);
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
