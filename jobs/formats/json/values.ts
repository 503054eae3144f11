import { createReadStream } from 'node:fs';
import type { JsonScan } from './scanner.ts';

const QUOTE = 34;
const ESCAPE = 92;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125];

/** The rows of a file (see `rowsIn`). */
export function rowsOf(path: string, { form }: Pick<JsonScan, 'form'>): AsyncGenerator<string> {
  return rowsIn(createReadStream(path, { highWaterMark: 1024 ** 2 }), form);
}

/**
 * The text of each row of bytes that the scanner found whole, one after the other: elements of the list, or
 * values. Rows must be objects (`firstOtherRow` undefined). The scanner has bounded their size.
 *
 * @param chunks the bytes, in any portion
 */
export async function* rowsIn(chunks: AsyncIterable<Uint8Array>, form: JsonScan['form']): AsyncGenerator<string> {
  const rowDepth = form === 'array' ? 1 : 0;
  let depth = 0;
  let isInText = false;
  let isEscaped = false;
  let parts: Uint8Array[] = [];
  for await (const bytes of chunks) {
    let start = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at]!;
      if (isInText) {
        if (isEscaped) isEscaped = false;
        else if (byte === ESCAPE) isEscaped = true;
        else if (byte === QUOTE) isInText = false;
      } else if (byte === QUOTE) isInText = true;
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        if (depth === rowDepth) start = at;
        depth += 1;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        depth -= 1;
        if (depth !== rowDepth) continue;
        yield Buffer.concat([...parts, bytes.subarray(start, at + 1)]).toString('utf8');
        parts = [];
      }
    }
    if (depth > rowDepth) parts.push(bytes.subarray(start));
  }
}
