import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import {
  type AwsOptions,
  awsCaller,
  clientSettings,
  isTransient,
  nameOf,
  pause,
  statusOf,
  toJobError,
} from '../../base/aws.ts';
import { diskError, makeFolders } from '../../base/disk.ts';
import { JobError } from '../../base/errors.ts';
import { PREFIX } from '../keys.ts';
import type { LakeStore, ObjectInfo } from '../store.ts';
import { addressOf, type Bucket, etagOf, isHiddenAbsence, look, place, translated } from './bucket.ts';
import { abortUpload, deleteVersion, list, listUploads, listVersions } from './list.ts';
import { COPY_BYTES_MAX, copyWithin, putObject } from './write.ts';

export interface S3Options extends AwsOptions {
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`; most services that are not AWS want it. */
  isPathStyle?: boolean;
  /** A private folder for objects that are needed as local files; made when absent, removed by the caller. */
  scratch: string;
  /** Size of the parts of a large upload, in bytes; S3 wants 5 MiB or more. Default `PART_BYTES`. */
  partBytes?: number;
  /** Objects that one request lists; default (and most) 1,000. */
  pageObjects?: number;
}

const MIB = 1024 ** 2;
const PART_BYTES = 8 * MIB;
/** A download that breaks this often without a byte in between is given up. */
const BREAKS_MAX = 7;

/**
 * A lake on S3, or on what speaks its protocol with conditional writes. An object's version is its ETag.
 *
 * @param uri `s3://bucket` or `s3://bucket/prefix`
 * @throws `lake_uri_invalid` (78); `bucket_missing`, `region_wrong` (78); `store_denied` (77);
 *   `store_unavailable` (69)
 */
export async function openS3Lake(uri: string, options: S3Options): Promise<LakeStore> {
  const { name, root } = parseUri(uri);
  const bucket: Bucket = {
    aws: awsCaller(
      () => new S3Client({ ...clientSettings(options), forcePathStyle: options.isPathStyle ?? false }),
      options,
    ),
    name,
    root,
    partBytes: options.partBytes ?? PART_BYTES,
  };
  // A listing, because its answer has a body that says what is wrong; and every job may list the manifests.
  await translated('open', bucket, PREFIX.manifests, () =>
    bucket.aws.send((client) =>
      client.send(new ListObjectsV2Command({ Bucket: name, Prefix: root + PREFIX.manifests, MaxKeys: 1 })),
    ),
  );
  const downloads = new Map<string, Promise<string>>();

  const put: LakeStore['put'] = (key, body, condition = {}) =>
    translated('write', bucket, key, () =>
      putObject(bucket, { key, condition, token: randomBytes(16).toString('hex') }, body),
    );

  async function localFile(key: string): Promise<string> {
    const found = await translated('read', bucket, key, () => look(bucket, key));
    if (found === undefined) throw missing(key);
    const name = createHash('sha256').update(`${key} ${found.info.version}`).digest('hex');
    const path = join(options.scratch, 'objects', name);
    const started = downloads.get(path);
    if (started !== undefined) return started;
    const download = translated('read', bucket, key, () => fetchFile(bucket, found.info, path));
    downloads.set(path, download);
    download.catch(() => downloads.delete(path));
    return download;
  }

  return {
    uri,
    async head(key) {
      return (await translated('look at', bucket, key, () => look(bucket, key)))?.info;
    },
    get: (key) => translated('read', bucket, key, () => read(bucket, key)),
    localFile,
    localFolder: () => join(options.scratch, 'objects'),
    list: (prefix) => list(bucket, prefix, options.pageObjects),
    put,
    async copy(from, to) {
      const found = await translated('read', bucket, from, () => look(bucket, from));
      if (found === undefined) throw missing(from);
      if (found.info.bytes <= COPY_BYTES_MAX)
        return translated('write', bucket, to, () => copyWithin(bucket, found.info, to));
      const result = await put(to, { file: await localFile(from) });
      if (result.status === 'conflict') throw new Error(`${to} was put without a condition, and in vain`);
      return result.info;
    },
    async delete(key) {
      await translated('delete', bucket, key, () =>
        bucket.aws.send((client) => client.send(new DeleteObjectCommand(place(bucket, key)))),
      );
    },
    remains: {
      oldVersions: (prefix) => listVersions(bucket, prefix, options.pageObjects),
      deleteVersion: (version) => deleteVersion(bucket, version),
      unfinished: (prefix) => listUploads(bucket, prefix),
      discard: (write) => abortUpload(bucket, write),
    },
  };
}

/** @throws `lake_uri_invalid` (78) */
export function parseUri(uri: string): { name: string; root: string } {
  const [, name, prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^\\?#]*))?$/.exec(uri) ?? [];
  const parts = prefix.split('/').filter((part) => part !== '');
  if (name === undefined || parts.some((part) => part === '.' || part === '..')) {
    throw new JobError('lake_uri_invalid', 'config', `not the address of a lake: ${uri}`, {
      hint: 'give s3://bucket or s3://bucket/prefix',
    });
  }
  return { name, root: parts.map((part) => `${part}/`).join('') };
}

/**
 * The object's bytes. A connection that breaks on the way is made anew from the byte where it broke, if the
 * object is still the same.
 */
async function read(bucket: Bucket, key: string, version?: string): Promise<Readable> {
  const first = await openFrom(bucket, key, 0, version);
  async function* bytes(): AsyncGenerator<Buffer> {
    let { body } = first;
    let position = 0;
    for (let broken = 0; ; ) {
      try {
        for await (const chunk of body) {
          position += (chunk as Buffer).length;
          broken = 0;
          yield chunk as Buffer;
        }
        if (position === first.bytes) return;
        throw Object.assign(new Error(`ended after ${position} of ${first.bytes} bytes`), { code: 'ECONNRESET' });
      } catch (error) {
        broken += 1;
        if (!isTransient(error) || broken > BREAKS_MAX)
          throw toJobError(error, 'store', `read ${addressOf(bucket, key)}`);
        await pause(broken);
        ({ body } = await translated('read', bucket, key, () => openFrom(bucket, key, position, first.version)));
      }
    }
  }
  return Readable.from(bytes(), { objectMode: false });
}

async function openFrom(
  bucket: Bucket,
  key: string,
  position: number,
  version: string | undefined,
): Promise<{ body: Readable; bytes: number; version: string }> {
  try {
    const answer = await bucket.aws.send((client) =>
      client.send(
        new GetObjectCommand({
          ...place(bucket, key),
          ...(position === 0 ? {} : { Range: `bytes=${position}-` }),
          ...(version === undefined ? {} : { IfMatch: version }),
        }),
      ),
    );
    return { body: answer.Body as Readable, bytes: answer.ContentLength ?? 0, version: etagOf(answer) };
  } catch (error) {
    if (nameOf(error) === 'NoSuchKey' || (await isHiddenAbsence(bucket, key, error))) throw missing(key);
    if (statusOf(error) === 412) {
      throw new JobError('store_unavailable', 'unavailable', `${key} was replaced while it was read`, {
        hint: 'run it again',
        cause: error,
      });
    }
    throw error;
  }
}

async function fetchFile(bucket: Bucket, info: ObjectInfo, path: string): Promise<string> {
  await makeFolders(join(path, '..'));
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await pipeline(await read(bucket, info.key, info.version), createWriteStream(aside, { mode: 0o600, flags: 'wx' }));
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw diskError(error, path);
  }
  return path;
}

function missing(key: string): JobError {
  return new JobError('object_missing', 'data', 'the lake has lost this object', {
    place: { file: key },
    hint: 'run `listenlake doctor --verify` to see what is whole and what to rebuild',
  });
}
