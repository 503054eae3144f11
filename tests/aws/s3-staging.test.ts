import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Effects } from '../../jobs/effects/index.ts';
import { silverPartitionPrefix } from '../../jobs/lake/keys.ts';
import { latestManifest, readSilverFiles } from '../../jobs/lake/manifest.ts';
import { openS3Lake } from '../../jobs/lake/s3/store.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { stageTransform } from '../../jobs/silver/fan-out/stage.ts';
import { transform } from '../../jobs/transform.ts';
import { listKeys } from '../lake/store.contract.ts';
import { extended, makeTestLake } from '../silver/transform-lake.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from './local.ts';

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
      .filter(({ operation, url }) => operation === 'GetObject' && url.includes('/lake/bronze/'))
      .map(({ url }) => decodeURIComponent(url.replace(/^.*?\/lake\/(bronze\/[^?]*).*$/, '$1')));
    endpoint.calls.length = 0;
    return [...new Set(keys)].sort();
  };

  it('a task downloads the bronze of its own years, the transform none of what is staged; silver is the same', async () => {
    const lake = await makeTestLake();
    for (let month = 0; month < 24; month += 1) {
      const ts = new Date(Date.UTC(2022, month, 15)).toISOString();
      await lake.add(extended({ ts }, { ts, ms_played: month }), {
        table: 'listening_events',
        rows: [{ event_id: `e${month}`, user_id: 'u', action: 'play', occurred_at: ts }],
      });
    }
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

    const months = (from: number, to: number) => ({ fromMs: Date.UTC(2022, from, 1), toMs: Date.UTC(2022, to, 1) });
    await stageTransform(months(-12, 12), await open());
    // A year, and the months that may report its offline plays later. Of events all ids are looked at.
    const exports = downloaded().filter((key) => key.startsWith('bronze/export_extended/'));
    expect(exports.length).toBeGreaterThanOrEqual(12);
    expect(exports.length).toBeLessThanOrEqual(14);
    await Promise.all([months(12, 24), months(24, 30)].map(async (interval) => stageTransform(interval, await open())));
    downloaded();

    const effects = await open();
    const result = await transform({ runId: 'test', loadedOn: '2026-11-21' }, effects);
    expect(result).toMatchObject({ status: 'transformed', accounts: { read: 72, new: 72 } });
    expect(result.taken).toBeGreaterThanOrEqual(26);
    // New exports are read once, for export_files.
    expect(new Set(downloaded().map((key) => key.split('/')[1]))).toEqual(new Set(['export_extended']));
    expect(await listKeys(effects.store, 'staging/')).toEqual([]);

    await lake.transform();
    const files = await readSilverFiles(effects.store, (await latestManifest(effects.store))!.state, 'plays');
    const plain = await lake.hashes();
    expect(files.length).toBe(2);
    for (const { partition, sha256 } of files)
      expect([partition, sha256]).toEqual([partition, plain[silverPartitionPrefix('plays', partition)]]);
    await lake.close();
  }, 600_000);
}

async function copyLake(from: LakeStore, to: LakeStore): Promise<void> {
  for (const prefix of ['bronze/', 'manifests/', 'state/']) {
    for await (const { key } of from.list(prefix)) await to.put(key, { file: await from.localFile(key) });
  }
}
