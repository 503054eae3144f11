import { JobError } from '../../base/errors.ts';
import type { BronzeDraft, People, Source, StagedFile } from '../../bronze/source.ts';
import { linesOf, wholeOf } from '../../formats/json/lines.ts';
import { JSON_ROW_BYTES_MAX, type JsonScan } from '../../formats/json/scanner.ts';
import { type ApiAnswer, createApiReader } from './answers.ts';
import { writeAnswers } from './bronze.ts';
import { ANSWERS_TABLE, CAPTURE } from './tables.ts';

/** Answers of Spotify's Web API, which `extract` receives and people keep: one a file, or one a line. */
export const SPOTIFY_API: Source = {
  name: 'spotify-api',
  tables: [ANSWERS_TABLE],
  documents: { fits, namesPeople: true, write },
  // A saved answer may have a name of account data; none of the account's files holds links.
  claims: (head) => head.includes('"href"'),
  capture: CAPTURE,
};

/**
 * An answer is an object whose kind is only known when it is read, so this takes whatever no other source has
 * taken. A list is one only where it has a value that is no object: "contains" and "follows" answer with true
 * and false.
 */
function fits({ form, firstOtherRow, bytes }: JsonScan): boolean {
  return form !== 'array' || (firstOtherRow !== undefined && bytes <= JSON_ROW_BYTES_MAX);
}

async function write(staged: StagedFile, scan: JsonScan, people: People | undefined): Promise<BronzeDraft> {
  const reader = createApiReader(people!.pseudonym);
  const isLines = scan.form === 'lines';
  const kinds = new Set<string>();
  const periods = new Set<string>();
  async function* answers(): AsyncGenerator<ApiAnswer> {
    let line = 0;
    for await (const text of isLines ? linesOf(staged.path) : wholeOf(staged.path)) {
      line += 1;
      if (text.trim() === '') continue;
      const answer = inRow(isLines ? line : undefined, () => reader.read(text, staged.name));
      kinds.add(answer.kind);
      for (const period of answer.periods) periods.add(period);
      yield answer;
    }
  }
  const { engine, sha256, output, scratch } = staged;
  const { rows, items } = await writeAnswers(engine, reader, answers(), sha256, output, scratch);
  const kind = kinds.size === 1 ? [...kinds][0]! : 'api_mixed';
  return { table: ANSWERS_TABLE.name, kind, format: 'parquet', rows, readRows: items, periods: [...periods].sort() };
}

/** Adds the row to what is refused. */
function inRow<T>(row: number | undefined, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof JobError) || row === undefined) throw error;
    throw new JobError(error.code, error.exit, error.message, {
      hint: error.hint ?? '',
      place: { ...error.place, row },
      cause: error,
    });
  }
}
