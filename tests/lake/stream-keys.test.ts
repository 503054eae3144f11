import { expect, it } from '@jest/globals';
import { parseStreamBatchKey, streamBatchKey, streamDeadLettersKey } from '../../jobs/lake/keys.ts';
import { batchLine, parseBatch } from '../../jobs/stream/batch.ts';

const recordAt = Date.UTC(2026, 0, 31, 23, 59, 59, 123);

it('names a batch by topic, partition, first offset, and the hour of its first record', () => {
  const key = streamBatchKey({ topic: 'listening-events', partition: 2, firstOffset: 1_234, recordAt });
  expect(key).toBe('bronze/stream/date=2026-01-31/hour=23/listening-events-2-00000000000000001234.json');
  expect(parseStreamBatchKey(key)).toEqual({
    kind: 'batch',
    date: '2026-01-31',
    hour: 23,
    topic: 'listening-events',
    partition: 2,
    firstOffset: 1_234,
  });
  const letters = streamDeadLettersKey({ topic: 'a-1-2', partition: 0, firstOffset: 0, recordAt });
  expect(letters).toBe('bronze/stream-dead-letters/date=2026-01-31/hour=23/a-1-2-0-00000000000000000000.json');
  expect(parseStreamBatchKey(letters)).toMatchObject({ kind: 'dead-letters', topic: 'a-1-2', partition: 0 });
});

it('takes no other key for a batch', () => {
  for (const key of [
    'bronze/stream/date=2026-01-31/hour=23/events-2-1234.json',
    'bronze/stream/date=2026-01-31/hour=23/events-02-00000000000000001234.json',
    'silver/stream/date=2026-01-31/hour=23/events-2-00000000000000001234.json',
    `bronze/plays/${'0'.repeat(64)}.json`,
  ])
    expect(parseStreamBatchKey(key)).toBeUndefined();
  expect(() => streamBatchKey({ topic: '../x', partition: 0, firstOffset: 0, recordAt })).toThrow('not a valid part');
  expect(() => streamBatchKey({ topic: 'x', partition: 0, firstOffset: -1, recordAt })).toThrow('not a valid part');
});

it('writes a record as a line with its fields in order, and reads it back', () => {
  const record = { topic: 'events', partition: 1, offset: 7, recordAt, key: 'user-0001', value: '{"a":"é\\n"}' };
  const line = batchLine(record);
  expect(line).toBe(
    '{"topic":"events","partition":1,"record_offset":7,"record_at":"2026-01-31T23:59:59.123Z","record_key":"user-0001","value":"{\\"a\\":\\"é\\\\n\\"}"}\n',
  );
  expect(parseBatch(line + batchLine({ ...record, offset: 8, key: null }), 'x.json')).toEqual([
    record,
    { ...record, offset: 8, key: null },
  ]);
  expect(() => parseBatch('{"topic":"events"}\n', 'x.json')).toThrow('a line of this batch is no record');
});
