import type { Stats } from 'node:fs';
import { lstat, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readStream } from '../base/disk.ts';
import { isErrno, JobError } from '../base/errors.ts';
import type { Effects } from '../effects/index.ts';
import { type Embedded, literalPath, openEmbedded, quoteName, quoteText } from '../engine/duckdb/database.ts';
import { avroBlocks } from '../formats/avro.ts';
import { openGzip } from '../formats/gzip.ts';
import { readHead } from '../formats/input.ts';
import { openBudget } from '../formats/packing.ts';
import { type Archive, openArchive } from '../formats/zip.ts';
import { STAGING_FOLDER } from '../lake/folder/store.ts';
import { CATALOG_KEY, PREFIX } from '../lake/keys.ts';

/** What must not be found any more. Held in memory alone, never written and never printed. */
export interface Traces {
  /** The person's label; undefined where only a part of theirs goes. */
  label: string | undefined;
  /** Values that nobody else's data has: hashes of the files, ids and links of what was in them. */
  values: string[];
}

export interface Hit {
  /** The object (or table of the catalog), and within it the column. */
  place: string;
  what: 'label' | 'value' | 'old version';
}

/** A label as short as `me` stands inside other words; from this length on it is looked for anywhere. */
const LABEL_ANYWHERE_CHARS = 8;
/** Columns and keys of JSON that hold people. */
const PEOPLE = /user|owner|person/i;
const CHUNK_BYTES = 8 * 1024 ** 2;
const OVERLAP_BYTES = 512;
const SEPARATOR = '\u001f';

/** A manifest lists some thousands of files. */
const AVRO_BYTES_MAX = 64 * 1024 ** 2;
/** Three letters and a length stand in numbers by chance, too. */
const AVRO_LABEL_BYTES_MIN = 4;
const HEAD_BYTES = 16;
/** What hides its texts from a look at its bytes, by how it begins (hex). */
const KINDS: readonly [beginning: RegExp, kind: string][] = [
  [/^50415231/, 'parquet'],
  [/^504b0(304|506|708)/, 'zip'],
  [/^1f8b/, 'gzip'],
  [/^4f626a01/, 'avro'],
  [/^.{16}4455434b/, 'a database'],
  [/^(425a68|fd377a585a00|28b52ffd|377abcaf271c|526172211a07|04224d18)/, 'compressed'],
  [/^(89504e47|ffd8ff|47494638|52494646)/, 'a picture'],
  [/^25504446/, 'a PDF'],
];

/** The lake's own catalog (names of tables) and the report's charts are looked at as they are. */
function kindOf(key: string, head: Buffer): string | undefined {
  if (key === CATALOG_KEY || key.startsWith(PREFIX.report)) return undefined;
  return KINDS.find(([beginning]) => beginning.test(head.toString('hex')))?.[1];
}

export interface Finding extends Hit {
  found: string;
}

/** What was found in one object, and what of it could not be looked into. */
export interface Looked {
  found: Finding[];
  unread: string[];
}

export interface Scanner {
  look(key: string): Promise<Looked>;
  bytes(bytes: Buffer, place?: string): Finding[];
}

/** Opens what is needed to look for the traces, runs the action, closes it. */
export async function withScanner<T>(
  { label, values }: Traces,
  effects: Effects,
  action: (scanner: Scanner) => Promise<T>,
): Promise<T> {
  const { store, config, scratch } = effects;
  const anywhere = label !== undefined && label.length >= LABEL_ANYWHERE_CHARS ? [label, ...values] : values;
  const needles = anywhere.map((text) => ({ text, bytes: Buffer.from(text) }));
  const pattern = anywhere.map((text) => text.replaceAll(/[.\\+*?()|[\]{}^$]/g, '\\$&')).join('|');
  // `"user_id": "me"`, `"userId":"me"`, and the ledger's `"me": {` and `"me/tracks": `.
  const quoted =
    label &&
    Buffer.from(label)
      .toString('latin1')
      .replaceAll(/[.\\+*?()|[\]{}^$]/g, '\\$&');
  const asPerson = new RegExp(`"[a-z_]*(?:user|owner)[a-z_]*"\\s*:\\s*"${quoted}"|"${quoted}(?:/[a-z_-]+)?"\\s*:`, 'i');
  // As a whole value: its length in bytes, doubled, stands before it.
  const name = Buffer.from(label ?? '');
  const asAvroText =
    name.length >= AVRO_LABEL_BYTES_MIN && name.length < 64 ? Buffer.from([2 * name.length, ...name]) : undefined;
  const whatOf = (text: string): Hit['what'] => (text === label ? 'label' : 'value');

  function bytes(content: Buffer, place = ''): Finding[] {
    const found: Finding[] = needles
      .filter((needle) => content.includes(needle.bytes))
      .map(({ text }) => ({ place, what: whatOf(text), found: text }));
    if (label !== undefined && asPerson.test(content.toString('latin1')))
      found.push({ place, what: 'label', found: label });
    return found;
  }

  async function streamed(key: string, path: string): Promise<Finding[]> {
    const found = new Map<string, Finding>();
    let rest = Buffer.alloc(0);
    for await (const chunk of readStream(path, { highWaterMark: CHUNK_BYTES })) {
      const content = Buffer.concat([rest, chunk as Buffer]);
      for (const finding of bytes(content, key)) found.set(finding.found, finding);
      rest = content.subarray(-OVERLAP_BYTES);
    }
    return [...found.values()];
  }

  async function parquet(db: Embedded, key: string, path: string): Promise<Finding[]> {
    const file = `read_parquet(${quoteText(literalPath(path))}, hive_partitioning = false)`;
    try {
      const columns = await db.rows<{ column_name: string; column_type: string }>(`describe select * from ${file}`);
      const texts = columns.filter(({ column_type }) => /VARCHAR|JSON/.test(column_type));
      if (texts.length === 0) return [];
      const found: Finding[] = [];
      const people = texts.filter(({ column_name }) => PEOPLE.test(column_name));
      if (label !== undefined && people.length > 0) {
        const isTheirs = people
          .map(({ column_name }) => `cast(${quoteName(column_name)} as varchar) = $1`)
          .join(' or ');
        const [first] = await db.rows(`select 1 from ${file} where ${isTheirs} limit 1`, [label]);
        if (first !== undefined)
          found.push({
            place: `${key} (${people.map((each) => each.column_name).join(', ')})`,
            what: 'label',
            found: label,
          });
      }
      if (anywhere.length === 0) return found;
      const all = texts.map(({ column_name }) => `cast(${quoteName(column_name)} as varchar)`).join(', ');
      const rows = await db.rows<{ value: string }>(
        `select distinct unnest(regexp_extract_all(concat_ws(${quoteText(SEPARATOR)}, ${all}), $1)) as value from ${file}`,
        [pattern],
      );
      return [...found, ...rows.map(({ value }) => ({ place: key, what: whatOf(value), found: value }))];
    } catch (error) {
      if (error instanceof JobError) throw error;
      throw new JobError(
        'proof_impossible',
        'data',
        'this Parquet file cannot be read, so nobody knows what is in it',
        {
          place: { file: key },
          hint: 'take it away and run the same command again',
          cause: error,
        },
      );
    }
  }

  const folders = new Map<string, Embedded>();
  async function databaseOf(path: string): Promise<Embedded> {
    const folder = join(path, '..');
    let db = folders.get(folder);
    if (db === undefined) {
      const settings = { memoryMb: config.memoryMb, threads: config.threads, tempDir: join(scratch, 'spill') };
      db = await openEmbedded({ ...settings, folders: [folder, literalPath(folder)] });
      // One at a time: partitions lie in a folder each.
      for (const other of folders.values()) other.close();
      folders.clear();
      folders.set(folder, db);
    }
    return db;
  }

  async function content(key: string, path: string, depth = 0): Promise<Looked> {
    const kind = kindOf(key, await readHead(path, key, HEAD_BYTES));
    // By its bytes: tables that the other engine writes have no ending in their names.
    if (kind === 'parquet') return { found: await parquet(await databaseOf(path), key, path), unread: [] };
    const looked: Looked = { found: await streamed(key, path), unread: [] };
    if (kind === 'avro') await avro(key, path, looked);
    else if (kind === 'zip' || kind === 'gzip') await unpacked(key, path, kind, depth, looked);
    else if (kind !== undefined) looked.unread.push(`${key} (${kind})`);
    return looked;
  }

  /** Manifests of Iceberg tables: they hold the smallest and the largest value of each column. */
  async function avro(key: string, path: string, looked: Looked): Promise<void> {
    try {
      if ((await lstat(path)).size > AVRO_BYTES_MAX) throw new JobError('avro_large', 'data', 'too large');
      for (const block of avroBlocks(await readFile(path))) {
        const found = bytes(block, key);
        const isNamed = asAvroText !== undefined && block.includes(asAvroText);
        if (label !== undefined && isNamed && found.every((finding) => finding.found !== label))
          found.push({ place: key, what: 'label', found: label });
        looked.found.push(...found);
      }
    } catch (error) {
      if (!(error instanceof JobError && error.exit === 'data')) throw error;
      looked.unread.push(`${key} (${error.message})`);
    }
  }

  /** The files in an archive, each unpacked aside; not archives in archives. */
  async function unpacked(
    key: string,
    path: string,
    kind: 'zip' | 'gzip',
    depth: number,
    looked: Looked,
  ): Promise<void> {
    const inside = async (name: string, unpack: (target: string) => Promise<unknown>): Promise<void> => {
      const aside = join(scratch, `looked-into-${depth}`);
      try {
        if (depth > 0) throw new JobError('zip_nested', 'data', 'an archive inside an archive');
        await unpack(aside);
        const { found, unread } = await content(name, aside, depth + 1);
        looked.found.push(...found);
        looked.unread.push(...unread);
      } catch (error) {
        if (!(error instanceof JobError && error.exit === 'data')) throw error;
        looked.unread.push(`${name} (${error.message})`);
      } finally {
        await rm(aside, { force: true });
      }
    };
    if (kind === 'gzip') {
      const { size } = await lstat(path);
      return inside(key, async (target) => (await openGzip(path, size, openBudget())).unpack(target));
    }
    let archive: Archive | undefined;
    try {
      archive = await openArchive(path);
    } catch (error) {
      if (!(error instanceof JobError && error.exit === 'data')) throw error;
      looked.unread.push(`${key} (${error.message})`);
    }
    try {
      for (const { name, refusal, unpack } of archive?.entries ?? []) {
        if (refusal === undefined) await inside(`${key}/${name}`, unpack);
        else looked.unread.push(`${key}/${name} (${refusal.message})`);
      }
    } finally {
      archive?.close();
    }
  }

  try {
    return await action({
      bytes,
      async look(key) {
        const inKey = bytes(Buffer.from(key), key);
        let path: string;
        let stat: Stats;
        try {
          path = await store.localFile(key);
          stat = await lstat(path);
        } catch (error) {
          const isGone = isErrno(error, 'ENOENT') || (error instanceof JobError && error.code === 'object_missing');
          if (!isGone || !key.startsWith(`${STAGING_FOLDER}/`)) throw error;
          // Locks come and go there: this command's own lease is renewed under one.
          return { found: inKey, unread: [] };
        }
        // A pipe would never end, and a link may lead anywhere.
        if (!stat.isFile()) return { found: inKey, unread: [`${key} (no regular file)`] };
        try {
          const { found, unread } = await content(key, path);
          return { found: [...inKey, ...found], unread };
        } catch (error) {
          const isOurs = Object.values(PREFIX).some((prefix) => prefix !== PREFIX.landing && key.startsWith(prefix));
          const isUnreadable =
            isErrno(error, 'EACCES', 'EPERM') || (error instanceof JobError && error.exit === 'data');
          if (isOurs || !isUnreadable) throw error;
          return { found: inKey, unread: [`${key} (it cannot be read)`] };
        }
      },
    });
  } finally {
    for (const db of folders.values()) db.close();
  }
}
