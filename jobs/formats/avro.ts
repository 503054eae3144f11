import { inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { JobError } from '../base/errors.ts';
import { ENTRY_BYTES_MAX } from './packing.ts';

const MAGIC = 'Obj\u0001';
const SYNC_BYTES = 16;

const UNPACK: Readonly<Record<string, (block: Buffer) => Buffer>> = {
  null: (block) => block,
  deflate: (block) => inflateRawSync(block, { maxOutputLength: ENTRY_BYTES_MAX }),
  zstandard: (block) => zstdDecompressSync(block, { maxOutputLength: ENTRY_BYTES_MAX }),
};

/**
 * The blocks of rows of an Avro file, unpacked and not decoded: texts stand in them as they are, each after
 * its length (avro.apache.org/docs/1.12.0/specification, "Object Container Files").
 *
 * @throws `avro_invalid` (65) for what is no such file, is cut off, or is packed in a way that is not known
 *   here
 */
export function avroBlocks(content: Buffer): Buffer[] {
  const reader = readerOf(content);
  if (reader.bytes(MAGIC.length).toString('latin1') !== MAGIC) throw invalid('it does not begin as one');
  const header = new Map<string, string>();
  for (let count = reader.long(); count !== 0; count = reader.long()) {
    // A negative count is followed by the bytes of the block.
    if (count < 0) reader.long();
    for (let left = Math.abs(count); left > 0; left -= 1)
      header.set(reader.bytes(reader.long()).toString(), reader.bytes(reader.long()).toString());
  }
  const codec = header.get('avro.codec') ?? 'null';
  const unpack = UNPACK[codec];
  if (unpack === undefined) throw invalid(`it is packed as ${JSON.stringify(codec.slice(0, 20))}`);
  const sync = reader.bytes(SYNC_BYTES);
  const blocks: Buffer[] = [];
  while (!reader.isAtEnd()) {
    reader.long(); // rows
    const packed = reader.bytes(reader.long());
    if (!reader.bytes(SYNC_BYTES).equals(sync)) throw invalid('a block does not end as it should');
    try {
      blocks.push(unpack(packed));
    } catch (error) {
      throw invalid(`a block cannot be unpacked (${(error as Error).message})`, error);
    }
  }
  return blocks;
}

function readerOf(content: Buffer) {
  let at = 0;
  function bytes(count: number): Buffer {
    if (count < 0 || at + count > content.length) throw invalid('it is cut off');
    at += count;
    return content.subarray(at - count, at);
  }
  return {
    bytes,
    /** Seven bits a byte, the lowest first; even numbers are positive. Beyond 2^53 it is no length. */
    long(): number {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes(1)[0]!;
        value += (byte % 128) * scale;
        if (value > Number.MAX_SAFE_INTEGER) throw invalid('a length is out of range');
        if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
    },
    isAtEnd: () => at >= content.length,
  };
}

function invalid(why: string, cause?: unknown): JobError {
  return new JobError('avro_invalid', 'data', `not a readable Avro file: ${why}`, {
    hint: 'look at the file',
    ...(cause === undefined ? {} : { cause }),
  });
}
