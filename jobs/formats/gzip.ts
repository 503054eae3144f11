import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { JobError } from '../base/errors.ts';
import { openInput } from './input.ts';
import {
  type Budget,
  ENTRY_BYTES_MAX,
  HEAD_BYTES,
  RATIO_FREE_BYTES,
  RATIO_MAX,
  seeing,
  UNPACKED_MODE,
} from './packing.ts';

/** What a gzip file holds, found without writing it. */
export interface Gzip {
  /** SHA-256 (hex) of the packed bytes. */
  sha256: string;
  /** The first unpacked bytes. */
  head: Buffer;
  /**
   * Writes the unpacked bytes to `target` (made only if absent).
   *
   * @throws `file_changed` (75) where it no longer is what was looked at
   */
  unpack(target: string): Promise<void>;
}

/**
 * Looks through a gzip file: unpacks it into nothing, because only its end tells how large it becomes.
 *
 * @param packedBytes bytes that it takes where it lies: its own, or inside a zip those of its entry
 * @throws `gzip_invalid`; `gzip_bomb` for more than 2 GiB, more than 200 times its packed bytes, or more than
 *   the budget has left (65)
 */
export async function openGzip(path: string, packedBytes: number, budget: Budget): Promise<Gzip> {
  const hash = createHash('sha256');
  const most = Math.min(ENTRY_BYTES_MAX, budget.bytes, Math.max(RATIO_FREE_BYTES, RATIO_MAX * packedBytes));
  let head = Buffer.alloc(0);
  let bytes = 0;
  const look = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
      bytes += chunk.length;
      done(bytes > most ? gzipBomb() : null);
    },
  });
  await gunzip(path, (chunk) => hash.update(chunk), look);
  budget.bytes -= bytes;
  return {
    sha256: hash.digest('hex'),
    head,
    async unpack(target) {
      let left = bytes;
      const limit = seeing((chunk) => {
        left -= chunk.length;
        if (left < 0)
          throw new JobError('file_changed', 'tempfail', 'it changed while it was read', { hint: 'run it again' });
      });
      await gunzip(path, () => {}, limit, createWriteStream(target, { flags: 'wx', mode: UNPACKED_MODE }));
    },
  };
}

/** @param see is given the packed bytes */
async function gunzip(path: string, see: (chunk: Buffer) => void, ...rest: (Transform | Writable)[]): Promise<void> {
  const source = (await openInput(path, '')).createReadStream({ highWaterMark: 256 * 1024 });
  try {
    await pipeline([source, seeing(see), createGunzip({ chunkSize: 256 * 1024 }), ...rest]);
  } catch (error) {
    const code = codeOf(error);
    if (!/^Z_|^ERR_TRAILING_JUNK/.test(code)) throw error;
    throw new JobError('gzip_invalid', 'data', `not a whole gzip file (${code})`, {
      hint: 'download or copy it again',
      cause: error,
    });
  }
}

function gzipBomb(): JobError {
  return new JobError('gzip_bomb', 'data', `packed denser than ${RATIO_MAX}:1 or over 2 GiB`, {
    hint: 'unpack it yourself if you trust it',
  });
}

/** Not by class: errors of the platform's own streams may belong to another realm. */
function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}
