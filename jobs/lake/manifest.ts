import { createHash } from 'node:crypto';
import { JobError } from '../base/errors.ts';
import { hashText } from '../base/hash.ts';
import type { IcebergCopy } from './iceberg.ts';
import {
  LATEST_MANIFEST_HINT_KEY,
  manifestKey,
  manifestSequence,
  type PartitionValues,
  PREFIX,
  stateKey,
  type Target,
} from './keys.ts';
import type { LakeStore, ObjectInfo } from './store.ts';

/**
 * One committed object: what a reader may read, and how to tell that it is whole. A key that ends with `/`
 * stands for every object below it: `bytes` is their sum, `sha256` what `hashOf` says of them.
 */
export interface OutputFile {
  key: string;
  rows: number;
  bytes: number;
  sha256: string;
}

/** Every object below a prefix, in key order. */
export async function objectsOf(store: LakeStore, prefix: string): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = [];
  for await (const object of store.list(prefix)) objects.push(object);
  return objects;
}

/**
 * What tells one set of objects from another, without reading them: the hash of a line `<name> <bytes>
 * <version>` for each.
 */
export function hashOf(prefix: string, objects: readonly ObjectInfo[]): string {
  const hash = createHash('sha256');
  for (const { key, bytes, version } of objects) hash.update(`${key.slice(prefix.length)} ${bytes} ${version}\n`);
  return hash.digest('hex');
}

export interface SilverFile extends OutputFile {
  partition: PartitionValues;
  /** Newest moment of its rows, Unix ms, where the engine has written them: nobody need fetch them for it. */
  newestMs?: number;
}

/**
 * One file that was loaded or refused: the entry of the bronze index. Grain: content hash. Files that one
 * load has refused share one object: each counts one row of it, and `bytes` and `sha256` are those of the
 * whole object (see `objectsOfFiles`).
 */
export interface BronzeFile extends OutputFile {
  /** Bronze table (a contract's name). */
  table: string;
  /** SHA-256 of the file as received; also in the key and in every row's `source_key`. */
  sourceKey: string;
  /** The file's own name, for messages. */
  fileName: string;
  /** What it was recognised as, e.g. `export_extended`, `recently_played`, `kaggle`. */
  kind: string;
  /** Label of the person it belongs to; null where rows name their users. */
  userId: string | null;
  /** Rows in the file that must be accounted for: plays, items, records. */
  readRows: number;
  /** Sequence of the manifest that committed it. */
  sequence: number;
  /**
   * When it was loaded, ISO, UTC: nothing in it can have happened much later. Absent where an older version
   * loaded it.
   */
  loadedAt?: string;
  /**
   * Partitions (e.g. `2026-11`, `2026-11-03`) that its rows may touch, before any correction of times; empty
   * when the table has none.
   */
  periods: string[];
  /**
   * Pseudonyms of the accounts whose plays it holds. Absent where it does not say, or an older version loaded
   * it.
   */
  accounts?: string[];
  /**
   * The keys of its rows beside those of its contract. Absent where its rows have no keys of their own, and
   * where an older version loaded it.
   */
  keys?: FileKeys;
}

/** How the keys of a file's rows differ from the contract's, each list in the order of the alphabet. */
export interface FileKeys {
  /** Keys that the contract does not have; names of personal keys are not kept. */
  unknown: string[];
  /** Keys of the contract that no row has. */
  absent: string[];
  /** Keys of the contract that some rows have and others have not. */
  partial: string[];
}

/** Accounts of one file or of a whole run, in rows. `read = new + duplicate + quarantined` always. */
export interface Accounts {
  read: number;
  new: number;
  duplicate: number;
  quarantined: number;
}

export interface GoldVersion {
  runId: string;
  /** Exclusive end of the interval the models were built for, `YYYY-MM-DDTHH:mm:ss.sssZ`. */
  asOf: string;
  /** Sequence of the manifest whose silver it was built from. */
  silverSequence: number;
  /** Hash over the SQL that made it. */
  modelsHash: string;
  /**
   * Model to file; every model has one. A table whose model had nothing new to read is still the one that an
   * older run built.
   */
  tables: Record<string, OutputFile>;
  /**
   * Model to the fingerprint of all that its table was built from (gold/fingerprints.ts). Absent where an
   * older version built it.
   */
  fingerprints?: Record<string, string>;
  /** Models whose tables are of an older silver, because only live ones were built (gold/live.ts); absent: none. */
  kept?: string[];
  /**
   * Of `gold_prod`: model to what tells the table of `gold_dev` that its own is a copy of (gold/versions.ts).
   */
  origins?: Record<string, string>;
}

/**
 * Everything that is true after a commit. Lists that grow are kept in objects of their own (`state/`), named
 * here.
 */
export interface LakeState {
  /** Segments of the bronze index: keys of JSON arrays of `BronzeFile`. */
  bronze: string[];
  /** Segments of what is known of streams: keys of JSON arrays of `StreamBatch` (stream.ts); absent: none. */
  stream?: string[];
  /** Bronze of manifests up to this sequence (inclusive) is in silver. */
  transformedThrough: number;
  /** Sequence of the manifest that last changed silver; 0 before the first. */
  silverSequence: number;
  /** Silver table to the key of its file list (JSON array of `SilverFile`). */
  silver: Record<string, string>;
  gold: Partial<Record<Target, GoldVersion>>;
  /** Absent where there is no copy. */
  iceberg?: IcebergCopy;
  /** Check results by what was checked (`silver`, `gold_dev`, `gold_prod`): see check.ts. */
  checks: Record<string, { key: string; verdict: 'passed' | 'failed'; of: string }>;
  /**
   * Key of what `extract` from the Web API knows (sources/spotify-api/ledger.ts); absent before its first
   * run.
   */
  spotify?: string;
  /** Key of the `LookUps`; absent before the first `transform`. */
  lookUps?: string;
  /** Key of a JSON array of `Refusal`; absent where silver is made of all bronze. */
  refusals?: string;
  /**
   * With which key ids of people were replaced (pseudonym-key.ts): `built-in`, or a mark to know the key by.
   * Absent where none were, and in lakes of older versions.
   */
  pseudonymKey?: string;
  /** Key of what `train` has found, newest first (training/records.ts); absent before its first run. */
  trainings?: string;
  /**
   * Something is being removed for good (removal.ts), and a killed run has left it unfinished. `silver`:
   * bronze is without it, silver and gold are not yet; `purge`: silver is, too, but old versions are still
   * there. Absent: nothing is open.
   */
  removal?: 'silver' | 'purge';
}

/**
 * A loaded file that silver is made without, because a statement fails on it (decision 24). Grain: bronze
 * object.
 */
export interface Refusal {
  /** Key and hash of the bronze object: one that was rewritten since is another file. */
  key: string;
  sha256: string;
  /** `transform_failed`, or `transform_memory` where the file alone does not fit into the engine's memory. */
  code: string;
  /** The engine's words, one line. */
  reason: string;
  /** Hash of the code that failed: other code tries again. */
  codeHash: string;
  /** The engine's memory then, in MiB: where it was too little, more of it tries again. */
  memoryMb: number;
}

/** What the Web API describes one by one. */
export type Collection = 'tracks' | 'albums' | 'artists';

/**
 * What silver has heard of and the Web API has not described in full: `transform` writes it, `extract
 * metadata` works it off.
 */
export interface LookUps {
  /** Plays with a track id. */
  plays: number;
  /** Ids with the plays that they would describe, most played first. */
  wanted: Record<Collection, [id: string, plays: number][]>;
}

/**
 * How lakes are laid out today. 1: objects of silver were replaced in place, and plays had a partition a
 * month. 2: they are immutable (see keys.ts), and plays has one a year. Readers take both; `transform` makes
 * silver anew, from bronze, where it finds 1, and commits 2.
 */
export const LAKE_FORMAT = 2;
export type LakeFormat = 1 | typeof LAKE_FORMAT;

/** The commit of one job: what it read, what it wrote, what is true now. */
export interface Manifest {
  /**
   * The layout of the silver that it names. Jobs that do not make silver anew keep that of the commit before.
   */
  format: LakeFormat;
  sequence: number;
  job: string;
  runId: string;
  startedAt: string;
  elapsedMs: number;
  versions: Record<string, string>;
  interval: { from: string | null; to: string | null };
  inputs: string[];
  outputs: OutputFile[];
  accounts: Accounts;
  /** Small facts of the job, for people and for the summary. */
  details: Record<string, unknown>;
  state: LakeState;
}

export const EMPTY_STATE: LakeState = Object.freeze({
  bronze: [],
  transformedThrough: 0,
  silverSequence: 0,
  silver: {},
  gold: {},
  checks: {},
});

export const NO_ACCOUNTS: Accounts = Object.freeze({ read: 0, new: 0, duplicate: 0, quarantined: 0 });

/**
 * The newest commit, or undefined in an empty lake. @throws `manifest_invalid` (65) when it cannot be read
 */
export async function latestManifest(store: LakeStore): Promise<Manifest | undefined> {
  let sequence = await readHint(store);
  // The first manifests may have been collected, so without a hint that holds only a listing tells.
  if (sequence === undefined || (await store.head(manifestKey(sequence))) === undefined)
    sequence = (await listManifests(store)).at(-1)?.sequence ?? 0;
  // The hint may be behind (it is written after the commit): go on from it until there is no next one.
  while ((await store.head(manifestKey(sequence + 1))) !== undefined) sequence += 1;
  return sequence === 0 ? undefined : readManifest(store, sequence);
}

/** Every commit that is still there, oldest first: `gc` collects the old ones. `committedAt` is Unix ms. */
export async function listManifests(
  store: LakeStore,
): Promise<{ key: string; sequence: number; committedAt: number }[]> {
  const found: { key: string; sequence: number; committedAt: number }[] = [];
  for await (const { key, modifiedAt } of store.list(PREFIX.manifests)) {
    const sequence = manifestSequence(key);
    if (sequence !== undefined) found.push({ key, sequence, committedAt: modifiedAt });
  }
  return found;
}

/** One commit by its sequence. @throws `object_missing`, `manifest_invalid` (65), `manifest_too_new` (78) */
export async function readManifest(store: LakeStore, sequence: number): Promise<Manifest> {
  const key = manifestKey(sequence);
  const manifest = (await readJson(store, key)) as (Partial<Omit<Manifest, 'format'>> & { format?: unknown }) | null;
  const format = manifest?.format;
  if (typeof format !== 'number' || !Number.isSafeInteger(format) || format < 1) {
    throw new JobError('manifest_invalid', 'data', `no commit of a lake (format ${JSON.stringify(format)})`, {
      place: { file: key },
      hint: 'run `listenlake doctor --verify`; bronze is whole, so the lake can be rebuilt from it',
    });
  }
  if (format > LAKE_FORMAT) {
    throw new JobError(
      'manifest_too_new',
      'config',
      `the lake was written by a newer version (format ${format}; this one knows formats up to ${LAKE_FORMAT})`,
      {
        place: { file: key },
        hint: 'use a listenlake that is at least as new as the one that wrote it',
      },
    );
  }
  return manifest as Manifest;
}

/**
 * Commits: creates the next manifest, only if nobody else has. The answer is false when another run committed
 * first; nothing was changed then, and the caller may read the state again and repeat, or give up with 75.
 *
 * A number is free again once its manifest is collected. So whoever slept for so long that the commit before
 * its own is gone has not committed either: its manifest is older than the newest, which is all that readers
 * look at, and `gc` takes it.
 */
export async function commitManifest(store: LakeStore, manifest: Manifest): Promise<boolean> {
  if (manifest.accounts.read !== manifest.accounts.new + manifest.accounts.duplicate + manifest.accounts.quarantined) {
    throw new JobError(
      'accounts_broken',
      'software',
      `read ${manifest.accounts.read} is not new ${manifest.accounts.new} + duplicate ${manifest.accounts.duplicate} + quarantined ${manifest.accounts.quarantined}`,
      { hint: 'nothing was committed; please report this with the job and its input' },
    );
  }
  const written = await store.put(manifestKey(manifest.sequence), `${JSON.stringify(manifest)}\n`, { ifAbsent: true });
  if (written.status === 'conflict') return false;
  const { sequence } = manifest;
  if (sequence > 1 && (await store.head(manifestKey(sequence - 1))) === undefined) return false;
  await store.put(LATEST_MANIFEST_HINT_KEY, String(manifest.sequence));
  return true;
}

/** Stores a list that a manifest points at; the same list has the same key. */
export async function putState(store: LakeStore, kind: string, value: unknown): Promise<string> {
  const text = `${JSON.stringify(value)}\n`;
  const key = stateKey(kind, hashText(text));
  await store.put(key, text, { ifAbsent: true });
  return key;
}

/** Reads what `putState` stored. @throws `object_missing`, `manifest_invalid` (65) */
export async function getState<T>(store: LakeStore, key: string): Promise<T> {
  return (await readJson(store, key)) as T;
}

/** Every loaded file, oldest commit first. */
export async function readBronzeIndex(store: LakeStore, state: LakeState): Promise<BronzeFile[]> {
  const segments = await Promise.all(state.bronze.map((key) => getState<BronzeFile[]>(store, key)));
  return segments.flat().sort((a, b) => a.sequence - b.sequence || (a.sourceKey < b.sourceKey ? -1 : 1));
}

/** The objects that these files lie in, each once and with all its rows, in the order of the files. */
export function objectsOfFiles(files: readonly BronzeFile[]): OutputFile[] {
  const objects = new Map<string, OutputFile>();
  for (const { key, rows, bytes, sha256 } of files) {
    const there = objects.get(key);
    if (there === undefined) objects.set(key, { key, rows, bytes, sha256 });
    else there.rows += rows;
  }
  return [...objects.values()];
}

/** Segments are merged when there are more than this, so that reading the index stays a few requests. */
const BRONZE_SEGMENTS_MAX = 32;

/** The bronze segments after adding `files`. */
export async function appendBronze(store: LakeStore, state: LakeState, files: BronzeFile[]): Promise<string[]> {
  if (files.length === 0) return state.bronze;
  if (state.bronze.length + 1 <= BRONZE_SEGMENTS_MAX) return [...state.bronze, await putState(store, 'bronze', files)];
  return [await putState(store, 'bronze', [...(await readBronzeIndex(store, state)), ...files])];
}

/** Files of one silver table, in partition order; none when the table is empty. */
export async function readSilverFiles(store: LakeStore, state: LakeState, table: string): Promise<SilverFile[]> {
  const key = state.silver[table];
  return key === undefined ? [] : getState<SilverFile[]>(store, key);
}

async function readHint(store: LakeStore): Promise<number | undefined> {
  if ((await store.head(LATEST_MANIFEST_HINT_KEY)) === undefined) return undefined;
  const sequence = Number((await readText(store, LATEST_MANIFEST_HINT_KEY)).trim());
  return Number.isSafeInteger(sequence) && sequence > 0 ? sequence : undefined;
}

async function readJson(store: LakeStore, key: string): Promise<unknown> {
  try {
    return JSON.parse(await readText(store, key));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new JobError('manifest_invalid', 'data', `not readable: ${error.message}`, {
      place: { file: key },
      hint: 'run `listenlake doctor --verify`; bronze is whole, so the lake can be rebuilt from it',
      cause: error,
    });
  }
}

async function readText(store: LakeStore, key: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await store.get(key)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
