/** Buffers that lines are encoded into: the first ones small, because there may be many partitions. */
const [BUFFER_BYTES, BUFFER_BYTES_MAX] = [256 * 1024, 2 * 1024 * 1024];
/** Of what is larger the size is computed: room that is not used stays taken as long as the lines. */
const ROUGH_BYTES_MAX = BUFFER_BYTES / 4;
const ZERO = 0x30;
/** A safe integer has at most so many digits. */
const DIGITS_MAX = 16;

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

  /** Where the next byte goes in the buffer that `roomFor` gives. */
  get used(): number {
    return this.#used;
  }

  /** A text in UTF-8. */
  add(text: string): void {
    const most = 3 * text.length;
    this.took(this.roomFor(most <= ROUGH_BYTES_MAX ? most : Buffer.byteLength(text)).write(text, this.#used));
  }

  addBytes(bytes: Uint8Array): void {
    const buffer = this.roomFor(bytes.length);
    let at = this.#used;
    for (let index = 0; index < bytes.length; index += 1) buffer[at++] = bytes[index]!;
    this.took(bytes.length);
  }

  /** A whole number from 0 to the largest that is exact, in decimal digits. */
  addWhole(value: number): void {
    const buffer = this.roomFor(DIGITS_MAX);
    let digits = 1;
    for (let limit = 10; value >= limit; limit *= 10) digits += 1;
    let left = value;
    for (let at = this.#used + digits - 1; at >= this.#used; at -= 1) {
      const next = Math.floor(left / 10);
      buffer[at] = ZERO + (left - 10 * next);
      left = next;
    }
    this.took(digits);
  }

  /**
   * The buffer, with room for so many bytes behind `used`. They count once `took` says how many they are. What a
   * buffer has left is lost where that is too little, so ask for no more than half of one without need.
   */
  roomFor(bytes: number): Buffer {
    if (this.#used + bytes > this.#buffer.length) {
      if (this.#used > 0) this.#full.push(this.#buffer.subarray(0, this.#used));
      this.#buffer = Buffer.allocUnsafeSlow(Math.max(BUFFER_BYTES, bytes, Math.min(this.#bytes, BUFFER_BYTES_MAX)));
      this.#used = 0;
    }
    return this.#buffer;
  }

  took(bytes: number): void {
    this.#used += bytes;
    this.#bytes += bytes;
  }

  /** All of it, in pieces. */
  pieces(): Uint8Array[] {
    return [...this.#full, this.#buffer.subarray(0, this.#used)];
  }
}
