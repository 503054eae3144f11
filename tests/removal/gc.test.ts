import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Places } from '../../jobs/engine/athena/places.ts';
import { unusedTables } from '../../jobs/engine/athena/publish.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { bronzeKey, goldKey } from '../../jobs/lake/keys.ts';
import type { LakeState } from '../../jobs/lake/manifest.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import { gcContract } from './gc.contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-gc-'));
const lake = join(folder, 'lake');
let lakes = 0;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

gcContract('folder', () => openFolderLake(join(folder, `store-${(lakes += 1)}`)));

it('of the catalog it takes tables of runs alone: what people have made is theirs, whatever it is called', async () => {
  const at = (name: string, location: string): [string, unknown] => [
    name,
    { Name: name, StorageDescriptor: { Location: location }, CreateTime: new Date(0) },
  ];
  const tables = new Map([
    at('fct_plays__killed', 's3://bucket/lake/gold/dev/killed/fct_plays/1/'),
    at('fct_plays', 's3://bucket/lake/gold/dev/kept/fct_plays/1/'),
    at('fct_plays__kept', 's3://bucket/lake/gold/dev/kept/fct_plays/1/'),
    at('dim_dates__kept', 's3://bucket/lake/gold/dev/first/dim_dates/1/'),
    at('dim_dates__second', 's3://bucket/lake/gold/dev/first/dim_dates/1/'),
    at('my__notes', 's3://elsewhere/notes/'),
    at('my__view', ''),
  ]);
  const places = {
    lakeUri: 's3://bucket/lake',
    databaseOf: (layer: string) => `lake_${layer}`,
    catalog: { all: async (database: string) => (database === 'lake_gold_dev' ? tables : new Map()) },
  } as unknown as Places;
  const kept = {
    gold: {
      dev: {
        runId: 'kept',
        tables: {
          fct_plays: { key: 'gold/dev/kept/fct_plays/1/' },
          dim_dates: { key: 'gold/dev/first/dim_dates/1/' },
        },
      },
    },
  };
  expect(await unusedTables(places, [kept as unknown as LakeState], Number.POSITIVE_INFINITY)).toEqual([
    'lake_gold_dev.fct_plays__killed',
    'lake_gold_dev.dim_dates__second', // which a later run has taken over, and has a name of its own for
  ]);
});

describe('listenlake gc', () => {
  const ORPHANS = 400;
  const FOREIGN = join(lake, 'gold/dev/notes.txt');
  /** As if written so many days ago. */
  const age = (path: string, days: number): void => {
    const then = Date.now() / 1000 - days * 86_400;
    utimesSync(path, then, then);
  };
  const orphans = Array.from({ length: ORPHANS }, (_, n) =>
    n % 2 === 0
      ? bronzeKey('export_extended', n.toString(16).padStart(64, '0'), 'parquet')
      : goldKey('dev', `killed-${n}`, 'fct_plays'),
  );
  function plant(): void {
    for (const key of orphans) {
      const path = join(lake, key);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, key);
      age(path, 2);
    }
  }

  beforeAll(async () => {
    const source = join(folder, 'source');
    await generateIntoFolder(
      { seed: 3, users: 3, days: 3, tracks: 100, end: '2026-11-01', exportPlays: 300, exportYears: 1, faults: false },
      source,
    );
    expect((await listenlake(['run', source, '--lake', lake, '--no-report'])).code).toBe(0);
    writeFileSync(FOREIGN, 'mine');
    age(FOREIGN, 100);
  });

  it('says what it would do, does it, says that there is nothing, and the lake is whole', async () => {
    const before = await fingerprint(lake);
    plant();
    const staged = join(lake, '.staging', `1-${'0'.repeat(8)}-${'a'.repeat(16)}.scratch`);
    mkdirSync(staged);
    writeFileSync(join(staged, 'half'), 'x'.repeat(1000));
    age(staged, 2);
    writeFileSync(join(lake, '.staging/mine.txt'), 'mine');
    age(join(lake, '.staging/mine.txt'), 100);

    const dry = await listenlake(['gc', '--dry-run', '--lake', lake]);
    expect([dry.code, dry.stderr, dry.json.status]).toEqual([0, '', 'dry_run']);
    expect(dry.stdout).toMatch(
      /gc: would delete \(--dry-run\).*\n {2}bronze +200 objects, .*KiB\n {2}gold +200 objects/,
    );
    expect(dry.stdout).toMatch(/unfinished +1-0{8}-a{16}\.scratch, 1\.0 KiB, begun .*\n {2}left alone +1 file /);
    expect(readdirSync(join(lake, 'bronze/export_extended')).length).toBeGreaterThan(ORPHANS / 2);

    const done = await listenlake(['gc', '--lake', lake]);
    expect([done.code, done.json]).toEqual([0, { ...dry.json, status: 'collected' }]);
    expect(done.json).toMatchObject({ layers: { bronze: { objects: 200 }, gold: { objects: 200 } }, unfinished: 1 });
    expect(existsSync(staged)).toBe(false);
    expect(existsSync(join(lake, '.staging/mine.txt'))).toBe(true);
    expect(readdirSync(join(lake, 'gold/dev')).filter((name) => name.startsWith('killed'))).toEqual([]);
    expect(existsSync(FOREIGN)).toBe(true);

    const again = await listenlake(['gc', '--json', '--lake', lake]);
    expect([again.code, again.json.status]).toEqual([0, 'nothing_new']);
    expect(await fingerprint(lake)).toEqual(before);
    expect((await listenlake(['doctor', '--verify', '--lake', lake])).code).toBe(0);
  });

  it('F36: killed at any moment, the lake is whole, and the next gc finishes', async () => {
    const before = await fingerprint(lake);
    const left = (): number => orphans.filter((key) => existsSync(join(lake, key))).length;
    let killed = 0;
    // By what it has done and not by time, which on a busy machine says little: as it starts, then after ever
    // more deletions.
    for (const deleted of [0, 1, 10, 50, 100, 200, 300, 390]) {
      plant();
      const child = start(['gc', '--lake', lake]);
      const watch = setInterval(() => {
        if (ORPHANS - left() >= deleted) child.kill('SIGKILL');
      }, 1);
      if ((await finished(child)).signal === 'SIGKILL') killed += 1;
      clearInterval(watch);
      expect(await fingerprint(lake)).toEqual(before);
      expect((await listenlake(['gc', '--lake', lake])).code).toBe(0);
      expect(orphans.filter((key) => existsSync(join(lake, key)))).toEqual([]);
    }
    expect(killed).toBeGreaterThan(2);
    expect((await listenlake(['doctor', '--verify', '--lake', lake])).code).toBe(0);
  }, 900_000);

  it('takes the commits that nobody reads any more, and run goes on from the one that stays', async () => {
    const before = await fingerprint(lake);
    for (const name of readdirSync(join(lake, 'manifests'))) age(join(lake, 'manifests', name), 30);
    for (const name of readdirSync(join(lake, 'state'), { recursive: true, withFileTypes: true }))
      if (name.isFile()) age(join(name.parentPath, name.name), 30);
    const commits = readdirSync(join(lake, 'manifests')).length - 1;
    const done = await listenlake(['gc', '--lake', lake]);
    expect(done.json).toMatchObject({
      status: 'collected',
      commits: 1,
      layers: { manifests: { objects: commits - 2 } },
    });
    expect(await fingerprint(lake)).toEqual(before);
    expect((await listenlake(['doctor', '--verify', '--lake', lake])).code).toBe(0);
    const run = await listenlake(['run', '--lake', lake, '--no-report']);
    expect([run.code, run.json.status]).toEqual([0, 'nothing_new']);
  });

  it.each([
    [['--keep-days', 'x'], 64, /--keep-days "x" is not a whole number/],
    [['--keep-day', '1'], 64, /Unknown argument/],
  ])('%p: exit %i', async (args, code, words) => {
    const result = await listenlake(['gc', '--lake', lake, ...args]);
    expect([result.code, result.stderr]).toEqual([code, expect.stringMatching(words)]);
  });

  it('waits for the writer: 75 while another one is at work, and a dry run does not care', async () => {
    const lease = join(lake, 'leases/writer.json');
    const held = { token: 1, holder: 'x', host: 'elsewhere', pid: 1, job: 'run', expiresAt: Date.now() + 3_600_000 };
    writeFileSync(lease, JSON.stringify(held));
    expect((await listenlake(['gc', '--lake', lake])).code).toBe(75);
    expect((await listenlake(['gc', '--dry-run', '--lake', lake])).code).toBe(0);
    rmSync(lease);
  });
});
