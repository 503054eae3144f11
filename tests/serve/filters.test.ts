import { gzipSync } from 'node:zlib';
import { serve } from '../../jobs/serve.ts';
import { type LakeFixture, openLakeFixture, publishProd } from '../fixtures/effects.ts';
import { AS_OF, events, ownPlays, sources, trackGenres } from '../report/report-data.ts';
import { readFigures, textOf, unfilledIn } from '../report/report-page.ts';

/** Every filter, and the condition that it is in SQL. */
const FILTERS: [query: string, condition: string][] = [
  ['', 'not is_incognito'],
  ['from=2026-03-01', `not is_incognito and local_date >= date '2026-03-01'`],
  ['to=2026-03-31', `not is_incognito and local_date <= date '2026-03-31'`],
  ['country=DE', `not is_incognito and country = 'DE'`],
  ['device=ios', `not is_incognito and device = 'ios'`],
  ['private=in', 'true'],
];
const PATHS = ['/', '/story', '/compare', '/events', '/catalogue', '/model', '/data'];
/** Of a page with its charts, its font and its style, as it goes over the wire. */
const PAGE_MAX_BYTES = 500_000;

let lake: LakeFixture;
let base: string;
const controller = new AbortController();
let ended: Promise<void>;

beforeAll(async () => {
  lake = await openLakeFixture();
  await lake.commitSilver({
    plays: ownPlays(),
    listening_events: events(),
    track_genres: trackGenres(),
    chart_entries: chartEntries(),
    ...sources(),
  });
  await publishProd(lake.effects, { runId: 'run-filters', asOf: AS_OF });
  const address = await new Promise<string>((resolve, reject) => {
    const effects = { ...lake.effects, signal: controller.signal };
    ended = serve({ host: '127.0.0.1', port: 0, target: 'prod', onListening: resolve }, effects);
    ended.catch(reject);
  });
  base = address.slice(0, -1);
});
afterAll(async () => {
  controller.abort();
  await ended;
  await lake.close();
});

/** Three weeks of a chart of two regions, in which songs change their places. */
function chartEntries() {
  const weeks = ['2026-03-06', '2026-03-13', '2026-03-20'];
  return ['global', 'de'].flatMap((region) =>
    weeks.flatMap((week, index) =>
      Array.from({ length: 10 }, (_, song) => ({
        ...{ chart: 'top200_weekly', region, period_start: week },
        period_end: new Date(Date.parse(week) + 7 * 86_400_000).toISOString().slice(0, 10),
        rank: ((song + 3 * index) % 10) + 1,
        ...{ track_id: `chart${region}track${song}`.padEnd(22, '0').slice(0, 22) },
        ...{ track_name: `Song ${song} of ${region}`, artist_name: `Band ${song}`, streams: 1_000 - song },
      })),
    ),
  );
}

async function get(path: string): Promise<{ status: number; html: string }> {
  const answer = await fetch(base + path, { redirect: 'manual' });
  return { status: answer.status, html: await answer.text() };
}

async function ask(sql: string): Promise<(number | string | null)[][]> {
  const { rows } = await lake.engine.query(sql, { target: 'prod' });
  return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? Number(value) : (value as string))));
}

function noticesOf(html: string): string[] {
  return [...html.matchAll(/<p class="notice">(.*?)<\/p>/gs)].map(([, text]) => textOf(text!));
}

function rowsOf(html: string, figure: string) {
  return readFigures(html).get(figure)!.rows!;
}

describe.each(FILTERS)('with the filter %j', (query, condition) => {
  const counted = `not is_implausible and ${condition}`;
  const with_ = (path: string): string => (query === '' ? path : `${path}?${query}`);

  it('Events shows the users of each day as SQL counts them', async () => {
    const expected = await ask(
      `select cast(played_date as varchar), count(distinct user_id) from fct_plays where ${counted} group by 1 order by 1`,
    );
    expect(expected.length).toBeGreaterThan(10);
    expect(rowsOf((await get(with_('/events'))).html, 'daily-users')).toEqual(expected);
  });

  it('Events shows the plays of each country, and leads to them', async () => {
    const { html } = await get(with_('/events'));
    const expected = await ask(
      `select count(*) from fct_plays where ${counted} group by coalesce(country, 'unknown') order by 1 desc`,
    );
    expect(rowsOf(html, 'countries-of-users').map((row) => row[1])).toEqual(expected.flat());
    expect(html).toContain('href="/events?country=DE"');
  });

  it('Model shows the skips of each month', async () => {
    const expected = await ask(
      `select count(*), count(case when verdict = 'skipped' then 1 end) from fct_plays where ${counted} and verdict in ('skipped', 'finished') group by date_trunc('month', local_date) having count(*) >= 10 order by date_trunc('month', local_date)`,
    );
    expect(expected.length).toBeGreaterThan(0);
    expect(rowsOf((await get(with_('/model'))).html, 'skips-by-month').map((row) => row.slice(1, 3))).toEqual(expected);
  });

  it('Data shows where the plays came from', async () => {
    const expected = await ask(
      `select count(*) from fct_plays where ${counted} group by source order by 1 desc, source`,
    );
    expect(rowsOf((await get(with_('/data'))).html, 'sources').map((row) => row[1])).toEqual(expected.flat());
  });

  it('Story narrows the chapters that count plays, and no other', async () => {
    const [[plays]] = (await ask(`select count(*) from fct_plays where user_id = 'me' and ${counted}`)) as [[number]];
    const { html } = await get(with_('/story'));
    const figure = [...readFigures(html)].find(([name]) => /^listening-by-(?:month|day)$/.test(name))![1];
    expect(figure.rows!.reduce((sum, row) => sum + Number(row[1]), 0)).toBe(plays);
    const whole = readFigures((await get('/story')).html);
    expect(rowsOf(html, 'calendar')).toEqual(whole.get('calendar')!.rows);
    expect(rowsOf(html, 'milestones')).toEqual(whole.get('milestones')!.rows);
  });

  it('says what does not follow it', async () => {
    for (const path of ['/story', '/events', '/model', '/data'] as const) {
      const said = noticesOf((await get(with_(path))).html).filter((text) => text.startsWith('Filters: '));
      expect({ path, said }).toEqual({ path, said: query === '' ? [] : [expect.stringMatching(/follow/)] });
    }
  });
});

it('follows the person where a page is of everybody at first', async () => {
  const [[mine]] = (await ask(
    `select count(*) from fct_plays where user_id = 'me' and not is_incognito and not is_implausible`,
  )) as [[number]];
  const playsOf = async (path: string): Promise<number> =>
    rowsOf((await get(path)).html, 'sources').reduce((sum, row) => sum + Number(row[1]), 0);
  expect(await playsOf('/data?person=me')).toBe(mine);
  expect(await playsOf('/data')).toBeGreaterThan(mine);
});

it.each([
  ['/?person=me', 'devices'],
  ['/?person=me', 'listening-by-month'],
  ['/story?person=me', 'devices'],
])('leads from a row to its plays alone: %s, %s', async (path, figure) => {
  const { html } = await get(path);
  const markup = new Map(figuresIn(html)).get(figure)!;
  const plays = readFigures(html)
    .get(figure)!
    .rows!.map((row) => Number(row[1]));
  const links = [...markup.matchAll(/<td><a href="([^"]+)">/g)].map(([, link]) => link!.replaceAll('&#38;', '&'));
  expect(links).toHaveLength(plays.length);
  const [most] = [...plays.keys()].sort((a, b) => plays[b]! - plays[a]!);
  const narrowed = readFigures((await get(links[most!]!)).html);
  const [, { rows }] = [...narrowed].find(([name]) => name === 'devices')!;
  expect(rows!.reduce((sum, row) => sum + Number(row[1]), 0)).toBe(plays[most!]);
});

describe('charts over time', () => {
  it('shows the places of the songs that are first now, of each chart', async () => {
    const { html } = await get('/catalogue');
    const figures = [...readFigures(html)].filter(([name]) => name.startsWith('places-'));
    expect(figures).toHaveLength(2);
    for (const [name, { rows }] of figures) {
      expect(rows).toHaveLength(3 * 8);
      const svg = (await get(`/download/catalogue/${name}.svg`)).html;
      for (const [date, place, song] of rows!) expect(svg).toContain(`${song}, ${date}: place ${place}`);
    }
  });

  it('follows the period, and a country as the region of a chart', async () => {
    const { html } = await get('/catalogue?country=DE&from=2026-03-10');
    const figures = [...readFigures(html)].filter(([name]) => name.startsWith('places-'));
    expect(figures).toHaveLength(1);
    const expected = await ask(
      `select distinct cast(period_start as varchar) from fct_chart_entries where region = 'de' and period_start >= date '2026-03-10' order by 1`,
    );
    expect([...new Set(figures[0]![1].rows!.map(([date]) => date))]).toEqual(expected.flat());
    expect(rowsOf(html, 'first-places')).toHaveLength(2);
  });
});

describe('every page', () => {
  it.each(PATHS)('%s gives each figure its ways out, and stays small', async (path) => {
    const { html } = await get(path);
    expect(unfilledIn(html)).toEqual([]);
    for (const kind of ['section', 'figure']) {
      const ids = [...html.matchAll(new RegExp(`<${kind} id="([^"]+)"`, 'g'))].map(([, id]) => id);
      expect(ids).toEqual([...new Set(ids)]);
    }
    expect(gzipSync(html).length).toBeLessThan(PAGE_MAX_BYTES);
    const name = path === '/' ? 'overview' : path.slice(1);
    for (const [figure, markup] of figuresIn(html)) {
      const formats = [...markup.matchAll(/href="\/download\/[^"]*\.(csv|svg|png)/g)].map(([, format]) => format);
      const hasChart = markup.includes('class="chart wide"');
      const hasTable = markup.includes('<table>');
      expect({ figure, formats }).toEqual({
        figure,
        formats: [...(hasTable ? ['csv'] : []), ...(hasChart ? ['svg', 'png'] : [])],
      });
      // A chart without its numbers, or without a word on what they are, is a picture.
      if (hasChart) expect({ figure, hasTable }).toEqual({ figure, hasTable: true });
      for (const format of formats)
        expect({ figure, format, status: (await get(`/download/${name}/${figure}.${format}`)).status }).toEqual({
          ...{ figure, format, status: 200 },
        });
    }
  });

  it.each(['/', '/story', '/events', '/catalogue', '/model', '/data'])('%s shows its SQL', async (path) => {
    const { html } = await get(path);
    const sections = html.split(/<section id="/).slice(1);
    const isAsked = (id: string): boolean => !['runs', 'model', 'skip-model', 'missing', 'about'].includes(id);
    for (const section of sections) {
      const id = section.slice(0, section.indexOf('"'));
      if (isAsked(id)) expect({ id, isShown: section.includes('aria-label="SQL: ') }).toEqual({ id, isShown: true });
    }
  });
});

function figuresIn(html: string): [name: string, markup: string][] {
  return [...html.matchAll(/<figure id="([^"]+)">(.*?)<\/figure>/gs)].map(([, name, markup]) => [name!, markup!]);
}

describe('newer tables', () => {
  it('says since when they wait, and what to run', async () => {
    expect(noticesOf((await get('/data')).html)).toEqual([]);
    await lake.commitSilver({ plays: ownPlays().slice(0, 60) });
    const [said] = noticesOf((await get('/data')).html);
    expect(said).toMatch(
      /^What was loaded on \d{1,2} \w{3} \d{4} at \d\d:\d\d \(UTC\) is not in these tables yet\. Give listenlake run\.$/,
    );
    await publishProd(lake.effects, { runId: 'run-newer', asOf: AS_OF });
    expect(noticesOf((await get('/data')).html)).toEqual([]);
  });
});
