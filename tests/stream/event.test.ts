/** The short way of an event through the rules gives what the long way gives, byte by byte. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { isPersonalValue } from '../../jobs/base/personal-fields.ts';
import type { TopicRecord } from '../../jobs/sources/kafka/reader.ts';
import { batchLine, parseBatch } from '../../jobs/stream/batch.ts';
import { readRecord } from '../../jobs/stream/event.ts';
import { Lines } from '../../jobs/stream/lines.ts';
import { EventShapes } from '../../jobs/stream/shapes.ts';
import { addKnownRecord, addRecord, openBatch } from '../../jobs/stream/writer.ts';
import { ROOT } from '../fixtures/command-line.ts';

const EVENT = {
  event_id: 'evt-1',
  user_id: 'user-0001',
  track_name: 'A Song',
  action: 'play',
  is_skipped: null as unknown,
  occurred_at: '2026-10-18T00:08:34.552Z',
  played_ms: 167_121 as unknown,
};
/** The one of AWS's own documentation; in one piece it would look like somebody's. */
const ACCESS_KEY = ['AKIA', 'IOSFODNN7EXAMPLE'].join('');
const pseudonym = (id: string): string => `p-${id.length}`;
const recordOf = (text: string): TopicRecord => ({
  ...{ offset: 7, recordAt: 1_790_000_000_000 },
  ...{ key: Buffer.from('user-0001'), value: Buffer.from(text) },
});
const read = (text: string) => readRecord(recordOf(text), pseudonym);

/** The line that the short way gives; undefined where it knows nothing of the event. */
function theShortWay(record: TopicRecord): string | undefined {
  const batch = openBatch('t"', 1);
  const isKnown = addKnownRecord(batch, record);
  const line = Buffer.concat(batch.lines.pieces()).toString('utf8');
  const bytes = Buffer.byteLength(line);
  expect([batch.lines.bytes, batch.size, batch.records]).toEqual([bytes, bytes, isKnown ? 1 : 0]);
  return isKnown ? line : undefined;
}

/** The line that the long way gives; undefined for a dead letter. */
function theLongWay(record: TopicRecord): string | undefined {
  const done = readRecord(record, pseudonym);
  if (!done.isTaken) return undefined;
  const { offset, recordAt } = record;
  return batchLine({ topic: 't"', partition: 1, offset, recordAt, key: done.key, value: done.value });
}

beforeAll(() => {
  for (const name of ['A Song', 'Song', 'Ünï — cödé']) read(JSON.stringify({ ...EVENT, track_name: name }));
  for (const skipped of [true, false]) read(JSON.stringify({ ...EVENT, is_skipped: skipped, played_ms: null }));
});

it('an event of a known shape goes the short way', () => {
  const record = recordOf(JSON.stringify({ ...EVENT, event_id: 'evt-2', track_name: 'Another Song' }));
  expect(theShortWay(record)).toBe(theLongWay(record));
  expect(theShortWay({ ...record, key: null })).toContain('"record_key":null');
});

it.each([
  ['an address of mail', { track_name: 'write to somebody@example.org' }, /\[address\]/],
  ['an IP address', { track_name: 'from 192.0.2.77 today' }, /\[address\]/],
  ['an access key', { track_name: ACCESS_KEY }, /\[secret\]/],
  ['an access key where only harmless texts were', { event_id: `x${ACCESS_KEY}` }, /\[secret\]/],
  ['a link to a person', { track_name: 'spotify:user:somebody' }, /\[user\]/],
  ['a person whose id is an address', { user_id: 'somebody@example.org' }, /"user_id":"p-20"/],
] as const)('%s in a known shape is replaced all the same', (_what, change, expected) => {
  const record = recordOf(JSON.stringify({ ...EVENT, ...change }));
  expect(theShortWay(record)).toBeUndefined();
  const done = readRecord(record, pseudonym);
  expect(done).toEqual({ isTaken: true, key: 'user-0001', value: expect.stringMatching(expected) });
  expect(done.value).not.toMatch(/somebody|192\.0\.2|IOSFODNN7EXAMPLE/);
});

it.each([
  ['a blank', (text: string) => text.replace(':', ': ')],
  ['a field twice', (text: string) => text.replace('{', '{"action":"somebody@example.org",')],
  ['an escape', (text: string) => text.replace('A Song', 'A \\u0053ong')],
  ['a number with zeros', (text: string) => text.replace('167121', '1671210.50')],
  ['a number beyond what is exact', (text: string) => text.replace('167121', '12345678901234567890')],
  ['minus zero', (text: string) => text.replace('167121', '-0')],
  ['a personal field more', (text: string) => text.replace('}', ',"email":"x"}')],
  ['something behind', (text: string) => `${text}\n`],
  ['a mark of the order of bytes', (text: string) => `\ufeff${text}`],
  ['no end', (text: string) => text.slice(0, -1)],
  ['no id', (text: string) => text.replace('evt-1', '')],
  ['a control character', (text: string) => text.replace('Song', 'So\u0001ng')],
] as const)('%s makes another text of it, which is read the long way', (_what, change) => {
  expect(theShortWay(recordOf(change(JSON.stringify(EVENT))))).toBeUndefined();
});

it('a text that is no UTF-8, a key that is an address, and a time that is none go the long way', () => {
  const record = recordOf(JSON.stringify(EVENT));
  const value = Buffer.from(record.value!);
  value[value.indexOf('A Song')] = 0xff;
  expect(theShortWay({ ...record, value })).toBeUndefined();
  expect(theShortWay({ ...record, key: Buffer.from('somebody@example.org') })).toBeUndefined();
  expect(theShortWay({ ...record, key: Buffer.from(ACCESS_KEY) })).toBeUndefined();
  expect(theShortWay({ ...record, key: Buffer.alloc(100_000, 'k') })).toBeUndefined();
  for (const recordAt of [-1, Number.NaN, 8.64e15]) expect(theShortWay({ ...record, recordAt })).toBeUndefined();
});

it('texts of short words that nobody looks at have nothing in them that the rules find', () => {
  const sign = [..."abkqAKIAeyjbearer0123456789 '(),!_-"];
  const word = fc.array(fc.constantFrom(...sign), { maxLength: 15 }).map((signs) => signs.join('').replaceAll(' ', ''));
  const part = fc.oneof(word, fc.constantFrom('bearer', 'eyj', 'akia', 'aq', 'authorization', 'token', '192', '1'));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (words) => {
      expect(isPersonalValue(words.map((each) => each.slice(0, 15)).join(' '))).toBe(false);
    }),
    { numRuns: 5_000 },
  );
});

it('whatever the fields are, both ways agree, and so do the bytes of the line', () => {
  const value = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.constantFrom(
      null,
      true,
      false,
      0,
      -0,
      'x@example.org',
      '192.0.2.1',
      'akiaiosfodnn7example',
      '"',
      '\\',
      '\u2028',
    ),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  );
  let known = 0;
  const id = fc.oneof(
    { weight: 9, arbitrary: fc.stringMatching(/^[A-Za-z0-9_-]{0,42}$/) },
    { weight: 1, arbitrary: value },
  );
  const fields = fc.record({ track_name: value, played_ms: value, event_id: id, user_id: id, note: value });
  fc.assert(
    fc.property(fields, fc.nat({ max: Number.MAX_SAFE_INTEGER }), (given, offset) => {
      const record = { ...recordOf(JSON.stringify({ ...EVENT, ...given })), offset };
      const first = theLongWay(record);
      const short = theShortWay(record);
      known += short === undefined ? 0 : 1;
      if (short !== undefined) expect(short).toBe(first);
      expect(theLongWay(record)).toBe(first);
      if (first === undefined) return;
      const batch = openBatch('t"', 1);
      addRecord(batch, parseBatch(first, 'x')[0]!);
      expect(Buffer.concat(batch.lines.pieces()).toString('utf8')).toBe(first);
    }),
    { numRuns: 2_000 },
  );
  expect(known).toBeGreaterThan(100);
});

it('lines that are larger than a buffer, and many of them, are whole', () => {
  const lines = new Lines();
  const texts = [10, 300_000, 1, 200_000, 100_000, 0].map((length, index) => 'aü"€😀'.charAt(index % 2).repeat(length));
  const numbers = [0, 9, 10, 4_095, 1e15, Number.MAX_SAFE_INTEGER];
  for (const text of texts) lines.addBytes(Buffer.from(text));
  lines.add(texts[1]!);
  for (const number of numbers) lines.addWhole(number);
  expect(Buffer.concat(lines.pieces()).toString('utf8')).toBe(texts.join('') + texts[1] + numbers.join(''));
  expect(Buffer.concat(lines.pieces())).toHaveLength(lines.bytes);
});

it('a producer that makes up names fills the memory of shapes, and no more, and nobody else is forgotten', () => {
  const shapes = new EventShapes(new Set(['id']), () => true);
  for (let index = 0; index < 100; index += 1) shapes.learn({ id: 'x', [`made_up_${index}`]: 1 });
  const lines = new Lines();
  const isKnown = (text: string) => shapes.copy(Buffer.from(text), lines);
  expect(isKnown('{"id":"y","made_up_3":2}')).toBe(true);
  expect(isKnown('{"id":"y","made_up_50":2}')).toBe(false);
  expect(isKnown('{"id":"","made_up_3":2}')).toBe(false);
  expect(Buffer.concat(lines.pieces()).toString()).toBe('"{\\"id\\":\\"y\\",\\"made_up_3\\":2}"');
  shapes.learn({ id: 'x', honest: 1 });
  expect(isKnown('{"id":"y","honest":2}')).toBe(true);
  for (let index = 100; index < 200; index += 1) shapes.learn({ id: 'x', [`made_up_${index}`]: 1 });
  expect(isKnown('{"id":"y","honest":2}')).toBe(true);
});

it('a batch holds little more than what counts for it, also of events that shrink', async () => {
  const program = join(ROOT, 'tests/stream/batch-memory.ts');
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, program]);
  const { held, counted, records } = JSON.parse(stdout) as Record<'held' | 'counted' | 'records', number>;
  expect(records).toBe(510);
  expect(counted).toBeGreaterThan(6_000_000);
  expect(held).toBeLessThan(2 * counted);
});
