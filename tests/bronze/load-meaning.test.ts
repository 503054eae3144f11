/**
 * What gives a file its meaning beside its bytes: whose it is, what its name says, and whether it was refused
 * before.
 */
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadText } from '../../jobs/commands/load.ts';
import { doctor } from '../../jobs/doctor.ts';
import { forget } from '../../jobs/forget.ts';
import { landingKey } from '../../jobs/lake/keys.ts';
import { type LoadResult, load } from '../../jobs/load.ts';
import { type TransformResult, transform } from '../../jobs/transform.ts';
import { GOOD, good, type LoadFixture, openLoadFixture, outcome, play, zipOf } from './load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const loadAs = (userId: string, ...names: string[]): Promise<LoadResult> =>
  load(
    { runId: 'test', paths: names.map((name) => join(lake.source, name)), userId, keepLanding: false },
    lake.effects,
  );
const build = (rebuild = false): Promise<TransformResult> =>
  transform({ runId: 'test', loadedOn: '2026-11-21', rebuild }, lake.effects);
const exportOf = (username: string | undefined, ...minutes: number[]): string =>
  JSON.stringify(
    minutes.map((minute) => play({ ts: `2022-01-01T10:0${minute}:00Z`, ...(username !== undefined && { username }) })),
  );
const plays = (): Promise<unknown[][]> =>
  lake.query(
    `select user_id, strftime(ended_at, '%M'), copies from silver.plays order by user_id, ended_at, copies, play_id`,
  );

describe('accounts', () => {
  const family = { 'anna/endsong_0.json': exportOf('Anna', 0, 5), 'bert/endsong_0.json': exportOf('bert', 0, 6) };

  it('two under one label: a warning, and none of their plays is a copy of the other', async () => {
    await lake.give(family);
    const result = await lake.load();
    expect(result.warnings).toEqual([
      expect.stringMatching(
        /^source\/anna\/endsong_0\.json, source\/bert\/endsong_0\.json: exports of 2 Spotify accounts under the one label me; .*forget --user me.* own --user$/,
      ),
    ]);
    expect(loadText(result)).toContain(`  warning      ${result.warnings[0]}\n`);
    expect((await build()).accounts).toEqual({ read: 4, new: 4, duplicate: 0, quarantined: 0 });
    const rows = [
      ['me', '00', 1],
      ['me', '00', 1],
      ['me', '05', 1],
      ['me', '06', 1],
    ];
    expect(await plays()).toEqual(rows);
    await build(true);
    expect(await plays()).toEqual(rows);
    expect((await lake.load()).warnings).toEqual([]);
    const findings = await doctor({ verify: false, aws: false }, lake.effects);
    expect(findings.filter(({ name }) => name === 'labels')).toEqual([
      { name: 'labels', verdict: 'warn', text: result.warnings[0] },
    ]);
  });

  it('the warning comes with the load that brings the second one', async () => {
    await lake.give(family);
    expect((await loadAs('me', 'anna')).warnings).toEqual([]);
    expect((await loadAs('me', 'bert')).warnings).toHaveLength(1);
    await lake.give({ 'more/endsong_1.json': exportOf('bert', 7) });
    expect((await loadAs('other', 'more')).warnings).toEqual([]);
  });

  it('stored under another label: says so and what to do, and doing it gives each their own', async () => {
    await lake.give(family);
    await lake.load();
    await build();
    const again = await loadAs('bert', 'bert');
    expect(again.accounts).toEqual({ read: 1, new: 0, duplicate: 1, quarantined: 0 });
    expect(again.warnings).toEqual([
      expect.stringMatching(
        /^bert\/endsong_0\.json: stored under the label me, so nothing of it was loaded for bert.*`listenlake forget --user me`.* own --user$/,
      ),
    ]);
    const input = { runId: 'test', userId: 'me', dryRun: false, unloaded: 'stop', confirm: async () => true } as const;
    expect((await forget(input, lake.effects)).status).toBe('forgotten');
    await mkdir(lake.effects.scratch, { recursive: true }); // a command of its own would have one of its own
    expect([(await loadAs('anna', 'anna')).warnings, (await loadAs('bert', 'bert')).warnings]).toEqual([[], []]);
    await build();
    expect(await plays()).toEqual([
      ['anna', '00', 1],
      ['anna', '05', 1],
      ['bert', '00', 1],
      ['bert', '06', 1],
    ]);
  });

  it('an archive, and a file in landing, of somebody else are named too', async () => {
    await lake.give({ 'a.zip': await zipOf({ [GOOD]: good() }) });
    await loadAs('anna', 'a.zip');
    expect((await loadAs('bert', 'a.zip')).warnings).toEqual([expect.stringMatching(/^a\.zip: stored under .* anna,/)]);
    await lake.give({ [GOOD]: good() });
    const sourceKey = (await lake.index())[0]!.sourceKey;
    await lake.store.put(landingKey(sourceKey, GOOD), good());
    expect((await loadAs('bert')).warnings).toEqual([expect.stringContaining('stored under the label anna')]);
  });

  it('a row that names no account is of any: the same play of an export without user names is one play', async () => {
    await lake.give({
      'old/endsong_0.json': exportOf('anna', 0, 5),
      'new/endsong_0.json': exportOf(undefined, 0, 5, 6),
    });
    expect((await lake.load()).warnings).toEqual([]);
    await lake.give({ 'bert/endsong_0.json': exportOf('bert', 0) });
    await lake.load();
    await build();
    expect(await plays()).toEqual([
      ['me', '00', 1],
      ['me', '00', 2],
      ['me', '05', 2],
      ['me', '06', 1],
    ]);
  });

  it('of the user name only a pseudonym is stored, equal in whatever case it is written, and not in silver', async () => {
    await lake.give({ ...family, 'third/endsong_0.json': exportOf(' ANNA ', 8) });
    await lake.load();
    const found = await lake.query('select distinct username_pseudonym from bronze.export_extended order by 1');
    expect(found).toEqual([[expect.stringMatching(/^u_[0-9a-f]{16}$/)], [expect.stringMatching(/^u_[0-9a-f]{16}$/)]]);
    const index = await lake.index();
    expect(JSON.stringify(index)).not.toMatch(/"Anna"|ANNA/);
    expect(new Set(index.flatMap(({ accounts = [] }) => accounts)).size).toBe(2);
    await build();
    const silver = await lake.query('select * from silver.plays');
    expect(silver).toHaveLength(5);
    for (const [pseudonym] of found) expect(silver.flat()).not.toContain(pseudonym);
  });
});

describe('names', () => {
  const chart =
    'Position,Track Name,Artist,Streams,URL\n1,Song,Ann,100,https://open.spotify.com/track/0000000000000000000001\n';
  const entries = (): Promise<unknown[][]> =>
    lake.query(`select chart, region, cast(period_start as varchar) from silver.chart_entries order by all`);
  const wrong = 'regional-global-daily-2020-01-31.csv';
  const right = 'regional-de-daily-2020-02-01.csv';

  it('a chart that is renamed to the right region and day is read again, and replaces what it was', async () => {
    await lake.give({ [wrong]: chart });
    await lake.load();
    await build();
    expect(await entries()).toEqual([['top200_daily', 'global', '2020-01-31']]);
    await rename(join(lake.source, wrong), join(lake.source, right));
    const result = await lake.load();
    expect(outcome(result, right)).toMatchObject({ status: 'loaded', rows: 1 });
    expect(result.warnings).toEqual([
      `source/${right}: was loaded as source/${wrong} before; what its name says now counts`,
    ]);
    expect((await build()).accounts).toEqual({ read: 1, new: 1, duplicate: 0, quarantined: 0 });
    expect(await entries()).toEqual([['top200_daily', 'de', '2020-02-01']]);
    expect(await lake.query('select region from bronze.charts_csv')).toEqual([['de']]);
    expect((await lake.load()).accounts).toEqual({ read: 1, new: 0, duplicate: 1, quarantined: 0 });
    expect((await build()).status).toBe('nothing_new');
    await build(true);
    expect(await entries()).toEqual([['top200_daily', 'de', '2020-02-01']]);
    await rename(join(lake.source, right), join(lake.source, wrong));
    await lake.load();
    await build();
    expect(await entries()).toEqual([['top200_daily', 'global', '2020-01-31']]);
  });

  it.each([
    ['both new', []],
    ['one stored before', [wrong]],
  ])('one content under two names that say different things is named, and the first stays: %s', async (_, before) => {
    await lake.give({ [right]: chart, [wrong]: chart });
    if (before.length > 0) await loadAs('me', ...before);
    const stored = before.length > 0 ? 'global' : 'de';
    for (let time = 0; time < 2; time += 1) {
      const { warnings } = await lake.load();
      expect(warnings).toEqual([
        expect.stringMatching(/regional-.*: the same file as .*regional-.*, which counts; delete the one/),
      ]);
      expect(await lake.query('select region from bronze.charts_csv')).toEqual([[stored]]);
    }
  });

  it('a chart in landing under its right name is not taken for known', async () => {
    await lake.give({ [wrong]: chart });
    await lake.load();
    const sourceKey = (await lake.index())[0]!.sourceKey;
    await lake.store.put(landingKey(sourceKey, right), chart);
    expect((await loadAs('me')).accounts.new).toBe(1);
    expect(await lake.query('select region from bronze.charts_csv')).toEqual([['de']]);
  });

  it('a name that says nothing changes nothing, nor does that of another copy', async () => {
    await lake.give({ [wrong]: chart, [GOOD]: good() });
    await lake.load();
    await lake.give({ 'copy/chart.csv': chart, 'copy/play.json': good() });
    const result = await loadAs('me', 'copy');
    expect([result.accounts, result.warnings]).toEqual([{ read: 2, new: 0, duplicate: 2, quarantined: 0 }, []]);
  });

  it('an export that its name calls one of videos is read again', async () => {
    await lake.give({ 'endsong_0.json': good() });
    await lake.load();
    await build();
    await rename(join(lake.source, 'endsong_0.json'), join(lake.source, 'endvideo.json'));
    expect((await lake.load()).accounts.new).toBe(1);
    expect((await build()).accounts).toEqual({ read: 2, new: 2, duplicate: 0, quarantined: 0 });
    expect(await lake.query('select content_type, count(*) from silver.plays group by 1')).toEqual([['video', 2n]]);
  });
});

describe('what was refused and is loaded by now', () => {
  const quarantined = (): Promise<unknown[][]> =>
    lake.query('select file_name, code from silver.quarantine order by all');
  const bad = (text: string): string => `${text.slice(0, -1)},`;

  it.each([[false], [true]])(
    'is not in quarantine any more: renamed, mended, an archive (rebuilt: %s)',
    async (isRebuilt) => {
      const chart = 'Position,Track Name,Artist,Streams,URL\n1,Song,Ann,100,https://open.spotify.com/track/0\n';
      await lake.give({
        'chart.csv': chart,
        'cut.zip': (await zipOf({ [GOOD]: good() })).subarray(0, 200),
        'cut.json': bad(good({ platform: 'a' })),
        'other.json': bad(good({ platform: 'b' })),
      });
      await lake.load();
      await build();
      expect(await quarantined()).toEqual([
        ['source/chart.csv', 'chart_date_missing'],
        ['source/cut.json', expect.any(String)],
        ['source/cut.zip', 'zip_invalid'],
        ['source/other.json', expect.any(String)],
      ]);
      await rename(join(lake.source, 'chart.csv'), join(lake.source, 'regional-de-daily-2020-02-01.csv'));
      await writeFile(join(lake.source, 'cut.zip'), await zipOf({ [GOOD]: good() }));
      await writeFile(join(lake.source, 'cut.json'), good({ platform: 'a' }));
      expect((await lake.load()).accounts).toMatchObject({ new: 3, quarantined: 1 });
      await build(isRebuilt);
      expect(await quarantined()).toEqual([['source/other.json', expect.any(String)]]);
      await rm(join(lake.source, 'other.json'));
    },
  );

  it('before silver was made of either: the accounts add up', async () => {
    await lake.give({ 'cut.json': bad(good()) });
    await lake.load();
    await lake.give({ 'cut.json': good() });
    await lake.load();
    expect((await build()).accounts).toEqual({ read: 2, new: 2, duplicate: 0, quarantined: 0 });
    expect(await quarantined()).toEqual([]);
  });

  it("the same name of another person's does not mend it", async () => {
    await lake.give({ 'cut.json': bad(good()) });
    await loadAs('anna', 'cut.json');
    await lake.give({ 'cut.json': good() });
    await loadAs('bert', 'cut.json');
    await build();
    expect(await quarantined()).toEqual([['cut.json', expect.any(String)]]);
  });
});

it('an export or an archive under the name of a text is read, a text is passed over', async () => {
  await lake.give({
    'history.txt': good(),
    'my_spotify_data.zip.txt': await zipOf({
      'a.json': exportOf(undefined, 1),
      'b.md': exportOf(undefined, 2),
      'c.txt': 'notes',
    }),
    'export.md': await zipOf({ 'a.json': exportOf(undefined, 3) }),
    'README.md': '[a link](https://example.org) to {"this"}',
    'notes.docx': await zipOf({ 'word/document.xml': '<x/>' }),
    'license.txt': '[]',
  });
  const result = await lake.load();
  const found = result.files.map(({ fileName, status, code }) => [fileName.slice('source/'.length), code ?? status]);
  expect(Object.fromEntries(found)).toEqual({
    'history.txt': 'loaded',
    'my_spotify_data.zip.txt/a.json': 'loaded',
    'my_spotify_data.zip.txt/b.md': 'loaded',
    'my_spotify_data.zip.txt/c.txt': 'ignored',
    'export.md/a.json': 'loaded',
    'README.md': 'ignored',
    'notes.docx': 'ignored',
    'license.txt': 'ignored',
  });
});

it('nothing is passed over in silence: links are named, data with a further ending is read', async () => {
  await lake.give({ [`${GOOD}.txt`]: good(), 'notes.txt': 'notes', 'other.csv.txt': 'a,b\n1,2\n' });
  await symlink(lake.source, join(lake.source, 'folder'));
  await symlink(join(lake.source, `${GOOD}.txt`), join(lake.source, 'link.json'));
  const result = await lake.load();
  const found = result.files.map(({ fileName, status, code }) => [fileName.slice('source/'.length), code ?? status]);
  expect(Object.fromEntries(found)).toEqual({
    [`${GOOD}.txt`]: 'loaded',
    folder: 'input_link',
    'link.json': 'input_link',
    'notes.txt': 'ignored',
    'other.csv.txt': expect.stringMatching(/unknown/),
  });
  expect(loadText(result)).toMatch(/source\/folder: .*link.*\n.*source\/link\.json: .*link/);
});
