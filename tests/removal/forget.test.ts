import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createPseudonyms } from '../../jobs/base/personal-fields.ts';
import { type ForgetInput, type ForgetResult, forget } from '../../jobs/forget.ts';
import { landingKey } from '../../jobs/lake/keys.ts';
import {
  EMPTY_STATE,
  type LakeState,
  latestManifest,
  readBronzeIndex,
  readSilverFiles,
} from '../../jobs/lake/manifest.ts';
import { load } from '../../jobs/load.ts';
import { reportCards } from '../../jobs/report.ts';
import { commitLedger, readLedger } from '../../jobs/sources/spotify-api/ledger.ts';
import { transform } from '../../jobs/transform.ts';
import { zipOf } from '../bronze/load-fixture.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import {
  filesOf,
  filesWith,
  give,
  isThere,
  Lakes,
  MARKS,
  type OpenLake,
  openLake,
  rowsOf,
  SHARED,
  scrobblesOf,
} from './forget-fixture.ts';

const lakes = new Lakes();
let both: string;
let runs = 0;
/** Columns that tell about runs, not about listening. */
const OF_RUNS = ['silver.table_stats.rows_before', 'silver.table_stats.bytes', 'silver.loaded_files.loaded_on'];

beforeAll(async () => {
  both = await lakes.make('both', ['bob', 'anna'], SHARED, { isWhole: false });
}, 900_000);
afterAll(() => lakes.close());

async function forgetIn(lake: OpenLake, more: Partial<ForgetInput> = {}): Promise<ForgetResult> {
  runs += 1;
  return forget(
    {
      ...{ runId: `forget-${runs}`, userId: 'anna', dryRun: false, unloaded: 'stop', confirm: async () => true },
      ...more,
    },
    lake.effects,
  );
}

const stateOf = async ({ effects }: OpenLake): Promise<LakeState> =>
  (await latestManifest(effects.store))?.state ?? EMPTY_STATE;
const nameless = (rows: Record<string, string>): string[] => [
  ...new Set(Object.values(rows).map((row) => row.split(' ')[0]!)),
];

describe('S10: forget', () => {
  it('removes a person everywhere, proves it, and changes no row of anybody else', async () => {
    const lake = await lakes.copy(await lakes.make('whole', ['bob', 'anna'], SHARED, { isWhole: true }));
    const [before, carl] = [await rowsOf(lake.root, 'bob'), await rowsOf(lake.root, 'carl')];
    expect(before['silver.plays']).toMatch(/^3\d /);
    expect((await filesWith(lake.root, MARKS.anna)).length).toBeGreaterThan(10);
    const pictured = { runId: 'cards', outDir: join(lake.root, 'report'), target: 'prod', year: '2026' } as const;
    await reportCards(pictured, lake.effects);
    const named = (): string[] =>
      readdirSync(lake.root, { recursive: true })
        .map(String)
        .filter((path) => /anna/.test(path));
    expect(named()).toEqual(
      expect.arrayContaining([
        ...['report/people/anna.html', 'report/charts/anna/devices.png', 'report/cards/anna/2026.png'],
      ]),
    );

    const result = await forgetIn(lake);
    expect(result).toMatchObject({
      status: 'forgotten',
      preview: {
        tables: {
          api_answers: { files: 1, rows: 7 },
          export_extended: { files: 1, rows: 31 },
          listening_events: { files: 2, rows: 12 },
          refused: { files: 1, rows: 1 },
        },
      },
      ...{ proof: { hits: [] }, checks: 'passed', purged: { isReportDrawn: true } },
    });
    expect(result.proof!.objects).toBeGreaterThan(50);

    expect(await filesWith(lake.root, MARKS.anna)).toEqual([]);
    expect(await filesWith(lake.root, /\banna\b/)).toEqual([]);
    expect(await rowsOf(lake.root, 'bob')).toEqual(before);
    expect(await rowsOf(lake.root, 'carl')).toEqual(carl);
    expect(nameless(await rowsOf(lake.root, 'anna'))).toEqual(['0']);
    // Bob is alone now: the report is his page, and nothing is called after her.
    expect(named()).toEqual([]);
    expect(readFileSync(join(lake.root, 'report/report.html'), 'utf8')).toMatch(/The listening of bob.*Song of bob/s);
    const index = await readBronzeIndex(lake.effects.store, await stateOf(lake));
    const entry = index.find(({ fileName }) => fileName.endsWith('events-2026-10-01.json'));
    expect(entry).toMatchObject({ rows: 12, readRows: 12 });
    expect((await stateOf(lake)).removal).toBeUndefined();

    expect((await stateOf(lake)).checks.gold_prod).toMatchObject({
      verdict: 'passed',
      of: expect.stringMatching(/^forget-/),
    });
    expect(await forgetIn(lake)).toMatchObject({ status: 'nothing_new', users: ['bob'] });
  }, 900_000);

  it('finds a person by the address that events name them by, or by its pseudonym, and knows any other name', async () => {
    const events = ['anna@example.com', 'anna.b', 'carl'].map((user_id, n) =>
      JSON.stringify({ event_id: `e${n}`, user_id, action: 'play', occurred_at: '2026-10-04T00:00:00Z' }),
    );
    const given = await lakes.copy(both);
    const source = give(join(given.root, '../addresses'), { 'events-2026-10-04.json': `${events.join('\n')}\n` });
    await load({ runId: 'addresses', paths: [source], userId: 'bob', keepLanding: false }, given.effects);
    await transform({ runId: 'addresses', loadedOn: '2026-11-21' }, given.effects);
    const pseudonym = createPseudonyms(readFileSync(join(given.root, '.pseudonym-key'), 'utf8').trim())(
      'anna@example.com',
    );
    const dry = await forgetIn(given, { userId: pseudonym, dryRun: true });
    expect(dry).toMatchObject({ status: 'dry_run', preview: { rows: 1 } });
    const result = await forgetIn(given, { userId: 'anna@example.com' });
    expect(result).toMatchObject({ status: 'forgotten', preview: { rows: 1 }, proof: { hits: [] } });
    expect(await filesWith(given.root, new RegExp(pseudonym))).toEqual([]);
    const done = await listenlake(['forget', '--user', 'anna.b', '--yes', '--lake', given.root], {});
    expect([done.code, done.json]).toEqual([0, expect.objectContaining({ status: 'forgotten', rows: 1, hits: 0 })]);
  });

  it('removes the scrobbles of a person, and leaves those of others', async () => {
    const lake = await lakes.copy(both);
    for (const person of ['anna', 'bob'] as const) {
      const given = give(join(lake.root, `../scrobbles-${person}`), scrobblesOf(person));
      await load({ runId: person, paths: [given], userId: person, keepLanding: false }, lake.effects);
    }
    await transform({ runId: 'scrobbles', loadedOn: '2026-11-21' }, lake.effects);
    const before = await rowsOf(lake.root, 'bob');
    expect(await filesWith(lake.root, MARKS.anna)).toContainEqual(expect.stringContaining('bronze/lastfm_scrobbles/'));
    const result = await forgetIn(lake);
    expect(result).toMatchObject({
      status: 'forgotten',
      preview: { tables: { lastfm_scrobbles: { files: 1, rows: 2 }, listenbrainz_listens: { files: 1, rows: 1 } } },
      proof: { hits: [] },
    });
    expect(await filesWith(lake.root, MARKS.anna)).toEqual([]);
    expect(await rowsOf(lake.root, 'bob')).toEqual(before);
  }, 900_000);

  it('leaves the silver that it would be without them', async () => {
    const without = await lakes.make('without', ['bob'], {}, { isWhole: false });
    const lake = await lakes.copy(await lakes.make('with', ['bob', 'anna'], {}, { isWhole: false }));
    await forgetIn(lake);
    expect(await fingerprint(lake.root, ['silver'], OF_RUNS)).toEqual(await fingerprint(without, ['silver'], OF_RUNS));
  });

  it('reads everything that lies under the lake, whoever has put it there, and says what it cannot look into', async () => {
    const lake = await lakes.copy(both);
    const theirs = '{"user_id": "anna", "note": "by hand"}';
    mkdirSync(join(lake.root, 'backup/deep'), { recursive: true });
    writeFileSync(join(lake.root, 'backup/deep/old.json'), theirs);
    writeFileSync(join(lake.root, 'backup/old.json.gz'), gzipSync(theirs));
    writeFileSync(join(lake.root, 'backup/old.zip'), await zipOf({ 'inside/old.json': theirs }));
    writeFileSync(join(lake.root, '.staging/left.json'), theirs);
    const result = await forgetIn(lake);
    expect(result.status).toBe('found');
    expect(result.proof!.hits.map(({ place }) => place).sort()).toEqual([
      ...['.staging/left.json', 'backup/deep/old.json', 'backup/old.json.gz', 'backup/old.zip/inside/old.json'],
    ]);
    rmSync(join(lake.root, 'backup'), { recursive: true });
    rmSync(join(lake.root, '.staging/left.json'));
    mkdirSync(join(lake.root, 'mine'));
    writeFileSync(join(lake.root, 'mine/a.7z'), Buffer.from('377abcaf271c0004', 'hex'));
    execFileSync('mkfifo', [join(lake.root, 'mine/pipe')]);
    symlinkSync('/', join(lake.root, 'mine/root'));
    const again = await forgetIn(lake);
    expect([again.status, again.proof?.hits]).toEqual(['forgotten', []]);
    expect(again.proof!.unread).toEqual([
      ...['mine/a.7z (compressed)', 'mine/pipe (no regular file)', 'mine/root (no regular file)'],
    ]);
  });

  it('passes over a lock that was there when its folder was listed, as one of the lease may be', async () => {
    const lake = await lakes.copy(both);
    const { store } = lake.effects;
    const gone = `.staging/${'a'.repeat(64)}.lock`;
    async function* list(prefix: string): ReturnType<typeof store.list> {
      yield* store.list(prefix);
      if (prefix === '.staging/') yield { key: gone, bytes: 0, version: '', modifiedAt: 0 };
    }
    const listed = { ...lake, effects: { ...lake.effects, store: { ...store, list } } };
    expect(await forgetIn(listed)).toMatchObject({ status: 'forgotten', proof: { hits: [], unread: [] } });
  });

  it('--only api: what came from the Web API goes, the export stays', async () => {
    const lake = await lakes.copy(both);
    const count = async (where: string): Promise<number> => {
      const { rows } = await lake.effects.engine.query(
        `select count(*) from silver.plays where user_id = 'anna' and ${where}`,
      );
      return Number(rows[0]![0]);
    };
    const bob = await rowsOf(lake.root, 'bob');
    expect([await count("source = 'api'"), await count("source = 'export_extended'")]).toEqual([3, 30]);
    expect(await forgetIn(lake, { only: 'api' })).toMatchObject({
      ...{ status: 'forgotten', proof: { hits: [] } },
      preview: { tables: { api_answers: { files: 1, rows: 7 } } },
    });
    expect([await count("source = 'api'"), await count("source = 'export_extended'")]).toEqual([0, 30]);
    expect(await rowsOf(lake.root, 'bob')).toEqual(bob);
    expect(await forgetIn(lake, { only: 'api' })).toMatchObject({ status: 'nothing_new' });
  });

  it('of the last person nothing is left, and the next run begins anew', async () => {
    const lake = await lakes.copy(both);
    for (const userId of ['anna', 'carl', 'bob']) {
      const result = await forgetIn(lake, { userId });
      expect([userId, result.status, result.proof?.hits]).toEqual([userId, 'forgotten', []]);
    }
    expect(await readBronzeIndex(lake.effects.store, await stateOf(lake))).toEqual([]);
    expect(await filesWith(lake.root, new RegExp(`${MARKS.anna.source}|${MARKS.bob.source}|carl`))).toEqual([]);
    const { rows } = await lake.effects.engine.query('select count(*) from silver.plays');
    expect(Number(rows[0]![0])).toBe(0);
    const source = give(join(lake.root, '../again'), filesOf('bob'));
    await load({ runId: 'again', paths: [source], userId: 'bob', keepLanding: false }, lake.effects);
    const again = await transform({ runId: 'again', loadedOn: '2026-11-21' }, lake.effects);
    expect(again.accounts).toMatchObject({ read: 37, quarantined: 2 });
  });

  it('does not bring rows back when a file of several people is loaded again', async () => {
    const lake = await lakes.copy(both);
    await forgetIn(lake);
    const events = 'events-2026-10-01.json' as const;
    const source = give(join(lake.root, '../again'), { [events]: SHARED[events] });
    const again = { runId: 'again', paths: [source], userId: 'bob', keepLanding: false };
    expect((await load(again, lake.effects)).files).toMatchObject([{ status: 'known' }]);
  });

  it('takes rows out of a file that no transform has read yet, and its rows add up', async () => {
    const lake = await lakes.copy(both);
    const late = `${SHARED['events-2026-10-01.json'].replaceAll('2026-10-01', '2026-10-05').replaceAll('-1-', '-5-')}`;
    const source = give(join(lake.root, '../late'), { 'events-2026-10-05.json': late });
    await load({ runId: 'late', paths: [source], userId: 'bob', keepLanding: false }, lake.effects);
    expect(await forgetIn(lake)).toMatchObject({ status: 'forgotten', proof: { hits: [] } });
    const { rows } = await lake.effects.engine.query(
      "select user_id, count(*) from silver.listening_events where event_date = '2026-10-05' group by 1 order by 1",
    );
    expect(rows.map(String)).toEqual(['bob,6', 'carl,6']);
  });

  it('forgets what extract knows of them, and asks again for what has gone', async () => {
    const lake = await lakes.copy(both);
    const mark = { newestPlayedAt: null, polledAt: '2026-10-01T00:00:00.000Z', deepAt: '2026-10-01T00:00:00.000Z' };
    const ledger = await readLedger(lake.effects.store);
    Object.assign(ledger, {
      polls: { anna: mark, bob: mark },
      lists: { 'anna/tracks': '2026-10-01', 'bob/tracks': '2026-10-01' },
    });
    ledger.missing['tracks/x'] = '2026-11-01T00:00:00.000Z';
    await commitLedger(lake.effects, { job: 'extract', runId: 'x', startedAt: 0, inputs: [], details: {} }, ledger);
    expect(await forgetIn(lake)).toMatchObject({ status: 'forgotten', proof: { hits: [] } });
    expect(await readLedger(lake.effects.store)).toMatchObject({
      ...{ polls: { bob: mark }, lists: { 'bob/tracks': '2026-10-01' }, missing: {} },
    });
  });

  it('of landing takes what is theirs, also in a zip, and stops where nobody knows whose it is', async () => {
    const lake = await lakes.copy(both);
    const { store } = lake.effects;
    const [anna, bob] = [filesOf('anna'), filesOf('bob')];
    const kept = landingKey('b'.repeat(64), 'bobs.zip');
    const theirs = landingKey('a'.repeat(64), 'annas.zip');
    const unknown = landingKey('c'.repeat(64), 'whose.json');
    const name = 'Streaming_History_Audio_2026_0.json';
    await store.put(kept, await zipOf({ [name]: bob[name]! }));
    await store.put(theirs, await zipOf({ [name]: anna[name]!, 'Read_Me_First.pdf': 'x' }));
    await store.put(unknown, '[]');
    const before = await latestManifest(store);
    await expect(forgetIn(lake)).rejects.toMatchObject({
      code: 'landing_unknown',
      exit: 'data',
      message: /whose\.json/,
    });
    expect(await latestManifest(store)).toEqual(before);
    expect(isThere(lake.root, theirs)).toBe(true);

    expect((await forgetIn(lake, { dryRun: true, unloaded: 'delete' })).preview.landing.sort()).toEqual([
      'annas.zip',
      'whose.json',
    ]);
    expect(await forgetIn(lake, { unloaded: 'delete' })).toMatchObject({ status: 'forgotten', proof: { hits: [] } });
    expect([kept, theirs, unknown].map((key) => isThere(lake.root, key))).toEqual([true, false, false]);
  });

  it('a dry run and a no change nothing', async () => {
    const lake = await lakes.copy(both);
    const files = (): string[] =>
      readdirSync(lake.root, { recursive: true })
        .map(String)
        .filter((name) => !name.startsWith('.staging'))
        .sort();
    const before = files();
    expect(await forgetIn(lake, { dryRun: true })).toMatchObject({
      status: 'dry_run',
      preview: { files: 5, rows: 51 },
    });
    let asked = 0;
    const confirm = async (): Promise<boolean> => (asked += 1) === 0;
    expect(await forgetIn(lake, { confirm })).toMatchObject({ status: 'declined' });
    expect([asked, files()]).toEqual([1, before]);
  });

  it('the proof finds what is left: in foreign files, in keys, in Parquet; and closes nothing until it is gone', async () => {
    const lake = await lakes.copy(both);
    const index = await readBronzeIndex(lake.effects.store, await stateOf(lake));
    const theirs = index.find(({ userId, table }) => userId === 'anna' && table === 'export_extended')!;
    const [theirPlays] = await readSilverFiles(lake.effects.store, await stateOf(lake), 'plays');
    const plays = dirname(join(lake.root, theirPlays!.key));
    const foreign = {
      'gold/dev/notes.json': '{"user_id": "anna"}',
      'bronze/copy.json': JSON.stringify([{ sourceKey: theirs.sourceKey }]),
      [`bronze/export_extended/${theirs.sourceKey}.bak`]: 'empty',
    };
    give(lake.root, foreign);
    cpSync(join(plays, 'part-0.parquet'), join(plays, 'copy.parquet'));
    const result = await forgetIn(lake);
    expect(result.status).toBe('found');
    const places = result.proof!.hits.map(({ place }) => place);
    for (const key of Object.keys(foreign)) expect(places).toContain(key);
    expect(places).toEqual(
      expect.arrayContaining([expect.stringMatching(/year=2026\/[0-9a-f]{64}\/copy\.parquet \(user_id/)]),
    );
    expect((await stateOf(lake)).removal).toBe('purge');

    for (const key of Object.keys(foreign)) rmSync(join(lake.root, key));
    rmSync(join(plays, 'copy.parquet'));
    expect(await forgetIn(lake)).toMatchObject({ status: 'forgotten', proof: { hits: [] } });
    expect((await stateOf(lake)).removal).toBeUndefined();
  });
});

describe('listenlake forget', () => {
  const environment = (lake: OpenLake): Record<string, string> => ({
    XDG_CACHE_HOME: join(lake.root, '../cache'),
    XDG_CONFIG_HOME: join(lake.root, '../config'),
    // These lakes were made with the keys that lie beside them.
    LISTENLAKE_PSEUDONYM_KEY: '',
  });

  it('wants a name, and a yes where there is nobody to ask', async () => {
    const lake = await lakes.copy(both);
    const call = (...args: string[]) => listenlake(['forget', '--lake', lake.root, ...args], environment(lake));
    const whom = await call('--yes');
    const unconfirmed = await call('--user', 'anna');
    const absent = await call('--user', 'zoe', '--dry-run');
    expect([whom.code, whom.stderr]).toEqual([64, expect.stringMatching(/^listenlake: whom\?.*--user <label>\)\n$/)]);
    expect([unconfirmed.code, unconfirmed.stderr]).toEqual([64, expect.stringContaining('give --yes')]);
    expect([absent.code, absent.json.status]).toEqual([0, 'nothing_new']);
    expect(absent.stdout).toMatch(/^forget: nothing in this lake is of zoe \(it knows anna, bob\)\n/);
  });

  it('F36: killed at any moment, readers see a whole lake, and another forget finishes', async () => {
    const lake = await lakes.copy(both);
    const bob = await rowsOf(lake.root, 'bob');
    const args = (root: string): string[] => ['forget', '--user', 'anna', '--yes', '--lake', root, '--quiet'];
    const timed = await lakes.copy(both);
    const started = performance.now();
    const once = await listenlake(args(timed.root), environment(timed));
    let runMs = performance.now() - started;
    expect([once.code, once.json.status, once.json.hits]).toEqual([0, 'forgotten', 0]);
    expect(once.stdout).toMatch(/proof +0 hits in \d+ objects/);
    expect(once.stdout.split('\n').at(-2)).not.toContain('anna');

    // Each goes on where the one before it was killed, and is killed again; the last one may end.
    const each = await lakes.copy(both);
    let killed = 0;
    for (const share of [0.6, 0.5, 0.4]) {
      const child = start(args(each.root), environment(each));
      const begun = performance.now();
      const timer = setTimeout(() => child.kill('SIGKILL'), runMs * share);
      if ((await finished(child)).signal === 'SIGKILL') killed += 1;
      // It was faster than the one that was timed: the next kill comes sooner.
      else runMs = Math.min(runMs, performance.now() - begun);
      clearTimeout(timer);
      const reader = await openLake(each.root);
      const { rows } = await reader.effects.engine.query(
        'select user_id, count(*) from silver.plays group by 1 order by 1',
      );
      expect([share, rows.map(String).join(' ')]).toEqual([share, expect.stringMatching(/^(anna,33 )?bob,33$/)]);
      await reader.close();
    }
    const again = await listenlake(args(each.root), environment(each));
    expect([again.code, again.stderr]).toEqual([0, '']);
    expect([await filesWith(each.root, MARKS.anna), await filesWith(each.root, /\banna\b/)]).toEqual([[], []]);
    expect(await rowsOf(each.root, 'bob')).toEqual(bob);
    expect((await listenlake(['doctor', '--verify', '--lake', each.root], environment(each))).code).toBe(0);
    expect(killed).toBeGreaterThan(0);
  }, 600_000);

  it('names the login, which is not in the lake', async () => {
    const lake = await lakes.copy(both);
    mkdirSync(join(lake.root, '../config/listenlake'), { recursive: true });
    writeFileSync(join(lake.root, '../config/listenlake/spotify-anna.json'), '{}', { mode: 0o600 });
    const dry = await listenlake(['forget', '--user', 'anna', '--dry-run', '--lake', lake.root], environment(lake));
    expect(dry.stdout).toMatch(/note +the login to Spotify is not in the lake: delete .*spotify-anna\.json/);
  });
});
