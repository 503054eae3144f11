import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EmbeddedOptions } from '../duckdb/database.ts';
import type { Exported, ExportRequest, QueryOptions, ResultSet, SqlValue } from '../index.ts';

/** What the engine of this process may take while it writes the file. */
export type WriterOptions = Pick<EmbeddedOptions, 'memoryMb' | 'threads'>;

/** As a configuration that says nothing has it. */
const WRITER: WriterOptions = { memoryMb: 256, threads: 2 };

/**
 * The rows of a select as a file of this machine. Athena sends rows and writes no file here: the engine of
 * this process writes it from them, so that a format is the same wherever the lake lies.
 *
 * @throws as `SqlEngine.export`
 */
export async function exportRows(
  query: (sql: string, options: QueryOptions) => Promise<ResultSet>,
  request: ExportRequest,
  writer: WriterOptions = WRITER,
): Promise<Exported> {
  const { select, parameters, target, path } = request;
  const { columns, rows } = await query(select, { parameters, target });
  // Only here, because the engine takes a while to load.
  const { literalPath, openEmbedded, quoteName, quoteText } = await import('../duckdb/database.ts');
  const { writeRows } = await import('../duckdb/write-out.ts');
  const folder = dirname(path);
  const [aside, tempDir] = [`${path}.rows`, `${path}.spill`];
  const embedded = await openEmbedded({ ...writer, tempDir, folders: [folder, literalPath(folder)] });
  try {
    const lines = Readable.from(linesOf(rows));
    await pipeline(lines, createWriteStream(aside, { flags: 'wx', mode: 0o600 }));
    const cells = columns.map(({ name, type }, at) => `cast(row[${at + 1}] as ${type}) as ${quoteName(name)}`);
    const read = `read_json(${quoteText(literalPath(aside))}, format = 'newline_delimited', columns = {'row': 'varchar[]'})`;
    return await writeRows(embedded.connection, {
      ...request,
      parameters: [],
      select: `select ${cells.join(', ')} from ${read}`,
    });
  } finally {
    embedded.close();
    await rm(aside, { force: true });
    await rm(tempDir, { recursive: true, force: true });
  }
}

/** Each row as a list of texts, which keep every digit; their types come back by a cast. */
function* linesOf(rows: readonly (readonly SqlValue[])[]): Generator<string> {
  for (const row of rows)
    yield `{"row":${JSON.stringify(row.map((value) => (value === null ? null : String(value))))}}\n`;
}
