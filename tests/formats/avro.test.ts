import { deflateRawSync, zstdCompressSync } from 'node:zlib';
import { avroBlocks } from '../../jobs/formats/avro.ts';

const SYNC = Buffer.from('0123456789abcdef');
/** A number as Avro writes it: seven bits a byte, the lowest first, even ones positive. */
function long(value: number): Buffer {
  const bytes: number[] = [];
  let left = value < 0 ? -value * 2 - 1 : value * 2;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}
const text = (value: string | Buffer): Buffer => Buffer.concat([long(Buffer.byteLength(value)), Buffer.from(value)]);
const block = (packed: Buffer, rows = 1): Buffer => Buffer.concat([long(rows), text(packed), SYNC]);
const file = (codec: string | undefined, ...blocks: Buffer[]): Buffer => {
  const header = [text('avro.schema'), text('{"type":"string"}'), ...(codec ? [text('avro.codec'), text(codec)] : [])];
  return Buffer.concat([Buffer.from('Obj\u0001'), long(header.length / 2), ...header, long(0), SYNC, ...blocks]);
};

const CONTENT = text(`anna ${'x'.repeat(300)}`);

it.each([
  [undefined, CONTENT],
  ['null', CONTENT],
  ['deflate', deflateRawSync(CONTENT)],
  ['zstandard', zstdCompressSync(CONTENT)],
])('unpacks blocks that are packed as %s', (codec, packed) => {
  expect(avroBlocks(file(codec, block(packed), block(packed, 70_000)))).toEqual([CONTENT, CONTENT]);
  expect(avroBlocks(file(codec))).toEqual([]);
});

it('takes a header in blocks that say how long they are', () => {
  const entry = Buffer.concat([text('avro.codec'), text('null')]);
  const header = Buffer.concat([long(-1), long(entry.length), entry, long(0)]);
  expect(avroBlocks(Buffer.concat([Buffer.from('Obj\u0001'), header, SYNC, block(CONTENT)]))).toEqual([CONTENT]);
});

it.each([
  ['is something else', Buffer.from('PAR1 and more'), 'does not begin as one'],
  ['is empty', Buffer.alloc(0), 'is cut off'],
  ['is cut off', file('null', block(CONTENT)).subarray(0, -20), 'is cut off'],
  ['has a length below zero', file('null', Buffer.concat([long(1), long(-5)])), 'is cut off'],
  ['has a length beyond all bounds', file('null', Buffer.alloc(12, 255)), 'out of range'],
  ['is packed in another way', file('snappy', block(CONTENT)), 'packed as "snappy"'],
  ['is packed badly', file('deflate', block(Buffer.from([255, 255, 255]))), 'cannot be unpacked'],
  [
    'has a block with another end',
    file('null', Buffer.concat([block(CONTENT).subarray(0, -1), Buffer.alloc(1)])),
    'does not end',
  ],
])('refuses a file that %s', (_, content, words) => {
  expect(() => avroBlocks(content)).toThrow(expect.objectContaining({ code: 'avro_invalid', exit: 'data' }));
  expect(() => avroBlocks(content)).toThrow(words);
});
