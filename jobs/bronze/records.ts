import { createReadStream } from 'node:fs';
import { writeLines } from '../formats/json/lines.ts';
import { createJsonScanner, type JsonScan } from '../formats/json/scanner.ts';
import { draftOfRows, rowSourceOf, writeRows } from './rows.ts';
import type { BronzeDraft, People, RowSource, StagedFile } from './source.ts';

/**
 * Writes rows that were taken out of a file of another form as the rows of a kind of JSON: with the same
 * bounds, the same rules for personal fields, and the same columns as if the file had been given as that
 * JSON.
 *
 * @param records keys of the kind to values; what a row does not have is absent
 * @param people needed for a kind with `people` or `derived`
 * @throws as `rowSourceOf` and `writeRows` (65)
 */
export async function writeRecords(
  staged: StagedFile,
  source: RowSource,
  records: AsyncIterable<Readonly<Record<string, unknown>>>,
  people: People | undefined,
): Promise<BronzeDraft> {
  let rows = 0;
  async function* lines(): AsyncGenerator<string> {
    yield '[';
    for await (const record of records) {
      rows += 1;
      yield `${rows > 1 ? ',' : ''}${JSON.stringify(record)}`;
    }
    yield ']';
  }
  await writeLines(staged.scratch, lines());
  const scan = await scanOf(staged.scratch);
  if (rows > 0) rowSourceOf(scan, staged.name, [source]);
  await writeRows(staged, source, scan, staged.scratch, people?.sql);
  return draftOfRows(staged, source, scan, rows);
}

async function scanOf(path: string): Promise<JsonScan> {
  const scanner = createJsonScanner();
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 ** 2 })) scanner.write(chunk as Buffer);
  return scanner.end();
}
