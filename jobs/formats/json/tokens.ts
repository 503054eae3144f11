/** Tokens of RFC 8259, over bytes. */
/**
 * True when one of four bytes is a quote, a backslash or a control character (the classic test for a zero
 * byte, three times).
 */
export function hasSpecial(four: number): boolean {
  const quote = four ^ 0x22222222;
  const slash = four ^ 0x5c5c5c5c;
  const low = (four - 0x20202020) & ~four;
  return ((((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash) | low) & 0x80808080) !== 0;
}

export function isNumberByte(c: number): boolean {
  return (c >= 48 && c <= 57) || c === 46 || c === 43 || c === 45 || c === 101 || c === 69;
}

/** `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?` over `b[from, to)`. */
export function isNumber(b: Uint8Array, from: number, to: number): boolean {
  let i = b[from] === 45 ? from + 1 : from;
  const digits = (): boolean => {
    const first = i;
    while (i < to && (b[i] as number) >= 48 && (b[i] as number) <= 57) i += 1;
    return i > first;
  };
  if (b[i] === 48 && i < to) i += 1;
  else if (!digits()) return false;
  if (i < to && b[i] === 46) {
    i += 1;
    if (!digits()) return false;
  }
  if (i < to && (b[i] === 101 || b[i] === 69)) {
    i += b[i + 1] === 43 || b[i + 1] === 45 ? 2 : 1;
    if (!digits()) return false;
  }
  return i === to;
}

export function isEscape(c: number): boolean {
  return c === 34 || c === 92 || c === 47 || c === 98 || c === 102 || c === 110 || c === 114 || c === 116;
}

/** Value of four hexadecimal digits; -1 when the buffer ends first, -2 when they are none. */
export function hex4(b: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let k = from; k < from + 4; k += 1) {
    if (k >= end) return -1;
    const c = b[k] as number;
    const digit = c >= 48 && c <= 57 ? c - 48 : (c | 32) >= 97 && (c | 32) <= 102 ? (c | 32) - 87 : -1;
    if (digit < 0) return -2;
    value = value * 16 + digit;
  }
  return value;
}
