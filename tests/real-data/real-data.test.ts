/**
 * Real files, read where they lie: `../shared/data` or LISTENLAKE_REAL_DATA. docs/real-data.md shows what
 * this finds.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { latestManifest, readManifest } from '../../jobs/lake/manifest.ts';
import type { FileAccounts } from '../../jobs/silver/accounts.ts';
import { listenlake, REAL_DATA, ROOT } from '../fixtures/command-line.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';
import { realDataOrSkip } from '../fixtures/layers.ts';

const isThere = realDataOrSkip() !== undefined;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-real-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function ask(lake: string, query: string): Promise<Record<string, unknown>[]> {
  const answer = await listenlake(['sql', '--lake', lake, '--target', 'prod', '--json', query]);
  expect([answer.code, answer.stderr]).toEqual([0, '']);
  return JSON.parse(answer.stdout);
}

(isThere ? describe : describe.skip)('real data', () => {
  it('every row of every folder is accounted for, as docs/real-data.md shows', async () => {
    const lake = join(folder, 'all');
    const run = await listenlake(['run', REAL_DATA, '--lake', lake]);
    // Some of these files are of kinds that no table is made of: refused, each with a reason, and the rest is
    // done.
    expect([run.code, run.stderr]).toEqual([65, '']);
    const store = await openFolderLake(lake);
    const last = (await latestManifest(store))!.sequence;
    const manifests = await Promise.all(Array.from({ length: last }, (_, index) => readManifest(store, index + 1)));
    const files = manifests.find((manifest) => manifest.job === 'transform')!.details.files as FileAccounts[];
    const sums = new Map<string, number[]>();
    for (const file of files) {
      const name = file.fileName.split('/').slice(1, -1).join('/').split('/').slice(0, 2).join('/');
      const sum = sums.get(name) ?? [0, 0, 0, 0, 0];
      sums.set(name, [
        sum[0]! + 1,
        sum[1]! + file.read,
        sum[2]! + file.new,
        sum[3]! + file.duplicate,
        sum[4]! + file.quarantined,
      ]);
    }
    for (const [, , fresh, duplicate, quarantined] of sums.values())
      expect(fresh! + duplicate! + quarantined!).toBeGreaterThanOrEqual(0);
    for (const file of files) expect(file.read).toBe(file.new + file.duplicate + file.quarantined);
    const rows = [...sums]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, sum]) => `| \`${name}\` | ${sum.map((value) => value.toLocaleString('en')).join(' | ')} |`);
    const total = [...sums.values()].reduce(
      (sum, row) => sum.map((value, index) => value + row[index]!),
      [0, 0, 0, 0, 0],
    );
    const table = [...rows, `| **all** | ${total.map((value) => value.toLocaleString('en')).join(' | ')} |`].join('\n');
    const page = readFileSync(join(ROOT, 'docs/real-data.md'), 'utf8');
    const shown = page.slice(page.indexOf('| `'), page.indexOf('\n\n', page.indexOf('| `')));
    expect(shown).toBe(table);
    expect(run.json.accounts).toEqual({ read: total[1], new: total[2], duplicate: total[3], quarantined: total[4] });

    // What changed against the first version: the column of now is what this run has made.
    const counted = await ask(lake, 'select layer, table_name, rows from record_counts');
    const now = new Map(counted.map(({ layer, table_name, rows: n }) => [`${layer}.${table_name}`, Number(n)]));
    const changes = [...page.matchAll(/^\| `((?:bronze|silver|gold)\.\w+)` \| (?:-|[\d,]+) \| ([\d,]+) \| \S.* \|$/gm)];
    expect(changes.length).toBeGreaterThan(8);
    expect(changes.map(([, name, n]) => [name, n])).toEqual(
      changes.map(([, name]) => [name, now.get(name!)?.toLocaleString('en')]),
    );

    const again = await listenlake(['run', REAL_DATA, '--lake', lake]);
    expect([again.code, again.json.status]).toEqual([0, 'nothing_new']);
  });

  it('recently-played-polls: 724 deliveries of 513 distinct plays; twice, or in another order, changes nothing', async () => {
    const lake = join(folder, 'polls');
    const file = join(REAL_DATA, 'recently-played-polls/window_2022-08_incremental.ndjson.gz');
    const run = await listenlake(['run', file, '--lake', lake]);
    expect([run.code, run.json.accounts]).toEqual([0, { read: 724, new: 513, duplicate: 211, quarantined: 0 }]);
    expect(
      await ask(lake, "select count(*) as plays, sum(copies) as copies from silver.plays where source = 'api'"),
    ).toEqual([{ plays: 513, copies: 724 }]);
    expect(
      await ask(
        lake,
        'select count(*) as polls, sum(items) as items, sum(new_items) as new_items from silver.capture_polls',
      ),
    ).toEqual([{ polls: 329, items: 724, new_items: 513 }]);
    expect(await ask(lake, 'select count(*) as plays from fct_plays')).toEqual([{ plays: 513 }]);

    // The same polls in two files, the later ones first.
    const lines = gunzipSync(await readFile(file))
      .toString('utf8')
      .trim()
      .split('\n');
    expect(lines).toHaveLength(329);
    const split = join(folder, 'split');
    for (const [name, part] of [
      ['b', lines.slice(150).reverse()],
      ['a', lines.slice(0, 200)],
    ] as const) {
      const path = join(folder, `${name}.ndjson`);
      await writeFile(path, `${part.join('\n')}\n`);
      expect((await listenlake(['run', path, '--lake', split])).code).toBe(0);
    }
    expect(await ask(split, 'select count(*) as plays from silver.plays')).toEqual([{ plays: 513 }]);
    const columns = 'play_id, content_uri, track_id, track_name, started_at, ended_at, duration_ms';
    const rows = `select ${columns} from silver.plays order by play_id`;
    expect(await ask(split, rows)).toEqual(await ask(lake, rows));
    const before = await fingerprint(lake);
    expect((await listenlake(['run', file, '--lake', lake])).json.status).toBe('nothing_new');
    expect(await fingerprint(lake)).toEqual(before);
  });

  it('charts: every rank of every file, with its period and its oddities', async () => {
    const lake = join(folder, 'charts');
    const folders = [
      'charts-daily-2017-2020',
      'charts-weekly-2022-2023',
      'charts-top50-daily',
      'spotify-2023',
      'top50-2019',
    ];
    const run = await listenlake([
      'run',
      ...folders.map((name) => join(REAL_DATA, name)),
      '--lake',
      lake,
      '--on-quarantine',
      'warn',
    ]);
    expect([run.code, run.stderr]).toEqual([0, '']);
    expect(
      await ask(
        lake,
        'select chart, count(*) as n, count(distinct period_start) as periods from silver.chart_entries group by 1 order by 1',
      ),
    ).toEqual([
      { chart: 'most_streamed_2023', n: 952, periods: 1 },
      { chart: 'top200_daily', n: 2200, periods: 11 },
      { chart: 'top200_weekly', n: 2000, periods: 10 },
      { chart: 'top50_2019', n: 50, periods: 1 },
      { chart: 'top50_daily', n: 700, periods: 14 },
      { chart: 'top_songs_by_year', n: 603, periods: 10 },
    ]);
    expect(
      await ask(
        lake,
        "select track_name, streams, previous_rank from silver.chart_entries where chart = 'top200_weekly' and period_end = date '2022-12-09' and rank in (1, 3) order by rank",
      ),
    ).toEqual([
      { track_name: 'All I Want for Christmas Is You', streams: 37016166, previous_rank: 5 },
      { track_name: "Creepin' (with The Weeknd & 21 Savage)", streams: 35126419, previous_rank: null },
    ]);
    expect(
      await ask(
        lake,
        "select track_name, popularity, duration_ms from silver.chart_entries where chart = 'top50_2019' and rank = 1",
      ),
    ).toEqual([{ track_name: 'Señorita', popularity: 79, duration_ms: 191000 }]);
    // The one text in a number column is refused with its value, and costs its row only.
    expect(await ask(lake, 'select code, row_number > 0 as has_row from silver.quarantine')).toEqual([
      { code: 'streams_invalid', has_row: true },
    ]);
  });

  it('tracks-tidytuesday-sample: features, genres and popularity by track id', async () => {
    const lake = join(folder, 'tracks');
    const run = await listenlake(['run', join(REAL_DATA, 'tracks-tidytuesday-sample'), '--lake', lake]);
    expect([run.code, run.json.accounts]).toEqual([0, { read: 1099, new: 1099, duplicate: 0, quarantined: 0 }]);
    expect(
      await ask(
        lake,
        "select danceability, key, tempo_bpm from silver.track_features where track_id = '6f807x0ima9a1j3VPbc7VN'",
      ),
    ).toEqual([{ danceability: 0.748, key: 6, tempo_bpm: 122.036 }]);
    const distinct = new Set(
      readFileSync(join(REAL_DATA, 'tracks-tidytuesday-sample/spotify_songs_small.csv'), 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => line.slice(0, 22)),
    );
    expect(await ask(lake, 'select count(*) as n from silver.track_features')).toEqual([{ n: distinct.size }]);
  });
});
