/** The short way of an event through the rules gives what the long way gives, byte by byte. */
import fc from 'fast-check';
import type { TopicRecord } from '../../jobs/sources/kafka/reader.ts';
import { batchLine } from '../../jobs/stream/batch.ts';
import { readRecord } from '../../jobs/stream/event.ts';
import { Lines } from '../../jobs/stream/lines.ts';
import { EventShapes } from '../../jobs/stream/shapes.ts';
import { addRecord, openBatch } from '../../jobs/stream/writer.ts';

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

/** The event as the long way gives it: in a text with a blank, which no shape knows. */
function theLongWay(text: string): string {
  const done = read(text.replace('{', '{ '));
  expect(done).not.toHaveProperty('plain');
  return done.isTaken ? done.value : `refused: ${done.reason}`;
}

beforeAll(() => {
  for (const name of ['A Song', 'Song', 'Ünï — cödé']) read(JSON.stringify({ ...EVENT, track_name: name }));
  for (const skipped of [true, false]) read(JSON.stringify({ ...EVENT, is_skipped: skipped, played_ms: null }));
});

it('an event of a known shape goes the short way', () => {
  const text = JSON.stringify({ ...EVENT, event_id: 'evt-2', track_name: 'Another Song' });
  expect(read(text)).toEqual({ isTaken: true, key: 'user-0001', value: text, plain: Buffer.from(text) });
});

it.each([
  ['an address of mail', { track_name: 'write to somebody@example.org' }, /\[address\]/],
  ['an IP address', { track_name: 'from 192.0.2.77 today' }, /\[address\]/],
  ['an access key', { track_name: ACCESS_KEY }, /\[secret\]/],
  ['an access key where only harmless texts were', { event_id: `x${ACCESS_KEY}` }, /\[secret\]/],
  ['a link to a person', { track_name: 'spotify:user:somebody' }, /\[user\]/],
  ['a person whose id is an address', { user_id: 'somebody@example.org' }, /"user_id":"p-20"/],
] as const)('%s in a known shape is replaced all the same', (_what, change, expected) => {
  const done = read(JSON.stringify({ ...EVENT, ...change }));
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
] as const)('%s makes another text of it, which is read the long way', (_what, change) => {
  const text = change(JSON.stringify(EVENT));
  const done = read(text);
  expect(done).not.toHaveProperty('plain');
  expect(done.isTaken && done.value).toBe(theLongWay(text));
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
  const fields = fc.record({ track_name: value, played_ms: value, event_id: value, user_id: value, note: value });
  fc.assert(
    fc.property(fields, (given) => {
      const text = JSON.stringify({ ...EVENT, ...given });
      const [first, second] = [read(text), read(text)];
      expect([first.value, second.value]).toEqual([second.value, first.value]);
      if (!second.isTaken) return;
      expect(second.value).toBe(theLongWay(text));
      const record = {
        topic: 't"',
        partition: 1,
        offset: 7,
        recordAt: 1_790_000_000_000,
        key: 'k"\\',
        value: second.value,
      };
      const batch = openBatch('t"', 1);
      addRecord(batch, record, second.plain);
      expect(batch.lines.whole().toString('utf8')).toBe(batchLine(record));
      expect(batch.size).toBe(batch.lines.bytes);
    }),
    { numRuns: 2_000 },
  );
});

it('lines that are larger than a buffer, and many of them, are whole', () => {
  const lines = new Lines();
  const texts = [10, 300_000, 1, 200_000, 100_000, 0].map((length, index) => 'aü"€😀'.charAt(index % 2).repeat(length));
  for (const text of texts) lines.addQuoted(Buffer.from(text));
  lines.add(texts[1]!);
  expect(lines.whole().toString('utf8')).toBe(texts.map((text) => JSON.stringify(text)).join('') + texts[1]);
  expect(lines.whole()).toHaveLength(lines.bytes);
});

it('a producer that makes up names fills the memory of shapes, and no more', () => {
  const shapes = new EventShapes(new Set(['id']), () => true);
  for (let index = 0; index < 100; index += 1) shapes.learn({ id: 'x', [`made_up_${index}`]: 1 });
  expect(shapes.knows('{"id":"y","made_up_3":2}')).toBe(true);
  expect(shapes.knows('{"id":"y","made_up_99":2}')).toBe(false);
  expect(shapes.knows('{"id":"","made_up_3":2}')).toBe(false);
});
