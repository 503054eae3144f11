import type { Readable } from 'node:stream';

/**
 * What a `put` has written. `version` changes whenever the content does: it is what `ifVersion` compares (S3:
 * the ETag).
 */
export interface WrittenObject {
  key: string;
  bytes: number;
  version: string;
}

/** One object of the lake. */
export interface ObjectInfo extends WrittenObject {
  /** When its bytes were written, Unix ms by the store's own clock; S3 knows whole seconds. */
  modifiedAt: number;
}

/**
 * A version of an object that was replaced or deleted, or the mark of a deletion (no bytes): readers do not
 * see it, but it can be brought back.
 */
export interface OldVersion {
  key: string;
  bytes: number;
  id: string;
}

/** A write that began and is not finished: a staged file, an upload in parts. Nobody reads it. */
export interface UnfinishedWrite {
  /** The key it is for, or the name of the staged file. */
  name: string;
  /** As far as it is known: of an upload in parts 0. */
  bytes: number;
  /** Unix ms. */
  startedAt: number;
  /** Of an upload in parts. */
  id?: string;
}

/**
 * What to write: bytes in memory, in one or in pieces, or a local file that is read to its end (and, in a folder
 * lake, may be moved into place).
 */
export type ObjectBody = Uint8Array | readonly Uint8Array[] | string | { file: string };

/** When a write may happen. None of the two: always (last writer wins). */
export interface PutCondition {
  /** Only where no object has this key (S3: `If-None-Match: *`). */
  ifAbsent?: true;
  /** Only where the object still has this version (S3: `If-Match`). */
  ifVersion?: string;
}

/**
 * `conflict`: the condition did not hold and nothing was written. Never thrown, because each caller has its
 * own answer to it.
 */
export type PutResult = { status: 'written'; info: WrittenObject } | { status: 'conflict' };

/**
 * Port 1: where the lake's objects lie. Implementations: a folder, S3. Keys are `/`-separated and come from
 * `keys.ts` only.
 *
 * Every method throws `JobError`: `store_unavailable` (exit 69, retry helps), `store_denied` (77),
 * `disk_full` or `disk_failed` (74). A reader never sees part of an object: `put` makes it appear whole and
 * durable, or not at all.
 */
export interface LakeStore {
  /** Where it is, as given on the command line: a folder, or `s3://bucket/prefix`. For messages. */
  readonly uri: string;
  /** The object's size, version and time, or undefined where there is none. */
  head(key: string): Promise<ObjectInfo | undefined>;
  /** The object's bytes. @throws `object_missing` (65) where there is none */
  get(key: string): Promise<Readable>;
  /**
   * A local file that holds the object's bytes, read-only, valid until the process ends (a folder: the object
   * itself). @throws `object_missing`
   */
  localFile(key: string): Promise<string>;
  /**
   * The folder that holds `localFile` of every key with this prefix (one of keys.ts), also before there is
   * one: what an engine must be allowed to read.
   */
  localFolder(prefix: string): string;
  /**
   * Every object whose key starts with `prefix` (end it with `/`), in key order. Left-overs of interrupted
   * writes are not listed.
   */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  put(key: string, body: ObjectBody, condition?: PutCondition): Promise<PutResult>;
  /**
   * Makes another object with the same bytes, without bringing them here where the store can do it by itself.
   * An object that has the key already is replaced. Doing it again changes nothing.
   *
   * @throws `object_missing` (65) where there is none to copy
   */
  copy(from: string, to: string): Promise<WrittenObject>;
  /** Deletes the object; none there is fine. Where the store keeps versions it becomes an old one. */
  delete(key: string): Promise<void>;
  /** What a lake keeps beside its objects. Only what deletes for good looks at it. */
  readonly remains: StoreRemains;
}

/**
 * What readers of a store do not see: versions that were replaced or deleted, and writes that did not finish.
 */
export interface StoreRemains {
  /** Old versions and marks of deletions under the prefix; none where the store keeps none (a folder). */
  oldVersions(prefix: string): AsyncIterable<OldVersion>;
  /** Deletes an old version for good; one that is gone is fine. */
  deleteVersion(version: OldVersion): Promise<void>;
  /** Writes of others that are at work or were interrupted. Those that are for keys: under the prefix. */
  unfinished(prefix: string): AsyncIterable<UnfinishedWrite>;
  /** Takes such a write back; one that is gone, or has finished meanwhile, is fine. */
  discard(write: UnfinishedWrite): Promise<void>;
}

/**
 * What kind of store an address names: the scheme of `s3://bucket/...`, and `file` for a path on this
 * machine.
 */
export function schemeOf(uri: string): string {
  return /^[a-z0-9]+(?=:\/\/)/.exec(uri)?.[0] ?? 'file';
}

/** True for an address (`s3://bucket/...`), false for a path on this machine. */
export function isElsewhere(uri: string): boolean {
  return schemeOf(uri) !== 'file';
}
