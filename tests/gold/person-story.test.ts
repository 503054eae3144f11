/** A person's story from an export that can be counted by hand: each number here was. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipOf } from '../bronze/load-fixture.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { personExport } from '../fixtures/person-export.ts';

let folder: string;
let lake: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'listenlake-person-'));
  lake = join(folder, 'lake');
  const archive = join(folder, 'my_spotify_data.zip');
  const name = 'Spotify Extended Streaming History/Streaming_History_Audio_2024-2026_0.json';
  writeFileSync(archive, await zipOf({ [name]: JSON.stringify(personExport()) }));
  const run = await listenlake(['run', archive, '--lake', lake]);
  expect([run.code, run.stderr]).toEqual([0, '']);
  expect(run.json).toMatchObject({
    status: 'done',
    accounts: { read: 63, new: 63 },
    as_of: '2026-01-03T00:00:00.000Z',
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Rows of gold_prod, in the order of the question. */
async function rowsOf(sql: string): Promise<unknown[]> {
  const { code, stdout, stderr } = await listenlake(['sql', '--lake', lake, '--target', 'prod', '--json', sql]);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout).map((row: Record<string, unknown>) => Object.values(row));
}

it('years: minutes, plays, songs, artists, albums, what is new, repeats, change', async () => {
  // 2025: Harbour Lights 20 x 3 min, one skip of 5 s, 1 x 3 min; Paper Kites 11 x 4; Glass Stairs 6 x 200 s;
  // two plays of the podcast, 30 min. Private plays are in none of it, so Glass Stairs is new in 2025. The
  // change is 157.0833 / 34 - 1; of 2024 there is no year before, and 2026 is not over.
  expect(
    await rowsOf(`select year, round(minutes, 4), plays, song_plays, songs, artists, albums, new_songs, new_artists,
                         round(repeat_rate, 4), round(change, 4)
                  from listening_years order by year`),
  ).toEqual([
    ['2024', 34, 11, 11, 2, 1, 1, 2, 1, 0.8182, null],
    ['2025', 157.0833, 41, 39, 3, 2, 2, 1, 1, 0.9231, 3.6201],
    ['2026', 9.6667, 3, 3, 2, 2, 2, 0, 0, 0.3333, null],
    ['all', 200.75, 55, 53, 3, 2, 2, 3, 2, 0.9434, null],
  ]);
});

it('tops of 2025, with the rank of the year before', async () => {
  expect(
    await rowsOf(`select kind, measure, rank, item_name, round(value, 4), previous_rank
                  from yearly_top where year = '2025' order by kind, measure, rank`),
  ).toEqual([
    ['album', 'minutes', 1, 'Low Tide', 107.0833, 1],
    ['album', 'minutes', 2, 'Rooms', 20, null],
    ['album', 'plays', 1, 'Low Tide', 33, 1],
    ['album', 'plays', 2, 'Rooms', 6, null],
    ['artist', 'minutes', 1, 'Northern Pier', 107.0833, 1],
    ['artist', 'minutes', 2, 'Aunt Vera', 20, null],
    ['artist', 'plays', 1, 'Northern Pier', 33, 1],
    ['artist', 'plays', 2, 'Aunt Vera', 6, null],
    ['show', 'minutes', 1, 'The Long Table', 30, null],
    ['show', 'plays', 1, 'The Long Table', 2, null],
    ['song', 'minutes', 1, 'Harbour Lights', 63.0833, 1],
    ['song', 'minutes', 2, 'Paper Kites', 44, 2],
    ['song', 'minutes', 3, 'Glass Stairs', 20, null],
    ['song', 'plays', 1, 'Harbour Lights', 22, 1],
    ['song', 'plays', 2, 'Paper Kites', 11, 2],
    ['song', 'plays', 3, 'Glass Stairs', 6, null],
  ]);
});

it('streaks by local days: over New Year, and not for a day with nothing but a skip', async () => {
  expect(
    await rowsOf(
      'select first_date, last_date, days, is_longest, is_current from listening_streaks order by first_date',
    ),
  ).toEqual([
    ['2024-01-05', '2024-01-05', 1, false, false],
    ['2024-12-22', '2025-01-10', 20, true, false],
    ['2025-02-01', '2025-02-02', 2, false, false],
    ['2025-05-05', '2025-05-05', 1, false, false],
    ['2025-07-03', '2025-07-03', 1, false, false],
    ['2025-11-01', '2025-11-01', 1, false, false],
    ['2026-01-01', '2026-01-02', 2, false, true],
  ]);
});

it('milestones: the first play, the record day and week, first and last of each artist', async () => {
  expect(await rowsOf('select kind, number, local_date, value from milestones order by kind, number')).toEqual([
    ['artist_first', 1, '2024-01-05', expect.any(Number)],
    ['artist_first', 2, '2025-05-05', expect.any(Number)],
    ['artist_last', 1, '2026-01-02', expect.any(Number)],
    ['artist_last', 2, '2026-01-01', expect.any(Number)],
    ['first_play', 1, '2024-01-05', expect.any(Number)],
    // The long half of the podcast.
    ['record_day', 1, '2025-02-02', 20],
    // Harbour Lights from 30 December: two evenings, then twice a day from the 1st to the 5th.
    ['record_week', 1, expect.any(String), 12],
  ]);
});

it('discoveries: what was heard again, and what is still open', async () => {
  expect(
    await rowsOf(`select item_name, first_date, plays_30_days, plays_90_days, plays_365_days, stayed, is_at_start
                  from discoveries where kind = 'song' order by first_date`),
  ).toEqual([
    // The 365 days of a leap year end on 4 January, after the play of that morning.
    ['Paper Kites', '2024-01-05', 0, 0, 4, true, true],
    ['Harbour Lights', '2024-12-22', 29, 29, 31, true, false],
    ['Glass Stairs', '2025-05-05', 0, 5, null, null, false],
  ]);
});

it('obsessions: weeks from Monday, against the usual week', async () => {
  // The most played song of each week with songs: 1, 1, 7, 12, 10, 1, 5, 1, 2 plays; the median is 2.
  expect(
    await rowsOf(`select week_start, item_name, plays, round(share, 4), times_usual
                  from obsessions where kind = 'song' order by week_start`),
  ).toEqual([
    ['2024-12-23', 'Harbour Lights', 7, 1, 3.5],
    ['2024-12-30', 'Harbour Lights', 12, 0.6429, 6],
    ['2025-01-06', 'Harbour Lights', 10, 0.6, 5],
    ['2025-06-30', 'Glass Stairs', 5, 1, 2.5],
  ]);
});

it('rediscoveries: a song that was away for half a year', async () => {
  // Paper Kites was away longer, but had been heard once. From the 3rd of July in New York to New Year in
  // Tokyo are 182 days. The skip counts among the plays before. The 90 days after are not over.
  expect(
    await rowsOf(`select song_name, left_date, returned_date, gap_days, plays_before, plays_90_days
                  from rediscoveries order by returned_at`),
  ).toEqual([
    ['Harbour Lights', '2025-01-10', '2025-11-01', 295, 31, null],
    ['Glass Stairs', '2025-07-03', '2026-01-01', 182, 6, null],
  ]);
});

it('artists by month, and the hours of a winter', async () => {
  expect(
    await rowsOf(`select artist_name, plays, round(minutes, 4), round(share, 4), rank
                  from artist_evolution where month_start = date '2025-05-01' order by rank`),
  ).toEqual([
    ['Northern Pier', 2, 4.0833, 0.5506, 1],
    ['Aunt Vera', 1, 3.3333, 0.4494, 2],
  ]);
  // Winter weeks with a play begin on 1 January, 16, 23 and 30 December, 6 and 27 January, and 29 December of
  // 2025. Wednesdays at eight: 1 and 8 January, each 3 + 3 + 4 min.
  expect(
    await rowsOf(`select plays, minutes, weeks, round(minutes_per_week, 4) from listening_clock
                  where season = 'winter' and local_weekday = 3 and local_hour = 8`),
  ).toEqual([[6, 20, 7, 2.8571]]);
  expect(await rowsOf('select count(*) from listening_traits')).toEqual([[0]]); // no year of 100 plays
});

it('the report tells of the podcast and of what is left out', () => {
  const page = readFileSync(join(lake, 'report/report.html'), 'utf8');
  expect(page).toContain('The Long Table');
  expect(page).toContain('Left out: 8 plays of private sessions');
  const operator = readFileSync(join(lake, 'report/operator.html'), 'utf8');
  expect(operator).toContain('without 8 plays of private sessions');
});
