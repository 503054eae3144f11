import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { DuckDBInstance } from '@duckdb/node-api';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { type ForgetResult, forget } from '../../jobs/forget.ts';
import { LATEST_MANIFEST_HINT_KEY } from '../../jobs/lake/keys.ts';
import { latestManifest } from '../../jobs/lake/manifest.ts';
import { openS3Lake } from '../../jobs/lake/s3/store.ts';
import { load } from '../../jobs/load.ts';
import { transform } from '../../jobs/transform.ts';
import { listKeys } from '../lake/store.contract.ts';
import { filesOf, give, MARKS, NOW_MS, SHARED } from '../removal/forget-fixture.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from './local.ts';

const local = await startLocalAwsOrSkip('forget on S3', { isTrinoNeeded: false });

if (local === undefined) {
  it('S3 is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { endpoint } = local;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  const raw = new S3Client({
    ...environmentOf(endpoint.url),
    endpoint: endpoint.url,
    region: REGION,
    forcePathStyle: true,
  });
  const folder = mkdtempSync(join(tmpdir(), 'listenlake-s3-forget-'));
  const Bucket = 'forget';
  const dropped: string[] = [];
  let effects: Effects;
  afterAll(async () => {
    raw.destroy();
    await local.close();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeAll(async () => {
    mkdirSync(join(folder, 'scratch'));
    await local.makeBucket(Bucket);
    await raw.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
    const place = { endpoint: endpoint.url, region: REGION, isPathStyle: true };
    const engine = {
      publish: async () => {},
      unusedTables: async () => ['gold_dev.fct_plays__killed'],
      dropTables: async (names: readonly string[]) => void dropped.push(...names),
      async *catalogEntries() {
        yield { name: 'silver.plays', text: '{"Location": "s3://forget/silver/plays/"}' };
      },
    };
    effects = {
      config: readConfig({
        LISTENLAKE_LAKE: `s3://${Bucket}`,
        XDG_CACHE_HOME: folder,
        XDG_CONFIG_HOME: folder,
        LISTENLAKE_THREADS: '2',
        LISTENLAKE_PSEUDONYM_KEY: 'a key for tests on s3',
      }),
      store: await openS3Lake(`s3://${Bucket}`, { ...place, scratch: join(folder, 'scratch') }),
      engine: engine as unknown as SqlEngine,
      ...{ log: createLog('silent'), progress: silentProgress, scratch: join(folder, 'scratch') },
      ...{ now: () => NOW_MS, signal: new AbortController().signal },
    };
    for (const person of ['bob', 'anna'] as const) {
      const source = give(join(folder, person), { ...filesOf(person), ...(person === 'bob' ? SHARED : {}) });
      await load({ runId: person, paths: [source], userId: person, keepLanding: false }, effects);
      await transform({ runId: person, loadedOn: '2026-11-21' }, effects);
    }
  }, 900_000);

  const forgetAnna = (): Promise<ForgetResult> =>
    forget({ runId: 'forget', userId: 'anna', dryRun: false, unloaded: 'stop', confirm: async () => true }, effects);
  const versions = async (): Promise<string[]> => {
    const page = await raw.send(new ListObjectVersionsCommand({ Bucket }));
    return [...(page.Versions ?? []).filter(({ IsLatest }) => !IsLatest), ...(page.DeleteMarkers ?? [])].map(
      ({ Key }) => Key ?? '',
    );
  };

  /** Keys of objects in which the text stands: bytes, and values of Parquet. */
  async function keysWith(text: RegExp): Promise<string[]> {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const found: string[] = [];
    for (const key of await listKeys(effects.store, '')) {
      const path = await effects.store.localFile(key);
      let content = (await readFile(path)).toString('latin1');
      if (content.startsWith('PAR1'))
        content = (await connection.runAndReadAll(`select to_json(t)::varchar from read_parquet('${path}') as t`))
          .getRowsJS()
          .join('\n');
      if (text.test(key) || text.test(content)) found.push(key);
    }
    connection.closeSync();
    instance.closeSync();
    return found;
  }

  it('S10: forget on S3: old versions, results of queries, unfinished uploads and tables of runs go, too', async () => {
    await effects.store.put('athena-results/dev/1.csv', 'user_id\nanna\n');
    await effects.store.put('silver/plays/year=2026/month=10/kept-aside.parquet.old', 'of nobody');
    await raw.send(new CreateMultipartUploadCommand({ Bucket, Key: 'bronze/export_extended/half' }));
    expect((await versions()).length).toBeGreaterThan(2);
    expect((await keysWith(MARKS.anna)).length).toBeGreaterThan(5);
    const result = await forgetAnna();
    expect(result).toMatchObject({ status: 'forgotten', proof: { hits: [] } });
    expect(result.purged!.oldVersions).toBeGreaterThan(10);
    expect(await keysWith(MARKS.anna)).toEqual([]);
    expect(await keysWith(/\banna\b/)).toEqual([]);
    expect((await keysWith(MARKS.bob)).length).toBeGreaterThan(5);
    // The last commit has put its hint in the place of another; leases name nobody.
    expect((await versions()).filter((key) => key !== LATEST_MANIFEST_HINT_KEY && !key.startsWith('leases/'))).toEqual(
      [],
    );
    expect((await raw.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? []).toEqual([]);
    expect(await listKeys(effects.store, 'athena-results/')).toEqual([]);
    expect(await listKeys(effects.store, 'silver/')).toContain(
      'silver/plays/year=2026/month=10/kept-aside.parquet.old',
    );
    expect(dropped).toEqual(['gold_dev.fct_plays__killed']);
    expect((await latestManifest(effects.store))?.state.removal).toBeUndefined();
  }, 900_000);
}
