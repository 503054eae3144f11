import { createHash } from 'node:crypto';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { makeFolders } from '../../base/disk.ts';
import { isErrno, JobError } from '../../base/errors.ts';
import { hashObject, hashText } from '../../base/hash.ts';
import { bundleFiles, ROOT } from '../../base/installation.ts';
import { engineVersion, quoteText } from '../../engine/duckdb/database.ts';
import { contractOf, WAREHOUSE_DIR } from '../../lake/contracts.ts';
import { STAGED_PREFIX, silverKey, silverPartitionPrefix, stagedObjectKey, stagedPartKey } from '../../lake/keys.ts';
import type { BronzeFile, SilverFile } from '../../lake/manifest.ts';
import type { Build, Built, PlacedRows, TimePart } from '../build.ts';
import { committedPartition } from '../changes.ts';
import type { StagedPartition } from '../partition.ts';

/** Staged parts that are fetched at once. */
const PARTS_AT_ONCE = 8;
/** Descriptors are small; a larger object is none. */
const DESCRIPTOR_BYTES_MAX = 16 * 1024 * 1024;

const whole = z.int().nonnegative();
const objectSchema = z.strictObject({ rows: whole, bytes: whole, sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const descriptorSchema = z.strictObject({
  format: z.literal(1),
  table: z.string(),
  fingerprint: z.string(),
  partition: z.record(z.string(), z.union([z.string(), z.number()])),
  /**
   * The partition as it is now; `empty` where it has no rows any more, `same` where it is as it was
   * committed.
   */
  content: z.union([objectSchema, z.literal('empty'), z.literal('same')]),
  placed: z.array(z.strictObject({ sourceKey: z.string(), newRows: whole, duplicateRows: whole })),
  /** Refused rows of the inputs, among those of other files; null where there are none. */
  refused: objectSchema.nullable(),
  affects: z.array(z.int()),
});

type StagedObject = z.infer<typeof objectSchema>;
type Descriptor = z.infer<typeof descriptorSchema>;

/** A part that was built ahead: where the builder would have put it, fetched and verified. */
export interface TakenPart {
  number: number;
  partition: StagedPartition | undefined;
  placed: PlacedRows[];
  affects: readonly number[];
}

/**
 * Partitions of silver that were built ahead, in the lake. What is there is a claim until its bytes are
 * verified.
 */
export interface Staging {
  /**
   * Of these parts those that are staged whole, from exactly their inputs by this code. Rows they refused are
   * in `refused_rows` then.
   */
  take(parts: readonly TimePart[]): Promise<TakenPart[]>;
  /** Of these parts those that need not be staged again. */
  staged(parts: readonly TimePart[]): Promise<Set<number>>;
  /** Puts parts as they were built; a part that another task has put is replaced by the same. */
  put(parts: readonly TimePart[], built: Built): Promise<void>;
  /** Removes what was there when it was opened: used or out of date after a commit. */
  clear(): Promise<void>;
}

/** Looks at what is staged: one listing. */
export async function openStaging(build: Build): Promise<Staging> {
  const { db, effects } = build;
  const { log, scratch, store } = effects;
  const there = new Set<string>();
  for await (const { key } of store.list(STAGED_PREFIX)) there.add(key);
  const fingerprintOf = fingerprints(build, codeHash());
  const keyOf = (part: TimePart): string => stagedPartKey(part.table, fingerprintOf(part));
  // Many parts name the same object.
  const refusedPaths = new Map<string, Promise<string>>();
  const fetchRefused = (object: StagedObject): Promise<string> => {
    const path = join(scratch, 'refused', `${object.sha256}.parquet`);
    const started = refusedPaths.get(path) ?? fetchObject(build, object, path);
    refusedPaths.set(path, started);
    return started;
  };

  /**
   * A part's descriptor and its objects as files in scratch; undefined, and a line in the log, where anything
   * is not as it was put.
   */
  async function fetchPart(part: TimePart): Promise<Fetched | undefined> {
    const key = keyOf(part);
    try {
      const descriptor = await readDescriptor(build, key, part, fingerprintOf(part));
      const { content, refused } = descriptor;
      const committed = committedPartition(build.committed.get(part.table), part);
      // What is committed already is not put again, so its bytes are not needed.
      const isFetched = typeof content === 'object' && !isSame(content, committed);
      const aside = join(scratch, 'staged', silverPartitionPrefix(part.table, part.partition), 'part-0.parquet');
      const path = isFetched ? await fetchObject(build, content, aside) : undefined;
      const refusedPath = refused === null ? undefined : await fetchRefused(refused);
      return { part, descriptor, path, refusedPath };
    } catch (error) {
      const isGone = (error instanceof JobError && error.code === 'object_missing') || isErrno(error, 'ENOENT');
      if (!(error instanceof NotWhole) && !isGone) throw error;
      log.warn({ key, reason: error.message }, 'a staged partition is not used: it is built again');
      return undefined;
    }
  }

  async function fetchParts(parts: readonly TimePart[]): Promise<Fetched[]> {
    if (there.size === 0) return [];
    const known = parts.filter((part) => there.has(keyOf(part)));
    const fetched: Fetched[] = [];
    for (let start = 0; start < known.length; start += PARTS_AT_ONCE) {
      const some = await Promise.all(known.slice(start, start + PARTS_AT_ONCE).map(fetchPart));
      fetched.push(...some.filter((each) => each !== undefined));
    }
    return fetched;
  }

  return {
    async take(parts) {
      const fetched = await fetchParts(parts);
      await addRefused(build, fetched);
      return fetched.map(takenOf);
    },
    async staged(parts) {
      const fetched = await fetchParts(parts);
      for (const { path } of fetched) if (path !== undefined) await rm(path, { force: true });
      return new Set(fetched.map(({ part }) => part.number));
    },
    async put(parts, built) {
      const refused = await putRefused(build);
      for (const part of parts) {
        const descriptor = await putPart(build, part, built, fingerprintOf(part), refused);
        await store.put(keyOf(part), sealed(descriptor));
      }
      await db.run('delete from refused_rows');
    },
    async clear() {
      for (const key of there) await store.delete(key);
    },
  };
}

interface Fetched {
  part: TimePart;
  descriptor: Descriptor;
  path: string | undefined;
  refusedPath: string | undefined;
}

/** What is staged is not what was put. */
class NotWhole extends Error {}

/**
 * What a part depends on, as a hash: its inputs as the index has them, which of them are new, and all code
 * that reads or writes rows. Neither the commit nor the clock is in it: another load or a failed run leaves
 * parts that it does not touch good.
 */
function fingerprints(build: Build, code: string): (part: TimePart) => string {
  const files = new Map<BronzeFile, string>();
  const inputs = new WeakMap<readonly BronzeFile[], string>();
  const parts = new WeakMap<TimePart, string>();
  const hashFile = (file: BronzeFile): string => {
    const {
      table,
      sourceKey,
      key,
      sha256,
      rows,
      bytes,
      fileName,
      kind,
      userId,
      readRows,
      sequence,
      loadedAt,
      periods,
    } = file;
    const isNew = build.isNew(file);
    return hashOf([
      ...[table, sourceKey, key, sha256, rows, bytes, fileName, kind, userId, readRows, sequence, loadedAt, isNew],
      ...periods,
    ]);
  };
  const hashInputs = (list: readonly BronzeFile[]): string => {
    for (const file of list) if (!files.has(file)) files.set(file, hashFile(file));
    return hashOf(list.map((file) => files.get(file)).sort());
  };
  return (part) => {
    let found = parts.get(part);
    if (found === undefined) {
      const own = inputs.get(part.inputs) ?? hashInputs(part.inputs);
      inputs.set(part.inputs, own);
      found = hashOf([code, part.table, silverPartitionPrefix(part.table, part.partition), own]);
      parts.set(part, found);
    }
    return found;
  };
}

/**
 * Of everything that rows go through on the way to a partition's bytes: selects, contracts, the code of
 * `transform`, the engine.
 */
export function codeHash(): string {
  known ??= hashCode();
  return known;
}

let known: string | undefined;

function hashCode(): string {
  const sql = [`${WAREHOUSE_DIR}contracts/`, `${WAREHOUSE_DIR}silver/`].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(json|sql)$/.test(name))
      .sort()
      .map((name) => [relative(WAREHOUSE_DIR, folder + name), readFileSync(folder + name, 'utf8')]),
  );
  const code = codeFiles().map((path) => [relative(ROOT, path), readFileSync(path, 'utf8')]);
  return hashOf([engineVersion(), process.arch, ...sql.flat(), ...code.flat()]);
}

const JOBS = join(ROOT, 'jobs');

/**
 * Every file that `transform` imports, directly or not, and itself: absolute paths in order. In the npm
 * package the bundle's files do not say which of them `transform` needs, so all of them count.
 */
export function codeFiles(): string[] {
  const bundled = bundleFiles();
  if (bundled !== undefined) return bundled;
  const found = new Set<string>([join(JOBS, 'transform.ts')]);
  // A set is walked to its end, also while it grows.
  for (const path of found) {
    for (const [, name] of readFileSync(path, 'utf8').matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g))
      found.add(resolve(dirname(path), name!));
  }
  return [...found].sort();
}

function hashOf(value: unknown): string {
  return hashText(JSON.stringify(value));
}

/** A descriptor with a hash over itself: also a change that leaves it readable is noticed. */
function sealed(descriptor: Descriptor): string {
  const text = JSON.stringify(descriptor);
  return `${hashText(text)} ${text}\n`;
}

async function readDescriptor(
  { effects }: Build,
  key: string,
  part: TimePart,
  fingerprint: string,
): Promise<Descriptor> {
  const info = await effects.store.head(key);
  if (info !== undefined && info.bytes > DESCRIPTOR_BYTES_MAX) throw new NotWhole(`${info.bytes} bytes`);
  const [seal, text = ''] = (await buffer(await effects.store.get(key))).toString('utf8').split(/ (.*)\n/s, 2);
  if (seal !== hashText(text)) throw new NotWhole('its bytes are not the ones that were put');
  const descriptor = descriptorSchema.safeParse(JSON.parse(text)).data;
  if (descriptor === undefined) throw new NotWhole('its form is not known');
  if (
    descriptor.fingerprint !== fingerprint ||
    silverPartitionPrefix(descriptor.table, descriptor.partition) !== silverPartitionPrefix(part.table, part.partition)
  )
    throw new NotWhole('it is of another partition');
  return descriptor;
}

/** Copies an object to `path`, hashing on the way: what is used is what was verified. */
async function fetchObject({ effects }: Build, object: StagedObject, path: string): Promise<string> {
  const key = stagedObjectKey(object.sha256);
  await makeFolders(dirname(path));
  const hash = createHash('sha256');
  await pipeline(
    await effects.store.get(key),
    async function* (chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk as Buffer);
        yield chunk;
      }
    },
    createWriteStream(path, { mode: 0o600 }),
  );
  if (hash.digest('hex') === object.sha256) return path;
  await rm(path, { force: true });
  throw new NotWhole(`${key} is damaged`);
}

function isSame(content: StagedObject, committed: SilverFile | undefined): boolean {
  return committed?.sha256 === content.sha256 && committed.rows === content.rows;
}

function takenOf({ part, descriptor, path }: Fetched): TakenPart {
  const { content, placed, affects } = descriptor;
  const { number, table, partition } = part;
  const none = { rows: 0, bytes: 0, sha256: '', key: silverPartitionPrefix(table, partition) };
  const staged = typeof content === 'object' ? { ...content, key: silverKey(table, partition, content.sha256) } : none;
  return {
    number,
    partition: content === 'same' ? undefined : { table, partition, path, ...staged },
    placed: placed.map((rows) => ({ ...rows, part: number })),
    affects,
  };
}

/**
 * Adds the refused rows of taken parts to `refused_rows`: those of their own inputs, whatever else the task
 * has read.
 */
async function addRefused(build: Build, fetched: readonly Fetched[]): Promise<void> {
  const sources = new Map<string, Set<string>>();
  for (const { part, refusedPath } of fetched) {
    if (refusedPath === undefined) continue;
    const own = sources.get(refusedPath) ?? new Set();
    for (const file of part.inputs) if (build.isNew(file)) own.add(file.sourceKey);
    sources.set(refusedPath, own);
  }
  const columns = refusedColumns();
  for (const [path, keys] of sources) {
    await build.db.run(
      `insert into refused_rows select ${columns} from read_parquet(${quoteText(path)})
       where source_key in (${[...keys].map(quoteText).join(', ')})`,
    );
  }
}

interface Refused {
  object: StagedObject;
  sources: ReadonlySet<string>;
}

/** Puts what a builder has refused; undefined where it has refused nothing. */
async function putRefused({ db, effects }: Build): Promise<Refused | undefined> {
  const sources = await db.rows<{ source_key: string }>('select distinct source_key from refused_rows');
  if (sources.length === 0) return undefined;
  const path = join(effects.scratch, 'refused.parquet');
  const columns = refusedColumns();
  const [written] = await db.rows<{ Count: bigint }>(
    `copy (select distinct ${columns} from refused_rows order by ${columns}) to ${quoteText(path)} (format parquet, compression zstd)`,
  );
  const object = { rows: Number(written?.Count), bytes: (await stat(path)).size, sha256: await hashObject(path) };
  await effects.store.put(stagedObjectKey(object.sha256), { file: path });
  return { object, sources: new Set(sources.map(({ source_key }) => source_key)) };
}

function refusedColumns(): string {
  return contractOf('silver', 'quarantine')
    .columns.map(({ name }) => name)
    .join(', ');
}

async function putPart(
  build: Build,
  part: TimePart,
  built: Built,
  fingerprint: string,
  refused: Refused | undefined,
): Promise<Descriptor> {
  const { table, partition, number } = part;
  const prefix = silverPartitionPrefix(table, partition);
  const own = built.staged.find((each) => silverPartitionPrefix(each.table, each.partition) === prefix);
  const isRefused = part.inputs.some((file) => build.isNew(file) && refused?.sources.has(file.sourceKey));
  let content: Descriptor['content'] = own === undefined ? 'same' : 'empty';
  if (own?.path !== undefined) {
    const { rows, bytes, sha256, path } = own;
    await build.effects.store.put(stagedObjectKey(sha256), { file: path });
    content = { rows, bytes, sha256 };
  }
  const placed = built.placed
    .filter((rows) => rows.part === number)
    .map(({ sourceKey, newRows, duplicateRows }) => ({ sourceKey, newRows, duplicateRows }));
  return {
    ...{ format: 1, table, fingerprint, partition, content, placed },
    refused: isRefused && refused !== undefined ? refused.object : null,
    affects: [...(built.affects?.get(number) ?? [])],
  };
}
