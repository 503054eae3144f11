import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Effects } from '../jobs/effects.ts';
import { latestManifest, readSilverFiles } from '../jobs/lake/manifest.ts';
import { openS3Lake } from '../jobs/lake/s3.ts';
import type { LakeStore } from '../jobs/lake/store.ts';
import { stageTransform } from '../jobs/silver/stage.ts';
import { transform } from '../jobs/transform.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from './aws/local.ts';
import { listKeys } from './lake.contract.ts';
import { extended, makeTestLake } from './transform.lake.ts';

const local = await startLocalAwsOrSkip('S3 staging', { isTrinoNeeded: false });

if (local === undefined) {
  it('S3 is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { endpoint } = local;
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = environmentOf(endpoint.url);
  Object.assign(process.env, { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY });
  const folders: string[] = [];
  afterAll(async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
    await local.close();
  });

  /** Bronze keys that were downloaded since the last call. */
  const downloaded = (): string[] => {
    const keys = endpoint.calls
      .filter(({ operation, url }) => operation === 'GetObject' && url.includes('/bronze/'))
      .map(({ url }) => decodeURIComponent(url.replace(/^.*?(bronze\/[^?]*).*$/, '$1')));
    endpoint.calls.length = 0;
    return [...new Set(keys)].sort();
  };

  it('each task downloads the bronze of its own months only, the transform none of what is staged; silver is the same', async () => {
    const lake = await makeTestLake();
    for (let month = 0; month < 24; month += 1) {
      const ts = new Date(Date.UTC(2022, month, 15)).toISOString();
      await lake.add(extended({ ts }, { ts, ms_played: month }));
    }
    const bronze = await listKeys(lake.effects.store, 'bronze/');
    await local.makeBucket('staging');
    const uri = 's3://staging/lake';
    /** The lake as one command in a container of its own has it. */
    const open = async (): Promise<Effects> => {
      const scratch = await mkdtemp(join(tmpdir(), 'listenlake-s3-staging-'));
      folders.push(scratch);
      const options = { endpoint: endpoint.url, region: REGION, isPathStyle: true, scratch };
      return { ...lake.effects, store: await openS3Lake(uri, options), scratch };
    };
    await copyLake(lake.effects.store, (await open()).store);
    downloaded();

    const first = { fromMs: Date.UTC(2021, 10, 1), toMs: Date.UTC(2022, 6, 1) };
    await stageTransform(first, await open());
    const ofFirst = downloaded();
    // Half a year, and the two months that may report its offline plays later.
    expect(ofFirst.length).toBeGreaterThanOrEqual(6);
    expect(ofFirst.length).toBeLessThanOrEqual(9);
    await Promise.all(
      [2022, 2023].map(async (year) => {
        const fromMs = year === 2022 ? first.toMs : Date.UTC(2023, 0, 1);
        await stageTransform({ fromMs, toMs: Date.UTC(year + 1, year === 2022 ? 0 : 6, 1) }, await open());
      }),
    );
    downloaded();

    const effects = await open();
    const result = await transform({ runId: 'test', loadedOn: '2026-11-21' }, effects);
    const ofTransform = downloaded();
    expect(result).toMatchObject({ status: 'transformed', accounts: { read: 48, new: 48 } });
    expect(result.taken).toBeGreaterThan(18);
    // The second half of 2023 was not staged; everything before it was.
    expect(ofTransform.length).toBeGreaterThanOrEqual(6);
    expect(ofTransform.length).toBeLessThanOrEqual(8);
    expect(bronze.length).toBe(24);
    expect(await listKeys(effects.store, 'staging/')).toEqual([]);

    await lake.transform();
    const files = await readSilverFiles(effects.store, (await latestManifest(effects.store))!.state, 'plays');
    const plain = await lake.hashes();
    expect(files.length).toBe(24);
    for (const { key, sha256 } of files) expect([key, sha256]).toEqual([key, plain[key]]);
    await lake.close();
  });
}

async function copyLake(from: LakeStore, to: LakeStore): Promise<void> {
  for (const prefix of ['bronze/', 'manifests/', 'state/']) {
    for await (const { key } of from.list(prefix)) await to.put(key, { file: await from.localFile(key) });
  }
}
