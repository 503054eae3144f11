import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readStream } from './disk.ts';

const CHUNK_BYTES = 1024 ** 2;

/** SHA-256 (hex) of a text. */
export function hashText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * SHA-256 (hex) of a file that was given. What the system says of it is thrown as it is: it may be the file's
 * own fault.
 */
export async function hashFile(path: string): Promise<string> {
  return hashChunks(createReadStream(path, { highWaterMark: CHUNK_BYTES }));
}

/** SHA-256 (hex) of an object of the lake, or of one to be. @throws `disk_failed` (74) with the path */
export async function hashObject(path: string): Promise<string> {
  return hashChunks(readStream(path, { highWaterMark: CHUNK_BYTES }));
}

/** SHA-256 (hex) of all bytes of a stream. @throws what the stream throws */
export async function hashChunks(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}
