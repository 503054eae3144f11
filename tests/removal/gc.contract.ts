/** What `gc` must hold to on every store; see gc.test.ts and s3.test.ts. */
import { createHash } from 'node:crypto';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { gc } from '../../jobs/gc.ts';
import {
  bronzeKey,
  goldKey,
  goldTablePrefix,
  LATEST_MANIFEST_HINT_KEY,
  manifestKey,
  silverKey,
  stagedObjectKey,
  stagedPartKey,
  stateKey,
} from '../../jobs/lake/keys.ts';
import {
  commitManifest,
  EMPTY_STATE,
  type GoldVersion,
  LAKE_FORMAT,
  type LakeState,
  latestManifest,
  type Manifest,
  NO_ACCOUNTS,
  putState,
} from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { listKeys } from '../lake/store.contract.ts';

const HOUR_MS = 3_600_000;
const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

/** @param open gives an empty lake; called before each test */
export function gcContract(name: string, open: () => Promise<LakeStore>): void {
  describe(`gc: ${name}`, () => {
    let store: LakeStore;
    beforeEach(async () => {
      store = await open();
    });

    /** A job's effects after so many hours: objects have the age that they would have then. */
    const effectsAfter = (hours: number): Effects => ({
      config: readConfig({}),
      store,
      engine: { unusedTables: async () => [], dropTables: async () => {} } as unknown as SqlEngine,
      log: createLog('silent'),
      progress: silentProgress,
      scratch: '/nowhere',
      now: () => Date.now() + hours * HOUR_MS,
      signal: new AbortController().signal,
    });
    const collect = (hours: number, keepDays = 7, dryRun = false) => gc({ keepDays, dryRun }, effectsAfter(hours));

    const manifestOf = (sequence: number, state: LakeState): Manifest => ({
      ...{
        format: LAKE_FORMAT,
        sequence,
        job: 'test',
        runId: `t${sequence}`,
        startedAt: '',
        elapsedMs: 0,
        versions: {},
      },
      ...{ interval: { from: null, to: null }, inputs: [], outputs: [], accounts: NO_ACCOUNTS, details: {}, state },
    });

    async function put(key: string): Promise<{ key: string; rows: number; bytes: number; sha256: string }> {
      await store.put(key, key);
      return { key, rows: 1, bytes: key.length, sha256: hash(key) };
    }

    async function commit(change: (state: LakeState) => Promise<Partial<LakeState>>): Promise<void> {
      const base = await latestManifest(store);
      const state = { ...(base?.state ?? EMPTY_STATE) };
      const next = manifestOf((base?.sequence ?? 0) + 1, { ...state, ...(await change(state)) });
      expect(await commitManifest(store, next)).toBe(true);
    }

    const gold = async (runId: string, key: string): Promise<Partial<LakeState>> => {
      const version: GoldVersion = {
        ...{ runId, asOf: '2026-01-01T00:00:00.000Z', silverSequence: 1, modelsHash: '' },
        tables: { m: await put(key) },
      };
      return { gold: { dev: version } };
    };

    /** Three commits: bronze and silver, a first gold, a second gold (of several objects) in its place. */
    async function fill(): Promise<void> {
      await commit(async () => ({
        bronze: [await putState(store, 'bronze', [await put(bronzeKey('export_extended', hash('a'), 'parquet'))])],
        silver: {
          plays: await putState(store, 'silver', [await put(silverKey('plays', { year: 2026 }, hash('named')))]),
        },
        spotify: await putState(store, 'spotify', {
          lookedUp: [await putState(store, 'spotify_lookups', ['tracks/x'])],
        }),
        lookUps: await putState(store, 'look_ups', {}),
      }));
      await commit(() => gold('first', goldKey('dev', 'first', 'm')));
      const prefix = goldTablePrefix('dev', 'second', 'm', 2);
      await store.put(`${prefix}20260101_part`, 'rows');
      await commit(async () => ({
        gold: {
          dev: {
            ...(await gold('second', `${prefix}other_part`)).gold!.dev!,
            tables: { m: { key: prefix, rows: 1, bytes: 4, sha256: '' } },
          },
        },
      }));
    }

    const LEFT_OVERS = [
      bronzeKey('export_extended', hash('killed'), 'parquet'),
      bronzeKey('api_pages', hash('killed'), 'json'),
      silverKey('plays', { year: 2026 }, hash('killed')),
      'silver/plays/year=2026/month=2/part-0.parquet', // of format 1
      'silver/tracks/part-0.parquet',
      goldKey('dev', 'killed', 'm'),
      `${goldTablePrefix('prod', 'killed', 'm', 1)}20260101_part`,
      stateKey('silver', hash('killed')),
      stagedPartKey('plays', hash('killed')),
      stagedObjectKey(hash('killed')),
    ];
    const FOREIGN = [
      'bronze/export_extended/notes.txt',
      'bronze/README',
      'silver/plays/year=2026/month=2/tmp_part-0.parquet',
      'silver/plays/_SUCCESS',
      'gold/dev/mine.parquet',
      'gold/dev/run/m/part-0.parquet.bak',
      'state/silver/by-hand.json',
      'staging/transform/notes.txt',
      'manifests/old.json',
      'report/report.html',
      `landing/${hash('waits')}/waits.json`,
    ];

    it('F42: takes left-overs older than a day, and neither foreign files nor what a kept commit names', async () => {
      await fill();
      const named = await listKeys(store, '');
      for (const key of [...LEFT_OVERS, ...FOREIGN]) await store.put(key, key.endsWith('part-0.parquet') ? '' : key);
      const all = await listKeys(store, '');

      expect(await collect(23)).toMatchObject({ status: 'nothing_new', tables: [], unfinished: [] });
      const dry = await collect(25, 7, true);
      expect(await listKeys(store, '')).toEqual(all);
      const result = await collect(25);
      expect({ ...result, status: 'dry_run' }).toEqual(dry);
      expect(result).toMatchObject({
        status: 'collected',
        foreign: FOREIGN.length - 2, // nobody looks into landing and report
        commits: 3,
        layers: {
          ...{ bronze: { objects: 2 }, silver: { objects: 3, bytes: 0 }, gold: { objects: 2 } },
          ...{ state: { objects: 1 }, staging: { objects: 2 }, manifests: { objects: 0, bytes: 0 } },
        },
      });
      expect(await listKeys(store, '')).toEqual([...named, ...FOREIGN].sort());
      expect(await collect(25)).toMatchObject({ status: 'nothing_new' });
    });

    it('keeps what readers saw in the last days, and the newest commit for ever', async () => {
      await fill();
      const first = [goldKey('dev', 'first', 'm'), manifestKey(1)];
      await collect(6 * 24);
      expect(await listKeys(store, '')).toEqual(expect.arrayContaining(first));
      await collect(100 * 24);
      const left = await listKeys(store, '');
      for (const key of first) expect(left).not.toContain(key);
      expect(left.filter((key) => key.startsWith('manifests/'))).toEqual([
        ...[manifestKey(2), manifestKey(3)],
        LATEST_MANIFEST_HINT_KEY,
      ]);
      expect(left).toEqual(
        expect.arrayContaining([
          bronzeKey('export_extended', hash('a'), 'parquet'),
          silverKey('plays', { year: 2026 }, hash('named')),
          `${goldTablePrefix('dev', 'second', 'm', 2)}20260101_part`,
        ]),
      );
      expect(left.filter((key) => key.startsWith('state/'))).toHaveLength(5);
    });

    it('the newest commit is found with the first ones gone, whatever the hint says', async () => {
      await fill();
      await collect(100 * 24, 0);
      for (const hint of [undefined, '1', '999', 'nonsense', '2']) {
        if (hint === undefined) await store.delete(LATEST_MANIFEST_HINT_KEY);
        else await store.put(LATEST_MANIFEST_HINT_KEY, hint);
        expect((await latestManifest(store))?.sequence).toBe(3);
      }
    });

    it('F55: a run that slept until its number was free again has not committed', async () => {
      await fill();
      const late = (await latestManifest(store))!.state;
      await collect(100 * 24);
      expect(await commitManifest(store, manifestOf(1, late))).toBe(true); // the first has none before it; the hint holds
      expect(await commitManifest(store, manifestOf(2, late))).toBe(false);
      await commit(async (state) => state);
      await store.delete(manifestKey(1));
      await collect(100 * 24);
      expect(await commitManifest(store, manifestOf(2, late))).toBe(false);
      expect((await latestManifest(store))?.sequence).toBe(4);
    });

    it('stops where another run commits meanwhile, and the next one goes on', async () => {
      await fill();
      for (const key of LEFT_OVERS) await store.put(key, key);
      let looks = 0;
      const other: LakeStore = {
        ...store,
        head: (key) => store.head(key === manifestKey(4) && (looks += 1) > 1 ? manifestKey(3) : key),
      };
      const before = await listKeys(store, '');
      await expect(gc({ keepDays: 7, dryRun: false }, { ...effectsAfter(25), store: other })).rejects.toMatchObject({
        ...{ code: 'commit_conflict', exit: 'tempfail' },
      });
      expect(await listKeys(store, '')).toEqual(before);
      expect(await collect(25)).toMatchObject({ status: 'collected' });
    });

    it('deletes nothing where the newest commit is not whole', async () => {
      await fill();
      for (const key of LEFT_OVERS) await store.put(key, key);
      const [segment] = (await latestManifest(store))!.state.bronze;
      await store.delete(segment!);
      const before = await listKeys(store, '');
      await expect(collect(25)).rejects.toMatchObject({ code: 'object_missing' });
      expect(await listKeys(store, '')).toEqual(before);
    });

    it('deletes nothing where all commits are gone and bronze is there', async () => {
      await fill();
      for await (const { key } of store.list('manifests/')) await store.delete(key);
      const before = await listKeys(store, '');
      expect(await collect(1)).toMatchObject({ status: 'nothing_new' });
      await expect(collect(25)).rejects.toMatchObject({ code: 'commits_missing', exit: 'data' });
      expect(await listKeys(store, '')).toEqual(before);
    });

    it('of an empty lake there is nothing to collect', async () => {
      expect(await collect(100 * 24)).toMatchObject({ status: 'nothing_new', commits: 0 });
    });
  });
}
