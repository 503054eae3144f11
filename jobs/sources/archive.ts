import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createGunzip } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { JobError } from '../errors.ts';
import { isLitter } from './input-files.ts';
import { fileNameWithoutPersonal } from './personal-fields.ts';

/** Limits of what is unpacked: a real export is one archive of about 60 entries and 0.1 to 1 GiB, packed about 15:1. */
const ENTRIES_MAX = 10_000;
const ENTRY_BYTES_MAX = 2 * 1024 ** 3;
const TOTAL_BYTES_MAX = 4 * 1024 ** 3;
const RATIO_MAX = 200;
/** Small files may pack better than that (a page of empty lists); they cannot hurt. */
const RATIO_FREE_BYTES = 1024 ** 2;
const NAME_BYTES_MAX = 1_024;
const FILE_MODE = 0o600;
/** Control characters, and what turns the direction of a line of text. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** One file inside an archive: either it can be unpacked, or `refusal` says why not. */
export interface ArchiveEntry {
  /** As in the archive, made printable, without addresses and ids of people. */
  name: string;
  refusal: JobError | undefined;
  bytes: number;
  /** Writes the bytes to `target` (made only if absent) while their checksum is verified. @throws `zip_entry_invalid` (65) */
  unpack(target: string): Promise<void>;
}

export interface Archive {
  /** Files in the archive's order; folders and desktop litter are passed over. */
  entries: ArchiveEntry[];
  close(): void;
}

/**
 * Opens a zip and reads its directory; nothing is unpacked yet.
 *
 * Refused as a whole: no or a broken directory (`zip_invalid`), more than 10,000 entries or 4 GiB (`zip_too_large`). Refused alone
 * (`ArchiveEntry.refusal`): names that lead out of the archive, absolute, with a backslash, a drive, NUL or over 1 KiB (`zip_name`), names that stand
 * twice (`zip_duplicate_name`), encrypted (`zip_encrypted`), links and devices (`zip_not_a_file`), other methods than stored and deflated
 * (`zip_method`), over 2 GiB or packed denser than 200:1 (`zip_bomb`), archives in the archive (`zip_nested`). All are exit 65.
 */
export async function openArchive(path: string): Promise<Archive> {
  const zip = await openZip(path);
  try {
    if (zip.entryCount > ENTRIES_MAX) {
      throw new JobError('zip_too_large', 'data', `${zip.entryCount} entries, more than ${ENTRIES_MAX}`, {
        hint: 'unpack it and give the folder',
      });
    }
    const found = await readDirectory(zip);
    const total = found.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
    if (total > TOTAL_BYTES_MAX) {
      throw new JobError('zip_too_large', 'data', `${total} bytes when unpacked, more than 4 GiB`, {
        hint: 'unpack it and give the folder',
      });
    }
    const names = new Map<string, number>();
    for (const entry of found) names.set(nameOf(entry), (names.get(nameOf(entry)) ?? 0) + 1);
    const files = found.filter((entry) => {
      const name = nameOf(entry);
      return !name.endsWith('/') && (isUnsafe(name) || !name.split('/').some(isLitter));
    });
    return {
      entries: files.map((entry) => ({
        name: printable(nameOf(entry).split('/').map(fileNameWithoutPersonal).join('/')),
        refusal: refusalOf(entry, names.get(nameOf(entry)) ?? 1),
        bytes: entry.uncompressedSize,
        unpack: (target) => unpackEntry(zip, entry, target),
      })),
      close: () => zip.close(),
    };
  } catch (error) {
    zip.close();
    throw error;
  }
}

/**
 * Unpacks a gzip file to `target`.
 *
 * @returns SHA-256 (hex) of the packed bytes
 * @throws `gzip_invalid`, `gzip_bomb` (65)
 */
export async function unpackGzip(path: string, target: string): Promise<string> {
  const hash = createHash('sha256');
  let packed = 0;
  const source = createReadStream(path, { highWaterMark: 1024 ** 2 });
  const hashing = transform((chunk) => {
    packed += chunk.length;
    hash.update(chunk);
  });
  let unpacked = 0;
  const limiting = transform((chunk) => {
    unpacked += chunk.length;
    if (unpacked > ENTRY_BYTES_MAX || (unpacked > RATIO_FREE_BYTES && unpacked > RATIO_MAX * Math.max(packed, 1))) {
      throw new JobError('gzip_bomb', 'data', `packed denser than ${RATIO_MAX}:1 or over 2 GiB`, {
        hint: 'unpack it yourself if you trust it',
      });
    }
  });
  try {
    await pipeline(
      source,
      hashing,
      createGunzip({ chunkSize: 256 * 1024 }),
      limiting,
      createWriteStream(target, { flags: 'wx', mode: FILE_MODE }),
    );
  } catch (error) {
    const code = codeOf(error);
    if (/^Z_|^ERR_TRAILING_JUNK/.test(code)) {
      throw new JobError('gzip_invalid', 'data', `not a whole gzip file (${code})`, {
        hint: 'download or copy it again',
        cause: error,
      });
    }
    throw error;
  }
  return hash.digest('hex');
}

function openZip(path: string): Promise<ZipFile> {
  return new Promise((resolve, reject) => {
    // Names are checked here, one by one: the library would refuse the whole archive for one bad name.
    yauzl.open(
      path,
      { lazyEntries: true, autoClose: false, decodeStrings: false, validateEntrySizes: true },
      (error, zip) => {
        if (error) reject(invalid(error));
        else resolve(zip);
      },
    );
  });
}

function readDirectory(zip: ZipFile): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const entries: Entry[] = [];
    zip.on('entry', (entry: Entry) => {
      entries.push(entry);
      zip.readEntry();
    });
    zip.on('end', () => resolve(entries));
    zip.on('error', (error: Error) => reject(invalid(error)));
    zip.readEntry();
  });
}

function invalid(error: Error): JobError {
  return new JobError('zip_invalid', 'data', `not a whole zip file: ${error.message}`, {
    hint: 'download it again',
    cause: error,
  });
}

function nameOf(entry: Entry): string {
  const raw = entry.fileName as unknown as Buffer;
  return raw.toString((entry.generalPurposeBitFlag & 0x800) !== 0 || isPlain(raw) ? 'utf8' : 'latin1');
}

function isPlain(raw: Buffer): boolean {
  return raw.every((byte) => byte < 128);
}

/** Names that lead out of the archive, that some system reads in its own way, or that cannot be a file's name. */
function isUnsafe(name: string): boolean {
  const parts = name.split('/');
  return (
    Buffer.byteLength(name) > NAME_BYTES_MAX ||
    name.includes('\\') ||
    UNPRINTABLE.test(name) ||
    /^[A-Za-z]:/.test(name) ||
    parts.some((part) => part === '..' || part === '.' || part === '')
  );
}

function refusalOf(entry: Entry, copies: number): JobError | undefined {
  const name = nameOf(entry);
  const mode = (entry.externalFileAttributes >>> 16) & 0o170000;
  const refuse = (code: string, message: string, hint: string) => new JobError(code, 'data', message, { hint });
  if (isUnsafe(name)) {
    return refuse(
      'zip_name',
      'its name leads out of the archive or cannot be a file name',
      'take the archive as Spotify made it',
    );
  }
  if (copies > 1)
    return refuse(
      'zip_duplicate_name',
      `${copies} entries have this name`,
      'unpack the archive and give the right file',
    );
  if (mode !== 0 && mode !== 0o100000)
    return refuse('zip_not_a_file', 'a link or a device, not a file', 'unpack the archive and give the file itself');
  if (entry.isEncrypted())
    return refuse('zip_encrypted', 'it is encrypted', 'unpack the archive with its password and give the folder');
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) {
    return refuse(
      'zip_method',
      `compression method ${entry.compressionMethod} is not supported`,
      'unpack the archive and give the folder',
    );
  }
  const isDense =
    entry.uncompressedSize > RATIO_FREE_BYTES && entry.uncompressedSize > RATIO_MAX * Math.max(entry.compressedSize, 1);
  if (isDense || entry.uncompressedSize > ENTRY_BYTES_MAX) {
    return refuse(
      'zip_bomb',
      `${entry.uncompressedSize} bytes packed into ${entry.compressedSize}`,
      'unpack it yourself if you trust it',
    );
  }
  if (/\.(zip|7z|rar|tar|tgz)$/i.test(name))
    return refuse('zip_nested', 'an archive inside an archive', 'unpack the outer one and give the folder');
  return undefined;
}

async function unpackEntry(zip: ZipFile, entry: Entry, target: string): Promise<void> {
  let sum = 0;
  const summing = transform((chunk) => {
    sum = crc32(chunk, sum);
  });
  try {
    const source = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream)));
    });
    await pipeline(source, summing, createWriteStream(target, { flags: 'wx', mode: FILE_MODE }));
  } catch (error) {
    const isDisk = typeof error === 'object' && error !== null && 'syscall' in error;
    if (isDisk || error instanceof JobError) throw error;
    const reason = (error as Error).message;
    throw new JobError('zip_entry_invalid', 'data', `cannot be unpacked: ${reason}`, {
      hint: 'download the archive again',
      cause: error,
    });
  }
  if (sum !== entry.crc32) {
    throw new JobError('zip_entry_invalid', 'data', 'its checksum is wrong: the archive is damaged', {
      hint: 'download the archive again',
    });
  }
}

function transform(see: (chunk: Buffer) => void): Transform {
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

/** Without control characters, and not longer than a message can bear. */
function printable(name: string): string {
  return name.replace(new RegExp(UNPRINTABLE, 'gu'), '?').slice(0, 200);
}

/** Not by class: errors of the platform's own streams may belong to another realm. */
function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
