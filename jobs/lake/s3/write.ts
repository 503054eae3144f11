import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { isTransient, nameOf, pause, statusOf } from '../../base/aws.ts';
import { JobError } from '../../base/errors.ts';
import type { ObjectBody, PutCondition, PutResult, WrittenObject } from '../store.ts';
import { type Bucket, etagOf, isHiddenAbsence, look, place, TOKEN } from './bucket.ts';

/** What one `put` writes, and how it recognises its own work. */
export interface Write {
  key: string;
  condition: PutCondition;
  token: string;
}

/** Memory of one upload: this many parts at once. */
const PARTS_AT_ONCE = 3;
/** A file of more parts than this gets larger parts; S3 takes 10,000. */
const PARTS_MAX = 10_000;
/**
 * A write that S3 refuses with 409 (another one is being written at this moment) is begun anew this often.
 */
const RESTARTS_MAX = 10;

/**
 * Writes an object, from memory in one request, from a large file in parts. A conditional write whose answer
 * is lost is sent again and refused, because it has happened: so every write leaves its token in the object's
 * metadata, and a refusal is believed only when the object does not have our token.
 *
 * @throws `store_busy` (75) while others replace the same object without end; what S3 says (`toJobError`)
 */
export async function putObject(bucket: Bucket, write: Write, body: ObjectBody): Promise<PutResult> {
  if (typeof body === 'string') return putWhole(bucket, write, Buffer.from(body));
  if (body instanceof Uint8Array) return putWhole(bucket, write, body);
  if (!('file' in body)) return putWhole(bucket, write, Buffer.concat(body));
  const { size } = await stat(body.file);
  if (size <= 2 * bucket.partBytes) return putWhole(bucket, write, await readFile(body.file));
  // Only a condition that fails now saves the upload of the parts; whether it holds is decided at the end.
  if (write.condition.ifAbsent && (await look(bucket, write.key)) !== undefined) return { status: 'conflict' };
  return putParts(bucket, write, body.file, size);
}

async function putWhole(bucket: Bucket, write: Write, bytes: Uint8Array): Promise<PutResult> {
  return decided(bucket, write, async () => {
    const answer = await bucket.aws.send((client) =>
      client.send(
        new PutObjectCommand({
          ...place(bucket, write.key),
          ...conditionOf(write),
          ...contentTypeOf(write.key),
          Body: bytes,
          Metadata: { [TOKEN]: write.token },
        }),
      ),
    );
    return { key: write.key, bytes: bytes.byteLength, version: etagOf(answer) };
  });
}

/**
 * S3 copies objects of at most 5 GiB in one request
 * (docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html).
 */
export const COPY_BYTES_MAX = 5 * 1024 ** 3;

/**
 * Copies the object as it was looked at inside the bucket. It is whole or not there, and sent again it does
 * the same again.
 */
export async function copyWithin(bucket: Bucket, from: WrittenObject, to: string): Promise<WrittenObject> {
  const source = place(bucket, from.key);
  const answer = await bucket.aws.send(async (client) => {
    const copied = await client.send(
      new CopyObjectCommand({
        ...place(bucket, to),
        CopySource: `${source.Bucket}/${source.Key.split('/').map(encodeURIComponent).join('/')}`,
        CopySourceIfMatch: from.version,
      }),
    );
    // S3 answers 200 before it knows the outcome; without an ETag the outcome is not a good one.
    if (copied.CopyObjectResult?.ETag === undefined)
      throw Object.assign(new Error('copied without an ETag'), { name: 'InternalError' });
    return copied.CopyObjectResult;
  });
  return { key: to, bytes: from.bytes, version: etagOf(answer) };
}

/**
 * Uploads a file in parts, a few in memory at a time. What fails is taken back, so that no parts are left to
 * pay for.
 */
async function putParts(bucket: Bucket, write: Write, file: string, size: number): Promise<PutResult> {
  return decided(bucket, write, async () => {
    const target = place(bucket, write.key);
    const { UploadId } = await bucket.aws.send((client) =>
      client.send(
        new CreateMultipartUploadCommand({ ...target, Metadata: { [TOKEN]: write.token }, ChecksumAlgorithm: 'CRC32' }),
      ),
    );
    const upload = { ...target, UploadId };
    try {
      const parts = await uploadParts(bucket, upload, file, size);
      const answer = await bucket.aws.send(async (client) => {
        const completed = await client.send(
          new CompleteMultipartUploadCommand({ ...upload, ...conditionOf(write), MultipartUpload: { Parts: parts } }),
        );
        // S3 answers 200 before it knows the outcome; without an ETag the outcome is not a good one.
        if (completed.ETag === undefined)
          throw Object.assign(new Error('completed without an ETag'), { name: 'InternalError' });
        return completed;
      });
      return { key: write.key, bytes: size, version: etagOf(answer) };
    } catch (error) {
      await takeBack(bucket, upload);
      throw error;
    }
  });
}

async function uploadParts(
  bucket: Bucket,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
  file: string,
  size: number,
): Promise<CompletedPart[]> {
  const partBytes = Math.max(bucket.partBytes, Math.ceil(size / PARTS_MAX));
  const count = Math.ceil(size / partBytes);
  const parts: CompletedPart[] = [];
  const handle = await open(file, 'r');
  let next = 0;
  let isFailed = false;
  const worker = async (): Promise<void> => {
    while (next < count && !isFailed) {
      const index = next;
      next += 1;
      const bytes = await readPart(handle, file, index * partBytes, Math.min(partBytes, size - index * partBytes));
      const answer = await bucket.aws.send((client) =>
        client.send(
          new UploadPartCommand({ ...upload, PartNumber: index + 1, Body: bytes, ChecksumAlgorithm: 'CRC32' }),
        ),
      );
      parts[index] = { PartNumber: index + 1, ETag: answer.ETag, ChecksumCRC32: answer.ChecksumCRC32 };
    }
  };
  try {
    const workers = Array.from({ length: PARTS_AT_ONCE }, () =>
      worker().catch((error: unknown) => {
        isFailed = true;
        throw error;
      }),
    );
    // All of them end before the file is closed and the upload is taken back.
    const failed = (await Promise.allSettled(workers)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    await handle.close();
  }
  return parts;
}

async function readPart(handle: FileHandle, file: string, from: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(buffer, filled, bytes - filled, from + filled);
    if (bytesRead === 0) throw new Error(`${file} became shorter while it was uploaded`);
    filled += bytesRead;
  }
  return buffer;
}

/**
 * An upload that cannot be taken back now is removed by the bucket's lifecycle rule; the reason why it failed
 * is what counts.
 */
async function takeBack(
  bucket: Bucket,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
): Promise<void> {
  await bucket.aws.send((client) => client.send(new AbortMultipartUploadCommand(upload))).catch(() => undefined);
}

/**
 * Runs a write to its true outcome. A refusal, and an outcome that nobody answered, are looked up: our token
 * in the object means that the write has happened. A 409, or an upload that S3 has lost, begins it anew.
 */
async function decided(bucket: Bucket, write: Write, attempt: () => Promise<WrittenObject>): Promise<PutResult> {
  for (let restart = 1; ; restart += 1) {
    try {
      return { status: 'written', info: await attempt() };
    } catch (error) {
      const status = statusOf(error);
      const isLost = nameOf(error) === 'NoSuchUpload';
      const isGone = status === 404 || (await isHiddenAbsence(bucket, write.key, error));
      const isRefused = status === 412 || (isGone && write.condition.ifVersion !== undefined && !isLost);
      const isBusy = status === 409;
      if (nameOf(error) === 'NoSuchBucket' || !(isRefused || isBusy || isLost || isTransient(error))) throw error;
      const found = await look(bucket, write.key).catch(() => {
        throw error; // nobody can tell what happened: the first failure says more
      });
      if (found?.token === write.token) return { status: 'written', info: found.info };
      if (isRefused) return { status: 'conflict' };
      if (isTransient(error)) throw error;
      if (restart > RESTARTS_MAX) {
        throw new JobError('store_busy', 'tempfail', `another process is replacing ${write.key}`, {
          hint: 'try again',
        });
      }
      await pause(restart);
    }
  }
}

/** What people open in a browser says what it is; for the rest nobody asks. */
function contentTypeOf(key: string): { ContentType?: string } {
  if (key.endsWith('.html')) return { ContentType: 'text/html; charset=utf-8' };
  return key.endsWith('.png') ? { ContentType: 'image/png' } : {};
}

function conditionOf({ condition }: Write): { IfNoneMatch?: string; IfMatch?: string } {
  if (condition.ifAbsent) return { IfNoneMatch: '*' };
  return condition.ifVersion === undefined ? {} : { IfMatch: condition.ifVersion };
}
