import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishedTables } from '../../jobs/report/reading.ts';
import { RARE_DAYS } from '../../jobs/report/redact.ts';
import { composeCards } from '../../jobs/report/year-cards.ts';
import { report } from '../../jobs/report.ts';
import { type LakeFixture, openLakeFixture, publishProd } from '../fixtures/effects.ts';
import { AS_OF, ownPlays, podcasts } from './report-data.ts';
import { textOf } from './report-page.ts';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-redact-'));
let lake: LakeFixture;
afterAll(async () => {
  await lake.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeAll(async () => {
  lake = await openLakeFixture();
  // One name of each kind that nobody may see: it was heard on one day.
  const rare = ownPlays()
    .slice(0, 1)
    .map((row) => ({
      ...row,
      ...{ play_id: 'one-rare', track_id: 'RareRareRareRareRareR1', played_ms: 30_000_000 },
      ...{ track_name: 'A tune for one evening', artist_name: 'Nobody but me', album_name: 'Only once' },
    }));
  await lake.commitSilver({ plays: [...ownPlays(), ...rare, ...podcasts()] });
  await publishProd(lake.effects, { runId: 'run-redact', asOf: AS_OF });
});

const input = (outDir: string) => ({ runId: 'run-redact', outDir, target: 'prod', hasPngs: true }) as const;

/** Names that the person has heard, with the days on which. */
async function heard(): Promise<{ name: string; days: number }[]> {
  const { rows } = await lake.engine.query(
    `select name, count(distinct local_date) as days from (
       select local_date, unnest([track_name, dim_tracks.artist_name]) as name
       from fct_plays inner join dim_tracks on fct_plays.track_id = dim_tracks.track_id where user_id = 'me'
     ) group by name`,
    { target: 'prod' },
  );
  return rows.map(([name, days]) => ({ name: String(name), days: Number(days) }));
}

it('hides every name that was heard on few days, wherever it would stand, and keeps the others', async () => {
  const [whole, shown] = [join(folder, 'whole'), join(folder, 'shown')];
  await report(input(whole), lake.effects);
  await report({ ...input(shown), isRedacted: true, userId: 'me' }, lake.effects);
  const names = await heard();
  const rare = names.filter(({ days }) => days < RARE_DAYS).map(({ name }) => name);
  expect(rare).toContain('A tune for one evening');
  const page = textOf(readFileSync(join(shown, 'report.html'), 'utf8'));
  const own = textOf(readFileSync(join(whole, 'people/me.html'), 'utf8'));
  // It is on the whole page, so its absence says something.
  expect(own).toContain('Nobody but me');
  expect(rare.filter((name) => page.includes(name))).toEqual([]);
  expect(page).toContain('Hidden 1');
  expect(names.filter(({ name, days }) => days >= RARE_DAYS && own.includes(name)).length).toBeGreaterThan(0);
});

it('leaves out times of day, devices and countries, and says so', () => {
  const page = readFileSync(join(folder, 'shown/report.html'), 'utf8');
  for (const id of ['clock', 'where', 'hours-of-the-week']) expect(page).not.toContain(`id="${id}"`);
  expect(page).not.toMatch(/\b\d\d:\d\d\b/);
  expect(page).toContain('Redacted, to be shown to others');
});

it('makes nothing about everybody, and leads nowhere', () => {
  const files = readdirSync(join(folder, 'shown'), { recursive: true }).map(String);
  expect(files.filter((name) => name.endsWith('.html'))).toEqual(['report.html']);
  expect(readFileSync(join(folder, 'shown/report.html'), 'utf8')).not.toMatch(/<a [^>]*href="(?!#)/);
});

it('hides rare names on cards', async () => {
  const texts = async (isRedacted: boolean): Promise<string> =>
    JSON.stringify(
      await composeCards(lake.engine, {
        target: 'prod',
        tables: publishedTables(await lake.state(), 'prod'),
        year: '2026',
        userId: 'me',
        isRedacted,
      }),
    );
  const rare = (await heard()).filter(({ days }) => days < RARE_DAYS).map(({ name }) => name);
  const shown = await texts(true);
  expect(rare.filter((name) => shown.includes(JSON.stringify(name).slice(1, -1)))).toEqual([]);
});
