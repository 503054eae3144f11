/**
 * Different key names in one file; real files have under 200. Keeps the memory for duplicate detection
 * bounded.
 */
export const KEYS_MAX = 10_000;

/** Key names as small numbers, so that "seen in this object before?" is one comparison. */
export class KeyNames {
  #table = new Int32Array(1024).fill(-1);
  readonly #hashes: number[] = [];
  readonly #texts: Uint8Array[] = [];
  /** The first bytes of a name, four in a number, as the buffer's view reads them. */
  readonly #words: Int32Array[] = [];
  readonly #rowCounts: number[] = [];
  /** For each depth: the serial number of the object in which a key was last seen. */
  readonly #seen: Float64Array[] = [];
  readonly #serial: Float64Array;
  /**
   * For each depth: the key before, and which key came after it last time (by id + 1; 0 is the start of an
   * object).
   */
  readonly #before: Int32Array;
  readonly #after: Int32Array[];

  constructor(depthMax: number) {
    this.#serial = new Float64Array(depthMax + 1);
    this.#before = new Int32Array(depthMax + 1);
    this.#after = Array.from({ length: depthMax + 1 }, () => new Int32Array(0));
  }

  /** A new object starts at this depth. */
  open(depth: number): void {
    this.#serial[depth]! += 1;
    this.#before[depth] = 0;
  }

  /**
   * The key that starts at `at` and is closed by its quote, when it is the one that came next last time; else
   * -1.
   */
  guess(depth: number, b: Uint8Array, view: DataView, at: number, end: number): number {
    const after = this.#after[depth] as Int32Array;
    const before = this.#before[depth] as number;
    if (before >= after.length) return -1;
    const id = (after[before] as number) - 1;
    if (id < 0) return -1;
    const text = this.#texts[id] as Uint8Array;
    const close = at + text.length;
    if (close >= end || b[close] !== 34) return -1;
    const words = this.#words[id] as Int32Array;
    for (let k = 0; k < words.length; k += 1) if (view.getInt32(at + 4 * k, true) !== words[k]) return -1;
    for (let k = 4 * words.length; k < text.length; k += 1) if (b[at + k] !== text[k]) return -1;
    this.#before[depth] = id + 1;
    return id;
  }

  /** Remembers that this key came next. */
  learn(depth: number, id: number): void {
    const before = this.#before[depth] as number;
    let after = this.#after[depth] as Int32Array;
    if (before >= after.length) {
      const larger = new Int32Array(Math.max(64, 2 * (before + 1)));
      larger.set(after);
      this.#after[depth] = after = larger;
    }
    // Names with escapes, quotes or control characters are not guessed: their bytes are not their text.
    after[before] = (this.#texts[id] as Uint8Array).some((c) => c === 34 || c === 92 || c < 32) ? 0 : id + 1;
    this.#before[depth] = id + 1;
  }

  lengthOf(id: number): number {
    return (this.#texts[id] as Uint8Array).length;
  }

  /** The number of a name; -1 when there are too many names. */
  idOf(name: Uint8Array, hash: number): number {
    const mask = this.#table.length - 1;
    let slot = hash & mask;
    for (; this.#table[slot] !== -1; slot = (slot + 1) & mask) {
      const id = this.#table[slot] as number;
      if (this.#hashes[id] === hash && Buffer.compare(this.#texts[id] as Uint8Array, name) === 0) return id;
    }
    if (this.#texts.length >= KEYS_MAX) return -1;
    const id = this.#texts.length;
    const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
    this.#texts.push(name);
    this.#words.push(Int32Array.from({ length: name.length >> 2 }, (_, k) => view.getInt32(4 * k, true)));
    this.#hashes.push(hash);
    this.#rowCounts.push(0);
    this.#table[slot] = id;
    if (id * 2 > mask) this.#grow();
    return id;
  }

  /** Notes the key for the object at hand of this depth; false when it is there already. */
  mark(depth: number, id: number): boolean {
    let seen = this.#seen[depth];
    if (seen === undefined || id >= seen.length) {
      const larger = new Float64Array(Math.max(64, 2 * (id + 1)));
      if (seen !== undefined) larger.set(seen);
      this.#seen[depth] = seen = larger;
    }
    const serial = this.#serial[depth] as number;
    if (seen[id] === serial) return false;
    seen[id] = serial;
    return true;
  }

  count(id: number): void {
    this.#rowCounts[id]! += 1;
  }

  text(id: number): string {
    return Buffer.from(this.#texts[id] as Uint8Array).toString('utf8');
  }

  ofRows(): Map<string, number> {
    const entries = this.#rowCounts.map((count, id) => [this.text(id), count] as const);
    return new Map(entries.filter(([, count]) => count > 0));
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 4).fill(-1);
    for (const [id, hash] of this.#hashes.entries()) {
      let slot = hash & (table.length - 1);
      while (table[slot] !== -1) slot = (slot + 1) & (table.length - 1);
      table[slot] = id;
    }
    this.#table = table;
  }
}

/** The text of the key between two quotes, as bytes of its own. */
export function plainKey(b: Uint8Array, open: number, close: number): Uint8Array {
  const raw = new Uint8Array(b.subarray(open + 1, close));
  return raw.includes(92) ? Buffer.from(JSON.parse(`"${Buffer.from(raw).toString('utf8')}"`) as string, 'utf8') : raw;
}

export function hashOf(name: Uint8Array): number {
  let hash = 0;
  for (const byte of name) hash = (Math.imul(hash, 31) + byte) & 0x3fffffff;
  return hash;
}
