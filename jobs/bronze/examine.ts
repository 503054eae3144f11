import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { JobError } from '../base/errors.ts';
import { type CsvEncoding, type CsvHeader, recogniseCsv, shownColumns } from '../formats/csv.ts';
import { openInput } from '../formats/input.ts';
import { createJsonScanner, type JsonScan } from '../formats/json/scanner.ts';
import { foreignForm } from '../formats/other-forms.ts';
import { hasUtf8Mark, isUtf16 } from '../formats/text-encoding.ts';
import { rowSourceOf } from './rows.ts';
import type { CsvSource, DocumentSource, NamedContent, RowSource, Source } from './source.ts';

const READ_BYTES = 1024 ** 2;

/** What a file is, and how to read it. */
export type Recognised =
  | { form: 'rows'; source: RowSource; scan: JsonScan }
  | { form: 'documents'; source: DocumentSource; scan: JsonScan }
  | { form: 'csv'; header: CsvHeader<CsvSource>; encoding: CsvEncoding; named: NamedContent | undefined };

/** `refusal` and `ignored` are verdicts on the whole file; the hash is of all its bytes in every case. */
export type Examined = { sha256: string; bytes: number } & (
  | { verdict: 'recognised'; recognised: Recognised }
  | { verdict: 'refused'; refusal: JobError }
  | { verdict: 'ignored'; reason: string }
);

/**
 * Reads a file once from beginning to end: hashes it, checks every byte of it (JSON: `createJsonScanner`;
 * CSV: its encoding), and recognises what it is by its content.
 *
 * @param path the file (not an archive, not packed)
 * @param name the name it was given with
 * @throws `input_denied` (65), `file_changed` (75) where it cannot be read
 */
export async function examine(path: string, name: string, sources: readonly Source[]): Promise<Examined> {
  const handle = await openInput(path, name);
  try {
    const hash = createHash('sha256');
    const reader = await checkBytes(handle, name, (chunk) => hash.update(chunk));
    const file = { sha256: hash.digest('hex'), bytes: reader.bytes };
    if (reader.refusal !== undefined) return { ...file, verdict: 'refused', refusal: reader.refusal };
    try {
      return { ...file, ...(await recognise(path, name, reader, sources)) };
    } catch (error) {
      if (error instanceof JobError && error.exit === 'data') return { ...file, verdict: 'refused', refusal: error };
      throw error;
    }
  } finally {
    await handle.close();
  }
}

interface Checked {
  bytes: number;
  scan?: JsonScan;
  encoding?: CsvEncoding;
  refusal?: JobError;
}

/** One pass over the bytes. A fault ends the check but not the hash. */
async function checkBytes(handle: FileHandle, name: string, see: (chunk: Buffer) => void): Promise<Checked> {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const scanner = createJsonScanner();
  let decoder: InstanceType<typeof TextDecoder> | undefined;
  let family: 'json' | 'text' | undefined;
  const result: Checked = { bytes: 0 };
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, result.bytes);
    const chunk = buffer.subarray(0, bytesRead);
    if (bytesRead > 0) see(chunk);
    if (result.bytes === 0) {
      family = familyOf(chunk, name);
      if (family === 'text') [decoder, result.encoding] = [new TextDecoder('utf-8', { fatal: true }), 'utf-8'];
      result.refusal = foreignForm(chunk) ?? (family === undefined ? unknownKind() : undefined);
    }
    if (result.refusal === undefined && family === 'json') {
      try {
        if (bytesRead > 0) scanner.write(chunk);
        else result.scan = scanner.end();
      } catch (error) {
        if (!(error instanceof JobError)) throw error;
        result.refusal = error;
      }
    } else if (decoder !== undefined) {
      try {
        decoder.decode(chunk, { stream: bytesRead > 0 });
      } catch {
        // Not UTF-8: the one other encoding that charts come in, in which every byte is a character.
        [decoder, result.encoding] = [undefined, 'windows-1252'];
      }
    }
    if (bytesRead === 0) return result;
    result.bytes += bytesRead;
  }
}

/** By the first character, and the name where that says nothing. Undefined: binary. */
function familyOf(head: Buffer, name: string): 'json' | 'text' | undefined {
  if (head.length === 0 || isUtf16(head)) return 'json'; // the scanner has the right words for both
  const start = hasUtf8Mark(head) ? 3 : 0;
  const first = head.subarray(start).find((byte) => byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9);
  if (first === undefined || first === 91 || first === 123) return 'json';
  if (/\.(json|ndjson|jsonl)$/i.test(name)) return 'json';
  return head.includes(0) ? undefined : 'text';
}

type Verdict = { verdict: 'recognised'; recognised: Recognised } | { verdict: 'ignored'; reason: string };

async function recognise(
  path: string,
  name: string,
  { scan, encoding }: Checked,
  sources: readonly Source[],
): Promise<Verdict> {
  if (scan !== undefined) return recogniseJson(scan, name, sources);
  if (encoding === undefined) throw unknownKind();
  const shapes = sources.flatMap(({ csv = [] }) => csv);
  const header = await recogniseCsv(path, encoding, shapes);
  return { verdict: 'recognised', recognised: { form: 'csv', header, encoding, named: header.shape.nameSays?.(name) } };
}

function recogniseJson(scan: JsonScan, name: string, sources: readonly Source[]): Verdict {
  for (const source of sources) {
    const reason = source.reasonToPassOver?.(scan);
    if (reason !== undefined) return { verdict: 'ignored', reason };
  }
  const rows = rowSourceOf(
    scan,
    name,
    sources.flatMap((source) => source.rows ?? []),
  );
  if (rows !== undefined) return { verdict: 'recognised', recognised: { form: 'rows', source: rows, scan } };
  if (scan.form === 'array' && scan.rows === 0) return { verdict: 'ignored', reason: 'an empty list' };
  for (const { documents } of sources) {
    if (documents?.fits(scan))
      return { verdict: 'recognised', recognised: { form: 'documents', source: documents, scan } };
  }
  throw unknownKind(`; its keys: ${shownColumns(scan.keys.keys())}`);
}

function unknownKind(seen = ''): JobError {
  return new JobError('kind_unknown', 'data', `none of the kinds of files that are known${seen}`, {
    hint: 'see docs/your-data.md for what can be loaded',
  });
}
