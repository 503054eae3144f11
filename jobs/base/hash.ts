import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readStream } from './disk.ts';

const READ_BYTES = 1024 ** 2;

/** SHA-256 (hex) of a text in UTF-8. */
export function hashText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** SHA-256 (hex) of all bytes of a stream. @throws what the stream throws */
export async function hashStream(chunks: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/**
 * SHA-256 (hex) of a file that somebody gave.
 *
 * @throws the file system's error, which says something about that file
 */
export async function hashFile(path: string): Promise<string> {
  return hashStream(createReadStream(path, { highWaterMark: READ_BYTES }));
}

/** SHA-256 (hex) of a file of the lake or of scratch. @throws `disk_failed` (74) */
export async function hashOwnFile(path: string): Promise<string> {
  return hashStream(readStream(path, { highWaterMark: READ_BYTES }));
}
