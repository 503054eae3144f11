import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { JobError } from '../../jobs/base/errors.ts';
import { enrich } from '../../jobs/enrich.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { report } from '../../jobs/report.ts';
import { type LakeFixture, openLakeFixture, publishProd, type Row } from '../fixtures/effects.ts';
import { chromiumOrSkip } from '../fixtures/layers.ts';
import { AS_OF, events, HOSTILE, ownPlays, recentlyPlayed, sources, trackGenres } from './report-data.ts';
import { type PageFigure, readFigures, readPng, textOf, unfilledIn } from './report-page.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-report-'));
const lakes: LakeFixture[] = [];
afterAll(async () => {
  for (const lake of lakes) await lake.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Run in the page: what ran, what is shown, which labels leave their chart. */
const LOOK = `(async () => {
  await document.fonts.ready;
  const svgs = [...document.querySelectorAll('.chart svg')].filter((svg) => svg.getClientRects().length > 0);
  const outside = svgs.flatMap((svg) => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')]
      .map((label) => ({ text: label.textContent, box: label.getBoundingClientRect() }))
      .filter((label) => label.box.width > 0 && (label.box.left < box.left - 2 || label.box.right > box.right + 2))
      .map((label) => svg.closest('figure').id + ': ' + label.text);
  });
  return {
    hit: globalThis.hit ?? null,
    scripts: document.scripts.length,
    charts: svgs.length,
    outside,
    wide: document.documentElement.scrollWidth - innerWidth,
    brokenFonts: [...document.fonts].filter((font) => font.status === 'error').length,
    isFontShown: document.fonts.check('600 20px Inter', 'Listening'),
    // In a column of numbers every digit is as wide as every other one; in a sentence 1 is narrower than 0.
    digitWidths: ['.n data', 'p'].map((place) => new Set([...'0123456789'].map((digit) => {
      const parent = document.querySelector(place);
      for (let details = parent.closest('details'); details !== null; details = null) details.open = true;
      const probe = parent.appendChild(document.createElement('span'));
      probe.textContent = digit.repeat(50);
      const { width } = probe.getBoundingClientRect();
      probe.remove();
      return Math.round(width);
    })).size > 1),
  };
})()`;
const FINE = {
  hit: null,
  scripts: 0,
  charts: 15,
  outside: [],
  wide: 0,
  brokenFonts: 0,
  isFontShown: true,
  digitWidths: [false, true],
};

interface Made {
  lake: LakeFixture;
  outDir: string;
  /** The page about everybody: `operator.html`, or `report.html` where no user is a person. */
  html: string;
  /** What `report.html` holds. */
  first: string;
  figures: Map<string, PageFigure>;
  charts: string[];
  /** Rows of a question to gold_prod, 64-bit integers as numbers. */
  ask(sql: string): Promise<(string | number | boolean | null)[][]>;
}

/** A lake of literal silver rows, its gold built by the real models on the real engine, and its report. */
async function make(name: string, silver: Record<string, readonly Row[]>, asOf = AS_OF): Promise<Made> {
  const lake = await openLakeFixture();
  lakes.push(lake);
  await lake.commitSilver(silver);
  await publishProd(lake.effects, { runId: `run-${name}`, asOf });
  const outDir = join(folder, name);
  const { html: path, charts } = await report(
    { runId: `run-${name}`, outDir, target: 'prod', hasPngs: true },
    lake.effects,
  );
  const first = readFileSync(path, 'utf8');
  const operator = join(outDir, 'operator.html');
  const html = existsSync(operator) ? readFileSync(operator, 'utf8') : first;
  const ask = async (sql: string) => {
    const { rows } = await lake.engine.query(sql, { target: 'prod' });
    return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? Number(value) : value)));
  };
  return { lake, outDir, html, first, figures: readFigures(html), charts, ask };
}

/** Part of each row of a figure's table. */
function columnsOf(made: Made, figure: string, ...indexes: number[]): (string | number | null)[][] {
  return made.figures.get(figure)!.rows!.map((row) => indexes.map((index) => row[index]!));
}

describe('the report of a person and some users', () => {
  let made: Made;
  beforeAll(async () => {
    made = await make('whole', {
      plays: ownPlays(),
      listening_events: events(),
      track_genres: trackGenres(),
      ...sources(),
    });
  });

  it('answers who, what, when, skips, genres, sessions and coverage, each chart twice drawn and with its table', () => {
    expect([...made.figures.keys()]).toEqual([
      'listening-by-month',
      'hours-of-the-week',
      'daily-active-users',
      'top-tracks',
      'top-artists',
      'top-shows',
      'users',
      'devices',
      'skip-rate-by-genre',
      'most-skipped-tracks',
      'genres-by-month',
      'session-lengths',
      'covered-days',
      'completeness',
      'sources',
      'tables',
    ]);
    for (const figure of made.figures.values()) {
      expect({ figure: figure.name, charts: figure.charts, missing: figure.missing }).toEqual({
        figure: figure.name,
        charts: figure.name === 'tables' ? 0 : 2,
        missing: undefined,
      });
      expect(figure.rows!.length).toBeGreaterThan(0);
    }
  });

  it('writes each chart as a PNG that is whole and not blank', () => {
    const expected = [...made.figures.values()]
      .filter((figure) => figure.charts > 0)
      .map((figure) => join(made.outDir, 'charts', `${figure.name}.png`));
    expect(made.charts.slice(0, expected.length)).toEqual(expected);
    expect(readdirSync(join(made.outDir, 'charts')).sort()).toEqual(
      [...expected.map((path) => path.slice(path.lastIndexOf('/') + 1)), 'me'].sort(),
    );
    const own = [...readFigures(made.first).values()].filter((figure) => figure.charts > 0);
    expect(made.charts.slice(expected.length)).toEqual(
      own.map((figure) => join(made.outDir, 'charts', 'me', `${figure.name}.png`)),
    );
    for (const path of made.charts) {
      const { width, height, values } = readPng(readFileSync(path));
      expect({ path, isSized: width >= 1_000 && height >= 150, isDrawn: values > 60 }).toEqual({
        path,
        isSized: true,
        isDrawn: true,
      });
    }
  });

  it('shows the headline numbers that SQL gives', async () => {
    const [row] = await made.ask(`
      select count(*), cast(round(sum(played_ms) / 3600000e0) as integer), count(distinct song_key), count(distinct artist_id), count(distinct local_date),
        round(100e0 * count(case when verdict = 'skipped' then 1 end) / count(case when verdict in ('skipped', 'finished') then 1 end), 1)
      from fct_plays where not is_incognito`);
    const tiles = [...made.html.matchAll(/<div class="tile"><dt>(.*?)<\/dt><dd><b>(.*?)<\/b>/g)].map(
      ([, label, value]) => `${label} ${value}`,
    );
    const [plays, hours, tracks, artists, days, rate] = row!;
    expect(tiles).toEqual([
      `Plays ${plays}`,
      `Listening time ${hours} h`,
      `Songs ${tracks}`,
      `Artists ${artists}`,
      `Days with plays ${days}`,
      `Skip rate ${Number(rate).toFixed(1)}%`,
    ]);
  });

  it('shows each rate beside the number that it rests on', async () => {
    const [row] = await made.ask(`
      select count(*), count(case when verdict = 'skipped' then 1 end), count(case when verdict in ('skipped', 'finished') then 1 end),
        count(played_ms), round(sum(played_ms) / 3600000e0), count(track_id),
        count(case when track_id in (select track_id from bridge_track_genres) then 1 end),
        (select count(*) from fct_sessions), 24 * (select count(*) from listening_coverage)
      from fct_plays where not is_incognito and not is_implausible`);
    const text = (value: unknown): string => Number(value).toLocaleString('en-US');
    const [plays, skips, verdicts, timed, hours, ofTracks, withGenre, sessions, covered] = row!.map(text);
    const tiles = new Map(
      [...made.html.matchAll(/<dt>(.*?)<\/dt><dd><b>(.*?)<\/b><span>(.*?)<\/span>/g)].map((match) => [
        match[1]!,
        match[3]!,
      ]),
    );
    expect(Number(skips!.replaceAll(',', ''))).toBeGreaterThan(0);
    expect(tiles.get('Skip rate')).toMatch(new RegExp(`^of ${verdicts} plays with a verdict, of ${plays};`));
    expect(tiles.get('Plays')).toMatch(new RegExp(`^[0-9]+% of ${timed} lasted 30 s or longer$`));
    const said = (name: string): string => made.figures.get(name)!.takeaway!;
    expect(said('skip-rate-by-genre')).toMatch(new RegExp(`all plays with a verdict: [0-9.]+% of ${verdicts}\\.`));
    expect(said('genres-by-month')).toContain(`% of ${withGenre} plays whose track has a genre`);
    expect(said('genres-by-month')).toContain(`% of ${ofTracks} plays of tracks`);
    for (const name of ['users', 'devices', 'top-shows']) expect(said(name)).toContain(`% of ${hours} h of listening`);
    expect(said('hours-of-the-week')).toContain(`% of ${hours} h falls on weekends`);
    expect(said('covered-days')).toContain(`% of ${covered} hours since`);
    expect(made.html).toContain(`${verdicts} of ${plays} plays have a verdict`);
    // None is forgotten: a percentage in a sentence is followed by what it is of.
    const sentences = [...made.figures.values()].map(({ takeaway }) => takeaway ?? '');
    const rates = [...sentences, ...tiles.values()].flatMap((sentence) => [
      ...sentence.replace(/; [0-9.<]+% to [0-9.]+% \(95%\)/, '').matchAll(/%.{0,12}/g),
    ]);
    expect(rates.length).toBeGreaterThan(8);
    expect(rates.map(([rate]) => rate).filter((rate) => !/^% of [0-9]/.test(rate))).toEqual([]);
    // So is one in a table, by a column or by the line below it.
    const tables = [...made.html.matchAll(/<figure id="([^"]+)">(.*?)<\/figure>/gs)].filter(([, , body]) =>
      /%<\/data>/.test(body!),
    );
    const bases: Record<string, string> = {
      'skip-rate-by-genre': '>With a verdict</th>',
      'most-skipped-tracks': '>With a verdict</th>',
      'genres-by-month': '>Plays of the month</th>',
      devices: `Shares are of ${hours} h of listening.`,
      'session-lengths': `Shares are of ${sessions} sessions.`,
      completeness: `Shares are of ${plays} plays.`,
      'top-shows': `Shares are of ${hours} h of listening.`,
    };
    expect(tables.map(([, name]) => name).sort()).toEqual(Object.keys(bases).sort());
    for (const [, name, body] of tables) expect([name, body!.includes(bases[name!]!)]).toEqual([name, true]);
  });

  it('shows by month what SQL sums up, apart for own listening and events', async () => {
    const rows = await made.ask(`
      select case when source = 'events' then 'events of many users' else 'own listening' end, count(*), sum(played_ms) / 60000e0
      from fct_plays where not is_incognito
      group by cast(date_trunc('month', local_date) as date), 1 order by cast(date_trunc('month', local_date) as date), 1 desc`);
    const shown = columnsOf(made, 'listening-by-month', 1, 2, 3).filter(([, plays]) => plays !== 0);
    expect(shown).toEqual(rows);
    expect(made.figures.get('listening-by-month')!.rows!.length).toBe(12);
  });

  it('shows every hour of the week, the empty ones as well', async () => {
    const rows = await made.ask(`
      select local_weekday, local_hour, count(*), sum(played_ms) / 60000e0 from fct_plays where not is_incognito group by 1, 2 order by 1, 2`);
    const shown = columnsOf(made, 'hours-of-the-week', 2, 3);
    expect(shown.length).toBe(168);
    const expected = Array.from({ length: 168 }, () => [0, 0] as unknown[]);
    for (const [weekday, hour, plays, minutes] of rows)
      expected[(Number(weekday) - 1) * 24 + Number(hour)] = [plays, minutes];
    expect(shown).toEqual(expected);
  });

  it('shows the tables of users, devices, rankings, skips and active users as gold has them', async () => {
    expect(columnsOf(made, 'users', 0, 1, 2, 3, 4)).toEqual(
      await made.ask(`select user_id, count(*), sum(played_ms) / 60000e0, count(distinct song_key), count(distinct local_date) from fct_plays
        where not is_incognito group by user_id order by sum(played_ms) desc`),
    );
    expect(columnsOf(made, 'devices', 1, 2)).toEqual(
      await made.ask(
        'select count(*), sum(played_ms) / 60000e0 from fct_plays where not is_incognito group by device order by sum(played_ms) desc',
      ),
    );
    for (const [period, title] of [
      ['28 days', 'Last 28 days'],
      ['year', 'Last 365 days'],
      ['all', 'All time'],
    ]) {
      expect(
        made.figures
          .get('top-tracks')!
          .rows!.filter(([shown]) => shown === title)
          .map((row) => [row[1], row[4], row[5], row[6], row[7]]),
      ).toEqual(
        await made.ask(
          `select rank, plays, minutes, listeners, previous_rank from top_tracks where period = '${period}' and rank <= 10 order by rank`,
        ),
      );
    }
    expect(
      made.figures
        .get('top-artists')!
        .rows!.filter(([shown]) => shown === 'All time')
        .map((row) => row[3]),
    ).toEqual(
      (
        await made.ask('select sum(plays) from daily_artist_metrics group by artist_id order by 1 desc limit 10')
      ).flat(),
    );
    expect(columnsOf(made, 'skip-rate-by-genre', 0, 1, 2, 3, 4, 5, 6)).toEqual(
      await made.ask(`select genre, skips, verdict_plays, neutral_plays, skip_rate, skip_rate_low, skip_rate_high from skip_rate_by_genre
        where verdict_plays >= 30 order by skip_rate desc, genre`),
    );
    expect(columnsOf(made, 'most-skipped-tracks', 2, 3, 5)).toEqual(
      await made.ask(`select skips, verdict_plays, skip_rate from skip_rate_by_track where verdict_plays >= 10
        and skip_rate > (select sum(skips) / cast(sum(verdict_plays) as double) from (select count(case when verdict = 'skipped' then 1 end) as skips,
          count(case when verdict in ('skipped', 'finished') then 1 end) as verdict_plays from fct_plays where not is_incognito))
        order by skip_rate_low desc, verdict_plays desc, track_id`),
    );
    const active = await made.ask('select daily_active_users from daily_aggregates order by played_date');
    expect(columnsOf(made, 'daily-active-users', 1).filter(([users]) => users !== 0)).toEqual(active);
  });

  it('adds up: shares of genres by month, sessions, completeness', async () => {
    const byMonth = Map.groupBy(made.figures.get('genres-by-month')!.rows!, (row) => row[0]);
    expect(byMonth.size).toBe(6);
    for (const rows of byMonth.values()) expect(rows.reduce((sum, row) => sum + Number(row[4]), 0)).toBeCloseTo(1, 9);
    const [weighted] = await made.ask(`select sum(weighted_plays) from genre_distribution where genre <> 'unknown'`);
    expect(made.figures.get('genres-by-month')!.rows!.reduce((sum, row) => sum + Number(row[2]), 0)).toBeCloseTo(
      Number(weighted![0]),
      6,
    );
    expect([...new Set(made.figures.get('genres-by-month')!.rows!.map((row) => row[1]))].length).toBe(9);
    const [sessions] = await made.ask('select count(*), sum(plays) from fct_sessions');
    const shown = made.figures.get('session-lengths')!.rows!;
    expect([
      shown.reduce((sum, row) => sum + Number(row[1]), 0),
      shown.reduce((sum, row) => sum + Number(row[3]), 0),
    ]).toEqual(sessions);
    const [counts] = await made.ask(
      "select count(case when content_type <> 'unknown' then 1 end), count(played_ms) from fct_plays where not is_incognito",
    );
    expect(columnsOf(made, 'completeness', 1).flat().slice(0, 2)).toEqual(counts);
  });

  it('shows podcasts and audiobooks by the time heard, private plays left out, and says what it leaves out', async () => {
    const ask = (columns: string, type: string): Promise<unknown[][]> =>
      made.ask(`select ${columns} from fct_plays inner join dim_shows on fct_plays.show_id = dim_shows.show_id
        where not is_incognito and show_type = '${type}' group by show_name, fct_plays.show_id order by sum(played_ms) desc, count(*) desc, fct_plays.show_id`);
    const columns = 'sum(played_ms) / 60000e0, count(*), count(distinct episode_id)';
    const [podcasts, audiobooks] = [await ask(columns, 'podcast'), await ask(columns, 'audiobook')];
    expect([podcasts.length, audiobooks.length]).toEqual([expect.any(Number), 1]);
    expect(podcasts.length).toBeGreaterThan(10);
    expect(columnsOf(made, 'top-shows', 2, 3, 4)).toEqual([...podcasts.slice(0, 10), ...audiobooks]);
    expect(columnsOf(made, 'top-shows', 0).flat()).toEqual([...Array(10).fill('Podcast'), 'Audiobook']);
    expect(made.html).toContain(`Not shown: ${podcasts.length - 10} more podcasts.`);
    const plays = (type: string): Promise<unknown[][]> =>
      made.ask(`select count(*) from fct_plays where not is_incognito and content_type = '${type}'`);
    const [episodes, chapters] = [await plays('episode'), await plays('chapter')].flat(2);
    expect(made.html).toContain(`Plays of podcast episodes (${episodes}) and audiobook chapters (${chapters})`);
  });

  it('says which days are covered, what is missing, why, and what to do', () => {
    const { takeaway, rows } = made.figures.get('covered-days')!;
    expect(takeaway).toBe(
      '82.6% of 4,344 hours since 1 Jan 2026 are covered; 2 gaps of 756 h in all. The longest is from 1 Apr 2026 to 30 Apr 2026 (between two exports). What to do: load the other files of the export, or request a new account export.',
    );
    expect(rows).toEqual([
      [
        '1 Apr 2026',
        '30 Apr 2026',
        720,
        'between two exports',
        expect.stringContaining('request a new account export'),
      ],
      [
        ...['25 Jun 2026', '26 Jun 2026', 36, 'more than 50 plays between two polls'],
        expect.stringMatching(/^request an account export; poll every half hour/),
      ],
    ]);
  });

  it('S9: leaves private plays out of every number and says how many', async () => {
    const [[hidden]] = (await made.ask('select count(*) from fct_plays where is_incognito')) as [[number]];
    expect(hidden).toBeGreaterThan(0);
    expect(made.html).toContain(`without ${hidden} plays of private sessions`);
  });

  it('prints the constants of the definitions under their charts', () => {
    expect(made.html).toContain('less than 30 minutes between the end of one and the start of the next');
    expect(made.html).toContain('lasted 30 s or longer');
    expect(made.html).toContain('1 Jul 2026 (UTC), the end of the data');
    expect(made.html).toContain('tells of no play for more than 90 days');
    expect(made.html).toContain('A song is every recording with one title by one first artist');
    expect(made.html).toContain('Recordings are counted here, not songs');
  });

  it('F31, S8: keeps hostile names as text, full in tables up to a bound, cut in charts', () => {
    expect(made.html.includes('\u0000')).toBe(false);
    const tags = made.html.match(/<[a-z!][^<>]*>/gi)!.map((tag) => tag.replaceAll(/"[^"]*"/g, '""'));
    const active = /^<(?:script|img|base|iframe|object|embed|form)|\son[a-z]+\s*=/i;
    expect(tags.filter((tag) => active.test(tag))).toEqual([]);
    const names = columnsOf(made, 'top-tracks', 2).flat().map(String);
    const shown = new Set([...names, ...columnsOf(made, 'most-skipped-tracks', 0).flat().map(String)]);
    expect(shown).toContain(HOSTILE.script);
    expect(shown).toContain(HOSTILE.override);
    expect(shown).toContain('a\ufffdb');
    const long = [...shown].find((name) => name.startsWith('long x'))!;
    expect(long.length).toBeLessThanOrEqual(300);
    expect(long.endsWith('…')).toBe(true);
    for (const [, label = ''] of made.html.matchAll(/<text(?:[^>]*[^>/])?>(.*?)<\/text>/gs)) {
      expect(textOf(label).length).toBeLessThan(90);
      expect(label).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
    }
    expect(made.html.length).toBeLessThan(1_500_000);
  });

  it('S8: loads nothing: a strict policy, no address but namespaces, links only inside the page', () => {
    expect(made.html).toContain(`default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:`);
    expect(made.html.replaceAll(/xmlns(?::xlink)?="http:[^"]+"/g, '').match(/https?:.{0,60}/gi)).toBeNull();
    const tags = made.html.match(/<[a-z][^<>]*>/gi)!.join('\n');
    expect(tags.match(/(?:src|srcset|href|data|action|poster)="(?!data:|#|report\.html").{0,60}/gi)).toBeNull();
    expect(made.html.match(/url\((?!data:|#)[^)]{0,60}|@import.{0,60}/gi)).toBeNull();
    for (const [, target] of made.html.matchAll(/<a href="(#[^"]*)"/g))
      expect(made.html).toContain(`id="${target!.slice(1)}"`);
    const ids = [...made.html.matchAll(/<[^<>]*\sid="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('F31, S8: makes no request and runs no script in a browser, shows its font, fits a phone, cuts no label', async () => {
    const browserPath = chromiumOrSkip('report in a browser');
    if (browserPath === undefined) return;
    const browser = await chromium.launch({
      executablePath: browserPath,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      const requests: string[] = [];
      page.on('request', (request) => requests.push(request.url().slice(0, 40)));
      page.on('console', (message) => requests.push(`console: ${message.text()}`));
      const address = pathToFileURL(join(made.outDir, 'operator.html')).href;
      await page.goto(address, { waitUntil: 'load' });
      const seen = () => page.evaluate(LOOK);
      expect(await seen()).toEqual(FINE);
      await page.setViewportSize({ width: 390, height: 800 });
      expect(await seen()).toEqual(FINE);
      expect(requests.filter((url) => !url.startsWith('data:font/woff') && !url.startsWith('data:,'))).toEqual([
        address.slice(0, 40),
      ]);
    } finally {
      await browser.close();
    }
  });

  it('gives the same bytes when it is made again', async () => {
    const again = await report(
      { runId: 'run-whole', outDir: join(folder, 'again'), target: 'prod', hasPngs: true },
      made.lake.effects,
    );
    expect(readFileSync(again.html, 'utf8') === made.first).toBe(true);
    expect(readFileSync(again.pages[0]!, 'utf8') === made.html).toBe(true);
    expect(
      again.charts.map((path) =>
        readFileSync(path).equals(readFileSync(path.replace(join(folder, 'again'), made.outDir))),
      ),
    ).toEqual(again.charts.map(() => true));
  });

  it('F65: leaves the old report whole when it fails half-way, and sweeps up after a killed one', async () => {
    const outDir = join(folder, 'old');
    cpSync(made.outDir, outDir, { recursive: true });
    const old = readFileSync(join(outDir, 'report.html'), 'utf8');
    writeFileSync(join(outDir, '.report.html.0123.unfinished'), 'half');
    writeFileSync(join(outDir, 'charts', 'gone-chart.png'), 'of an older version');
    rmSync(join(outDir, 'charts', 'users.png'));
    mkdirSync(join(outDir, 'charts', 'users.png', 'in-the-way'), { recursive: true });
    const asked = { runId: 'run-new', outDir, target: 'prod', hasPngs: true } as const;
    const failed = report(asked, made.lake.effects);
    await expect(failed).rejects.toMatchObject({ code: 'disk_failed', exit: 'io' });
    expect(readFileSync(join(outDir, 'report.html'), 'utf8')).toBe(old);
    expect(readdirSync(outDir, { recursive: true }).filter((name) => String(name).endsWith('.unfinished'))).toEqual([]);

    rmSync(join(outDir, 'charts', 'users.png'), { recursive: true });
    await report(asked, made.lake.effects);
    expect(readFileSync(join(outDir, 'report.html'), 'utf8')).toContain('run-new');
    expect(readdirSync(join(outDir, 'charts'))).not.toContain('gone-chart.png');

    // Without PNGs those of an older version do not stay beside the new pages.
    const plain = await report({ ...asked, hasPngs: false }, made.lake.effects);
    expect(plain.charts).toEqual([]);
    expect(readdirSync(outDir).sort()).toEqual(['operator.html', 'report.html']);
  });

  it('goes into the lake itself where no folder is given: charts first, report.html last', async () => {
    const { effects } = made.lake;
    const keys: string[] = [];
    const store: LakeStore = {
      ...effects.store,
      put: (key, body) => {
        keys.push(key);
        return effects.store.put(key, body);
      },
    };
    const again = { runId: 'run-whole', outDir: undefined, target: 'prod' as const, hasPngs: true };
    const { html, pages, charts } = await report(again, { ...effects, store });
    expect(pages.at(-1)).toBe(html);
    expect(keys).toEqual([...charts, ...pages].map((address) => address.slice(effects.store.uri.length + 1)));
    expect(html).toBe(`${effects.store.uri}/report/report.html`);
    expect(readFileSync(html, 'utf8') === made.first).toBe(true);
    const full = { ...store, put: () => Promise.reject(new JobError('store_unavailable', 'unavailable', 'gone')) };
    await expect(report({ ...again, runId: 'new' }, { ...effects, store: full })).rejects.toMatchObject({
      exit: 'unavailable',
    });
    expect(readFileSync(html, 'utf8') === made.first).toBe(true);
  });

  it('F71: a report that was drawn while production was replaced does not replace the page of the new one, exit 75', async () => {
    const { lake } = made;
    const outDir = join(folder, 'overtaken');
    cpSync(made.outDir, outDir, { recursive: true });
    const files = (): [string, string][] =>
      readdirSync(outDir, { recursive: true })
        .map(String)
        .sort()
        .filter((name) => /\./.test(name))
        .map((name) => [
          name,
          createHash('sha256')
            .update(readFileSync(join(outDir, name)))
            .digest('hex'),
        ]);
    const before = files();
    const state = await lake.state();
    const replaced = { ...state, gold: { prod: { ...state.gold.prod!, runId: 'another' } } };
    let isReplaced = false;
    const progress = {
      ...lake.effects.progress,
      update() {
        isReplaced = true;
      },
    };
    const store: LakeStore = {
      ...lake.store,
      head: async (key) => {
        if (isReplaced && (await lake.state()).gold.prod!.runId !== 'another') await lake.commitState(replaced);
        return lake.store.head(key);
      },
    };
    const late = report({ runId: 'late', outDir, target: 'prod' }, { ...lake.effects, progress, store });
    await expect(late).rejects.toMatchObject({ code: 'commit_conflict', exit: 'tempfail' });
    expect(files()).toEqual(before);
    await lake.commitState(state);
  });

  it('stops at a signal before it touches a file', async () => {
    const outDir = join(folder, 'stopped');
    const controller = new AbortController();
    controller.abort();
    const stopped = report(
      { runId: 'run-stopped', outDir, target: 'prod' },
      { ...made.lake.effects, signal: controller.signal },
    );
    await expect(stopped).rejects.toBeInstanceOf(JobError);
    expect(existsSync(outDir)).toBe(false);
  });
});

describe('a report with little to say', () => {
  it('says what to do when nothing has been built', async () => {
    const lake = await openLakeFixture();
    lakes.push(lake);
    const { html, charts } = await report(
      { runId: 'run-0', outDir: join(folder, 'nothing'), target: 'prod' },
      lake.effects,
    );
    expect(charts).toEqual([]);
    expect(readFileSync(html, 'utf8')).toContain(
      'There is nothing to report yet: gold_prod has no tables. Give listenlake run an account export',
    );
  });

  it('says what to do when there is no play', async () => {
    const { html, charts } = await make('no-plays', { plays: [] });
    expect(charts).toEqual([]);
    expect(html).toContain('There is no play to report yet. Give listenlake run an account export');
  });

  it('shows the charts and the catalogue of a lake without a play', async () => {
    const entries = Array.from({ length: 60 }, (_, n) => ({
      ...{ chart: 'top50_daily', region: n % 2 === 0 ? 'global' : 'DE', rank: 1 + (Math.floor(n / 2) % 6) },
      period_start: `2026-02-0${1 + Math.floor(n / 12)}`,
      period_end: `2026-02-0${2 + Math.floor(n / 12)}`,
      ...{ track_id: `track-${n % 7}`, track_name: `Song ${n % 7}`, artist_name: `Artist ${n % 3}`, streams: 1000 + n },
    }));
    const tracks = Array.from({ length: 9 }, (_, n) => ({
      ...{ track_id: `track-${n}`, track_name: `Song ${n}`, primary_artist_id: `artist-${n % 2}` },
      ...{ primary_artist_name: `Artist ${n % 2}`, source: 'tracks_csv' },
    }));
    const made = await make('charts-alone', { chart_entries: entries, tracks });
    expect(made.html).toContain('There is no play to report yet.');
    expect(unfilledIn(made.html)).toEqual([]);
    expect(columnsOf(made, 'charts-longest', 2, 3)).toEqual(
      await made.ask(`select count(*), min(rank) from fct_chart_entries group by entry_key
        order by 1 desc, 2, entry_key limit 10`),
    );
    expect(columnsOf(made, 'charts-known', 1, 2)).toEqual([
      ['DE', 5],
      ['global', 5],
    ]);
    expect(columnsOf(made, 'catalogue-artists', 1)).toEqual([[5], [4]]);
    expect(made.figures.get('charts-longest')!.charts).toBe(2);
  });

  it('counts plays instead of time when only recently played is there, and says why', async () => {
    const made = await make('api', { plays: recentlyPlayed() });
    expect(made.html).toContain('Plays by month');
    expect(made.html).toContain('recently played and scrobbles never do. So plays are counted');
    expect(columnsOf(made, 'listening-by-month', 2).flat()).toEqual([null, null, null, null, null, null]);
    expect(made.figures.get('devices')!.missing).toContain('extended account export');
    expect(made.figures.get('skip-rate-by-genre')).toMatchObject({
      charts: 0,
      missing: expect.stringContaining('None of the'),
    });
    expect(made.figures.get('genres-by-month')).toMatchObject({
      charts: 0,
      missing: expect.stringContaining('has a genre'),
    });
    expect(made.figures.has('daily-active-users')).toBe(false);
    expect(made.figures.has('users')).toBe(false);
    expect([...unfilledIn(made.html), ...unfilledIn(made.first)]).toEqual([]);
  });

  it('says that nothing tells whether plays are all there were, where only events are known', async () => {
    const made = await make('events', { listening_events: events() });
    expect(made.figures.get('covered-days')).toMatchObject({
      charts: 0,
      missing: expect.stringContaining('Load an account export, or log in and poll'),
    });
  });

  it('says that nothing is missing between polls, and where the time before them is', async () => {
    const { capture_polls } = sources();
    const made = await make(
      'polls',
      { plays: recentlyPlayed(), capture_polls: capture_polls.slice(0, 2) },
      '2026-06-26',
    );
    expect(made.figures.get('covered-days')!.takeaway).toBe(
      'Nothing is missing since 18 Jun 2026, as far as exports and polls can tell. For what was played before, request the extended streaming history: it goes back to the first play.',
    );
  });

  it('draws days while there are few, and no area for two months of genres', async () => {
    const plays = ownPlays().filter(
      (row) => String(row.ended_at) >= '2026-05-15' && String(row.ended_at) < '2026-06-20',
    );
    const made = await make('short', { plays, track_genres: trackGenres() });
    expect(made.figures.get('listening-by-day')!.charts).toBe(2);
    expect(made.figures.has('listening-by-month')).toBe(false);
    expect(made.figures.get('genres-by-month')!.charts).toBe(2);
    expect(made.html).toContain('The share by month is drawn from 3 months on.');
  });

  it('holds for a single play, long before the end of the data', async () => {
    const made = await make('single', { plays: ownPlays().slice(0, 1) });
    expect(made.figures.has('top-shows')).toBe(false);
    expect(made.html).toContain('Everything so far lies in 1 Jan 2026');
    expect(made.html).toContain('Nothing was played in the last 28 days');
    expect([...unfilledIn(made.html), ...unfilledIn(made.first)]).toEqual([]);
  });

  it('says how many plays are longer than a day, in no number, and how many name nothing', async () => {
    const plays = ownPlays().slice(0, 40);
    const broken = { ...plays[0]!, play_id: 'broken', played_ms: 90_000_000 };
    const nothing = ['n1', 'n2'].map((play_id, n) => ({
      ...{ ...plays[n]!, play_id, content_type: 'unknown' },
      ...{ content_uri: null, track_id: null, track_name: null, artist_name: null },
    }));
    const made = await make('odd', { plays: [...plays, broken, ...nothing] });
    const counted = plays.filter(({ is_incognito }) => !is_incognito).length + 2;
    expect(made.html).toContain(`<dt>Plays</dt><dd><b>${counted}</b>`);
    expect(made.html).toContain('1 play longer than a day is left out of every number here: a counter that broke.');
    expect(made.html).toContain('2 plays name nothing that was played');
    expect(made.figures.get('top-tracks')!.rows!.every(([, , song]) => song !== null)).toBe(true);
  });

  it('marks a report of gold_dev as a draft', async () => {
    const lake = await openLakeFixture();
    lakes.push(lake);
    await lake.commitSilver({ plays: ownPlays().slice(0, 40) });
    await enrich({ runId: 'run-dev', asOf: AS_OF }, lake.effects);
    const { html } = await report({ runId: 'run-dev', outDir: join(folder, 'dev'), target: 'dev' }, lake.effects);
    expect(readFileSync(html, 'utf8')).toContain('A draft: made from gold_dev');
  });
});
