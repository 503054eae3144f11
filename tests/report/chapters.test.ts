import { artistsChapter } from '../../jobs/report/artists.ts';
import { calendarChapter } from '../../jobs/report/calendar.ts';
import { clockChapter } from '../../jobs/report/clock.ts';
import { discoveryChapter } from '../../jobs/report/discovery.ts';
import type { Figure } from '../../jobs/report/figure.ts';
import { formatMinutes } from '../../jobs/report/format.ts';
import { milestonesChapter } from '../../jobs/report/milestones.ts';
import type { Chapter, PersonReading } from '../../jobs/report/person.ts';
import { type Reading, readDefinitions, reader } from '../../jobs/report/reading.ts';
import { renderSvg } from '../../jobs/report/render.ts';
import { NARROW, WIDE } from '../../jobs/report/theme.ts';
import { rankChange, yearsChapter } from '../../jobs/report/years.ts';
import { type LakeFixture, openLakeFixture, publishProd, type Row } from '../fixtures/effects.ts';
import { events, HOSTILE, recentlyPlayed } from './report-data.ts';

const AS_OF = '2026-07-01';
const MINUTE = 60_000;
const CHAPTERS = {
  years: yearsChapter,
  calendar: calendarChapter,
  discovery: discoveryChapter,
  artists: artistsChapter,
  milestones: milestonesChapter,
  clock: clockChapter,
};
type Name = keyof typeof CHAPTERS;
/** The one who listened in ten years, but for three in the middle. */
const YEARS = [2016, 2017, 2018, 2019, 2023, 2024, 2025, 2026];
const SONGS = ['Night Bus', '夜の道', 'טיול', '👩‍👩‍👧‍👦 🎧', 'Éclair', HOSTILE.script, HOSTILE.long, HOSTILE.override];

let lake: LakeFixture;
beforeAll(async () => {
  lake = await openLakeFixture();
  await lake.commitSilver({
    plays: [...tenYears(), ...oneYear(), ...onePlay(), ...podcasts(), ...polled()],
    listening_events: events(),
    export_files: [exportOfTenYears()],
  });
  await publishProd(lake.effects, { runId: 'run-chapters', asOf: AS_OF });
});
afterAll(() => lake.close());

describe('the chapters of ten years with a gap of three', () => {
  it('draws every figure of every chapter in both layouts, and fills its table', async () => {
    const names: string[] = [];
    for (const name of Object.keys(CHAPTERS) as Name[]) {
      for (const figure of await figuresOf(name, 'ten')) {
        names.push(figure.name);
        expect(figure.table!.rows.length).toBeGreaterThan(0);
        for (const row of figure.table!.rows) expect(row).toHaveLength(figure.table!.columns.length);
        await expectDrawn(figure);
      }
    }
    expect(names).toEqual([
      'years',
      ...[...YEARS].reverse().map((year) => `year-${year}`),
      'calendar',
      'streaks',
      'discoveries-by-month',
      'best-discoveries',
      'rediscoveries',
      'artists-by-year',
      'obsessions',
      'milestones',
      'clock',
      'seasons',
      'traits',
    ]);
  });

  it('says which year was the biggest, how long it was, and which years are silent', async () => {
    const [all, newest] = await figuresOf('years', 'ten');
    const rows = await ask(
      "select year, minutes, plays from listening_years where user_id = 'ten' and year <> 'all' order by minutes desc, year",
    );
    const [year, minutes] = rows[0] as [string, number];
    expect(all!.title).toBe(`${year} was your biggest year: ${(minutes / 60).toFixed(0)} h`);
    expect(all!.takeaway).toBe('8 years with listening, 2016 to 2026. Nothing was heard in 2020, 2021 and 2022.');
    expect(Object.fromEntries(all!.table!.rows.map((row) => [row[0], row[2]]))).toEqual(
      Object.fromEntries(rows.map((row) => [row[0], row[1]])),
    );
    const labels = await labelsOf(all!);
    expect(labels).toContain('2021: nothing');
    expect(labels).toHaveLength(11);
    const [[change]] = (await ask("select change from listening_years where user_id = 'ten' and year = '2018'")) as [
      [number],
    ];
    const figure = (await figuresOf('years', 'ten')).find(({ name }) => name === 'year-2018')!;
    expect(figure.title).toContain(
      `, ${Math.round(Math.abs(change) * 100)}% ${change > 0 ? 'more' : 'less'} than the year before`,
    );
    const top = await ask(`
      select item_name from yearly_top
      where user_id = 'ten' and year = '2026' and kind = 'artist' and measure = 'minutes' and rank = 1`);
    expect(newest!.takeaway).toContain(String(top[0]![0]));
  });

  it('has each day of the calendar with its hours, and the longest streak with its dates', async () => {
    const [calendar, streaks] = await figuresOf('calendar', 'ten');
    const heard = await ask(`
      select local_date, cast(sum(played_ms) as bigint) from fct_plays where user_id = 'ten' group by local_date`);
    expect(calendar!.title).toMatch(new RegExp(`^You listened on ${heard.length.toLocaleString('en-US')} days of `));
    const labels = await labelsOf(calendar!);
    expect(labels.filter((label) => !label.endsWith('nothing')).sort()).toEqual(
      heard.map(([date, ms]) => `${date}: ${formatMinutes(Number(ms) / MINUTE)}`).sort(),
    );
    const [[first, days]] = (await ask(
      "select first_date, days from listening_streaks where user_id = 'ten' and is_longest",
    )) as [[string, number]];
    expect(streaks!.title).toMatch(new RegExp(`^Your longest streak: ${days} days, ${Number(first.slice(8))} `));
  });

  it('counts the discoveries of each month, and what stayed of them', async () => {
    const [months] = await figuresOf('discovery', 'ten');
    const [[found, stayed, judged]] = (await ask(`
      select
        count(*),
        cast(sum(case when stayed then 1 else 0 end) as bigint),
        count(stayed)
      from discoveries where user_id = 'ten' and kind = 'song' and not is_at_start`)) as [[number, number, number]];
    const sum = (index: number) => months!.table!.rows.reduce((total, row) => total + Number(row[index]), 0);
    expect([sum(1), sum(2), sum(1) - sum(3)]).toEqual([found, stayed, judged]);
  });

  it('follows the first artists from year to year', async () => {
    const [flow] = await figuresOf('artists', 'ten');
    const expected = await ask(`
      select year, item_name from yearly_top
      where user_id = 'ten' and year <> 'all' and kind = 'artist' and measure = 'minutes' and rank = 1 order by year`);
    expect(flow!.table!.rows.filter((row) => row[1] === 1).map((row) => [row[0], row[2]])).toEqual(expected);
  });

  it('puts the first play first among the milestones, and all of them into the table', async () => {
    const [timeline] = await figuresOf('milestones', 'ten');
    const [[count]] = (await ask("select count(*) from milestones where user_id = 'ten'")) as [[number]];
    expect(timeline!.table!.rows).toHaveLength(count);
    expect(timeline!.table!.rows[0]!.slice(0, 2)).toEqual(['1 Jan 2016', 'Your first play']);
    expect(timeline!.title).toMatch(/^It began on 1 Jan 2016/);
  });

  it('names the hour with the most minutes, and what each year was like in words', async () => {
    const figures = await figuresOf('clock', 'ten');
    const [[hour]] = (await ask(`
      select local_hour from listening_clock where user_id = 'ten'
      group by local_hour order by sum(minutes) desc, local_hour limit 1`)) as [[number]];
    expect(figures[0]!.title).toMatch(new RegExp(`^Your hour is ${String(hour).padStart(2, '0')}:00`));
    expect(await labelsOf(figures[0]!)).toHaveLength(24);
    const words = await ask("select in_words from listening_traits where user_id = 'ten' order by year, trait");
    expect(figures[2]!.table!.rows.map((row) => [row[3]])).toEqual(words);
  });
});

describe('the chapters of people with little', () => {
  it('tells one play as one year, one day, one milestone and one hour, and leaves the rest out with a line', async () => {
    expect((await figuresOf('years', 'once')).map(({ name }) => name)).toEqual(['year-2025']);
    expect((await figuresOf('calendar', 'once')).map(({ title }) => title)).toEqual([
      'You listened on 1 day of 1',
      'Your longest streak: 1 day, 5 May 2025',
    ]);
    expect((await chapter('discovery', 'once')) as object).toEqual({ missing: expect.stringContaining('90 days') });
    expect((await chapter('artists', 'once')) as object).toEqual({ missing: expect.stringContaining('one month') });
    expect((await figuresOf('milestones', 'once'))[0]!.title).toMatch(/^It began on 5 May 2025: /);
    expect((await figuresOf('clock', 'once')).map(({ name }) => name)).toEqual(['clock']);
  });

  it('tells podcasts alone by their shows', async () => {
    const [, newest] = await figuresOf('years', 'podcasts');
    expect(newest!.takeaway).toBe('No songs. Most of all the show \u2068Show 0\u2069.');
    expect((await chapter('artists', 'podcasts')) as object).toEqual({ missing: expect.stringContaining('artist') });
  });

  it('shows the months of a single year instead of its years', async () => {
    expect((await figuresOf('artists', 'year'))[0]!.name).toBe('artists-by-month');
  });

  it('counts plays where no length is known', async () => {
    const [year] = await figuresOf('years', 'polled');
    const [[plays]] = (await ask("select plays from listening_years where user_id = 'polled' and year = '2026'")) as [
      [number],
    ];
    expect(year!.title).toBe(`2026: ${plays} plays`);
  });

  it.each(['once', 'podcasts', 'year', 'polled'])('draws all that there is of %s', async (user) => {
    for (const name of Object.keys(CHAPTERS) as Name[]) {
      const told = await chapter(name, user);
      if ('section' in told) for (const figure of told.section.figures) await expectDrawn(figure);
    }
  });

  it('has one line for a user of events, for nobody, and for tables of an older version', async () => {
    for (const name of Object.keys(CHAPTERS) as Name[]) {
      expect(await chapter(name, 'user-1')).toEqual({ missing: expect.any(String) });
      expect(await chapter(name, 'nobody')).toEqual({ missing: expect.any(String) });
      const older = await CHAPTERS[name]({ ...(await readingOf('ten')), tables: new Set(['fct_plays']) });
      expect(older).toEqual({ missing: expect.stringMatching(/without [a-z_ ]+\. Give listenlake run/) });
    }
  });
});

it('tells how a rank moved', () => {
  const row = { rank: 3, previous_rank: 3, first_year: '2024' };
  expect(rankChange(row, '2025')).toBe('same');
  expect(rankChange({ ...row, previous_rank: 10 }, '2025')).toBe('↑ 7');
  expect(rankChange({ ...row, previous_rank: 1 }, '2025')).toBe('↓ 2');
  expect(rankChange({ ...row, previous_rank: null }, '2025')).toBe('back');
  expect(rankChange({ ...row, previous_rank: null }, '2024')).toBe('new');
});

async function readingOf(userId: string): Promise<PersonReading> {
  const definitions = readDefinitions();
  const rows = reader(lake.engine, 'prod', definitions);
  const tables = await rows<{ table_name: string }>(
    "select table_name from information_schema.tables where table_schema = 'gold_prod'",
  );
  const isTimed = userId !== 'polled';
  const totals = {} as Reading['totals'];
  return { rows, definitions, totals, isTimed, userId, tables: new Set(tables.map((table) => table.table_name)) };
}

async function chapter(name: Name, userId: string): Promise<Chapter> {
  return CHAPTERS[name](await readingOf(userId));
}

async function figuresOf(name: Name, userId: string): Promise<Figure[]> {
  const told = await chapter(name, userId);
  if ('missing' in told) throw new Error(told.missing);
  return told.section.figures;
}

async function ask(sql: string): Promise<(string | number | boolean | null)[][]> {
  const { rows } = await lake.engine.query(sql, { target: 'prod' });
  return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? Number(value) : value)));
}

/** Drawn within its layout, with nothing that ran away and no name that became a tag. */
async function expectDrawn(figure: Figure): Promise<void> {
  for (const layout of [WIDE, NARROW]) {
    const svg = await renderSvg(figure.chart!(layout));
    const [, width] = /viewBox="0 0 ([\d.]+) /.exec(svg)!;
    expect(Number(width)).toBeLessThanOrEqual(layout.width + 2);
    expect(svg).not.toMatch(/NaN|undefined|<script/);
  }
}

async function labelsOf(figure: Figure): Promise<string[]> {
  const svg = await renderSvg(figure.chart!(WIDE));
  return [...svg.matchAll(/aria-label="([^"]*)"/g)].map((match) => match[1]!);
}

/** A song or two a day in every second month, more of them and others as years go by. */
function tenYears(): Row[] {
  return YEARS.flatMap((year, place) =>
    daysOf(year)
      .filter((day) => day % 61 < 40 && Date.UTC(year, 0, 1 + day) < Date.parse(AS_OF))
      .flatMap((day) =>
        Array.from({ length: 1 + ((day + place) % 4) }, (_, index) => {
          const song =
            Math.min((day + index) % SONGS.length, (place + index) % SONGS.length) + SONGS.length * (place % 2);
          return play('ten', Date.UTC(year, 0, 1 + day, 7 + ((day * 3 + index) % 14), 10 * index), song);
        }),
      ),
  );
}

/** One export that covers all of it, so that silence is known to be silence. */
function exportOfTenYears(): Row {
  return {
    user_id: 'ten',
    source: 'export_extended',
    file_number: 0,
    stretch: 1,
    is_music: true,
    plays: 1000,
    first_at: '2016-01-01T00:00:00.000Z',
    last_at: '2026-06-30T23:00:00.000Z',
    source_key: 'file-ten',
  };
}

function oneYear(): Row[] {
  return Array.from({ length: 150 }, (_, day) => play('year', Date.UTC(2026, 0, 1 + day, 20), day % 11));
}

function onePlay(): Row[] {
  return [play('once', Date.UTC(2025, 4, 5, 12), 0)];
}

function podcasts(): Row[] {
  return Array.from({ length: 40 }, (_, index) => ({
    ...play('podcasts', Date.UTC(2024, 11, 1 + index, 12), 0),
    content_type: 'episode',
    content_uri: `spotify:episode:${index}`,
    track_id: null,
    track_name: `Episode ${index}`,
    artist_name: `Show ${index % 3 === 2 ? 1 : 0}`,
    album_name: `Show ${index % 3 === 2 ? 1 : 0}`,
  }));
}

function polled(): Row[] {
  return recentlyPlayed().map((row) => ({ ...row, play_id: `polled-${row.play_id}`, user_id: 'polled' }));
}

function daysOf(year: number): number[] {
  return Array.from({ length: year % 4 === 0 ? 366 : 365 }, (_, day) => day);
}

function play(user: string, at: number, song: number): Row {
  const playedMs = (song % 5 === 4 ? 2 : 4) * MINUTE;
  const isSkipped = song % 3 === 2;
  const text = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').slice(0, 23);
  const name = SONGS[song % SONGS.length]!;
  return {
    play_id: `${user}-${at}`,
    user_id: user,
    source: 'export_extended',
    content_type: 'track',
    content_uri: `spotify:track:story${String(song).padStart(17, '0')}`,
    track_id: `story${String(song).padStart(17, '0')}`,
    track_name: song < SONGS.length ? name : `${name.slice(0, 100)} again`,
    artist_name: song % 2 === 0 ? SONGS[(song + 1) % SONGS.length]!.slice(0, 200) : `Artist ${song}`,
    album_name: `Album ${song % 3}`,
    started_at: text(at - playedMs),
    ended_at: text(at),
    reported_at: text(at),
    played_ms: playedMs,
    device: 'ios',
    country: 'GB',
    reason_end: isSkipped ? 'fwdbtn' : 'trackdone',
    is_shuffle: song % 2 === 0,
    is_incognito: false,
    time_quality: 'exact',
  };
}
