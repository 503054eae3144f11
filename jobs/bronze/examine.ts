import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { JobError } from '../base/errors.ts';
import {
  type ChartPlace,
  type CsvEncoding,
  type CsvHeader,
  type CsvShape,
  recogniseCsv,
  shownColumns,
} from '../formats/csv.ts';
import { openInput } from '../formats/input.ts';
import { createJsonScanner, JSON_ROW_BYTES_MAX, type JsonScan } from '../formats/json/scanner.ts';
import { hasUtf8Mark, isUtf16 } from '../formats/text-encoding.ts';
import { PLAYS_SHAPES } from '../sources/account-export/csv.ts';
import { ACCOUNT_EXPORT, EXTENDED_EXPORT } from '../sources/account-export/index.ts';
import { CHARTS_SHAPES } from '../sources/charts/index.ts';
import { LISTENING_EVENTS } from '../sources/events/index.ts';
import { foreignForm, foreignKeys, isTechnicalLog } from '../sources/other-files.ts';
import { TRACKS_SHAPES } from '../sources/tracks/index.ts';
import { type RowSource, rowSourceOf } from './rows.ts';

const READ_BYTES = 1024 ** 2;
const ROW_SOURCES: readonly RowSource[] = [EXTENDED_EXPORT, ACCOUNT_EXPORT, LISTENING_EVENTS];
const CSV_SHAPES: readonly CsvShape[] = [...TRACKS_SHAPES, ...CHARTS_SHAPES, ...PLAYS_SHAPES];

/** What a file is, and how to read it. */
export type Recognised =
  | { form: 'rows'; source: RowSource; scan: JsonScan }
  /** Web API: one response, or one a line; which kind is known when each is read. */
  | { form: 'api'; scan: JsonScan }
  | { form: 'csv'; header: CsvHeader; encoding: CsvEncoding; place: ChartPlace | undefined };

/** `refusal` and `ignored` are verdicts on the whole file; the hash is of all its bytes in every case. */
export type Examined = { sha256: string; bytes: number } & (
  | { verdict: 'recognised'; recognised: Recognised }
  | { verdict: 'refused'; refusal: JobError }
  | { verdict: 'ignored'; reason: string }
);

/**
 * Reads a file once from beginning to end: hashes it, checks every byte of it (JSON: `createJsonScanner`; CSV: its encoding), and recognises
 * what it is by its content.
 *
 * @param path the file (not an archive, not packed)
 * @param name the name it was given with
 * @throws `input_denied` (65), `file_changed` (75) where it cannot be read
 */
export async function examine(path: string, name: string): Promise<Examined> {
  const handle = await openInput(path, name);
  try {
    const hash = createHash('sha256');
    const reader = await checkBytes(handle, name, (chunk) => hash.update(chunk));
    const file = { sha256: hash.digest('hex'), bytes: reader.bytes };
    if (reader.refusal !== undefined) return { ...file, verdict: 'refused', refusal: reader.refusal };
    try {
      return { ...file, ...(await recognise(path, name, reader)) };
    } catch (error) {
      if (error instanceof JobError && error.exit === 'data') return { ...file, verdict: 'refused', refusal: error };
      throw error;
    }
  } finally {
    await handle.close();
  }
}

/** The first bytes of a file, at most `length`. @throws `input_denied` (65), `file_changed` (75) */
export async function readHead(path: string, name: string, length: number): Promise<Buffer> {
  const handle = await openInput(path, name);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
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

async function recognise(
  path: string,
  name: string,
  { scan, encoding }: Checked,
): Promise<{ verdict: 'recognised'; recognised: Recognised } | { verdict: 'ignored'; reason: string }> {
  if (scan !== undefined) {
    if (scan.form === 'value' && scan.keys.has('listenlake_truth')) {
      return { verdict: 'ignored', reason: 'the true coefficients of generated data' };
    }
    const source = rowSourceOf(scan, name, ROW_SOURCES);
    if (source !== undefined) return { verdict: 'recognised', recognised: { form: 'rows', source, scan } };
    if (scan.form === 'array' && scan.rows === 0) return { verdict: 'ignored', reason: 'an empty list' };
    // The Web API answers "contains" and "follows" with a list of true and false.
    const isAnswer = scan.firstOtherRow !== undefined && scan.bytes <= JSON_ROW_BYTES_MAX;
    if (isTechnicalLog(scan)) return { verdict: 'ignored', reason: 'a technical log without listening' };
    const foreign = foreignKeys(scan);
    if (foreign !== undefined) throw foreign;
    if (scan.form === 'array' && !isAnswer) throw unknownKind(`; its keys: ${shownColumns(scan.keys.keys())}`);
    return { verdict: 'recognised', recognised: { form: 'api', scan } };
  }
  if (encoding === undefined) throw unknownKind();
  const header = await recogniseCsv(path, encoding, CSV_SHAPES);
  return { verdict: 'recognised', recognised: { form: 'csv', header, encoding, place: header.shape.place?.(name) } };
}

function unknownKind(seen = ''): JobError {
  return new JobError('kind_unknown', 'data', `none of the kinds of files that are known${seen}`, {
    hint: 'see docs/your-data.md for what can be loaded',
  });
}
