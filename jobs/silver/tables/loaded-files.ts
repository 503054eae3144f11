import { count } from '../../base/words.ts';
import { ownName } from '../../bronze/own-name.ts';
import { type Embedded, quoteText } from '../../engine/duckdb/database.ts';
import type { BronzeFile } from '../../lake/manifest.ts';
import { type Build, type Built, NOTHING_BUILT } from '../build.ts';
import { sqlTimestamp } from '../months.ts';
import { stagePartitions } from '../partition.ts';
import { silverSelect } from '../relations.ts';

const TABLE = 'loaded_files';
/** Rows that one statement adds. */
const ROWS_AT_ONCE = 1000;

/** Builds silver.loaded_files from the index of bronze alone: no object is read. */
export async function buildLoadedFiles(build: Build): Promise<Built> {
  const { db, effects, index } = build;
  if (!index.some((file) => build.isNew(file)) && build.rebuild === undefined) return NOTHING_BUILT;
  effects.progress.start('loaded files');
  await createEntries(db, index);
  const staged = await stagePartitions(db, TABLE, silverSelect(TABLE), [{}], effects.scratch);
  await db.run('drop table file_entries');
  effects.progress.end(count(index.length, 'file'));
  return { staged, placed: [] };
}

/** Makes `file_entries`, what `loaded_files.sql` reads. */
async function createEntries(db: Embedded, index: readonly BronzeFile[]): Promise<void> {
  await db.run(
    `create or replace table file_entries (entry_no integer, source_key varchar, file_name varchar, kind varchar, table_name varchar,
      user_id varchar, loaded_on date, rows_read bigint, sequence bigint,
      keys_unknown varchar[], keys_absent varchar[], keys_partial varchar[])`,
  );
  const rows = index.map((file, number) =>
    [
      number,
      quoteText(file.sourceKey),
      quoteText(ownName(file.fileName).replaceAll('\0', '')),
      quoteText(file.kind),
      quoteText(file.table),
      file.userId === null ? 'null' : quoteText(file.userId),
      file.loadedAt === undefined ? 'null' : `cast(${sqlTimestamp(Date.parse(file.loadedAt))} as date)`,
      file.readRows,
      file.sequence,
      ...[file.keys?.unknown, file.keys?.absent, file.keys?.partial].map(listSql),
    ].join(', '),
  );
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE) {
    const values = rows.slice(start, start + ROWS_AT_ONCE).map((row) => `(${row})`);
    await db.run(`insert into file_entries values ${values.join(', ')}`);
  }
}

function listSql(keys: readonly string[] | undefined): string {
  return keys === undefined ? 'null' : `[${keys.map((key) => quoteText(key.replaceAll('\0', ''))).join(', ')}]`;
}
