import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { readStream } from './disk.ts';
import { type Effects, stopIfAsked } from './effects.ts';
import { type Embedded, literalPath, openEmbedded, quoteName, quoteText } from './engine/embedded.ts';
import { JobError } from './errors.ts';
import { CATALOG_KEY, LATEST_MANIFEST_HINT_KEY, PREFIX } from './lake/keys.ts';
import { type BronzeFile, getState, listManifests, readManifest } from './lake/manifest.ts';
import { PURGED_PREFIXES, type RemovalPlan, type RemovalRule, withBronze } from './removal.ts';

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

export interface Proof {
  objects: number;
  hits: Hit[];
}

/** A label as short as `me` stands inside other words; from this length on it is looked for anywhere. */
const LABEL_ANYWHERE_CHARS = 8;
/** Columns and keys of JSON that hold people. */
const PEOPLE = /user|owner|person/i;
/** Ids, links, hashes: texts that need no escaping anywhere and that chance does not repeat. */
const IDENTIFYING = /^[\w:./-]{16,200}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}[T ]/;
/** A sample of this many values, spread over all files. */
const VALUES_MAX = 200;
const FILES_MAX = 100;
const ROWS_PER_FILE = 10;
const CHUNK_BYTES = 8 * 1024 ** 2;
const OVERLAP_BYTES = 512;
const SEPARATOR = '\u001f';

/**
 * Collects what would give the removed away: hashes of the files and a sample of the values in them, without those that the rest of bronze has, too.
 * Files of a removal that was killed are found in older commits, as long as those are there.
 * What waits in landing counts as the rest: call it when theirs is gone from there.
 */
export async function collectTraces(
  rule: RemovalRule,
  label: string | undefined,
  { files: removedNow, parts, index }: Pick<RemovalPlan, 'files' | 'parts' | 'index'>,
  effects: Effects,
): Promise<Traces> {
  const files = await everyFileOf(rule, removedNow, effects);
  const values = new Set(spread(files, VALUES_MAX).map(({ sourceKey }) => sourceKey));
  const sampled = spread(
    [...files.map((file) => ({ file, condition: 'true' })), ...parts].filter(({ file }) => file.rows > 0),
    FILES_MAX,
  );
  const perFile = Math.max(2, Math.ceil(VALUES_MAX / Math.max(1, sampled.length)));
  for (const { file, condition } of sampled) {
    stopIfAsked(effects.signal);
    if ((await effects.store.head(file.key)) === undefined || file.table === 'refused') continue;
    for (const value of await valuesIn(file, condition, perFile, effects)) values.add(value);
  }
  const removed = new Set(files.map(({ key }) => key));
  const changed = new Set(parts.map(({ file }) => file.key));
  const others = index.filter(({ key }) => !removed.has(key) && !changed.has(key)).map(({ key }) => key);
  for await (const { key } of effects.store.list(PREFIX.landing)) others.push(key);
  const shared = new Set<string>();
  const candidates: Traces = { label: undefined, values: [...values] };
  await withScanner(candidates, effects, async (scanner) => {
    for (const key of others) for (const { found } of await scanner.object(key)) shared.add(found);
    for (const { file, condition } of parts) {
      const rest = await valuesIn(file, `not coalesce(${condition}, false)`, Number.MAX_SAFE_INTEGER, effects, values);
      for (const value of rest) shared.add(value);
    }
  });
  return { label, values: [...values].filter((value) => !shared.has(value)) };
}

/**
 * Looks for the traces in everything that is left: keys, bytes of every object, decoded values of Parquet, the catalog, and old versions, of which there
 * must be none at all. What is compressed in another way (a zip in landing) is looked at as it is.
 *
 * @throws what the store throws; a damaged Parquet file is a `proof_impossible` (65)
 */
export async function prove(traces: Traces, effects: Effects): Promise<Proof> {
  const { store, engine, progress, signal } = effects;
  const proof: Proof = { objects: 0, hits: [] };
  progress.start('prove');
  await withScanner(traces, effects, async (scanner) => {
    const look = async (key: string): Promise<void> => {
      stopIfAsked(signal);
      proof.objects += 1;
      progress.update(proof.objects, key);
      for (const { place, what } of await scanner.object(key)) proof.hits.push({ place, what });
    };
    for (const prefix of [...PURGED_PREFIXES, PREFIX.leases]) {
      for await (const { key } of store.list(prefix)) await look(key);
      for await (const { key } of store.oldVersions(prefix)) {
        if (key !== LATEST_MANIFEST_HINT_KEY && prefix !== PREFIX.leases)
          proof.hits.push({ place: key, what: 'old version' });
      }
    }
    if ((await store.head(CATALOG_KEY)) !== undefined) await look(CATALOG_KEY);
    for await (const { name, text } of engine.catalogEntries()) {
      proof.objects += 1;
      for (const { what } of scanner.bytes(Buffer.from(text))) proof.hits.push({ place: name, what });
    }
  });
  progress.end(`${proof.hits.length} hits in ${proof.objects} objects`);
  return proof;
}

/** Files that go now, and those that the rule has removed already, as far as older commits still name them. */
async function everyFileOf(
  rule: RemovalRule,
  removedNow: readonly BronzeFile[],
  { store }: Effects,
): Promise<BronzeFile[]> {
  const found = new Map<string, BronzeFile>();
  const add = (files: readonly BronzeFile[]): void => {
    for (const file of files) found.set(`${file.table === 'refused'} ${file.sourceKey}`, file);
  };
  add(removedNow);
  const seen = new Set<string>();
  for (const { sequence } of await listManifests(store)) {
    for (const segment of (await readManifest(store, sequence)).state.bronze) {
      if (seen.has(segment)) continue;
      seen.add(segment);
      if ((await store.head(segment)) !== undefined)
        add((await getState<BronzeFile[]>(store, segment)).filter((file) => rule.isRemoved(file)));
    }
  }
  return [...found.values()];
}

/** Up to `most` identifying values of rows of a file. @param only looks for these alone */
async function valuesIn(
  file: BronzeFile,
  condition: string,
  most: number,
  effects: Effects,
  only?: ReadonlySet<string>,
): Promise<string[]> {
  return withBronze(effects, file.table, [file], async (db) => {
    const limit = only === undefined ? `using sample reservoir(${ROWS_PER_FILE} rows) repeatable (1)` : '';
    const rows = await db.rows<Record<string, unknown>>(
      `select * exclude (source_key) from (select * from bronze_${file.table} where ${condition}) ${limit}`,
    );
    const values = new Set<string>();
    for (const row of rows) for (const text of textsOf(row)) if (only === undefined || only.has(text)) values.add(text);
    return [...values].slice(0, most);
  });
}

function* textsOf(row: Record<string, unknown>): Iterable<string> {
  for (const value of Object.values(row)) {
    if (typeof value !== 'string') continue;
    const texts = /^[{[]/.test(value) ? [...value.matchAll(/"([^"\\]{16,200})"/g)].map((match) => match[1]!) : [value];
    for (const text of texts) {
      const id = /([0-9A-Za-z]{22})(?:$|\?)/.exec(text)?.[1];
      const identifying = id !== undefined && /^(spotify:|https:)/.test(text) ? id : text;
      if (IDENTIFYING.test(identifying) && !MOMENT.test(identifying)) yield identifying;
    }
  }
}

interface Finding extends Hit {
  found: string;
}

interface Scanner {
  object(key: string): Promise<Finding[]>;
  bytes(bytes: Buffer, place?: string): Finding[];
}

async function withScanner<T>(
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
  const whatOf = (text: string): Hit['what'] => (text === label ? 'label' : 'value');

  function bytes(content: Buffer, place = ''): Finding[] {
    const found: Finding[] = needles
      .filter((needle) => content.includes(needle.bytes))
      .map(({ text }) => ({ place, what: whatOf(text), found: text }));
    if (label !== undefined && asPerson.test(content.toString('latin1')))
      found.push({ place, what: 'label', found: label });
    return found;
  }

  async function streamed(key: string): Promise<Finding[]> {
    const found = new Map<string, Finding>();
    let rest = Buffer.alloc(0);
    for await (const chunk of readStream(await store.localFile(key), { highWaterMark: CHUNK_BYTES })) {
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

  /** By its first and last bytes: tables that the other engine writes have no ending in their names. */
  async function isParquet(path: string): Promise<boolean> {
    let head = Buffer.alloc(0);
    for await (const chunk of readStream(path, { end: 3 })) head = Buffer.concat([head, chunk as Buffer]);
    return head.toString('latin1') === 'PAR1';
  }

  try {
    return await action({
      bytes,
      async object(key) {
        const path = await store.localFile(key);
        const inKey = bytes(Buffer.from(key), key);
        // A link or a FIFO that somebody has put into landing holds nothing, and to open a FIFO is to wait.
        if (!(await lstat(path)).isFile()) return inKey;
        return [
          ...inKey,
          ...((await isParquet(path)) ? await parquet(await databaseOf(path), key, path) : await streamed(key)),
        ];
      },
    });
  } finally {
    for (const db of folders.values()) db.close();
  }
}

/** Evenly spread over the list. */
function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, n) => list[Math.floor((n * list.length) / most)]!);
}
