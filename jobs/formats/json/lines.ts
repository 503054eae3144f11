import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { hasUtf8Mark } from '../text-encoding.ts';

/** Text that gathers before one write. */
const WRITE_CHARS = 256 * 1024;

/** Writes lines to a new file. */
export async function writeLines(path: string, lines: AsyncIterable<string>): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    let parts: string[] = [];
    let chars = 0;
    for await (const line of lines) {
      parts.push(line, '\n');
      chars += line.length;
      if (chars > WRITE_CHARS) {
        await handle.write(parts.join(''));
        [parts, chars] = [[], 0];
      }
    }
    await handle.write(parts.join(''));
  } finally {
    await handle.close();
  }
}

/** The text of a file, as its only line. */
export async function* wholeOf(path: string): AsyncGenerator<string> {
  const parts: Buffer[] = [];
  for await (const chunk of createReadStream(path)) parts.push(chunk as Buffer);
  yield withoutMark(Buffer.concat(parts));
}

/**
 * Lines by the line feed only: other line separators may stand inside JSON texts. The scanner has bounded
 * their length.
 */
export async function* linesOf(path: string): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let isFirst = true;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 })) {
    let from = 0;
    for (let at = (chunk as Buffer).indexOf(10); at >= 0; at = (chunk as Buffer).indexOf(10, from)) {
      const line = Buffer.concat([...rest, (chunk as Buffer).subarray(from, at)]);
      yield isFirst ? withoutMark(line) : line.toString('utf8');
      [rest, from, isFirst] = [[], at + 1, false];
    }
    rest.push((chunk as Buffer).subarray(from));
  }
  const last = Buffer.concat(rest);
  yield isFirst ? withoutMark(last) : last.toString('utf8');
}

function withoutMark(bytes: Buffer): string {
  return (hasUtf8Mark(bytes) ? bytes.subarray(3) : bytes).toString('utf8');
}
