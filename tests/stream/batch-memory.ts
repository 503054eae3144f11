/**
 * Prints how many bytes of buffers an open batch holds after events whose large personal fields were taken out,
 * and what counts for it. Run with --expose-gc, so that only what the batch holds is counted.
 */
import { readRecord } from '../../jobs/stream/event.ts';
import { addKnownRecord, addRecord, openBatch } from '../../jobs/stream/writer.ts';

const EVENT = { event_id: 'evt-1', user_id: 'user-1', action: 'play', occurred_at: '2026-10-18T00:08:34.552Z' };
const place = { topic: 'plays', partition: 0, recordAt: 1_790_000_000_000 };
const batch = openBatch('plays', 0);

function add(offset: number, event: object): void {
  const record = { offset, recordAt: place.recordAt, key: null, value: Buffer.from(JSON.stringify(event)) };
  if (addKnownRecord(batch, record)) return;
  const read = readRecord(record, (id) => id);
  if (!read.isTaken) throw new Error(read.reason);
  addRecord(batch, { ...place, offset, key: read.key, value: read.value });
}

function heldBytes(): number {
  if (global.gc === undefined) throw new Error('run it with --expose-gc');
  global.gc();
  return process.memoryUsage().arrayBuffers;
}

const before = heldBytes();
let offset = 0;
for (const bytes of [20_000, 40_000, 130_000, 300_000, 900_000])
  for (let index = 0; index < 100; index += 1) add(offset++, { ...EVENT, email: 'x'.repeat(bytes) });
// What is kept of these is as large as they are.
for (let index = 0; index < 10; index += 1) add(offset++, { ...EVENT, note: 'é'.repeat(300_000) });
process.stdout.write(JSON.stringify({ held: heldBytes() - before, counted: batch.size, records: batch.records }));
