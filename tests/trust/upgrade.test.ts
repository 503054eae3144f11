/** F67: lakes that another version has written. */
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashObject } from '../../jobs/base/hash.ts';
import { openEmbedded } from '../../jobs/engine/duckdb/database.ts';
import { enrich } from '../../jobs/enrich.ts';
import { manifestKey } from '../../jobs/lake/keys.ts';
import { latestManifest, putState, readSilverFiles } from '../../jobs/lake/manifest.ts';
import { planTransform } from '../../jobs/silver/fan-out/plan.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { openLakeFixture } from '../fixtures/effects.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import { extended, makeTestLake, stoppedAt, type TestLake } from '../silver/transform-lake.ts';
import { world } from '../silver/transform-world.ts';
import { toFormat1 } from './format-1.ts';

const MINUTES = 60_000;
/** All that readers see, but for the columns that tell how many rows there were before the last run. */
const tablesOf = (lake: string): ReturnType<typeof fingerprint> =>
  fingerprint(lake, undefined, [
    'silver.table_stats.rows_before',
    'silver.loaded_files.loaded_on',
    ...['gold_dev', 'gold_prod'].flatMap((gold) =>
      ['rows_before', 'change'].map((name) => `${gold}.record_counts.${name}`),
    ),
  ]);

describe('a lake of format 1', () => {
  let folder: string;
  let source: string;
  let old: string;
  let tables: Awaited<ReturnType<typeof fingerprint>>;
  let lakes = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'listenlake-upgrade-'));
    source = join(folder, 'source');
    old = join(folder, 'old');
    await generateIntoFolder(
      { seed: 5, users: 3, days: 3, tracks: 60, end: '2026-11-01', exportPlays: 400, exportYears: 2, faults: false },
      source,
    );
    const made = await listenlake(['run', source, '--lake', old, '--out', join(folder, 'report')]);
    expect([made.code, made.stderr]).toEqual([0, '']);
    tables = await tablesOf(old);
    await toFormat1(old);
  }, 10 * MINUTES);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function copy(): Promise<string> {
    const lake = join(folder, `lake-${(lakes += 1)}`);
    await cp(old, lake, { recursive: true });
    return lake;
  }
  const formatOf = async (lake: string): Promise<unknown> => {
    const newest = readdirSync(join(lake, 'manifests')).filter((name) => name.endsWith('.json'));
    return JSON.parse(await readFile(join(lake, 'manifests', newest.sort().at(-1)!), 'utf8')).format;
  };

  it(
    'is read as it is, by every command that reads, and by jobs that do not make silver',
    async () => {
      const lake = await copy();
      const sql = await listenlake(['sql', '--lake', lake, '--json', 'select count(*) as n from silver.plays']);
      expect([sql.code, JSON.parse(sql.stdout)]).toEqual([0, [{ n: tables['silver.plays']!.rows }]]);
      expect(await tablesOf(lake)).toEqual(tables);
      const verified = await listenlake(['doctor', '--verify', '--lake', lake]);
      expect([verified.code, verified.stdout]).toEqual([
        0,
        expect.stringMatching(/format +1, of an older version.*every hash, row count and account/s),
      ]);
      const page = await listenlake(['report', '--lake', lake, '--out', join(folder, 'again')]);
      expect([page.code, page.stderr]).toEqual([0, '']);
      expect((await listenlake(['check', '--lake', lake])).code).toBe(0);
      expect(await formatOf(lake)).toBe(1);
    },
    10 * MINUTES,
  );

  it(
    'is made again from bronze by the next run, with one line about it; gc takes what is left of it',
    async () => {
      const lake = await copy();
      const bronze = (): string[] =>
        readdirSync(join(lake, 'bronze'), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .map((path) => `${path} ${statSync(path).ino} ${statSync(path).mtimeMs}`)
          .sort();
      const before = bronze();
      expect(before.length).toBeGreaterThan(5);
      const next = await listenlake(['run', source, '--lake', lake, '--no-report']);
      expect([next.code, next.stderr]).toEqual([0, '']);
      expect(next.stdout.split('\n').filter((line) => line.includes('older version'))).toEqual([
        expect.stringMatching(/^ +upgraded +this lake was laid out by an older version: .* from bronze$/),
      ]);
      expect(await formatOf(lake)).toBe(2);
      expect(await tablesOf(lake)).toEqual(tables);
      expect(bronze()).toEqual(before); // not one object is written again
      const again = await listenlake(['transform', '--lake', lake]);
      expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('up to date')]);

      const remains = (): string[] =>
        readdirSync(join(lake, 'silver'), { recursive: true })
          .map(String)
          .filter((name) => name.endsWith('part-0.parquet') && !/^[a-z_]+\/v\//.test(name));
      expect(remains().length).toBeGreaterThan(20);
      expect((await listenlake(['gc', '--lake', lake])).code).toBe(0);
      expect(remains().length).toBeGreaterThan(20); // those who still read it have a day, and seven
      for (const name of readdirSync(lake, { recursive: true }).map(String)) utimesSync(join(lake, name), 1.7e9, 1.7e9);
      expect((await listenlake(['gc', '--lake', lake])).code).toBe(0);
      expect(remains()).toEqual([]);
      expect(await tablesOf(lake)).toEqual(tables);
    },
    10 * MINUTES,
  );

  it.each([['sql', 'select 1'], ['run'], ['transform'], ['doctor'], ['gc']])(
    'of a format that is not known yet it is refused, exit 78, and nothing is changed: %s',
    async (...command) => {
      const lake = await copy();
      const newest = join(lake, manifestKey(readdirSync(join(lake, 'manifests')).length - 1));
      expect(existsSync(newest)).toBe(true);
      const manifest = JSON.parse(await readFile(newest, 'utf8'));
      await writeFile(newest, JSON.stringify({ ...manifest, format: 3 }));
      const before = readdirSync(lake, { recursive: true }).map(String).sort();
      const { code, stderr } = await listenlake([...command, '--lake', lake]);
      expect([code, stderr]).toEqual([78, expect.stringMatching(/format 3.*knows formats up to 2/)]);
      expect(readdirSync(lake, { recursive: true }).map(String).sort()).toEqual(before);
    },
    10 * MINUTES,
  );
});

describe('the way from format 1', () => {
  let base: TestLake;
  let plain: TestLake;
  beforeAll(async () => {
    base = await makeTestLake();
    await base.add(...world());
    await base.transform({ loadedOn: '2026-11-01' });
    plain = await base.copy();
    await toFormat1(join(base.folder, 'lake'));
  }, 10 * MINUTES);
  afterAll(async () => {
    await base.close();
    await plain.close();
  });

  it(
    'keeps every row, and the days of first refusals',
    async () => {
      const lake = await base.copy();
      expect((await latestManifest(lake.effects.store))!.format).toBe(1);
      expect(await lake.transform()).toMatchObject({ status: 'transformed', isUpgrade: true, taken: 0 });
      expect((await latestManifest(lake.effects.store))!.format).toBe(2);
      expect([await lake.hashes(), await lake.content()]).toEqual([await plain.hashes(), await plain.content()]);
      expect(await lake.transform()).toMatchObject({ status: 'nothing_new', isUpgrade: false });
      await lake.close();
    },
    10 * MINUTES,
  );

  it(
    'a load in between changes nothing of it, and a plan says that there is one thing to do',
    async () => {
      const [lake, other] = [await base.copy(), await plain.copy()];
      for (const each of [lake, other]) await each.add(extended({ ts: '2019-05-01T00:00:00Z' }));
      expect(await planTransform({ tasksMax: 8, taskRowsMin: 1 }, lake.effects)).toEqual({
        status: 'planned',
        partitions: [],
      });
      for (const each of [lake, other]) await each.transform();
      expect([await lake.hashes(), await lake.content()]).toEqual([await other.hashes(), await other.content()]);
      await lake.close();
      await other.close();
    },
    10 * MINUTES,
  );

  it(
    'killed on it, readers have the old lake whole, and the next run ends it',
    async () => {
      for (const point of [1, 4, 10, 27]) {
        const lake = await base.copy();
        const before = await lake.content();
        await expect(lake.transform({}, stoppedAt(lake.effects.store, point))).rejects.toThrow('killed');
        if ((await latestManifest(lake.effects.store))!.format === 1) expect(await lake.content()).toEqual(before);
        expect(await lake.transform()).toBeDefined();
        expect([await lake.hashes(), await lake.content()]).toEqual([await plain.hashes(), await plain.content()]);
        await lake.close();
      }
    },
    10 * MINUTES,
  );
});

it('plays that were written before they had an audiobook are read with none', async () => {
  const lake = await openLakeFixture();
  const db = await openEmbedded({
    memoryMb: 128,
    threads: 1,
    tempDir: join(lake.root, '.spill'),
    folders: [lake.root],
  });
  try {
    const state = await lake.commitSilver({
      plays: [{ play_id: 'p1', user_id: 'u1', content_type: 'chapter', track_name: 'One', album_name: 'A Book' }],
    });
    const [file] = await readSilverFiles(lake.store, state, 'plays');
    const path = join(lake.root, file!.key);
    await db.run(
      `copy (select * exclude (audiobook_uri) from read_parquet('${path}')) to '${path}.old' (format parquet)`,
    );
    await rename(`${path}.old`, path);
    const plays = [{ ...file!, bytes: statSync(path).size, sha256: await hashObject(path) }];
    await lake.commitState({
      ...state,
      silver: { ...state.silver, plays: await putState(lake.store, 'silver', plays) },
    });
    await enrich({ runId: 'run-1', asOf: '2026-03-01T00:00:00.000Z' }, lake.effects);
    expect((await lake.engine.query('select play_id, audiobook_uri from silver.plays')).rows).toEqual([['p1', null]]);
    expect((await lake.engine.query('select show_id from fct_plays')).rows).toEqual([['name:a book']]);
  } finally {
    db.close();
    await lake.close();
  }
});
