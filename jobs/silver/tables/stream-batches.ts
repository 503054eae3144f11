import { count } from '../../base/words.ts';
import { quoteText } from '../../engine/duckdb/database.ts';
import type { StreamBatch } from '../../lake/stream.ts';
import { type Build, type Built, NOTHING_BUILT } from '../build.ts';
import { sqlTimestamp } from '../months.ts';
import { stagePartitions } from '../partition.ts';
import { silverSelect } from '../relations.ts';

const TABLE = 'stream_batches';
/** Rows that one statement adds. */
const ROWS_AT_ONCE = 1000;

/** Builds silver.stream_batches from what the commits say of streams: no object is read. */
export async function buildStreamBatches(build: Build): Promise<Built> {
  const { db, effects, batches } = build;
  if (!build.isNewBatch && build.rebuild === undefined) return NOTHING_BUILT;
  if (batches.length === 0 && !build.committed.get(TABLE)?.length) return NOTHING_BUILT;
  effects.progress.start('stream batches');
  await db.run(
    `create or replace table batch_entries (topic varchar, partition_number integer, first_offset bigint, last_offset bigint,
      kind varchar, records bigint, late_records bigint, repeated_records bigint, unreadable_records bigint,
      newest_event_at timestamp, newest_record_at timestamp, run_id varchar, taken_at timestamp)`,
  );
  const rows = batches.map((batch) => `(${entryOf(batch)})`);
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE)
    await db.run(`insert into batch_entries values ${rows.slice(start, start + ROWS_AT_ONCE).join(', ')}`);
  const staged = await stagePartitions(db, TABLE, silverSelect(TABLE), [{}], effects.scratch);
  await db.run('drop table batch_entries');
  effects.progress.end(count(batches.length, 'batch', 'batches'));
  return { staged, placed: [] };
}

function entryOf(batch: StreamBatch): string {
  const moment = (ms: number | null): string => (ms === null ? 'null' : sqlTimestamp(ms));
  return [
    ...[
      quoteText(batch.topic),
      batch.partition,
      batch.firstOffset,
      batch.lastOffset,
      quoteText(batch.kind),
      batch.rows,
    ],
    ...[batch.late, batch.repeated, batch.unreadable, moment(batch.newestEventMs), moment(batch.newestRecordMs)],
    ...[quoteText(batch.runId), moment(batch.takenMs)],
  ].join(', ');
}
