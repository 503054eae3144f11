import { isUtf8 } from 'node:buffer';

/**
 * True for text in UTF-16 by its first bytes: its byte order mark, or plain characters with a zero beside
 * each.
 */
export function isUtf16(head: Uint8Array): boolean {
  const [a = 1, b = 1, c = 1, d = 1] = head;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true;
  const isPlain = (byte: number): boolean => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127);
  return (isPlain(a) && b === 0 && isPlain(c) && d === 0) || (a === 0 && isPlain(b) && c === 0 && isPlain(d));
}

/** True for the UTF-8 byte order mark. */
export function hasUtf8Mark(head: Uint8Array): boolean {
  return head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf;
}

/** Where the last character that is whole ends: at most three bytes before the end of the buffer. */
export function lastWholeCharacter(b: Uint8Array, from: number): number {
  for (let back = 1; back <= 3 && b.length - back >= from; back += 1) {
    const c = b[b.length - back] as number;
    if (c < 0x80) return b.length;
    if (c >= 0xc0) return (c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2) > back ? b.length - back : b.length;
  }
  return b.length;
}

/** The first byte of the first character that is not UTF-8; the caller knows there is one. */
export function firstInvalid(b: Uint8Array, from: number, to: number): number {
  for (let at = from; at < to; ) {
    const c = b[at] as number;
    const size = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (size > 1 && (at + size > to || !isUtf8(b.subarray(at, at + size)))) return at;
    at += size;
  }
  return to;
}
