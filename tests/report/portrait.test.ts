import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { profile } from '../../jobs/profile.ts';
import { cleanText, formatMinutes } from '../../jobs/report/format.ts';
import { report } from '../../jobs/report.ts';
import { type LakeFixture, openLakeFixture, publishProd, type Row } from '../fixtures/effects.ts';
import { chromiumOrSkip } from '../fixtures/layers.ts';
import { AS_OF, events, HOSTILE, ownPlays, podcasts } from './report-data.ts';
import { type PageFigure, readFigures, textOf, unfilledIn } from './report-page.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-portrait-'));
const lakes: LakeFixture[] = [];
afterAll(async () => {
  for (const lake of lakes) await lake.close();
  rmSync(folder, { recursive: true, force: true });
});

const single = (userId: string): Row[] =>
  ownPlays()
    .slice(0, 1)
    .map((row) => ({ ...row, user_id: userId, play_id: `one-${userId}` }));

interface Made {
  lake: LakeFixture;
  outDir: string;
  page(name: string): string;
  figures(name: string): Map<string, PageFigure>;
  ask(sql: string): Promise<(string | number | boolean | null)[][]>;
}

async function make(name: string, silver: Record<string, readonly Row[]>): Promise<Made> {
  const lake = await openLakeFixture();
  lakes.push(lake);
  await lake.commitSilver(silver);
  await publishProd(lake.effects, { runId: `run-${name}`, asOf: AS_OF });
  const outDir = join(folder, name);
  await report({ runId: `run-${name}`, outDir, target: 'prod' }, lake.effects);
  const page = (path: string): string => readFileSync(join(outDir, path), 'utf8');
  const ask = async (sql: string) => {
    const { rows } = await lake.engine.query(sql, { target: 'prod' });
    return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? Number(value) : value)));
  };
  return { lake, outDir, page, figures: (path) => readFigures(page(path)), ask };
}

const heroOf = (html: string): string[] =>
  [...html.matchAll(/<dt>([^<]*)<\/dt><dd><b[^>]*>(.*?)<\/b><span>(.*?)<\/span>/g)].map(
    ([, label, value]) => `${textOf(label!)}: ${textOf(value!)}`,
  );

/** Asks in the page: whether it scrolls sideways, whether anything of the data ran, what is drawn. */
const LOOK = `({
  wide: document.documentElement.scrollWidth - innerWidth,
  hit: globalThis.hit ?? null,
  scripts: document.scripts.length,
  drawn: [...document.querySelectorAll('.chart svg')].filter((svg) => svg.getClientRects().length > 0).length,
})`;

/** Words of a chart that stand on each other: an axis title on a legend, a name on what follows it. */
const OVERLAPS = `[...document.querySelectorAll('.chart svg')].filter((svg) => svg.getClientRects().length > 0).flatMap((svg) => {
  const shown = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim() !== '' && text.getAttribute('opacity') !== '0');
  const texts = shown.map((text) => [text.textContent, text.getBoundingClientRect()]);
  const shared = (a, b, from, to) => Math.min(a[to], b[to]) - Math.max(a[from], b[from]);
  return texts.flatMap(([one, a], index) =>
    texts.slice(index + 1)
      .filter(([, b]) => shared(a, b, 'left', 'right') > 2 && shared(a, b, 'top', 'bottom') > 4)
      .map(([other]) => svg.closest('figure').id + ': ' + one + ' | ' + other));
})`;

const CHROMIUM_ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
];

/** What is wrong with a page for those who use other means than eyes and a mouse, by the rules of axe. */
const AXE = `axe.run(document, { resultTypes: ['violations'] }).then(({ passes, violations }) => ({
  passes: passes.length,
  violations: violations.map(({ id, nodes }) => id + ': ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 200)).join(' | ')),
}))`;

describe('a lake of several people', () => {
  let made: Made;
  const minutes = (where: string): Promise<(string | number | boolean | null)[][]> =>
    made.ask(
      `select sum(played_ms) / 60000e0, count(*) from fct_plays where not is_incognito and user_id = '${where}'`,
    );
  beforeAll(async () => {
    made = await make('several', {
      plays: [...ownPlays(), ...podcasts(), ...single('once')],
      listening_events: events(),
    });
  });

  it('leads from report.html to a page for each person, and to the one about everybody; users of events have none', async () => {
    expect(readdirSync(join(made.outDir, 'people')).sort()).toEqual(['me.html', 'once.html', 'podcaster.html']);
    const first = made.page('report.html');
    const links = [...first.matchAll(/href="([^"#]+)"/g)].map(([, href]) => href).filter((href) => href !== 'data:,');
    expect(links).toEqual(['people/me.html', 'people/once.html', 'people/podcaster.html', 'operator.html']);
    for (const href of links) expect(existsSync(join(made.outDir, href!))).toBe(true);
    const cards = [...first.matchAll(/<li><a [^>]*>(.*?)<\/a><\/li>/g)].map(([, card]) =>
      textOf(card!.replaceAll('</b>', '|').replaceAll('</span>', '|')),
    );
    const [[played] = []] = await minutes('me');
    expect(cards[0]).toContain(`me|${Math.round(Number(played) / 60)} h of listening|2026|Most of all `);
    expect(cards[2]).toBe('podcaster|14 h of listening|2016 to 2025|');
    expect(first).not.toContain('user-1');
    expect(made.page('people/me.html')).not.toMatch(/user-[12]|podcaster|Show 0</);
    expect(
      made
        .figures('operator.html')
        .get('users')!
        .rows!.map(([user]) => user),
    ).toContain('user-1');
  });

  it("counts that person's plays alone: first screen and tables as SQL has them", async () => {
    const html = made.page('people/me.html');
    const figures = made.figures('people/me.html');
    const [[played, plays]] = (await minutes('me')) as [[number, number]];
    const top = async (column: string, name: string, dim: string): Promise<unknown> =>
      (
        await made.ask(`select ${name} from fct_plays as plays inner join ${dim} on plays.${column} = ${dim}.${column}
          where not is_incognito and user_id = 'me' group by plays.${column}, ${name}
          order by count(*) desc, sum(played_ms) desc, plays.${column} limit 1`)
      )[0]![0];
    const cut = (name: unknown): string => String(name).replaceAll('\u0000', '\ufffd');
    expect(heroOf(html)).toEqual([
      `You listened for: ${Math.round(played / 60)} hours`,
      `Your artist: ${cut(await top('artist_id', 'dim_artists.artist_name', 'dim_artists'))}`,
      `Your song: ${cut(await top('song_key', 'song_name', 'dim_songs'))}`,
      'Your year: 2026',
    ]);
    const sum = (figure: string, column: number): number =>
      figures.get(figure)!.rows!.reduce((total, row) => total + Number(row[column]), 0);
    expect(sum('listening-by-month', 1)).toBe(plays);
    expect(sum('hours-of-the-week', 2)).toBe(plays);
    expect(sum('hours-of-the-week', 3)).toBeCloseTo(played, 6);
    expect(sum('devices', 1)).toBe(plays);
    const [[sessions]] = (await made.ask("select count(*) from fct_sessions where user_id = 'me'")) as [[number]];
    expect(sum('session-lengths', 1)).toBe(sessions);
    const ranked = figures.get('top-tracks')!.rows!.filter(([period]) => period === 'All time');
    expect(ranked.map((row) => [row[1], row[4], row[5]])).toEqual(
      (
        await made.ask(`select count(*), sum(played_ms) / 3600000e0 from fct_plays
          where not is_incognito and user_id = 'me' and song_key is not null
          group by song_key order by 1 desc, sum(played_ms) desc, song_key limit 10`)
      ).map(([n, hours], index) => [index + 1, n, expect.closeTo(Number(hours), 9)]),
    );
    const [[skips, ends]] = (await made.ask(`select count(case when verdict = 'skipped' then 1 end),
      count(case when verdict in ('skipped', 'finished') then 1 end)
      from fct_plays where not is_incognito and user_id = 'me'`)) as [[number, number]];
    expect(figures.get('skipped-artists')!.takeaway).toContain(
      `Of ${ends} plays whose end says it, you skipped ${skips} and heard ${ends - skips} to the end.`,
    );
  });

  it('ranks the last days by plays, as SQL does', async () => {
    const rows = made.figures('people/me.html').get('top-artists')!.rows!;
    const own = await made.ask(`select count(*) from fct_plays where not is_incognito and user_id = 'me'
      and artist_id is not null and played_date >= date '2026-06-03' group by artist_id order by 1 desc limit 10`);
    expect(rows.filter(([period]) => period === 'Last 28 days').map((row) => row[3])).toEqual(own.flat());
  });

  it('holds for a person with only podcasts and a gap of three years, and for one with a single play', () => {
    const podcaster = made.page('people/podcaster.html');
    expect(heroOf(podcaster).slice(0, 2)).toEqual(['You listened for: 14 hours', 'Your show: Show 0']);
    expect(podcaster).not.toContain('Your song');
    expect(made.page('people/once.html')).toContain('1 play on 1 day since 1 Jan 2026');
    for (const page of ['podcaster', 'once', 'me'].map((label) => made.page(`people/${label}.html`)))
      expect(unfilledIn(page)).toEqual([]);
  });

  it("--user makes one person's page alone, without ways to others, and refuses who is not there", async () => {
    const outDir = join(folder, 'alone');
    const { html, pages, charts } = await report(
      { runId: 'run-alone', outDir, target: 'prod', userId: 'podcaster', hasPngs: true },
      made.lake.effects,
    );
    expect([html, pages]).toEqual([join(outDir, 'people/podcaster.html'), [html]]);
    expect(readdirSync(outDir).sort()).toEqual(['charts', 'people']);
    expect(charts.every((path) => path.startsWith(join(outDir, 'charts/podcaster/')))).toBe(true);
    expect(readFileSync(html, 'utf8')).not.toMatch(/href="[^#d]/);
    const unknown = report({ runId: 'x', outDir, target: 'prod', userId: 'user-1' }, made.lake.effects);
    await expect(unknown).rejects.toMatchObject({
      ...{ code: 'user_unknown', exit: 'usage', message: 'gold_prod has no person "user-1"' },
      hint: 'it has me, once, podcaster',
    });
  });

  it('removes the pages and charts of people who are gone, and nothing of anybody else', async () => {
    const outDir = join(folder, 'moved');
    mkdirSync(join(outDir, 'people'), { recursive: true });
    mkdirSync(join(outDir, 'charts/gone'), { recursive: true });
    writeFileSync(join(outDir, 'people/gone.html'), made.page('people/once.html'));
    writeFileSync(join(outDir, 'people/notes.html'), '<p>a page of mine</p>');
    writeFileSync(join(outDir, 'charts/gone/devices.png'), 'old');
    await report({ runId: 'run-moved', outDir, target: 'prod' }, made.lake.effects);
    expect(readdirSync(join(outDir, 'people')).sort()).toEqual([
      'me.html',
      'notes.html',
      'once.html',
      'podcaster.html',
    ]);
    expect(existsSync(join(outDir, 'charts/gone'))).toBe(false);
  });

  it('says so in one line where the folder cannot be written', async () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    const refused = report({ runId: 'x', outDir: join(file, 'report'), target: 'prod' }, made.lake.effects);
    await expect(refused).rejects.toMatchObject({ code: 'disk_failed', exit: 'io' });
  });

  it('F31, S8: fits 320 to 1920 px in both themes, makes no request, runs nothing, and prints', async () => {
    const executablePath = chromiumOrSkip('portrait in a browser');
    if (executablePath === undefined) return;
    const html = made.page('people/me.html');
    expect(html).toContain(HOSTILE.family.slice(0, 4));
    const charts = readFigures(html);
    const drawn = [...charts.values()].filter((figure) => figure.charts > 0).length;
    const browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGUMENTS });
    try {
      const page = await browser.newPage();
      const requests: string[] = [];
      page.on('request', (request) => requests.push(request.url().slice(0, 30)));
      await page.goto(pathToFileURL(join(made.outDir, 'people/me.html')).href, { waitUntil: 'load' });
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        for (const width of [320, 390, 1280, 1920]) {
          await page.setViewportSize({ width, height: 900 });
          expect([colorScheme, width, await page.evaluate(LOOK)]).toEqual([
            ...[colorScheme, width],
            { wide: 0, hit: null, scripts: 0, drawn },
          ]);
          expect([width, await page.evaluate(OVERLAPS)]).toEqual([width, []]);
        }
      }
      expect(requests.filter((url) => !url.startsWith('data:')).length).toBe(1);
      // What a mark says to a screen reader is what SQL says of its day.
      const days = (await page.evaluate(
        `[...document.querySelectorAll('#calendar .wide [role="graphics-symbol"]')].map((mark) => mark.getAttribute('aria-label'))`,
      )) as string[];
      const byDay = await made.ask(`select cast(local_date as varchar), sum(played_ms) / 60000e0
        from fct_plays where not is_incognito and user_id = 'me' group by 1 order by 1`);
      expect(byDay.length).toBeGreaterThan(100);
      expect(days).toEqual(
        expect.arrayContaining(byDay.map(([day, minutes]) => `${day}: ${formatMinutes(Number(minutes))}`)),
      );
      // And a row of a ranking says its name in full, up to a bound.
      const ranked = (await page.evaluate(
        `[...document.querySelectorAll('#top-artists .wide [role="graphics-symbol"]')].map((mark) => mark.getAttribute('aria-label'))`,
      )) as string[];
      const artists =
        await made.ask(`select any_value(artist_name), count(*) from fct_plays join dim_artists using (artist_id)
        where not is_incognito and user_id = 'me' and artist_id is not null
        group by artist_id order by 2 desc limit 5`);
      expect(artists.length).toBe(5);
      const saysOf = (name: unknown, plays: unknown) => `. ${cleanText(String(name), 120)}: ${plays} plays`;
      expect(artists.filter(([name, plays]) => !ranked.some((label) => label.includes(saysOf(name, plays))))).toEqual(
        [],
      );
      // The pictures in its names are drawn on machines without such a font too; no other face is carried along.
      const loaded = (await page.evaluate(
        `document.fonts.ready.then((fonts) => [...fonts].map(({ family }) => family))`,
      )) as string[];
      expect(new Set(loaded.map((family) => family.replaceAll(/['"]/g, '')))).toEqual(new Set(['Inter', 'Noto Emoji']));
      // A figure that moves to the next sheet (A4: 182 x 265 mm to print on) leaves less than half of one
      // empty.
      await page.emulateMedia({ media: 'print' });
      await page.setViewportSize({ width: Math.round((182 / 25.4) * 96), height: 1000 });
      const heights = (await page.evaluate(
        `[...document.querySelectorAll('figure')].map((figure) => figure.getBoundingClientRect().height)`,
      )) as number[];
      expect(heights.length).toBeGreaterThan(10);
      expect(Math.max(...heights)).toBeLessThan((265 / 2 / 25.4) * 96);
      expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-');
      // It is seen where words do stand on each other.
      await page.emulateMedia({ media: 'screen' });
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.evaluate(`(() => {
        const [name, other] = [...document.querySelectorAll('#top-artists .wide text')].slice(1);
        other.setAttribute('transform', name.getAttribute('transform'));
      })()`);
      expect(await page.evaluate(OVERLAPS)).toContainEqual(expect.stringContaining('top-artists: '));
    } finally {
      await browser.close();
    }
  });

  it('axe finds nothing on any of the pages, in both themes', async () => {
    const executablePath = chromiumOrSkip('axe in a browser');
    if (executablePath === undefined) return;
    const profiled = await profile({ tables: [], outDir: made.outDir }, made.lake.effects);
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    const browser = await chromium.launch({ executablePath, args: CHROMIUM_ARGUMENTS });
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      const pages = ['people/me.html', 'report.html', 'operator.html'].map((name) => join(made.outDir, name));
      for (const path of [...pages, profiled.html]) {
        await page.goto(pathToFileURL(path).href, { waitUntil: 'load' });
        await page.evaluate(axe);
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          const { passes, violations } = (await page.evaluate(AXE)) as { passes: number; violations: string[] };
          expect([path, colorScheme, violations]).toEqual([path, colorScheme, []]);
          expect(passes).toBeGreaterThan(15);
        }
      }
      // It does find what is wrong: a picture without a name.
      await page.evaluate(`document.querySelector('svg').removeAttribute('aria-label')`);
      expect(await page.evaluate(AXE)).toMatchObject({ violations: [expect.stringContaining('svg-img-alt')] });
    } finally {
      await browser.close();
    }
  });
});

describe('a lake of many people', () => {
  it('makes a page for each, in bounded size', async () => {
    const labels = Array.from({ length: 14 }, (_, n) => `person-${String(n).padStart(2, '0')}`);
    const made = await make('many', { plays: labels.flatMap(single) });
    expect(readdirSync(join(made.outDir, 'people')).length).toBe(14);
    const bytes = labels.map((label) => statSync(join(made.outDir, `people/${label}.html`)).size);
    expect(Math.max(...bytes)).toBeLessThan(1_000_000);
    expect(made.page('report.html').match(/<li><a href="people\/person-/g)!.length).toBe(14);
  });
});
