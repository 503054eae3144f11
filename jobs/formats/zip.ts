import { closeSync, createWriteStream, fstatSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { JobError } from '../base/errors.ts';
import { fileNameWithoutPersonal } from '../base/personal-fields.ts';
import { INPUT_FLAGS, isLitter, otherThanFile } from './input.ts';
import {
  type Budget,
  ENTRIES_MAX,
  ENTRY_BYTES_MAX,
  HEAD_BYTES,
  nestedArchive,
  openBudget,
  RATIO_FREE_BYTES,
  RATIO_MAX,
  seeing,
  UNPACKED_MODE,
} from './packing.ts';

const NAME_BYTES_MAX = 1_024;
/** Names and notes of all entries: they are held in memory. Real ones are under 10 KiB. */
const DIRECTORY_BYTES_MAX = 32 * 1024 ** 2;
/** Control characters, and what turns the direction of a line of text. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/** One file inside an archive: either it can be unpacked, or `refusal` says why not. */
export interface ArchiveEntry {
  /** As in the archive, made printable, without addresses and ids of people. */
  name: string;
  refusal: JobError | undefined;
  bytes: number;
  /** Bytes that it takes in the archive. */
  packedBytes: number;
  /** Its first bytes, without unpacking the rest. @throws `zip_entry_invalid` (65) */
  head(): Promise<Buffer>;
  /**
   * Writes the bytes to `target` (made only if absent) while their checksum is verified.
   *
   * @throws `zip_entry_invalid` (65)
   */
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
 * Refused as a whole: no or a broken directory (`zip_invalid`), more than 10,000 entries or 4 GiB
 * (`zip_too_large`), entries that together unpack to more than 200 times the archive or share their bytes
 * (`zip_bomb`). Refused alone (`ArchiveEntry.refusal`): names that lead out of the archive, absolute, with a
 * backslash, a drive, NUL or over 1 KiB (`zip_name`), names that stand twice (`zip_duplicate_name`),
 * encrypted (`zip_encrypted`), links and devices (`zip_not_a_file`), other methods than stored and deflated
 * (`zip_method`), over 2 GiB or packed denser than 200:1 (`zip_bomb`), archives in the archive
 * (`zip_nested`). All are exit 65.
 */
export async function openArchive(path: string, budget: Budget = openBudget()): Promise<Archive> {
  const zip = await openZip(path);
  try {
    if (zip.entryCount > ENTRIES_MAX) {
      throw new JobError('zip_too_large', 'data', `${zip.entryCount} entries, more than ${ENTRIES_MAX}`, {
        hint: 'unpack it and give the folder',
      });
    }
    const found = await readDirectory(zip);
    const total = found.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
    if (total > budget.bytes) {
      throw new JobError('zip_too_large', 'data', `${total} bytes when unpacked, more than 4 GiB`, {
        hint: 'unpack it and give the folder',
      });
    }
    const names = new Map<string, number>();
    for (const entry of found) names.set(nameOf(entry), (names.get(nameOf(entry)) ?? 0) + 1);
    const files = found
      .filter((entry) => !nameOf(entry).endsWith('/') && !isLeftover(nameOf(entry)))
      .map((entry) => ({ entry, refusal: refusalOf(entry, names.get(nameOf(entry)) ?? 1) }));
    const readable = files.filter(({ refusal }) => refusal === undefined).map(({ entry }) => entry);
    refuseBomb(readable, zip.fileSize);
    budget.bytes -= readable.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
    return {
      entries: files.map(({ entry, refusal }) => ({
        name: printable(fileNameWithoutPersonal(nameOf(entry))),
        refusal,
        bytes: entry.uncompressedSize,
        packedBytes: entry.compressedSize,
        head: () => readEntryHead(zip, entry),
        unpack: (target) => unpackEntry(zip, entry, target),
      })),
      close: () => zip.close(),
    };
  } catch (error) {
    zip.close();
    throw error;
  }
}

function openZip(path: string): Promise<ZipFile> {
  const fd = openSync(path, INPUT_FLAGS);
  const other = otherThanFile('', fstatSync(fd));
  if (other !== undefined) {
    closeSync(fd);
    throw other;
  }
  return new Promise((resolve, reject) => {
    // Names are checked here, one by one: the library would refuse the whole archive for one bad name.
    const options = { lazyEntries: true, autoClose: false, decodeStrings: false, validateEntrySizes: true };
    yauzl.fromFd(fd, options, (error, zip) => {
      if (!error) return resolve(zip);
      closeSync(fd);
      reject(invalid(error));
    });
  });
}

function readDirectory(zip: ZipFile): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const entries: Entry[] = [];
    let bytes = 0;
    zip.on('entry', (entry: Entry) => {
      bytes += entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
      if (bytes > DIRECTORY_BYTES_MAX) {
        reject(
          new JobError('zip_too_large', 'data', 'its names and notes alone take more than 32 MiB', {
            hint: 'take the archive as Spotify made it',
          }),
        );
        return;
      }
      entries.push(entry);
      zip.readEntry();
    });
    zip.on('end', () => resolve(entries));
    zip.on('error', (error: Error) => reject(invalid(error)));
    zip.readEntry();
  });
}

/** Entries that are fine one by one may still be too much together: they may even lie over one another. */
function refuseBomb(entries: readonly Entry[], archiveBytes: number): void {
  const packed = entries.reduce((sum, entry) => sum + entry.compressedSize, 0);
  const unpacked = entries.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
  if (packed <= archiveBytes && unpacked <= Math.max(RATIO_FREE_BYTES, RATIO_MAX * archiveBytes)) return;
  throw new JobError('zip_bomb', 'data', `${unpacked} bytes packed into ${archiveBytes}`, {
    hint: 'unpack it yourself if you trust it',
  });
}

/** A failing disk is not a damaged archive. */
function invalid(error: Error): Error {
  if ('syscall' in error) return error;
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

/** Whatever lies in a folder of a desktop system, whose names may hold what no other name may. */
function isLeftover(name: string): boolean {
  return !isUnsafe(name.replaceAll('\r', '')) && name.split('/').some(isLitter);
}

/**
 * Names that lead out of the archive, that some system reads in its own way, or that cannot be a file's name.
 */
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
      name.includes('\\') ? 'unpack it and give the folder' : 'take the archive as Spotify made it',
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
  return /\.(zip|7z|rar|tar|tgz)$/i.test(name) ? nestedArchive() : undefined;
}

function openEntry(zip: ZipFile, entry: Entry): Promise<Readable> {
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream as Readable)));
  });
}

async function readEntryHead(zip: ZipFile, entry: Entry): Promise<Buffer> {
  return ofEntry(async () => {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of await openEntry(zip, entry)) {
      parts.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes >= HEAD_BYTES) break;
    }
    return Buffer.concat(parts).subarray(0, HEAD_BYTES);
  });
}

async function unpackEntry(zip: ZipFile, entry: Entry, target: string): Promise<void> {
  let sum = 0;
  const summing = seeing((chunk) => {
    sum = crc32(chunk, sum);
  });
  await ofEntry(async () => {
    const source = await openEntry(zip, entry);
    await pipeline(source, summing, createWriteStream(target, { flags: 'wx', mode: UNPACKED_MODE }));
  });
  if (sum !== entry.crc32) {
    throw new JobError('zip_entry_invalid', 'data', 'its checksum is wrong: the archive is damaged', {
      hint: 'download the archive again',
    });
  }
}

/** What the library and zlib say of an entry is the entry's fault; what the system says is not. */
async function ofEntry<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof JobError || (typeof error === 'object' && error !== null && 'syscall' in error)) throw error;
    throw new JobError('zip_entry_invalid', 'data', `cannot be unpacked: ${(error as Error).message}`, {
      hint: 'download the archive again',
      cause: error,
    });
  }
}

/** Without control characters, and not longer than a message can bear. */
function printable(name: string): string {
  return name.replace(new RegExp(UNPRINTABLE, 'gu'), '?').slice(0, 200);
}
