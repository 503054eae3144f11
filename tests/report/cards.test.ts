import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cardSvg, drawCard } from '../../jobs/report/card-picture.ts';
import { publishedTables } from '../../jobs/report/reading.ts';
import { composeCards, type YearCard } from '../../jobs/report/year-cards.ts';
import { report, reportCards } from '../../jobs/report.ts';
import { type LakeFixture, openLakeFixture, publishProd } from '../fixtures/effects.ts';
import { AS_OF, HOSTILE, ownPlays, podcasts } from './report-data.ts';
import { readPng, textOf } from './report-page.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-cards-'));
let lake: LakeFixture;
afterAll(async () => {
  await lake.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeAll(async () => {
  lake = await openLakeFixture();
  const once = ownPlays()
    .slice(0, 1)
    .map((row) => ({ ...row, user_id: 'once', play_id: 'one-once' }));
  await lake.commitSilver({ plays: [...ownPlays(), ...once, ...podcasts()] });
  await publishProd(lake.effects, { runId: 'run-cards', asOf: AS_OF });
});

const input = (outDir: string) => ({ runId: 'run-cards', outDir, target: 'prod' }) as const;
const one = async (sql: string): Promise<unknown[]> => (await lake.engine.query(sql, { target: 'prod' })).rows[0]!;
const card = (value: string, detail = 'played'): YearCard => ({
  key: 'report/cards/me/2026.png',
  year: '2026',
  name: '',
  lines: [{ label: 'Artist', value, detail }],
});
const textsOf = (svg: string): string[] =>
  [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => textOf(text!));

it('draws a card for each person with plays in the year, 1080 by 1920 pixels, and no page', async () => {
  const outDir = join(folder, 'cards');
  const paths = await reportCards({ ...input(outDir), year: '2026' }, lake.effects);
  expect(paths).toEqual(['me', 'once'].map((label) => join(outDir, 'cards', label, '2026.png')));
  for (const path of paths) {
    const { width, height, values } = readPng(readFileSync(path));
    expect([width, height]).toEqual([1080, 1920]);
    expect(values).toBeGreaterThan(50);
  }
  expect(readdirSync(outDir)).toEqual(['cards']);
});

it('says what SQL says of that person and year', async () => {
  const [found] = await composeCards(lake.engine, {
    target: 'prod',
    tables: publishedTables(await lake.state(), 'prod'),
    year: '2026',
    userId: 'me',
  });
  const [hours, plays] = await one(
    "select sum(played_ms) / 3600000e0, count(*) from fct_plays where not is_incognito and user_id = 'me' and year(local_date) = 2026",
  );
  const [days] = await one("select max(days) from listening_streaks where user_id = 'me'");
  const [artist] = await one(`select artist_name from fct_plays as plays
    inner join dim_artists on plays.artist_id = dim_artists.artist_id
    where not is_incognito and user_id = 'me' group by plays.artist_id, artist_name
    order by sum(played_ms) desc, plays.artist_id limit 1`);
  expect(found!.lines.map(({ label }) => label)).toEqual(['Listened for', 'Artist', 'Song', 'Longest streak', 'Heard']);
  expect(found!.lines[0]).toMatchObject({ value: `${Math.round(Number(hours))} hours`, detail: `${plays} plays` });
  expect(found!.lines[1]!.value).toBe(artist);
  expect(found!.lines[3]!.value).toBe(`${days} days`);
});

it('says so where the year has no play, and which years have, and leaves nothing behind', async () => {
  const outDir = join(folder, 'empty');
  const asked = reportCards({ ...input(outDir), year: '2020' }, lake.effects);
  await expect(asked).rejects.toMatchObject({
    code: 'year_empty',
    exit: 'data',
    message: 'gold_prod has no play in 2020, so there is no card',
    hint: 'it has plays in 2016, 2017, 2018, 2019, 2023, 2024, 2025, 2026',
  });
  expect(existsSync(outDir)).toBe(false);
  const nobody = reportCards({ ...input(outDir), year: '2026', userId: 'nobody' }, lake.effects);
  await expect(nobody).rejects.toMatchObject({ code: 'user_unknown', exit: 'usage' });
});

it('tells of podcasts where a year has no song, after a gap of years, and of one play', async () => {
  const [found] = await composeCards(lake.engine, {
    target: 'prod',
    tables: publishedTables(await lake.state(), 'prod'),
    year: '2023',
  });
  expect(found!.name).toBe('podcaster');
  expect(found!.lines.map(({ label, value }) => `${label}: ${value}`)).toEqual([
    'Listened for: 2.0 h',
    expect.stringMatching(/^Show: Show [01]$/),
  ]);
  const [once] = await composeCards(lake.engine, {
    target: 'prod',
    tables: publishedTables(await lake.state(), 'prod'),
    year: '2026',
    userId: 'once',
  });
  expect(once!.lines.map(({ label }) => label)).toEqual(['Listened for', 'Artist', 'Song', 'Heard']);
});

it('says so in one line where the folder cannot be written', async () => {
  const outDir = join(folder, 'a-file');
  writeFileSync(outDir, 'mine');
  const asked = reportCards({ ...input(outDir), year: '2026' }, lake.effects);
  await expect(asked).rejects.toMatchObject({ exit: 'io', hint: 'give a folder that you may write, with --out' });
  expect(readFileSync(outDir, 'utf8')).toBe('mine');
});

it('keeps cards when a report is drawn into the same folder', async () => {
  const outDir = join(folder, 'both');
  const [path] = await reportCards({ ...input(outDir), year: '2026', userId: 'me' }, lake.effects);
  await report(input(outDir), lake.effects);
  expect(existsSync(path!)).toBe(true);
  expect(existsSync(join(outDir, 'report.html'))).toBe(true);
});

it.each(Object.entries(HOSTILE))('draws a hostile name as text that fits: %s', (_, name) => {
  const svg = cardSvg(card(name, `2 plays, by ${name}`));
  expect(svg).not.toMatch(/<(?!\/?(?:svg|rect|text)\b)/);
  for (const text of textsOf(svg)) expect(text.length).toBeLessThan(80);
  expect(readPng(Buffer.from(drawCard(card(name)))).height).toBe(1920);
});

it('draws right-to-left names and emoji, and says it where a name has nothing that can be drawn', () => {
  expect(textsOf(cardSvg(card('טיול')))).toContain('טיול');
  expect(textsOf(cardSvg(card('🎧')))).toContain('🎧');
  expect(textsOf(cardSvg(card('\u200b\u2060')))).toContain('(a name of pictures)');
});
