import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateMultipartUploadCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { isTransient, toJobError } from '../../jobs/base/aws.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { gc } from '../../jobs/gc.ts';
import { acquireLease } from '../../jobs/lake/lease.ts';
import { commitManifest, EMPTY_STATE, latestManifest, type Manifest, NO_ACCOUNTS } from '../../jobs/lake/manifest.ts';
import { openS3Lake, type S3Options } from '../../jobs/lake/s3/store.ts';
import type { LakeStore, OldVersion } from '../../jobs/lake/store.ts';
import { lakeContract, listKeys, readText } from '../lake/store.contract.ts';
import { gcContract } from '../removal/gc.contract.ts';
import { type Rule, s3Error } from './endpoint.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from './local.ts';

const local = await startLocalAwsOrSkip('S3', { isTrinoNeeded: false });
const MIB = 1024 ** 2;
let buckets = 0;
let scratch: string;

if (local === undefined) {
  it('S3 is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { endpoint, makeBucket } = local;
  const environment = environmentOf(endpoint.url);
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: environment.AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: environment.AWS_SECRET_ACCESS_KEY,
  });

  const options = (): S3Options => ({
    endpoint: endpoint.url,
    region: REGION,
    isPathStyle: true,
    scratch,
    partBytes: 5 * MIB,
  });

  async function openNew(isVersioned = false): Promise<{ store: LakeStore; uri: string }> {
    buckets += 1;
    const uri = `s3://lake-${buckets}/some/prefix`;
    await makeBucket(`lake-${buckets}`);
    if (isVersioned) await raw.send(new PutBucketVersioningCommand(versioningOf(`lake-${buckets}`)));
    return { store: await openS3Lake(uri, options()), uri };
  }

  const raw = new S3Client({ endpoint: endpoint.url, region: REGION, forcePathStyle: true });
  const versioningOf = (Bucket: string) => ({ Bucket, VersioningConfiguration: { Status: 'Enabled' as const } });

  async function bigFile(bytes: number): Promise<{ file: string; content: Buffer }> {
    const content = randomBytes(bytes);
    const file = join(scratch, `big-${randomBytes(4).toString('hex')}`);
    await writeFile(file, content);
    return { file, content };
  }

  const faulted = (...rules: Rule[]): void => {
    endpoint.calls.length = 0;
    endpoint.rules.splice(0, endpoint.rules.length, ...rules);
  };
  const countOf = (operation: string): number => endpoint.calls.filter((call) => call.operation === operation).length;
  const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

  async function uploadsOf(store: LakeStore): Promise<string[]> {
    const keys: string[] = [];
    for await (const { name } of store.remains.unfinished('')) keys.push(name);
    return keys;
  }

  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'listenlake-test-'));
    faulted();
  });
  afterEach(() => rm(scratch, { recursive: true, force: true }));
  afterAll(async () => {
    raw.destroy();
    await local.close();
  });

  lakeContract('S3', async () => {
    const { store, uri } = await openNew();
    return { store, reopen: () => openS3Lake(uri, options()) };
  });

  lakeContract('S3 with versions, as Terraform makes it', async () => {
    const { store, uri } = await openNew(true);
    return { store, reopen: () => openS3Lake(uri, options()) };
  });

  describe('with the right to list its own prefixes alone', () => {
    beforeAll(() => {
      endpoint.rights.hideAbsent = true;
    });
    afterAll(() => {
      endpoint.rights.hideAbsent = false;
    });
    lakeContract('S3 that hides what is absent', async () => {
      const { store, uri } = await openNew();
      return { store, reopen: () => openS3Lake(uri, options()) };
    });

    it('a refusal of an object that is there stays a refusal, of one that may not be listed, too', async () => {
      const { store } = await openNew();
      await store.put('gold/a', '1');
      endpoint.rules.push({ operation: /^(?:Head|Get)Object$/, fault: s3Error('AccessDenied', 403), times: 2 });
      const denied = { code: 'store_denied', exit: 'auth' };
      await expect(store.head('gold/a')).rejects.toMatchObject(denied);
      await expect(readText(store, 'gold/a')).rejects.toMatchObject(denied);
      expect(await readText(store, 'gold/a')).toBe('1');
      endpoint.rules.push({ operation: 'ListObjectsV2', fault: s3Error('AccessDenied', 403) });
      await expect(store.head('gold/b')).rejects.toMatchObject(denied);
      expect(await store.head('gold/b')).toBeUndefined();
    });
  });

  gcContract('S3', async () => (await openNew()).store);

  describe('S3 lake', () => {
    it('lists old versions and marks of deletions page by page', async () => {
      const { uri } = await openNew(true);
      const store = await openS3Lake(uri, { ...options(), pageObjects: 4 });
      for (let n = 0; n < 7; n += 1) await store.put('gold/a', `${n}`);
      await store.put('gold/b', 'gone');
      await store.delete('gold/b');
      const old: OldVersion[] = [];
      for await (const version of store.remains.oldVersions('gold/')) old.push(version);
      expect(old.map(({ key, bytes }) => `${key} ${bytes}`).sort()).toEqual([
        ...Array.from({ length: 6 }, () => 'gold/a 1'),
        ...['gold/b 0', 'gold/b 4'],
      ]);
      expect(countOf('ListObjectVersions')).toBeGreaterThan(1);
    });

    it('uploads a large file in parts, gives it back as a local file, and does not fetch it twice', async () => {
      const { store } = await openNew();
      const { file, content } = await bigFile(17 * MIB + 3);
      const put = await store.put('landing/big', { file });
      expect(put).toMatchObject({ status: 'written', info: { bytes: content.length } });
      expect(countOf('UploadPart')).toBe(4);
      const [first, second] = await Promise.all([store.localFile('landing/big'), store.localFile('landing/big')]);
      expect(second).toBe(first);
      expect(hashOf(await readFile(first))).toBe(hashOf(content));
      await store.localFile('landing/big');
      expect(countOf('GetObject')).toBe(1);
      expect((await store.head('landing/big'))?.version).toBe(put.status === 'written' ? put.info.version : '');
    });

    it('holds the conditions for uploads in parts too', async () => {
      const { store } = await openNew();
      const { file } = await bigFile(11 * MIB);
      const first = await store.put('a', { file }, { ifAbsent: true });
      if (first.status !== 'written') throw new Error('not written');
      endpoint.calls.length = 0;
      expect((await store.put('a', { file }, { ifAbsent: true })).status).toBe('conflict');
      expect(countOf('UploadPart')).toBe(0);
      expect((await store.put('a', { file }, { ifVersion: '"0"' })).status).toBe('conflict');
      expect((await store.put('a', { file }, { ifVersion: first.info.version })).status).toBe('written');
      expect(await uploadsOf(store)).toEqual([]);
    });

    it('lists more than one page, and neither its neighbours nor the marks of empty folders', async () => {
      const { store, uri } = await openNew();
      const keys = Array.from({ length: 103 }, (_, index) => `state/x/${String(index).padStart(5, '0')}`);
      for (let from = 0; from < keys.length; from += 50) {
        await Promise.all(keys.slice(from, from + 50).map((key) => store.put(key, 'x')));
      }
      await store.put('state/x/folder/', '');
      await (await openS3Lake(`${uri}-next`, options())).put('state/x/other', 'x');
      const paged = await openS3Lake(uri, { ...options(), pageObjects: 25 });
      expect(await listKeys(paged, 'state/x/')).toEqual(keys);
      expect(countOf('ListObjectsV2')).toBeGreaterThanOrEqual(5);
      expect(await listKeys(await openS3Lake(`${uri}-next`, options()), 'state/')).toEqual(['state/x/other']);
    });

    it.each(['s3://', 's3://Bucket', 's3://b', 's3://bucket/a/../b', 's3://bucket/a?b'])(
      'refuses the address %s, exit 78',
      async (uri) => {
        await expect(openS3Lake(uri, options())).rejects.toMatchObject({ code: 'lake_uri_invalid', exit: 'config' });
      },
    );
  });

  describe('S3 lake: several runs at once', () => {
    const NOTHING: Manifest = {
      ...{ format: 1, sequence: 1, job: 'test', runId: 'run', startedAt: '', elapsedMs: 0, versions: {}, inputs: [] },
      ...{ interval: { from: null, to: null }, outputs: [], accounts: NO_ACCOUNTS, details: {}, state: EMPTY_STATE },
    };
    const log = createLog('silent');
    const lease = (token: number): string =>
      JSON.stringify({ host: 'another-host', space: 'x', pid: 1, job: 'run', token, holder: 'x' });
    /** The store as it is so many seconds after the lease was written. */
    const later = (store: LakeStore, seconds: number): LakeStore => ({
      ...store,
      async head(key) {
        const found = await store.head(key);
        return found && key === 'leases/writer.json'
          ? { ...found, modifiedAt: found.modifiedAt - seconds * 1_000 }
          : found;
      },
    });
    const eight = async (uri: string): Promise<LakeStore[]> =>
      Promise.all(Array.from({ length: 8 }, () => openS3Lake(uri, options())));

    it('F55: of 8 commits of the same sequence exactly one is made', async () => {
      const { uri } = await openNew();
      const stores = await eight(uri);
      const results = await Promise.all(
        stores.map((store, index) => commitManifest(store, { ...NOTHING, runId: `run-${index}` })),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
      expect((await latestManifest(stores[0]!))?.runId).toBe(`run-${results.indexOf(true)}`);
    });

    it('F55: of 8 runs that find a dead holder at once one gets the lease, the others are told to come back, exit 75', async () => {
      const { store: first, uri } = await openNew();
      await first.put('leases/writer.json', lease(4));
      const stores = await eight(uri);
      let looked = 0;
      let start = (): void => {};
      const all = new Promise<void>((resolve) => {
        start = resolve;
      });
      const together = stores.map((store) => ({
        ...store,
        async head(key: string) {
          const found = await later(store, 61).head(key);
          looked += 1;
          if (looked === stores.length) start();
          await all;
          return found;
        },
      }));
      const ends = await Promise.allSettled(together.map((store) => acquireLease(store, 'writer', 'run', log)));
      const won = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
      const lost = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
      expect(won.map(({ token }) => token)).toEqual([5]);
      expect(lost.map(({ code, exit }) => [code, exit])).toEqual(Array(7).fill(['lease_held', 'tempfail']));
      await won[0]!.release();
    });

    it('F56: a lease is taken over after its time, with a higher token, and not before', async () => {
      const { store } = await openNew();
      await store.put('leases/writer.json', lease(4));
      await expect(acquireLease(later(store, 50), 'writer', 'run', log)).rejects.toMatchObject({
        code: 'lease_held',
      });
      const taken = await acquireLease(later(store, 61), 'writer', 'run', log);
      expect(taken.token).toBe(5);
      await taken.release();
      expect(await store.head('leases/writer.json')).toBeUndefined();
    });

    it('F55, F56: a holder that wakes up late leaves the lease to the new one', async () => {
      const { store } = await openNew();
      const late = await acquireLease(store, 'writer', 'run', log);
      await store.put('leases/writer.json', lease(2));
      expect(await late.isHeld()).toBe(false);
      await late.release();
      expect(JSON.parse(await readText(store, 'leases/writer.json'))).toMatchObject({ token: 2 });
    });
  });

  describe('S3 lake: what is wrong with the account', () => {
    it('F68: says that there is no such bucket, exit 78', async () => {
      await expect(openS3Lake('s3://nobody-has-this/x', options())).rejects.toMatchObject({
        code: 'bucket_missing',
        exit: 'config',
        message: expect.stringContaining('s3://nobody-has-this/x/'),
      });
    });

    it('F68: names the region that the bucket is in, exit 78', async () => {
      faulted({
        operation: 'ListObjectsV2',
        fault: {
          ...s3Error('PermanentRedirect', 301),
          headers: { 'x-amz-bucket-region': 'eu-central-1' },
        } as Rule['fault'],
      });
      await expect(openS3Lake('s3://lake-1', options())).rejects.toMatchObject({
        code: 'region_wrong',
        exit: 'config',
        message: expect.stringContaining('eu-central-1'),
        hint: 'set AWS_REGION=eu-central-1',
      });
      faulted({
        operation: 'ListObjectsV2',
        fault: s3Error('AuthorizationHeaderMalformed', 400, '<Region>eu-north-1</Region>'),
      });
      await expect(openS3Lake('s3://lake-1', options())).rejects.toMatchObject({
        code: 'region_wrong',
        hint: 'set AWS_REGION=eu-north-1',
      });
    });

    it('F49: reads expired credentials anew once, then says to log in, exit 77', async () => {
      const { store } = await openNew();
      faulted({ operation: 'PutObject', fault: s3Error('ExpiredToken', 400) });
      expect((await store.put('a', '1')).status).toBe('written');
      faulted({ operation: 'PutObject', fault: s3Error('ExpiredToken', 400), times: 5 });
      await expect(store.put('a', '2')).rejects.toMatchObject({
        code: 'store_denied',
        exit: 'auth',
        message: expect.stringContaining('ExpiredToken'),
      });
      expect(countOf('PutObject')).toBe(2);
      faulted();
      expect(await readText(store, 'a')).toBe('1');
    });

    it.each(['AccessDenied', 'KMS.DisabledException'])(
      'F49: %s in the middle of an upload leaves nothing half done, exit 77, and is not repeated',
      async (code) => {
        const { store } = await openNew();
        const { file } = await bigFile(16 * MIB);
        faulted({
          operation: 'UploadPart',
          after: 2,
          fault: s3Error(code, code === 'AccessDenied' ? 403 : 400),
          times: 9,
        });
        await expect(store.put('a', { file })).rejects.toMatchObject({
          code: 'store_denied',
          exit: 'auth',
          message: expect.stringMatching(/s3:\/\/lake-\d+\/some\/prefix\/a/),
        });
        expect(countOf('UploadPart')).toBeLessThanOrEqual(5);
        faulted();
        expect(await store.head('a')).toBeUndefined();
        expect(await uploadsOf(store)).toEqual([]);
      },
    );
  });

  describe('S3 lake: faults on the way', () => {
    const busy = [
      s3Error('SlowDown', 503),
      s3Error('InternalError', 500),
      { kind: 'reset' },
      { kind: 'lose-answer' },
    ] as Rule['fault'][];

    it.each(
      busy.flatMap((fault) =>
        ['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'].map((operation) => ({
          operation,
          fault,
          name: fault.kind === 'answer' ? fault.status : fault.kind,
        })),
      ),
    )('F44: $name at $operation leaves one whole object and no parts', async ({ operation, fault }) => {
      const { store } = await openNew();
      const { file, content } = await bigFile(11 * MIB);
      faulted({ operation, fault, times: 2 });
      expect((await store.put('a', { file }, { ifAbsent: true })).status).toBe('written');
      expect(hashOf(await readFile(await store.localFile('a')))).toBe(hashOf(content));
      expect(await listKeys(store, '')).toEqual(['a']);
      // A creation whose answer is lost leaves an upload that nobody knows of: the lifecycle rule is for it.
      if (!(operation === 'CreateMultipartUpload' && fault.kind === 'lose-answer'))
        expect(await uploadsOf(store)).toEqual([]);
    });

    it.each(['PutObject', 'HeadObject', 'ListObjectsV2', 'GetObject', 'DeleteObject'])(
      'F44: %s goes on after 503 and a reset',
      async (operation) => {
        const { store } = await openNew();
        await store.put('a', '1');
        faulted({ operation, fault: s3Error('SlowDown', 503) }, { operation, fault: { kind: 'reset' } });
        await store.put('b', '2');
        expect((await store.head('a'))?.bytes).toBe(1);
        expect(await listKeys(store, '')).toEqual(['a', 'b']);
        expect(await readText(store, 'a')).toBe('1');
        await store.delete('a');
        expect(await store.head('a')).toBeUndefined();
        expect(endpoint.rules).toEqual([]);
      },
    );

    it('F44: gives up on a service that stays busy, exit 69, and takes the upload back', async () => {
      const { store } = await openNew();
      const { file } = await bigFile(11 * MIB);
      faulted({ operation: 'CompleteMultipartUpload', fault: s3Error('SlowDown', 503), times: 1_000 });
      await expect(store.put('a', { file })).rejects.toMatchObject({
        code: 'store_unavailable',
        exit: 'unavailable',
        isRetryable: true,
      });
      expect(countOf('CompleteMultipartUpload')).toBe(7);
      faulted();
      expect(await uploadsOf(store)).toEqual([]);
      expect(await store.head('a')).toBeUndefined();
    });

    it('F44: says that nobody listens at the address, exit 69', async () => {
      await expect(openS3Lake('s3://lake-1', { ...options(), endpoint: 'http://127.0.0.1:9' })).rejects.toMatchObject({
        code: 'store_unavailable',
        message: expect.stringContaining('ECONNREFUSED'),
      });
    });

    it('F13: a clock 20 minutes off is made up for, and named where that does not help, exit 69', async () => {
      const { store } = await openNew();
      const theirs = new Date(Date.now() + 1_200_000);
      const skewed = {
        ...s3Error('RequestTimeTooSkewed', 403),
        headers: { date: theirs.toUTCString() },
      } as Rule['fault'];
      faulted({ operation: 'PutObject', fault: skewed });
      expect((await store.put('a', '1')).status).toBe('written');
      const [, second] = endpoint.calls.filter(({ operation }) => operation === 'PutObject');
      const [, day, hour, minute] = /^(\d{8})T(\d\d)(\d\d)/.exec(String(second!.headers['x-amz-date']))!;
      const signedAt = Date.parse(`${day!.replace(/(....)(..)(..)/, '$1-$2-$3')}T${hour}:${minute}:00Z`);
      expect(Math.abs(theirs.getTime() - signedAt)).toBeLessThan(900_000);
      faulted({ operation: 'PutObject', fault: skewed, times: 99 });
      await expect(store.put('a', '2')).rejects.toMatchObject({
        code: 'store_unavailable',
        exit: 'unavailable',
        message: expect.stringContaining('the clock of this machine is not that of AWS (RequestTimeTooSkewed)'),
        hint: expect.stringContaining('set the clock'),
      });
      // Athena and Glue say it in words.
      const words = 'Signature expired: 20261101T100000Z is now earlier than 20261101T101500Z';
      const error = Object.assign(new Error(words), { name: 'InvalidSignatureException' });
      expect(isTransient(error)).toBe(true);
      expect(toJobError(error, 'catalog', 'list')).toMatchObject({ code: 'catalog_unavailable', exit: 'unavailable' });
    });

    it('F44: does not wait for an answer for ever', async () => {
      const { store } = await openNew();
      const impatient = await openS3Lake(store.uri, { ...options(), requestTimeoutMs: 2_000 });
      faulted({ operation: 'PutObject', fault: { kind: 'delay', ms: 600_000 } });
      expect((await impatient.put('a', '1', { ifAbsent: true })).status).toBe('written');
      // F79: on a busy machine the second one may take too long as well.
      expect(countOf('PutObject')).toBeGreaterThan(1);
    });

    it('F44: a download that breaks goes on where it broke', async () => {
      const { store } = await openNew();
      const content = randomBytes(2 * MIB);
      await store.put('a', content);
      faulted({ operation: 'GetObject', fault: { kind: 'cut-body' }, times: 3 });
      expect(hashOf(await readFile(await store.localFile('a')))).toBe(hashOf(content));
      const ranges = endpoint.calls.filter((call) => call.operation === 'GetObject').map((call) => call.headers.range);
      const starts = ranges.map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]));
      expect(starts).toHaveLength(4);
      expect(starts).toEqual(starts.toSorted((a, b) => a - b));
      expect(starts[1]).toBeGreaterThan(0);
    });

    it('F45: an error in the body of a 200 is a failure, and is tried again', async () => {
      const { store } = await openNew();
      const { file, content } = await bigFile(11 * MIB);
      faulted({ operation: 'CompleteMultipartUpload', fault: s3Error('InternalError', 200), times: 2 });
      expect((await store.put('a', { file })).status).toBe('written');
      expect(countOf('CompleteMultipartUpload')).toBe(3);
      expect((await store.head('a'))?.bytes).toBe(content.length);
    });

    it('F46: a conditional write whose answer is lost is our own, not a conflict', async () => {
      const { store } = await openNew();
      faulted({ operation: 'PutObject', fault: { kind: 'lose-answer' } });
      const made = await store.put('leases/writer.json', 'mine', { ifAbsent: true });
      expect(made).toMatchObject({ status: 'written', info: { bytes: 4 } });
      faulted({ operation: 'PutObject', fault: { kind: 'lose-answer' } });
      const replaced = await store.put('leases/writer.json', 'mine again', {
        ifVersion: made.status === 'written' ? made.info.version : '',
      });
      expect(replaced.status).toBe('written');
      expect(replaced.status === 'written' && replaced.info).toEqual(await store.head('leases/writer.json'));
      expect(countOf('PutObject')).toBe(2);
    });

    it('F46: the same refusal for an object of somebody else is a conflict', async () => {
      const { store, uri } = await openNew();
      await (await openS3Lake(uri, options())).put('manifests/1', 'theirs', { ifAbsent: true });
      faulted({ operation: 'PutObject', fault: { kind: 'reset' } });
      expect(await store.put('manifests/1', 'mine', { ifAbsent: true })).toEqual({ status: 'conflict' });
      expect(await readText(store, 'manifests/1')).toBe('theirs');
    });

    it('F46: a commit whose answer is lost is made once', async () => {
      const { store } = await openNew();
      faulted({ operation: 'PutObject', fault: { kind: 'lose-answer' } });
      const results = await Promise.all(
        [1, 2, 3, 4].map((n) => commitManifest(store, { ...MANIFEST, runId: `r${n}` })),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
      expect((await latestManifest(store))?.runId).toBe(`r${results.indexOf(true) + 1}`);
    });

    it('F46: an upload in parts whose last answer is lost is our own', async () => {
      const { store } = await openNew();
      const { file } = await bigFile(11 * MIB);
      // The repeated call is answered as S3 does once it has forgotten the upload.
      faulted(
        { operation: 'CompleteMultipartUpload', fault: { kind: 'lose-answer' } },
        { operation: 'CompleteMultipartUpload', fault: s3Error('NoSuchUpload', 404) },
      );
      expect((await store.put('a', { file }, { ifAbsent: true })).status).toBe('written');
      expect(countOf('CreateMultipartUpload')).toBe(1);
    });

    it('F47: 409 on a write is tried again; on the end of an upload the parts are sent again', async () => {
      const { store } = await openNew();
      faulted({ operation: 'PutObject', fault: s3Error('ConditionalRequestConflict', 409), times: 2 });
      expect((await store.put('a', '1', { ifAbsent: true })).status).toBe('written');
      expect(countOf('PutObject')).toBe(3);
      const { file, content } = await bigFile(11 * MIB);
      faulted({ operation: 'CompleteMultipartUpload', fault: s3Error('ConditionalRequestConflict', 409) });
      expect((await store.put('b', { file }, { ifAbsent: true })).status).toBe('written');
      expect(countOf('CreateMultipartUpload')).toBe(2);
      expect(countOf('UploadPart')).toBe(6);
      expect(hashOf(await readFile(await store.localFile('b')))).toBe(hashOf(content));
      expect(await uploadsOf(store)).toEqual([]);
    });

    it('F48: an upload that cannot be taken back is listed', async () => {
      const { store } = await openNew();
      const { file } = await bigFile(11 * MIB);
      faulted(
        { operation: 'UploadPart', fault: s3Error('AccessDenied', 403), times: 9 },
        { operation: 'AbortMultipartUpload', fault: s3Error('AccessDenied', 403), times: 9 },
      );
      await expect(store.put('a', { file })).rejects.toMatchObject({ code: 'store_denied' });
      faulted();
      expect(await uploadsOf(store)).toEqual(['a']);
      expect(await listKeys(store, '')).toEqual([]);
    });

    it('F48: gc names such uploads and takes them back', async () => {
      const { store } = await openNew();
      const place = { Bucket: `lake-${buckets}`, Key: 'some/prefix/bronze/export_extended/half' };
      await raw.send(new CreateMultipartUploadCommand(place));
      const engine = { unusedTables: async () => [], dropTables: async () => {} };
      const collect = (hours: number) => {
        const now = (): number => Date.now() + hours * 3_600_000;
        return gc({ keepDays: 7, dryRun: false }, {
          store,
          engine,
          progress: silentProgress,
          signal: new AbortController().signal,
          now,
        } as unknown as Effects);
      };
      expect(await collect(25)).toMatchObject({
        status: 'collected',
        unfinished: [{ name: 'bronze/export_extended/half' }],
      });
      expect(await uploadsOf(store)).toEqual([]);
    });
  });

  const MANIFEST: Manifest = {
    format: 1,
    sequence: 1,
    job: 'load',
    runId: 'r',
    startedAt: '2026-01-01T00:00:00.000Z',
    elapsedMs: 1,
    versions: {},
    interval: { from: null, to: null },
    inputs: [],
    outputs: [],
    accounts: NO_ACCOUNTS,
    details: {},
    state: EMPTY_STATE,
  };
}
