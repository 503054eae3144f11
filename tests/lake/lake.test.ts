import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { createLog } from '../../jobs/base/log.ts';
import { makeScratch, openFolderLake, STAGING_FOLDER, sweepStaging } from '../../jobs/lake/folder/store.ts';
import { bronzeKey, goldKey, landingKey, landingName, manifestKey, silverKey } from '../../jobs/lake/keys.ts';
import { acquireLease, LEASE_TTL_MS } from '../../jobs/lake/lease.ts';
import {
  appendBronze,
  type BronzeFile,
  commitManifest,
  EMPTY_STATE,
  LAKE_FORMAT,
  latestManifest,
  type Manifest,
  NO_ACCOUNTS,
  readBronzeIndex,
} from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { lakeContract, listKeys } from './store.contract.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

lakeContract('folder', async () => ({ store: await openFolderLake(folder), reopen: () => openFolderLake(folder) }));

const SHA = 'a'.repeat(64);
const log = createLog('silent');

function manifest(sequence: number): Manifest {
  return {
    format: LAKE_FORMAT,
    sequence,
    job: 'load',
    runId: 'r1',
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

describe('folder lake', () => {
  it('S25: keeps files and folders to their owner', async () => {
    const store = await openFolderLake(join(folder, 'new'));
    const key = silverKey('plays', { year: 2026 }, SHA);
    await store.put(key, 'x');
    expect((await stat(join(folder, 'new', key))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'new/silver'))).mode & 0o777).toBe(0o700);
  });

  it('F41: says which folder cannot be used, exit 74', async () => {
    await writeFile(join(folder, 'file'), 'not a folder');
    await expect(openFolderLake(join(folder, 'file', 'lake'))).rejects.toMatchObject({
      code: 'disk_failed',
      exit: 'io',
    });
  });

  it('F41: leaves nothing behind when the disk refuses the bytes (EFBIG)', () => {
    const script = `
      import { openFolderLake } from './jobs/lake/folder/store.ts';
      process.on('SIGXFSZ', () => {});
      const store = await openFolderLake(${JSON.stringify(folder)});
      await store.put('bronze/t/a', Buffer.alloc(4_000_000)).then(() => console.log('written'), (e) => console.log(e.code, e.exit));
    `;
    const run = spawnSync(
      'bash',
      ['-c', `ulimit -f 1000; exec "$0" --input-type=module -e "$1"`, process.execPath, script],
      { encoding: 'utf8' },
    );
    expect(run.stdout.trim()).toBe('disk_full io');
    return expect(readdir(join(folder, STAGING_FOLDER))).resolves.toEqual([]);
  });

  it('F42: sweeps what dead processes left in staging, and only that', async () => {
    await openFolderLake(folder);
    const dead = spawnSync('true').pid;
    const host = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
    await mkdir(join(folder, STAGING_FOLDER, `${dead}-${host}-aa.scratch`));
    await writeFile(join(folder, STAGING_FOLDER, `${dead}-${host}-bb`), 'x');
    await writeFile(join(folder, STAGING_FOLDER, '1-otherhost-cc'), 'x');
    await writeFile(join(folder, STAGING_FOLDER, '1-otherhost-dd'), 'x');
    const now = Date.now();
    await utimes(join(folder, STAGING_FOLDER, '1-otherhost-dd'), now / 1000 - 90_000, now / 1000 - 90_000);
    const mine = await makeScratch(folder);
    await sweepStaging(folder, now);
    expect((await readdir(join(folder, STAGING_FOLDER))).sort()).toEqual(
      ['1-otherhost-cc', mine.split('/').pop()].sort(),
    );
  });

  it('F55: writes into a folder that another process finds empty and removes', async () => {
    const store = await openFolderLake(join(folder, 'emptied'));
    let isDone = false;
    const remover = async (): Promise<void> => {
      while (!isDone) await store.delete('staging/transform/plays/none');
    };
    const removing = [remover(), remover()];
    try {
      for (let n = 0; n < 100; n += 1) {
        const key = `staging/transform/plays/${n}`;
        const put = await store.put(key, 'x', n % 2 === 0 ? { ifAbsent: true } : {});
        expect(put.status).toBe('written');
        await store.delete(key);
      }
    } finally {
      isDone = true;
      await Promise.all(removing);
    }
  });

  it('lists neither staging files nor foreign files as objects of another prefix', async () => {
    const store = await openFolderLake(folder);
    await makeScratch(folder);
    await store.put('silver/a/p', '1');
    await writeFile(join(folder, 'tmp_foreign.parquet'), 'x');
    expect(await listKeys(store, 'silver/')).toEqual(['silver/a/p']);
  });
});

describe('keys', () => {
  it('F34: every file name makes one key, and the name comes back', () => {
    const names = ['x[1].json', '*.json', "a'b.json", '%2e', '..', '.', 'a/b\\c', '🎧.json', 'ö.json'];
    const keys = names.map((name) => landingKey(SHA, name));
    expect(new Set(keys).size).toBe(names.length);
    expect(keys.map(landingName)).toEqual(names);
    // the two Unicode forms of one name are one name
    expect(landingKey(SHA, 'o\u0308.json')).toBe(landingKey(SHA, '\u00f6.json'));
  });

  it('F34: a key part stays within what file systems take, whatever the name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 400 }), (name) => {
        const part = landingKey(SHA, `${name}.json`).split('/').pop()!;
        expect(part.length).toBeLessThanOrEqual(180);
        expect(landingName(`x/${part}`).endsWith('.json')).toBe(true);
      }),
    );
  });

  it('builds the layout that the catalog expects', () => {
    expect(silverKey('plays', { year: 2026 }, SHA)).toBe(`silver/plays/v/year=2026/${SHA}/part-0.parquet`);
    expect(silverKey('tracks', {}, SHA)).toBe(`silver/tracks/v/${SHA}/part-0.parquet`);
    expect(bronzeKey('export_extended', SHA, 'parquet')).toBe(`bronze/export_extended/${SHA}.parquet`);
    expect(goldKey('dev', 'r1', 'fct_plays')).toBe('gold/dev/r1/fct_plays/part-0.parquet');
    expect(manifestKey(7)).toBe('manifests/00000000000000000007.json');
  });

  it('S7: refuses what is not an identifier, a hash or a partition value', () => {
    expect(() => silverKey('plays; drop', {}, SHA)).toThrow('not a valid part');
    expect(() => silverKey('plays', { year: '../1' }, SHA)).toThrow('not a valid part');
    expect(() => bronzeKey('t', '../x', 'json')).toThrow('not a valid part');
  });
});

describe('commit log', () => {
  it('F55: of 8 commits of the same sequence exactly one is made', async () => {
    const store = await openFolderLake(folder);
    const results = await Promise.all(Array.from({ length: 8 }, () => commitManifest(store, manifest(1))));
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  it('finds the newest commit with a hint that is behind, missing or nonsense', async () => {
    const store = await openFolderLake(folder);
    expect(await latestManifest(store)).toBeUndefined();
    for (const sequence of [1, 2, 3]) await commitManifest(store, manifest(sequence));
    for (const hint of ['1', '3', '99', 'nonsense']) {
      await store.put('manifests/latest', hint);
      expect((await latestManifest(store))?.sequence).toBe(3);
    }
    await store.delete('manifests/latest');
    expect((await latestManifest(store))?.sequence).toBe(3);
  });

  it('I1: refuses accounts that do not add up, exit 70, and commits nothing', async () => {
    const store = await openFolderLake(folder);
    const broken = { ...manifest(1), accounts: { read: 10, new: 4, duplicate: 5, quarantined: 0 } };
    await expect(commitManifest(store, broken)).rejects.toMatchObject({ code: 'accounts_broken', exit: 'software' });
    expect(await latestManifest(store)).toBeUndefined();
  });

  it('F67: refuses a manifest of an unknown future format, exit 78', async () => {
    const store = await openFolderLake(folder);
    await store.put(manifestKey(1), JSON.stringify({ ...manifest(1), format: 9 }));
    await expect(latestManifest(store)).rejects.toMatchObject({ code: 'manifest_too_new', exit: 'config' });
  });

  it('F43: names a manifest that was cut', async () => {
    const store = await openFolderLake(folder);
    await store.put(manifestKey(1), '{"format":1,');
    await expect(latestManifest(store)).rejects.toMatchObject({
      code: 'manifest_invalid',
      exit: 'data',
      place: { file: manifestKey(1) },
    });
  });

  it('keeps every bronze file when segments are merged', async () => {
    const store = await openFolderLake(folder);
    let state = EMPTY_STATE;
    for (let i = 1; i <= 70; i += 1) {
      const file: BronzeFile = {
        key: 'k',
        rows: 1,
        bytes: 1,
        sha256: SHA,
        table: 't',
        sourceKey: String(i).padStart(64, '0'),
        fileName: 'f',
        kind: 'k',
        userId: null,
        readRows: 1,
        sequence: i,
        periods: [],
      };
      state = { ...state, bronze: await appendBronze(store, state, [file]) };
    }
    expect(state.bronze.length).toBeLessThanOrEqual(32);
    const index = await readBronzeIndex(store, state);
    expect(index.map((file) => file.sequence)).toEqual(Array.from({ length: 70 }, (_, i) => i + 1));
  });
});

describe('lease', () => {
  const KEY = 'leases/writer.json';
  const elsewhere = { host: 'another-host', space: 'x', pid: 1, job: 'run', token: 4, holder: 'x' };

  /** What a holder on another machine has written last, so long ago by the clock of the store. */
  async function hold(store: LakeStore, renewedSecondsAgo: number): Promise<void> {
    await store.put(KEY, JSON.stringify(elsewhere));
    const then = new Date(Date.now() - renewedSecondsAgo * 1_000);
    await utimes(join(folder, KEY), then, then);
  }

  it('F55: a second live run is told to come back, exit 75, until the first gives it back', async () => {
    const store = await openFolderLake(folder);
    await hold(store, 0);
    await expect(acquireLease(store, 'writer', 'run', log)).rejects.toMatchObject({
      code: 'lease_held',
      exit: 'tempfail',
    });
    await store.delete(KEY);
    const lease = await acquireLease(store, 'writer', 'run', log);
    await lease.release();
    expect(await store.head(KEY)).toBeUndefined();
  });

  it('F56: takes over after the time is up, with a higher token, and not before', async () => {
    const store = await openFolderLake(folder);
    await hold(store, LEASE_TTL_MS / 1_000 - 10);
    await expect(acquireLease(store, 'writer', 'run', log)).rejects.toMatchObject({ code: 'lease_held' });
    await hold(store, LEASE_TTL_MS / 1_000 + 1);
    const lease = await acquireLease(store, 'writer', 'run', log);
    expect(lease.token).toBe(5);
    await lease.release();
  });

  it.each([-120_000, 120_000, 9e12])(
    'F56: with a clock %d ms off, a holder at work is not robbed and a dead one is taken over',
    async (offMs) => {
      const clock = Date.now;
      Date.now = () => clock() + offMs;
      try {
        const store = await openFolderLake(folder);
        const then = async (secondsAgo: number): Promise<void> => {
          await store.put(KEY, JSON.stringify(elsewhere));
          const renewedAt = (await stat(join(folder, KEY))).mtimeMs / 1_000 - secondsAgo;
          await utimes(join(folder, KEY), renewedAt, renewedAt);
        };
        await then(10);
        await expect(acquireLease(store, 'writer', 'run', log)).rejects.toMatchObject({ code: 'lease_held' });
        await then(61);
        const lease = await acquireLease(store, 'writer', 'run', log);
        expect([lease.token, await lease.isHeld()]).toEqual([5, true]);
        await lease.release();
      } finally {
        Date.now = clock;
      }
    },
  );

  it('F56: a holder at work renews in time, so that nobody takes it for dead; what was taken over it leaves alone', async () => {
    const { setInterval } = globalThis;
    let renew: () => void = () => {};
    let everyMs = Number.POSITIVE_INFINITY;
    globalThis.setInterval = ((action: () => void, ms: number) => {
      [renew, everyMs] = [action, ms];
      return setInterval(() => {}, 1e9);
    }) as typeof setInterval;
    try {
      const store = await openFolderLake(folder);
      const lease = await acquireLease(store, 'writer', 'run', log);
      expect(everyMs).toBeLessThanOrEqual(LEASE_TTL_MS / 3); // one that comes late, or fails, is not the last
      const renewed = async (): Promise<number> => (await stat(join(folder, KEY))).mtimeMs;
      const before = await renewed();
      for (let tries = 0; tries < 100 && (await renewed()) === before; tries += 1) {
        renew();
        await sleep(20);
      }
      expect(await renewed()).toBeGreaterThan(before);
      expect(await lease.isHeld()).toBe(true);
      await hold(store, 0);
      renew();
      await lease.release();
      expect(JSON.parse(await readFile(join(folder, KEY), 'utf8'))).toEqual(elsewhere);
    } finally {
      globalThis.setInterval = setInterval;
    }
  });

  it('F36: takes over at once from a killed process of this host', async () => {
    const store = await openFolderLake(folder);
    const first = await acquireLease(store, 'writer', 'run', log);
    const own = JSON.parse(await readFile(join(folder, KEY), 'utf8'));
    await first.release();
    await store.put(KEY, JSON.stringify({ ...own, pid: spawnSync('true').pid, token: 1, holder: 'x' }));
    const lease = await acquireLease(store, 'writer', 'run', log);
    expect(lease.token).toBe(2);
    await lease.release();
  });

  it('F56: does not judge the process of another container by its number, where containers share a host name', async () => {
    const store = await openFolderLake(folder);
    const dead = spawnSync('true').pid;
    for (const pid of [dead, process.pid]) {
      await store.put(KEY, JSON.stringify({ ...elsewhere, host: hostname(), space: 'another', pid }));
      await expect(acquireLease(store, 'writer', 'run', log)).rejects.toMatchObject({ code: 'lease_held' });
    }
  });

  it('I12: leaves a lease that was taken over to its new holder, and knows that it has none', async () => {
    const store = await openFolderLake(folder);
    const first = await acquireLease(store, 'writer', 'run', log);
    expect(await first.isHeld()).toBe(true);
    await hold(store, 0);
    expect(await first.isHeld()).toBe(false);
    await first.release();
    expect(await store.head(KEY)).toBeDefined();
    await store.delete(KEY);
    expect(await first.isHeld()).toBe(false);
  });

  it('F55: of 8 runs at once one gets it', async () => {
    const store = await openFolderLake(folder);
    await hold(store, 100);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => acquireLease(store, 'writer', 'run', log)),
    );
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(won).toHaveLength(1);
    await won[0]!.release();
  });
});
