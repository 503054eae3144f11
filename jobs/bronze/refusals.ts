import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bronzeKey } from '../lake/keys.ts';
import type { BronzeFile } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';

/** A file that is refused as a whole: what becomes its row of `bronze.refused`. */
export interface Refusal {
  fileName: string;
  /** SHA-256 (hex) of the file, or what stands for it. */
  sourceKey: string;
  code: string;
  /** One line for a person. */
  reason: string;
  /** 0-based offset of the fault, where it is known. */
  byte: number | undefined;
}

/**
 * Writes the refusals of one load as one object of `bronze.refused`, named by its content: a thousand refused
 * files cost one write and one read, not a thousand.
 *
 * @returns the entries of the bronze index, one for each refusal; none for no refusals
 */
export async function putRefusals(
  { store, scratch }: { store: LakeStore; scratch: string },
  refusals: readonly Refusal[],
  userId: string,
): Promise<Omit<BronzeFile, 'sequence'>[]> {
  if (refusals.length === 0) return [];
  const sorted = refusals.toSorted((a, b) => (a.sourceKey < b.sourceKey ? -1 : 1));
  const path = join(scratch, 'refused.ndjson');
  const hash = createHash('sha256');
  let bytes = 0;
  const lines = function* (): Iterable<string> {
    for (const refusal of sorted) {
      const line = `${JSON.stringify(rowOf(refusal))}\n`;
      hash.update(line);
      bytes += Buffer.byteLength(line);
      yield line;
    }
  };
  try {
    await pipeline(Readable.from(lines()), createWriteStream(path, { mode: 0o600 }));
    const sha256 = hash.digest('hex');
    const key = bronzeKey('refused', sha256, 'json');
    await store.put(key, { file: path }, { ifAbsent: true });
    const object = { key, rows: 1, bytes, sha256, table: 'refused', kind: 'refused', userId, readRows: 1, periods: [] };
    return sorted.map(({ sourceKey, fileName }) => ({ ...object, sourceKey, fileName }));
  } finally {
    await rm(path, { force: true });
  }
}

/** In the columns of the contract; a row of silver.quarantine has the same ones. */
function rowOf({ fileName, sourceKey, code, reason, byte }: Refusal): Record<string, unknown> {
  return {
    source: 'unknown',
    file_name: fileName,
    source_key: sourceKey,
    row_number: 0,
    byte_offset: byte ?? null,
    code,
    reason,
    sample: null,
  };
}
