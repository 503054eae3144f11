import type { Readable } from 'node:stream';

/** One object of the lake. `version` changes whenever the content does: it is what `ifVersion` compares (S3: the ETag). */
export interface ObjectInfo {
  key: string;
  bytes: number;
  version: string;
}

/** What to write: bytes in memory, or a local file that is read to its end (and, in a folder lake, may be moved into place). */
export type ObjectBody = Uint8Array | string | { file: string };

/** When a write may happen. None of the two: always (last writer wins). */
export interface PutCondition {
  /** Only where no object has this key (S3: `If-None-Match: *`). */
  ifAbsent?: true;
  /** Only where the object still has this version (S3: `If-Match`). */
  ifVersion?: string;
}

/** `conflict`: the condition did not hold and nothing was written. Never thrown, because each caller has its own answer to it. */
export type PutResult = { status: 'written'; info: ObjectInfo } | { status: 'conflict' };

/**
 * Port 1: where the lake's objects lie. Implementations: a folder, S3. Keys are `/`-separated and come from `keys.ts` only.
 *
 * Every method throws `JobError`: `store_unavailable` (exit 69, retry helps), `store_denied` (77), `disk_full` or `disk_failed` (74).
 * A reader never sees part of an object: `put` makes it appear whole and durable, or not at all.
 */
export interface LakeStore {
  /** Where it is, as given on the command line: a folder, or `s3://bucket/prefix`. For messages. */
  readonly uri: string;
  /** The object's size and version, or undefined where there is none. */
  head(key: string): Promise<ObjectInfo | undefined>;
  /** The object's bytes. @throws `object_missing` (65) where there is none */
  get(key: string): Promise<Readable>;
  /** A local file that holds the object's bytes, read-only, valid until the process ends (a folder: the object itself). @throws `object_missing` */
  localFile(key: string): Promise<string>;
  /** Every object whose key starts with `prefix` (end it with `/`), in key order. Left-overs of interrupted writes are not listed. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  put(key: string, body: ObjectBody, condition?: PutCondition): Promise<PutResult>;
  /** Deletes the object; none there is fine. */
  delete(key: string): Promise<void>;
}
