/** F71, I12: a writer that was asleep past its lease, or was cut off, shows nothing and deletes nothing. */
import { existsSync, readdirSync, utimesSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Effects } from '../../jobs/effects/index.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { gc } from '../../jobs/gc.ts';
import { goldKey } from '../../jobs/lake/keys.ts';
import { acquireLease } from '../../jobs/lake/lease.ts';
import { latestManifest, readSilverFiles } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { transform } from '../../jobs/transform.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { failureOf } from '../fixtures/failure.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import { extended, makeTestLake, type TestLake } from '../silver/transform-lake.ts';

const MINUTES = 60_000;
const DAY_S = 86_400;

/** As if everything in the folder had been written two days ago. */
function age(folder: string): void {
  const then = Date.now() / 1_000 - 2 * DAY_S;
  for (const name of readdirSync(folder, { recursive: true }).map(String)) utimesSync(join(folder, name), then, then);
}

describe('in one process', () => {
  let lake: TestLake;
  let effects: Effects;
  beforeEach(async () => {
    lake = await makeTestLake();
    await lake.add(extended({ ts: '2021-05-01T00:00:00Z' }, { ts: '2022-05-01T00:00:00Z' }));
    await lake.transform();
    await lake.add(extended({ ts: '2021-06-01T00:00:00Z' }, { ts: '2022-06-01T00:00:00Z' }));
    const engine = { publish: async () => {}, unusedTables: async () => [], dropTables: async () => {} };
    effects = { ...lake.effects, engine: engine as unknown as SqlEngine };
  });
  afterEach(() => lake.close());

  const run = async (given: Partial<Effects> = {}): Promise<unknown> =>
    transform(
      { runId: 'run', loadedOn: '2026-11-21' },
      { ...effects, scratch: await mkdtemp(`${effects.scratch}-`), ...given },
    );
  const keys = async (): Promise<string[]> => {
    const { state } = (await latestManifest(effects.store))!;
    return (await readSilverFiles(effects.store, state, 'plays')).map(({ key }) => key);
  };

  it.each([0, 120_000, -120_000])(
    'gc: what it was about to delete has been committed while it slept; its clock is %d ms off',
    async (offMs) => {
      // A run that was killed right before its commit leaves objects that the next one takes as they are.
      const killed: LakeStore = {
        ...effects.store,
        put: async (key, body, condition) => {
          if (key.startsWith('manifests/')) throw new Error('killed');
          return effects.store.put(key, body, condition);
        },
      };
      await expect(run({ store: killed })).rejects.toThrow('killed');
      await effects.store.put(goldKey('dev', 'killed', 'm'), 'what gc comes to first');
      for (const layer of ['silver', 'gold', 'state']) age(join(lake.folder, 'lake', layer));
      const before = await keys();

      let sleptMs = 0;
      const woken: LakeStore = {
        ...effects.store,
        async delete(key) {
          if (sleptMs === 0) {
            sleptMs = 61_000;
            await run();
          }
          return effects.store.delete(key);
        },
      };
      // By its clock the objects must be old enough; what is younger than a day it does not touch anyway.
      const now = (): number => Date.now() + offMs + sleptMs;
      const failure = await failureOf(gc({ keepDays: 0, dryRun: false }, { ...effects, store: woken, now }));
      expect(failure).toMatchObject({ code: 'commit_conflict', exit: 'tempfail' });
      expect(sleptMs).toBeGreaterThan(0);
      const after = await keys();
      expect(after).not.toEqual(before);
      for (const key of after) expect([key, await effects.store.head(key)]).toEqual([key, expect.anything()]);
      expect(await lake.rows('plays', 'ended_at')).toHaveLength(4);
    },
    10 * MINUTES,
  );

  it.each(['transform', 'gc'])(
    'I12: %s stops where another run holds the lease, also before that one has committed anything',
    async (job) => {
      const lease = await acquireLease(effects.store, 'writer', job, effects.log);
      await effects.store.put(goldKey('dev', 'killed', 'm'), 'of a killed run');
      age(join(lake.folder, 'lake/gold'));
      await effects.store.put('leases/writer.json', JSON.stringify({ token: 2, holder: 'another' }));
      const before = [await latestManifest(effects.store), await lake.hashes()];
      const action =
        job === 'gc' ? gc({ keepDays: 0, dryRun: false }, { ...effects, lease, now: Date.now }) : run({ lease });
      expect(await failureOf(action)).toMatchObject({ code: 'lease_lost', exit: 'tempfail' });
      expect([await latestManifest(effects.store), await lake.hashes()]).toEqual(before);
      expect(await effects.store.head(goldKey('dev', 'killed', 'm'))).toBeDefined();
      await lease.release();
      expect(await effects.store.head('leases/writer.json')).toBeDefined();
    },
    10 * MINUTES,
  );
});

describe('as processes', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'listenlake-overtaken-'));
    for (const [name, seed, exportPlays] of [
      ['first', 3, 3_000],
      ['second', 4, 200],
    ] as const) {
      await generateIntoFolder(
        { seed, users: 2, days: 2, tracks: 80, end: '2026-11-01', exportPlays, exportYears: 6, faults: false },
        join(folder, name),
      );
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it(
    'a transform that is stopped before its first write wakes up after the commit of another one, and ends with 75',
    async () => {
      const lake = join(folder, 'lake');
      const lease = join(lake, 'leases/writer.json');
      const loaded = await listenlake(['load', join(folder, 'first'), '--lake', lake]);
      expect([loaded.code, loaded.stderr]).toEqual([0, '']);
      const plain = join(folder, 'plain');
      await cp(lake, plain, { recursive: true });
      for (const args of [['load', join(folder, 'second')], ['transform']])
        expect((await listenlake([...args, '--lake', plain])).code).toBe(0);

      const asleep = start(['transform', '--lake', lake]);
      const ended = finished(asleep);
      // Its engine has a folder as soon as it has read what is committed, and long before it has something to
      // put.
      const isAtWork = (): boolean =>
        readdirSync(join(lake, '.staging')).some(
          (name) => name.startsWith(`${asleep.pid}-`) && existsSync(join(lake, '.staging', name, 'spill')),
        );
      while (!isAtWork() && asleep.exitCode === null) await sleep(1);
      asleep.kill('SIGSTOP');
      try {
        expect(readdirSync(lake)).not.toContain('silver');
        const held = await listenlake(['transform', '--lake', lake]);
        expect([held.code, held.stderr]).toEqual([75, expect.stringContaining('is writing to this lake')]);
        const then = Date.now() / 1_000 - 61;
        utimesSync(lease, then, then); // a minute later, by the clock of the store
        for (const args of [['load', join(folder, 'second')], ['transform']])
          expect((await listenlake([...args, '--lake', lake])).code).toBe(0);
      } finally {
        asleep.kill('SIGCONT');
      }
      const late = await ended;
      expect([late.code, late.stderr]).toEqual([75, expect.stringMatching(/commit_conflict|lease_lost|meanwhile/)]);
      expect(await fingerprint(lake, ['silver'])).toEqual(await fingerprint(plain, ['silver']));
      const verified = await listenlake(['doctor', '--verify', '--lake', lake]);
      expect([verified.code, verified.stdout]).toEqual([
        0,
        expect.stringContaining('every hash, row count and account'),
      ]);
    },
    10 * MINUTES,
  );
});
