import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import { nameOf } from '../../base/aws.ts';
import type { ObjectInfo, OldVersion, UnfinishedWrite } from '../store.ts';
import { type Bucket, etagOf, place, translated } from './bucket.ts';

/** Current objects under a prefix, page by page. */
export async function* list(bucket: Bucket, prefix: string, pageObjects?: number): AsyncIterable<ObjectInfo> {
  let token: string | undefined;
  do {
    const page = await translated('list', bucket, prefix, () =>
      bucket.aws.send((client) =>
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket.name,
            Prefix: bucket.root + prefix,
            ContinuationToken: token,
            MaxKeys: pageObjects,
          }),
        ),
      ),
    );
    for (const found of page.Contents ?? []) {
      const key = (found.Key ?? '').slice(bucket.root.length);
      // A key that ends with a slash is the mark that consoles leave for an empty folder.
      if (!key.endsWith('/') && key !== '') {
        yield {
          key,
          bytes: found.Size ?? 0,
          version: etagOf(found),
          modifiedAt: found.LastModified?.getTime() ?? 0,
        };
      }
    }
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

/** Versions that are not the current ones, and marks of deletions; none in a bucket without versioning. */
export async function* listVersions(bucket: Bucket, prefix: string, pageObjects?: number): AsyncIterable<OldVersion> {
  let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (;;) {
    const page = await translated('list versions of', bucket, prefix, () =>
      bucket.aws.send((client) =>
        client.send(
          new ListObjectVersionsCommand({
            Bucket: bucket.name,
            Prefix: bucket.root + prefix,
            MaxKeys: pageObjects,
            ...marker,
          }),
        ),
      ),
    );
    const old = [
      ...(page.Versions ?? [])
        .filter(({ IsLatest }) => IsLatest !== true)
        .map(({ Key, Size, VersionId }) => ({ Key, Size, VersionId })),
      ...(page.DeleteMarkers ?? []).map(({ Key, VersionId }) => ({ Key, Size: 0, VersionId })),
    ];
    for (const { Key = '', Size = 0, VersionId = '' } of old)
      yield { key: Key.slice(bucket.root.length), bytes: Size, id: VersionId };
    if (!page.IsTruncated) return;
    marker = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
  }
}

export async function deleteVersion(bucket: Bucket, { key, id }: OldVersion): Promise<void> {
  await translated('delete a version of', bucket, key, () =>
    bucket.aws.send((client) => client.send(new DeleteObjectCommand({ ...place(bucket, key), VersionId: id }))),
  );
}

/** Uploads in parts that somebody began and has not ended: they cost money and nobody sees them. */
export async function* listUploads(bucket: Bucket, prefix: string): AsyncIterable<UnfinishedWrite> {
  let marker: { KeyMarker?: string; UploadIdMarker?: string } = {};
  for (;;) {
    const page = await translated('list uploads of', bucket, prefix, () =>
      bucket.aws.send((client) =>
        client.send(new ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: bucket.root + prefix, ...marker })),
      ),
    );
    for (const { Key = '', UploadId = '', Initiated } of page.Uploads ?? []) {
      yield { name: Key.slice(bucket.root.length), bytes: 0, startedAt: Initiated?.getTime() ?? 0, id: UploadId };
    }
    if (!page.IsTruncated) return;
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}

export async function abortUpload(bucket: Bucket, { name, id }: UnfinishedWrite): Promise<void> {
  await translated('take back the upload of', bucket, name, async () => {
    try {
      await bucket.aws.send((client) =>
        client.send(new AbortMultipartUploadCommand({ ...place(bucket, name), UploadId: id })),
      );
    } catch (error) {
      if (nameOf(error) !== 'NoSuchUpload') throw error;
    }
  });
}
