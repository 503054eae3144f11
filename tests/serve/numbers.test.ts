/**
 * What the dashboard shows equals SQL: for three people and for everybody, every kind of filter, two periods,
 * prod and a dev that differs from it. The statements are written here, and DuckDB answers them from the
 * lake's own file, without the dashboard's code.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { cleanText } from '../../jobs/report/format.ts';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { type Cell, cellsOf, type Dashboard, type ShownPage, startDashboard } from './shown.ts';

const PEOPLE = ['person-1', 'person-2', 'person-3'] as const;
const TARGETS = ['prod', 'dev'] as const;
const PERIODS = [
  { from: '2025-12-01', to: '2026-02-14' },
  { from: '2026-05-01', to: '2026-09-30' },
] as const;
const WEEKDAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

type Person = (typeof PEOPLE)[number] | '*';
type Target = (typeof TARGETS)[number];
type Query = Record<string, string>;

const work = mkdtempSync(join(tmpdir(), 'listenlake-numbers-'));
const root = join(work, 'lake');
const dashboards = {} as Record<Target, Dashboard>;
let database: DuckDBInstance;

/** The export of one person, with events of other users beside the first one's. */
async function sourceOf(seed: number, plays: number): Promise<string> {
  const folder = join(work, `source-${seed}`);
  const events = { users: seed === 1 ? 4 : 0, days: 14, tracks: 60 };
  const person = { exportPlays: plays, exportYears: 1, polls: 0, faults: true };
  await generateIntoFolder({ seed, end: '2026-11-01', ...events, ...person }, folder);
  return folder;
}

async function ran(...args: string[]): Promise<void> {
  const { code, stderr } = await listenlake([...args, '--lake', root, '--quiet']);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
}

beforeAll(async () => {
  await ran('load', await sourceOf(1, 1_500), '--user', 'person-1');
  await ran('load', await sourceOf(2, 1_100), '--user', 'person-2');
  await ran('run', await sourceOf(3, 1_300), '--user', 'person-3', '--no-report', '--on-quarantine', 'warn');
  // Further plays of each, which only dev shows.
  for (const [at, user] of PEOPLE.entries()) await ran('load', await sourceOf(4 + at, 300), '--user', user);
  await ran('transform', '--on-quarantine', 'warn');
  await ran('enrich');
  for (const target of TARGETS)
    dashboards[target] = await startDashboard(['--lake', root, '--target', target, '--quiet']);
  database = await DuckDBInstance.create(join(root, 'lake.duckdb'), { access_mode: 'READ_ONLY' });
}, 1_800_000);
afterAll(async () => {
  for (const target of TARGETS) {
    if (dashboards[target] !== undefined) expect(await dashboards[target].close()).toEqual({ code: 0, stderr: '' });
  }
  database?.closeSync();
  rmSync(work, { recursive: true, force: true });
});

/** Rows of a statement on one gold: whole numbers as numbers, names as pages print them. */
async function sql(target: Target, statement: string): Promise<Cell[][]> {
  const connection = await database.connect();
  try {
    await connection.run(`use gold_${target}`);
    const rows = (await connection.runAndReadAll(statement)).getRowsJS();
    return rows.map((row) =>
      row.map((value) => {
        if (typeof value === 'bigint') return Number(value);
        return typeof value === 'string' ? cleanText(value) : (value as Cell);
      }),
    );
  } finally {
    connection.closeSync();
  }
}

/** What the address says, as a condition on fct_plays. */
function conditionOf({ person, from, to, country, device, private: isPrivate }: Query): string {
  const among = (column: string, value: string | undefined) => {
    if (value === undefined) return 'true';
    return value === 'unknown' ? `(${column} is null or ${column} = 'unknown')` : `${column} = '${value}'`;
  };
  return [
    'is_implausible = false',
    isPrivate === 'in' ? 'true' : 'is_incognito is distinct from true',
    person === '*' ? 'true' : `user_id = '${person}'`,
    from === undefined ? 'true' : `local_date >= '${from}'`,
    to === undefined ? 'true' : `local_date <= '${to}'`,
    among('country', country),
    among('device', device),
  ].join(' and ');
}

/** Minutes of a group; null where no play of the page says how long it was. */
const minutesOf = (where: string): string =>
  `case when (select sum(played_ms) from fct_plays where ${where}) > 0
     then sum(coalesce(played_ms, 0))::bigint / 60000.0::double end`;

const addressOf = (path: string, query: Query): string => `${path}?${new URLSearchParams(query)}`;

/** Countries and devices of somebody's plays, those with the most first. */
async function valuesOf(target: Target, person: Person, column: 'country' | 'device'): Promise<string[]> {
  const rows = await sql(
    target,
    `select ${column} from fct_plays where ${conditionOf({ person, private: 'in' })}
       and ${column} is not null and ${column} <> 'unknown' group by 1 order by count(*) desc, 1`,
  );
  return rows.map(([value]) => String(value));
}

/** No filter, each filter alone, and all at once. */
async function queriesOf(target: Target, person: Person): Promise<Query[]> {
  const [countries, devices] = [await valuesOf(target, person, 'country'), await valuesOf(target, person, 'device')];
  expect([countries.length > 1, devices.length > 1]).toEqual([true, true]);
  const shown = (values: string[]): string[] => [
    ...(person === '*' ? values.slice(0, 6) : values.slice(0, 2)),
    'unknown',
  ];
  const queries: Query[] = [
    {},
    ...PERIODS,
    { from: PERIODS[1].from },
    { to: PERIODS[0].to },
    ...shown(countries).map((country) => ({ country })),
    ...shown(devices).map((device) => ({ device })),
    { private: 'in' },
    { private: 'out' },
    { ...PERIODS[1], country: countries[0]!, device: devices[0]!, private: 'in' },
  ];
  return queries.map((query) => ({ person, ...query }));
}

async function expectTiles({ tiles }: ShownPage, target: Target, where: string): Promise<void> {
  const [[plays, ms, songs, artists, days, skipped, judged]] = (await sql(
    target,
    `select count(*), coalesce(sum(played_ms), 0)::bigint, count(distinct song_key), count(distinct artist_id),
       count(distinct local_date), count_if(verdict = 'skipped'), count_if(verdict in ('skipped', 'finished'))
     from fct_plays where ${where}`,
  )) as [number[]];
  const count = (label: string): number => Number(tiles[label]!.replaceAll(',', ''));
  expect(['Plays', 'Songs', 'Artists', 'Days with plays'].map(count)).toEqual([plays, songs, artists, days]);
  // Rounded to a minute, a tenth of an hour, or an hour.
  const [, time, unit] = /^<?([\d,.]+) (min|h)$/.exec(tiles['Listening time'] ?? '') ?? [];
  expect(time === undefined).toBe(ms === 0);
  const shown = Number(time?.replaceAll(',', '') ?? 0) * (unit === 'h' ? 60 : 1);
  const step = unit === 'h' ? (time!.includes('.') ? 6 : 60) : 2;
  expect(Math.abs(shown - ms! / 60_000)).toBeLessThanOrEqual(step / 2);
  if (judged! > 0) expect(Number.parseFloat(tiles['Skip rate']!)).toBeCloseTo((100 * skipped!) / judged!, 0);
}

const KINDS = [
  ['artist', 'artist_id', 'dim_artists', 'artist_name', ['Artist']],
  ['song', 'song_key', 'dim_songs', 'song_name', ['Song', 'Artist']],
  ['album', 'album_id', 'dim_albums', 'album_name', ['Album', 'Artist']],
] as const;
const COUNTED = ['Plays', 'Minutes', 'Skipped', 'Finished', 'First', 'Last'];

/** The lists of artists, songs and albums: each cell, and what each bar says. */
async function expectTops(page: ShownPage, target: Target, where: string): Promise<void> {
  for (const [kind, key, table, name, labels] of KINDS) {
    const rows = await sql(
      target,
      `select ${labels.length === 2 ? `any_value(n.${name}), any_value(n.artist_name)` : `any_value(n.${name})`},
         count(*), ${minutesOf(where)}, count_if(p.verdict = 'skipped'),
         count_if(p.verdict = 'finished'), min(p.local_date)::varchar, max(p.local_date)::varchar
       from fct_plays p left join ${table} n on n.${key} = p.${key}
       where p.${key} is not null and ${where.replaceAll(/\b(user_id|local_date|country|device|is_\w+)\b/g, 'p.$1')}
       group by p.${key} order by count(*) desc, sum(coalesce(p.played_ms, 0)) desc, p.${key} limit 15`,
    );
    const figure = `top-${kind}s`;
    expect({ figure, rows: cellsOf(page, figure, [...labels, ...COUNTED]) }).toEqual({ figure, rows });
    const marks = page.figures.get(figure)!.marks.map((said) => /^(\d+)\. .*: ([\d,]+) plays?/s.exec(said)!.slice(1));
    expect({ figure, marks }).toEqual({
      figure,
      marks: rows.slice(0, 10).map((row, at) => [`${at + 1}`, Number(row[labels.length]).toLocaleString('en-US')]),
    });
  }
}

/** The chart by month or day, and the one by hour of the week. */
async function expectTimes(page: ShownPage, target: Target, where: string): Promise<void> {
  const step = page.figures.has('listening-by-day') ? 'day' : 'month';
  const rows = await sql(
    target,
    `select date_trunc('${step}', local_date)::date::varchar, count(*), ${minutesOf(where)}
     from fct_plays where ${where} group by 1 order by 1`,
  );
  const shown = cellsOf(page, `listening-by-${step}`, [step === 'day' ? 'Day' : 'Month', 'Plays', 'Minutes']);
  const sums = new Map<string, [plays: number, minutes: number]>();
  for (const [label, plays, minutes] of shown) {
    const date = new Date(`${step === 'day' ? '' : '1 '}${label} UTC`).toISOString().slice(0, 10);
    const sum = sums.get(date) ?? [0, 0];
    sums.set(date, [sum[0] + Number(plays), sum[1] + Number(minutes)]);
  }
  const found = [...sums].filter(([, [plays]]) => plays > 0);
  expect(found.map(([date, [plays]]) => [date, plays])).toEqual(rows.map(([date, plays]) => [date, plays]));
  for (const [at, [, , minutes]] of rows.entries()) expect(found[at]![1][1]).toBeCloseTo(Number(minutes), 6);
  const hours = await sql(
    target,
    `select local_weekday, local_hour, count(*), ${minutesOf(where)}
     from fct_plays where ${where} group by 1, 2 order by 1, 2`,
  );
  const cells = cellsOf(page, 'hours-of-the-week', ['Weekday', 'Hour', 'Plays', 'Minutes']);
  expect(
    cells.flatMap(([weekday, hour, plays, minutes]) =>
      plays === 0 ? [] : [[WEEKDAYS.indexOf(String(weekday)) + 1, Number(String(hour).slice(0, 2)), plays, minutes]],
    ),
  ).toEqual(hours);
}

/** Devices, countries and skipped artists: numbers in their order; names there are words of ours. */
async function expectPlaces(page: ShownPage, target: Target, where: string): Promise<void> {
  const sums = `count(*), ${minutesOf(where)}`;
  if ((page.figures.get('devices')?.rows.length ?? 0) > 0) {
    const devices = await sql(
      target,
      `select ${sums} from fct_plays where ${where} group by coalesce(device, 'unknown')
       order by 2 desc, 1 desc, coalesce(device, 'unknown') limit ${page.figures.get('devices')!.rows.length}`,
    );
    expect(cellsOf(page, 'devices', ['Plays', 'Minutes'])).toEqual(devices);
  }
  if ((page.figures.get('countries')?.rows.length ?? 0) > 0) {
    const countries = await sql(
      target,
      `select ${sums}, count(distinct local_date) from fct_plays where ${where} and country is not null
       group by country order by 1 desc, 2 desc, 3 desc`,
    );
    const shown = cellsOf(page, 'countries', ['Plays', 'Minutes', 'Days']);
    const text = (row: Cell[]): string => row.join(' ');
    expect(countries.map(text)).toEqual(expect.arrayContaining(shown.map(text)));
    expect(new Set(shown.map(text)).size).toBeGreaterThan(0);
  }
  const skips = page.figures.get('skipped-artists');
  if ((skips?.rows.length ?? 0) === 0) return;
  const artists = await sql(
    target,
    `select any_value(a.artist_name), count_if(verdict = 'skipped'), count_if(verdict in ('skipped', 'finished'))
     from (select * from fct_plays where ${where}) p join dim_artists a using (artist_id) group by artist_id`,
  );
  const shown = cellsOf(page, 'skipped-artists', ['Artist', 'Skipped', 'With a verdict']);
  for (const row of shown) expect(artists).toContainEqual(row);
}

/** A download, as another program reads it. */
async function csv(target: Target, address: string): Promise<Cell[][]> {
  const file = join(work, 'download.csv');
  writeFileSync(file, await dashboards[target].text(address));
  return sql(
    target,
    `select * from read_csv('${file}', header = true, all_varchar = true, quote = '"', escape = '"', delim = ',')`,
  );
}

describe.each(TARGETS)('gold_%s', (target) => {
  it.each([...PEOPLE, '*'] as const)('the overview of %s is what SQL says, with every filter', async (person) => {
    const seen = new Set<string>();
    for (const query of await queriesOf(target, person)) {
      const where = conditionOf(query);
      const page = await dashboards[target].page(addressOf('/', query));
      const [[plays]] = (await sql(target, `select count(*) from fct_plays where ${where}`)) as [[number]];
      if (plays === 0) {
        expect([query, page.tiles]).toEqual([query, {}]);
        continue;
      }
      seen.add(page.tiles.Plays!);
      await expectTiles(page, target, where);
      await expectTimes(page, target, where);
      await expectTops(page, target, where);
      await expectPlaces(page, target, where);
    }
    // Filters that narrow nothing would show one number again and again.
    expect(seen.size).toBeGreaterThan(6);
  });

  it.each(PEOPLE)('a download of %s has the rows of its page', async (person) => {
    for (const query of [{ person }, { person, ...PERIODS[0] }]) {
      const page = await dashboards[target].page(addressOf('/', query));
      for (const [name, { rows, columns }] of page.figures) {
        const shown = await csv(target, addressOf(`/download/overview/${name}.csv`, query));
        expect([name, shown.length]).toEqual([name, rows.length]);
        const numbers = columns.flatMap((_, at) => (rows.some((row) => typeof row[at] === 'number') ? [at] : []));
        for (const [line, row] of rows.entries())
          expect(numbers.map((at) => (row[at] === null ? null : Number(shown[line]![at])))).toEqual(
            numbers.map((at) => row[at]),
          );
      }
    }
  });

  it.each(PEOPLE)('two periods of %s side by side are what SQL says', async (person) => {
    const [country] = (await valuesOf(target, person, 'country')) as [string];
    for (const more of [{}, { country }, { private: 'in' }] as Query[]) {
      const [one, two] = PERIODS;
      const query = { person, ...more, ...one, from2: two.from, to2: two.to };
      const page = await dashboards[target].page(addressOf('/compare', query));
      const expected: Cell[][] = [];
      for (const period of PERIODS) {
        const where = conditionOf({ person, ...more, ...period });
        expected.push(
          ...(await sql(
            target,
            `select count(*), nullif(sum(played_ms), 0)::bigint / 3600000.0::double, count(distinct song_key),
               count(distinct artist_id), count(distinct local_date),
               100.0::double * count_if(verdict = 'skipped') / count_if(verdict in ('skipped', 'finished'))
             from fct_plays where ${where}`,
          )),
        );
      }
      const shown = page.figures.get('two-sums')!.rows;
      expect(shown.map((row) => row.slice(1, 3))).toEqual(
        expected[0]!.map((first, at) => [
          expect.closeTo(Number(first), 6),
          expect.closeTo(Number(expected[1]![at]), 6),
        ]),
      );
      expect(expected[0]).not.toEqual(expected[1]);
      const artists: Cell[][] = [];
      for (const period of PERIODS)
        artists.push(
          ...(await sql(
            target,
            `select row_number() over (order by count(*) desc, sum(coalesce(played_ms, 0)) desc, artist_id),
               (select artist_name from dim_artists a where a.artist_id = p.artist_id), count(*)
             from fct_plays p where artist_id is not null and ${conditionOf({ person, ...more, ...period })}
             group by artist_id order by 1 limit 10`,
          )),
        );
      expect(cellsOf(page, 'two-artists', ['Rank', 'Artist', 'Plays'])).toEqual(artists);
    }
  });

  it.each(PEOPLE)('the pages of what %s played most, and the story, are what SQL says', async (person) => {
    for (const query of [{ person }, { person, ...PERIODS[1] }] as Query[])
      for (const [kind, key] of KINDS) {
        const where = conditionOf(query);
        const [[item]] = (await sql(
          target,
          `select ${key} from fct_plays where ${key} is not null and ${where} group by 1 order by count(*) desc, 1 limit 1`,
        )) as [[string]];
        const page = await dashboards[target].page(addressOf(`/${kind}`, { ...query, key: item }));
        const only = `${where} and ${key} = '${item.replaceAll("'", "''")}'`;
        await expectTiles(page, target, only);
        await expectTimes(page, target, only);
      }
    const story = await dashboards[target].page(addressOf('/story', { person }));
    const where = conditionOf({ person });
    await expectTimes(story, target, where);
    await expectPlaces(story, target, where);
    const years = await sql(
      target,
      `select year(local_date)::varchar, count(*), ${minutesOf(where)},
         count(distinct song_key), count(distinct artist_id)
       from fct_plays where ${where} group by 1 order by 1`,
    );
    const shown = cellsOf(story, 'years', ['Year', 'Plays', 'Minutes', 'Songs', 'Artists']);
    expect(shown.map((row) => [String(row[0]), ...row.slice(1)]).sort()).toEqual(years);
  });
});

it('dev shows what prod does not have yet', async () => {
  for (const person of PEOPLE) {
    const [prod, dev] = [
      await dashboards.prod.page(addressOf('/', { person })),
      await dashboards.dev.page(addressOf('/', { person })),
    ];
    expect(dev.html).toContain('A draft: from gold_dev');
    expect(prod.html).not.toContain('A draft');
    expect(Number(dev.tiles.Plays!.replace(',', ''))).toBeGreaterThan(Number(prod.tiles.Plays!.replace(',', '')));
  }
});
