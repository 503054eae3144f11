import { readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { type Browser, chromium } from 'playwright-core';
import { serve } from '../../jobs/serve.ts';
import { type LakeFixture, openLakeFixture, publishProd } from '../fixtures/effects.ts';
import { chromiumOrSkip } from '../fixtures/layers.ts';
import { AS_OF, events, ownPlays, sources, trackGenres } from '../report/report-data.ts';
import { readFigures, readPng, textOf, unfilledIn } from '../report/report-page.ts';

const PATHS = ['/', '/story', '/compare', '/events', '/catalogue', '/model', '/data'];
const FILTERED = '/?from=2026-02-01&to=2026-04-30&country=DE&device=ios';
const FILTERED_SQL = `local_date between date '2026-02-01' and date '2026-04-30' and country = 'DE' and device = 'ios'`;

const OTHERS_FILTERED = ['/story?device=ios', '/events?country=DE', '/model?person=me', '/data?private=in'];

let lake: LakeFixture;
let base: string;
let stop: () => Promise<void>;

/** A dashboard of the lake, and how to end it. */
async function dashboard(of: LakeFixture, host = '127.0.0.1'): Promise<{ address: string; stop(): Promise<void> }> {
  const controller = new AbortController();
  let ended: Promise<void> | undefined;
  const engine = await of.openEngine();
  const address = await new Promise<string>((resolve, reject) => {
    const effects = { ...of.effects, engine, signal: controller.signal };
    ended = serve({ host, port: 0, target: 'prod', onListening: resolve }, effects);
    ended.catch(reject);
  });
  return {
    address,
    async stop() {
      controller.abort();
      await ended;
    },
  };
}

beforeAll(async () => {
  lake = await openLakeFixture();
  await lake.commitSilver({
    plays: ownPlays(),
    listening_events: events(),
    track_genres: trackGenres(),
    ...sources(),
  });
  await publishProd(lake.effects, { runId: 'run-serve', asOf: AS_OF });
  const started = await dashboard(lake);
  base = started.address.slice(0, -1);
  stop = started.stop;
});
afterAll(async () => {
  await stop();
  await lake.close();
});

async function get(path: string, of = base): Promise<{ status: number; html: string; headers: Headers }> {
  const answer = await fetch(of + path, { redirect: 'manual' });
  return { status: answer.status, html: await answer.text(), headers: answer.headers };
}

/** The page of the artist who was played most. */
async function artistPath(): Promise<string> {
  const [, found] = /href="(\/artist\?[^"]+)"/.exec((await get('/')).html)!;
  return found!.replaceAll('&#38;', '&');
}

function tilesOf(html: string): Record<string, string> {
  const tiles = html.matchAll(/<div class="tile"><dt>(.*?)<\/dt><dd><b>(.*?)<\/b>/g);
  return Object.fromEntries([...tiles].map(([, label, value]) => [label!, value!]));
}

function noticeOf(html: string): string {
  return textOf(/<p class="notice">(.*?)<\/p>/s.exec(html)?.[1] ?? '');
}

async function ask(sql: string): Promise<(number | string | null)[][]> {
  const { rows } = await lake.engine.query(sql, { target: 'prod' });
  return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? Number(value) : (value as string))));
}

describe('every page', () => {
  it.each(PATHS)('%s is whole, and says where it comes from', async (path) => {
    const { status, html, headers } = await get(path);
    expect(status).toBe(200);
    expect(unfilledIn(html)).toEqual([]);
    expect(html).toContain('built by run-serve');
    expect(html).not.toMatch(/<script/i);
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('cache-control')).toBe('no-store');
    expect(readFigures(html).size).toBeGreaterThan(0);
  });
});

describe('filters', () => {
  it.each([
    ['/', 'not is_incognito'],
    ['/?private=in', 'true'],
    [FILTERED, `not is_incognito and ${FILTERED_SQL}`],
    ['/?country=unknown', 'not is_incognito and country is null'],
  ])('%s shows what SQL gives', async (path, condition) => {
    const where = `user_id = 'me' and not is_implausible and ${condition}`;
    const [counted] = await ask(
      `select count(*), count(distinct song_key), count(distinct artist_id), count(distinct local_date) from fct_plays where ${where}`,
    );
    const { html } = await get(path);
    const tiles = tilesOf(html);
    expect([tiles.Plays, tiles.Songs, tiles.Artists, tiles['Days with plays']].map(Number)).toEqual(counted);
    expect(Number(tiles.Plays)).toBeGreaterThan(0);
    const top = await ask(
      `select count(*) as plays from fct_plays where ${where} and song_key is not null group by song_key order by plays desc limit 15`,
    );
    expect(
      readFigures(html)
        .get('top-songs')!
        .rows!.map((row) => row[2]),
    ).toEqual(top.map(([plays]) => plays));
  });

  it('shows everybody where asked, users of events too', async () => {
    const [[plays]] = (await ask('select count(*) from fct_plays where not is_incognito and not is_implausible')) as [
      [number],
    ];
    expect(Number(tilesOf((await get('/?person=*')).html).Plays)).toBe(plays);
  });

  it.each([
    ['/?country=Narnia', 'there is no country "Narnia"'],
    [`/?device=${encodeURIComponent("x' or 1=1 --")}`, 'there is no device "x\' or 1=1 --"'],
    ['/?from=2026-02-30', 'from "2026-02-30" is no date'],
    ['/?from=0000-01-01', 'is no date'],
    ['/?from=2026-03-01&to=2026-01-01', 'the period ends on 2026-01-01, before it begins'],
    ['/?colour=red', 'this page has no filter "colour"'],
    ['/?from=2026-01-01&from=2026-02-01', 'given more than once'],
    ['/events?person=me', 'this page has no filter "person"'],
    ['/catalogue?device=ios', 'this page has no filter "device"'],
    ['/artist?key=nobody', 'the lake has no artist with this key'],
  ])('refuses %s with one line', async (path, said) => {
    const { status, html } = await get(path);
    expect(status).toBe(400);
    expect(noticeOf(html)).toContain(said);
  });

  it('says so where they leave nothing', async () => {
    const { status, html } = await get('/?from=1999-01-01&to=1999-12-31');
    expect(status).toBe(200);
    expect(noticeOf(html)).toMatch(/^No play is left by these filters\. Widen them/);
  });

  it('compares two periods as SQL does', async () => {
    const { html } = await get('/compare?from=2026-01-01&to=2026-02-28&from2=2026-03-01&to2=2026-04-30');
    const count = (from: string, to: string) =>
      ask(
        `select count(*) from fct_plays where user_id = 'me' and not is_incognito and not is_implausible and local_date between date '${from}' and date '${to}'`,
      );
    const [[first], [second]] = [
      ...(await count('2026-01-01', '2026-02-28')),
      ...(await count('2026-03-01', '2026-04-30')),
    ] as [[number], [number]];
    expect(first).not.toBe(second);
    expect(readFigures(html).get('two-sums')!.rows![0]).toEqual(['Plays', first, second, first / second]);
  });
});

describe('an artist, a song, an album', () => {
  it.each([
    ['artist', 'artist_id'],
    ['song', 'song_key'],
    ['album', 'album_id'],
  ])('has a page with its plays: %s', async (kind, column) => {
    const rows = await ask(
      `select ${column}, count(*) from fct_plays where user_id = 'me' and not is_incognito and not is_implausible and ${column} is not null group by 1 order by 2 desc, 1 limit 3`,
    );
    const links = (await get('/')).html;
    for (const [key, plays] of rows) {
      const path = `/${kind}?${new URLSearchParams({ key: String(key), person: 'me' })}`;
      expect(links).toContain(path.replaceAll('&', '&#38;'));
      const { status, html } = await get(path);
      expect({ path, status, plays: Number(tilesOf(html).Plays) }).toEqual({ path, status: 200, plays });
    }
  });
});

describe('downloads', () => {
  it('gives the numbers as CSV, in which no name is a formula', async () => {
    const { html, headers } = await get(`/download/overview/top-songs.csv`);
    expect(headers.get('content-disposition')).toBe('attachment; filename="top-songs.csv"');
    const rows = readFigures((await get('/')).html).get('top-songs')!.rows!;
    expect(html.split('\r\n')).toHaveLength(rows.length + 1);
    expect(html).toMatch(/^Song,Artist,Plays,Minutes,Skipped,Finished,First,Last\r\n/);
    expect(html).toContain("'=HYPERLINK");
    expect(html).not.toMatch(/(?:^|,|\n)"?=HYPERLINK/);
  });

  it('gives a chart as SVG and PNG', async () => {
    const svg = await get('/download/overview/top-songs.svg');
    expect(svg.headers.get('content-type')).toBe('image/svg+xml');
    expect(svg.html).toMatch(/^<svg /);
    const png = await fetch(`${base}/download/overview/hours-of-the-week.png`);
    expect(readPng(Buffer.from(await png.arrayBuffer())).values).toBeGreaterThan(60);
  });

  it('has nothing else', async () => {
    for (const path of ['/download/overview/nothing.csv', '/download/overview/../../etc.csv', '/download/x/y.csv'])
      expect((await get(path)).status).toBe(404);
  });

  it('shows the statement of a figure, which gives its rows', async () => {
    const { html } = await get(FILTERED);
    const shown = /aria-label="SQL: Top songs">(.*?)<\/pre>/s.exec(html)![1]!;
    const rows = await ask(textOf(shown));
    expect(rows.map((row) => row[1])).toEqual(
      readFigures(html)
        .get('top-songs')!
        .rows!.map((row) => row[2]),
    );
  });
});

describe('who may ask', () => {
  const raw = (path: string, headers: Record<string, string>, method = 'GET'): Promise<number> =>
    new Promise((resolve, reject) => {
      const asked = request(base + path, { headers, method }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      });
      asked.on('error', reject).end();
    });

  it('answers to names of this machine only, and only reads', async () => {
    expect(await raw('/', { host: 'rebound.example' })).toBe(403);
    expect(await raw('/', { host: '127.0.0.1.rebound.example:80' })).toBe(403);
    expect(await raw('/', { host: 'localhost:1' })).toBe(200);
    expect(await raw('/', {}, 'POST')).toBe(405);
    expect(await raw('/', {}, 'HEAD')).toBe(200);
    expect(await raw('/nowhere', {})).toBe(404);
  });

  it('wants the token that was printed where others can reach it', async () => {
    const open = await dashboard(lake, '0.0.0.0');
    const { origin, searchParams } = new URL(open.address);
    const token = searchParams.get('token')!;
    const of = origin.replace('0.0.0.0', '127.0.0.1');
    expect((await get('/', of)).status).toBe(401);
    expect((await get('/?token=wrong', of)).status).toBe(401);
    expect((await fetch(`${of}/`, { headers: { cookie: 'listenlake=wrong' } })).status).toBe(401);
    const given = await get(`/data?token=${token}`, of);
    expect([given.status, given.headers.get('location')]).toEqual([303, '/data']);
    const cookie = given.headers.get('set-cookie')!;
    expect(cookie).toMatch(/HttpOnly; SameSite=Lax/);
    expect((await fetch(`${of}/data`, { headers: { cookie: cookie.split(';')[0]! } })).status).toBe(200);
    await open.stop();
  });

  it('tells a port that is taken, and an address that is none', async () => {
    const port = Number(new URL(base).port);
    const begin = (host: string) => serve({ host, port, target: 'prod', onListening: () => {} }, lake.effects);
    await expect(begin('127.0.0.1')).rejects.toMatchObject({ code: 'port_in_use', exit: 'unavailable' });
    await expect(begin('rebound.example')).rejects.toMatchObject({ code: 'usage_invalid', exit: 'usage' });
    await expect(begin('192.0.2.1')).rejects.toMatchObject({ code: 'usage_invalid', exit: 'usage' });
  });
});

it('gives a hundred clients at once the same whole page', async () => {
  const own = await dashboard(lake);
  const of = own.address.slice(0, -1);
  const answers = await Promise.all(Array.from({ length: 100 }, () => get(FILTERED, of)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ html }) => html)).size).toBe(1);
  await own.stop();
});

const browserPath = chromiumOrSkip('the dashboard in a browser');
(browserPath === undefined ? describe.skip : describe)('in a browser', () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: browserPath!, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterAll(() => browser.close());

  it.each([
    { width: 390, colorScheme: 'dark' as const, isFiltered: true },
    { width: 390, colorScheme: 'light' as const, isFiltered: false },
    { width: 1400, colorScheme: 'dark' as const, isFiltered: false },
    { width: 1400, colorScheme: 'light' as const, isFiltered: true },
  ])('fits $width pixels in $colorScheme, is accessible, asks no other host, and no name does harm', async (look) => {
    const page = await browser.newPage({ viewport: { width: look.width, height: 900 }, colorScheme: look.colorScheme });
    const [hosts, said]: [Set<string>, string[]] = [new Set(), []];
    page.on('request', (asked) => hosts.add(new URL(asked.url()).host));
    page.on('console', (message) => said.push(message.text()));
    // What a filter adds to a page is a notice: looked at in two of the four.
    const filtered = look.isFiltered ? [FILTERED, ...OTHERS_FILTERED] : [];
    for (const path of [...PATHS, await artistPath(), ...filtered]) {
      await page.goto(base + path);
      const found = await page.evaluate(`(async () => {
        const module = undefined;
        ${axe};
        const { violations } = await axe.run();
        return {
          hit: globalThis.hit ?? null,
          wide: document.documentElement.scrollWidth - innerWidth,
          violations: violations.map(({ id, nodes }) => id + ' ' + nodes[0].html.slice(0, 120)),
        };
      })()`);
      expect({ path, ...(found as object) }).toEqual({ path, hit: null, wide: 0, violations: [] });
    }
    expect([...hosts].filter((host) => host !== '' && host !== new URL(base).host)).toEqual([]);
    expect(said).toEqual([]);
    await page.close();
  });

  it('gives charts in which no name is markup', async () => {
    const page = await browser.newPage();
    await page.setContent((await get('/download/overview/top-songs.svg')).html);
    const found = await page.evaluate(`(() => {
      const all = [...document.querySelectorAll('*')];
      return {
        hit: globalThis.hit ?? null,
        texts: document.querySelectorAll('svg text').length > 10,
        active: document.querySelectorAll('script, image, img, foreignObject, a').length,
        handlers: all.filter(({ attributes }) => [...attributes].some(({ name }) => name.startsWith('on'))).length,
      };
    })()`);
    expect(found).toEqual({ hit: null, texts: true, active: 0, handlers: 0 });
    await page.close();
  });

  it('filters by keyboard alone, and keeps the filters in the address', async () => {
    const page = await browser.newPage();
    await page.goto(`${base}/`);
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('To the content');
    await page.locator('select[name=device]').focus();
    await page.keyboard.type('macos');
    await page.locator('button[type=submit]').focus();
    await Promise.all([page.waitForURL(/device=macos/), page.keyboard.press('Enter')]);
    const [[plays]] = (await ask(
      `select count(*) from fct_plays where user_id = 'me' and not is_incognito and not is_implausible and device = 'macos'`,
    )) as [[number]];
    expect(Number(tilesOf(await page.content()).Plays)).toBe(plays);
    await page.close();
  });
});

describe('a lake that changes under it', () => {
  it('shows what is promoted without a restart, and goes on after the lake was away', async () => {
    const other = await openLakeFixture();
    const own = await dashboard(other);
    const of = own.address.slice(0, -1);
    for (const path of PATHS) expect({ path, status: (await get(path, of)).status }).toEqual({ path, status: 200 });
    expect(noticeOf((await get('/', of)).html)).toMatch(/^Nothing is published yet/);
    await other.commitSilver({ plays: ownPlays().slice(0, 50) });
    await publishProd(other.effects, { runId: 'run-one', asOf: AS_OF });
    const before = Number(tilesOf((await get('/', of)).html).Plays);
    expect(before).toBeGreaterThan(30);
    await other.commitSilver({ plays: ownPlays().slice(0, 100) });
    await publishProd(other.effects, { runId: 'run-two', asOf: AS_OF });
    expect(Number(tilesOf((await get('/', of)).html).Plays)).toBeGreaterThan(before);

    await rename(other.root, `${other.root}-away`);
    for (const path of ['/', '/?device=ios', '/data', '/download/overview/top-songs.csv']) {
      const away = await get(path, of);
      expect([path, away.status, noticeOf(away.html)]).toEqual([
        ...[path, 503, expect.stringContaining('the lake is not where it was')],
      ]);
      expect(tilesOf(away.html)).toEqual({});
    }
    await rename(`${other.root}-away`, other.root);
    expect((await get('/?device=ios', of)).status).toBe(200);
    await own.stop();
    await other.close();
  });
});
