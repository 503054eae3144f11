import { HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { type AwsCaller, statusOf, toJobError } from '../../base/aws.ts';
import type { ObjectInfo } from '../store.ts';

/** A bucket and the part of it that is the lake. */
export interface Bucket {
  aws: AwsCaller<S3Client>;
  name: string;
  /** Empty, or ends with `/`. */
  root: string;
  partBytes: number;
}

/** Metadata of every object: which `put` wrote it. */
export const TOKEN = 'write-token';

/** Size, version and write token of an object; undefined where there is none. */
export async function look(
  bucket: Bucket,
  key: string,
): Promise<{ info: ObjectInfo; token: string | undefined } | undefined> {
  try {
    const answer = await bucket.aws.send((client) => client.send(new HeadObjectCommand(place(bucket, key))));
    const info = {
      key,
      bytes: answer.ContentLength ?? 0,
      version: etagOf(answer),
      modifiedAt: answer.LastModified?.getTime() ?? 0,
    };
    return { info, token: answer.Metadata?.[TOKEN] };
  } catch (error) {
    // A HEAD has no body, so a missing bucket looks the same; that one was found when the lake was opened.
    if (statusOf(error) === 404 || (await isHiddenAbsence(bucket, key, error))) return undefined;
    throw error;
  }
}

/**
 * True where S3 refuses an object (403) only because it is not there. It says so by 404 to those alone who
 * may list the bucket without a prefix, names of everybody's files included; a job may list its own prefixes,
 * and asks for the one name (docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
 *
 * @param error the refusal; false for any other error, and where the name may not be listed either
 */
export async function isHiddenAbsence(bucket: Bucket, key: string, error: unknown): Promise<boolean> {
  if (statusOf(error) !== 403) return false;
  const { Bucket: name, Key } = place(bucket, key);
  try {
    const { Contents = [] } = await bucket.aws.send((client) =>
      client.send(new ListObjectsV2Command({ Bucket: name, Prefix: Key, MaxKeys: 1 })),
    );
    // Names come in order, so the shortest is first.
    return Contents[0]?.Key !== Key;
  } catch (refused) {
    if (statusOf(refused) === 403) return false;
    throw refused;
  }
}

export function place(bucket: Bucket, key: string): { Bucket: string; Key: string } {
  return { Bucket: bucket.name, Key: bucket.root + key };
}

export function etagOf({ ETag }: { ETag?: string }): string {
  if (ETag === undefined) throw new Error('S3 answered without an ETag');
  return ETag;
}

export function addressOf(bucket: Bucket, key: string): string {
  return `s3://${bucket.name}/${bucket.root}${key}`;
}

/** Runs it; what AWS says of failures is said in our words. `doing` is a verb: `read`, `write`. */
export async function translated<T>(doing: string, bucket: Bucket, key: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw toJobError(error, 'store', `${doing} ${addressOf(bucket, key)}`);
  }
}
