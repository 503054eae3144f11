import { createHash } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { ZipFile } from 'yazl';
import type { LoadedFile } from '../../jobs/bronze/loaded-file.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { type BronzeFile, EMPTY_STATE, latestManifest, readBronzeIndex } from '../../jobs/lake/manifest.ts';
import { type LoadResult, load } from '../../jobs/load.ts';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';

export interface LoadFixture extends LakeFixture {
  /** Where `give` puts files. */
  source: string;
  effects: Effects;
  /** Writes files (name, may hold folders, to content) and returns the folder. */
  give(files: Record<string, string | Uint8Array>): Promise<string>;
  load(paths?: readonly string[], options?: { keepLanding?: boolean; effects?: Partial<Effects> }): Promise<LoadResult>;
  index(): Promise<BronzeFile[]>;
  /** Rows of one statement on the published tables, as arrays. */
  query(sql: string): Promise<unknown[][]>;
  /** Keys of the lake with their hashes, without what is derived. */
  objects(): Promise<Record<string, string>>;
}

/** A lake and a folder of files to load. The clock is ahead of the files', so that hashes are remembered. */
export async function openLoadFixture(name?: string): Promise<LoadFixture> {
  const lake = await openLakeFixture(name);
  const folder = await mkdtemp(join(tmpdir(), 'listenlake-source-'));
  const source = join(folder, 'source');
  await mkdir(source);
  const effects: Effects = {
    ...lake.effects,
    config: { ...lake.effects.config, cacheDir: join(folder, 'cache') },
    now: () => Date.now() + 3_600_000,
  };
  return {
    ...lake,
    source,
    effects,
    async give(files) {
      for (const [file, content] of Object.entries(files)) {
        await mkdir(dirname(join(source, file)), { recursive: true });
        await writeFile(join(source, file), content);
      }
      return source;
    },
    load: (paths = [source], options = {}) =>
      load(
        { runId: 'test', paths, userId: 'me', keepLanding: options.keepLanding ?? false },
        { ...effects, ...options.effects },
      ),
    index: async () => readBronzeIndex(lake.store, (await latestManifest(lake.store))?.state ?? EMPTY_STATE),
    query: async (sql) => (await lake.engine.query(sql)).rows,
    async objects() {
      const hashes: Record<string, string> = {};
      for (const prefix of ['landing/', 'bronze/', 'state/', 'manifests/']) {
        for await (const { key } of lake.store.list(prefix)) {
          hashes[key] = createHash('sha256')
            .update(await buffer(await lake.store.get(key)))
            .digest('hex');
        }
      }
      return hashes;
    },
    async close() {
      await lake.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The one line about a file, whatever folder or archive it was in. */
export function outcome(
  result: LoadResult,
  name: string,
): Pick<LoadedFile, 'status' | 'code' | 'rows' | 'kind'> & { reason?: string } {
  const found = result.files.filter(({ fileName }) => fileName === name || fileName.endsWith(`/${name}`));
  if (found.length !== 1) throw new Error(`${found.length} lines about ${name}: ${JSON.stringify(result.files)}`);
  return found[0]!;
}

/** A row of the extended export as Spotify writes it, with overrides. */
export function play(values: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    ts: '2024-05-06T07:08:09Z',
    platform: 'ios',
    ms_played: 180_000,
    conn_country: 'DE',
    ip_addr: '192.0.2.44',
    master_metadata_track_name: 'Paper Boats',
    master_metadata_album_artist_name: 'The Example Quartet',
    master_metadata_album_album_name: 'Harbour',
    spotify_track_uri: 'spotify:track:0000000000000000000001',
    episode_name: null,
    reason_start: 'trackdone',
    reason_end: 'trackdone',
    shuffle: false,
    skipped: false,
    offline: false,
    offline_timestamp: null,
    incognito_mode: false,
    ...values,
  };
}

/** A zip of these files. */
export async function zipOf(
  files: Record<string, string | Buffer>,
  options: { mode?: number; fileComment?: string; compress?: boolean | ((name: string) => boolean) } = {},
): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(files)) {
    const compress = typeof options.compress === 'function' ? options.compress(name) : (options.compress ?? true);
    zip.addBuffer(Buffer.from(content), name, { ...options, mtime: new Date(0), compress });
  }
  zip.end();
  return buffer(zip.outputStream);
}

export const GOOD = 'Streaming_History_Audio_2024_1.json';

/** A good export of two plays. */
export const good = (values: Record<string, unknown> = {}): string =>
  JSON.stringify([play(values), play({ ts: '2024-05-06T07:12:09Z' })]);

/** Loads bad files beside a good one, which must always come through. */
export async function loadBeside(lake: LoadFixture, files: Record<string, string | Uint8Array>): Promise<LoadResult> {
  const result = await lake.load([await lake.give({ ...files, [GOOD]: good() })]);
  expect(outcome(result, GOOD)).toMatchObject({ status: 'loaded', rows: 2, kind: 'export_extended' });
  expect(result.accounts.read).toBe(result.accounts.new + result.accounts.duplicate + result.accounts.quarantined);
  return result;
}

/** The most bytes that lay below a folder while the action ran, looked at every two milliseconds. */
export async function peakBytes(folder: string, action: () => Promise<unknown>): Promise<number> {
  let peak = 0;
  const look = setInterval(() => {
    peak = Math.max(peak, bytesBelow(folder));
  }, 2);
  try {
    await action();
  } finally {
    clearInterval(look);
  }
  return peak;
}

function bytesBelow(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true }) as string[]) {
    const found = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (found?.isFile()) bytes += found.size;
  }
  return bytes;
}

/** Every name below a folder, hidden ones too. */
export async function namesBelow(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).sort();
}
