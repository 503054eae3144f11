/** Buffers that lines are encoded into, of so many bytes. */
const BUFFER_BYTES = 256 * 1024;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];

/**
 * Lines as bytes. Millions of short strings that live as long as a batch would cost the garbage collector more
 * than all else costs.
 */
export class Lines {
  readonly #full: Buffer[] = [];
  #buffer = Buffer.alloc(0);
  #used = 0;
  #bytes = 0;

  /** How many bytes there are. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A text in UTF-8. */
  add(text: string): void {
    this.#makeRoom(3 * text.length);
    this.#count(this.#buffer.write(text, this.#used));
  }

  /** Bytes as a string in JSON: quotes around them, and a backslash before each quote in them. */
  addQuoted(bytes: Uint8Array): void {
    this.#makeRoom(2 * bytes.length + 2);
    const buffer = this.#buffer;
    let at = this.#used;
    buffer[at++] = QUOTE;
    for (let index = 0; index < bytes.length; index += 1) {
      const byte = bytes[index]!;
      if (byte === QUOTE) buffer[at++] = BACKSLASH;
      buffer[at++] = byte;
    }
    buffer[at++] = QUOTE;
    this.#count(at - this.#used);
  }

  /** All of it. */
  whole(): Buffer {
    return Buffer.concat([...this.#full, this.#buffer.subarray(0, this.#used)], this.#bytes);
  }

  #count(bytes: number): void {
    this.#used += bytes;
    this.#bytes += bytes;
  }

  #makeRoom(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    if (this.#used > 0) this.#full.push(this.#buffer.subarray(0, this.#used));
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(BUFFER_BYTES, bytes));
    this.#used = 0;
  }
}
