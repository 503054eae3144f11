import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ZipFile } from 'yazl';
import { generateIntoFolder } from '../../jobs/sources/synthetic/landing.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { openLakeFixture } from '../fixtures/effects.ts';
import { fingerprint, type TableFingerprint } from '../fixtures/lake-tables.ts';

let folder: string;
let source: string;
let lake: string;
let tables: Record<string, TableFingerprint>;
let first: Awaited<ReturnType<typeof listenlake>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-run-'));
  source = join(folder, 'source');
  lake = join(folder, 'lake');
  await generateIntoFolder(
    { seed: 5, users: 5, days: 6, tracks: 300, end: '2026-11-01', exportPlays: 2500, exportYears: 5, faults: true },
    source,
  );
  first = await listenlake(['run', source, '--lake', lake, '--on-quarantine', 'warn']);
  tables = await fingerprint(lake);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

describe('run', () => {
  it('ends with a summary that accounts for every row, a report, and one JSON object on the last line', async () => {
    expect([first.code, first.stderr]).toEqual([0, '']);
    const accounts = first.json.accounts as Record<string, number>;
    expect(accounts.read).toBe(accounts.new! + accounts.duplicate! + accounts.quarantined!);
    expect(accounts.read).toBeGreaterThan(4000);
    expect(first.stdout).toContain('report');
    expect(await readFile(String(first.json.report), 'utf8')).toContain('<svg');
    expect(tables['gold_prod.fct_plays']!.rows).toBe(tables['gold_dev.fct_plays']!.rows);
  });

  it('again: nothing new, no table changes, no manifest is added', async () => {
    const before = await readdir(join(lake, 'manifests'));
    const again = await listenlake(['run', source, '--lake', lake]);
    expect([again.code, again.stderr, again.json.status]).toEqual([0, '', 'nothing_new']);
    expect(await readdir(join(lake, 'manifests'))).toEqual(before);
    expect(await fingerprint(lake)).toEqual(tables);
  });

  it('I4: the same files in several runs, in reverse order, and once more as a zip give the same tables', async () => {
    const other = join(folder, 'other');
    const files = (await filesBelow(source)).reverse();
    const half = Math.ceil(files.length / 2);
    for (const part of [files.slice(0, half), files.slice(half)]) {
      const run = await listenlake(['run', ...part, '--lake', other, '--on-quarantine', 'warn', '--no-report'], {
        TZ: 'Asia/Kathmandu',
      });
      expect([run.code, run.stderr]).toEqual([0, '']);
    }
    const zip = new ZipFile();
    for (const file of files) zip.addFile(file, `MyData/${file.slice(source.length + 1)}`);
    zip.end();
    const path = join(folder, 'my_spotify_data.zip');
    const out = createWriteStream(path);
    zip.outputStream.pipe(out);
    await once(out, 'close');
    const zipped = await listenlake(['run', path, '--lake', other, '--no-report']);
    expect([zipped.code, zipped.stderr, zipped.json.status]).toEqual([0, '', 'nothing_new']);
    // Which run brought a table its last rows is history, not content.
    const history = [
      'silver.table_stats.rows_before',
      'silver.loaded_files.loaded_on',
      'gold_dev.record_counts.rows_before',
      'gold_dev.record_counts.change',
      'gold_prod.record_counts.rows_before',
      'gold_prod.record_counts.change',
    ];
    const schemas = ['silver', 'gold_dev', 'gold_prod'];
    expect(await fingerprint(other, schemas, history)).toEqual(await fingerprint(lake, schemas, history));
  });

  it('draws the report again where production has changed without one', async () => {
    const at = join(folder, 'undrawn');
    const event = (n: number): string =>
      JSON.stringify({ event_id: `e${n}`, user_id: 'u', action: 'play', occurred_at: `2026-10-0${n}T00:00:00Z` });
    await writeFile(join(folder, 'events-1.ndjson'), event(1));
    await writeFile(join(folder, 'events-2.ndjson'), event(2));
    const page = async (...args: string[]): Promise<string> => {
      expect((await listenlake(['run', ...args, '--lake', at])).code).toBe(0);
      return readFile(join(at, 'report/report.html'), 'utf8');
    };
    const drawn = await page(join(folder, 'events-1.ndjson'));
    expect(await page()).toBe(drawn);
    expect(await page(join(folder, 'events-2.ndjson'), '--no-report')).toBe(drawn);
    const again = await page();
    expect(again).not.toBe(drawn);
    expect(again).toContain('2 Oct 2026');
    expect(await page()).toBe(again);
  });

  it('job by job gives what run gives', async () => {
    const stepwise = join(folder, 'stepwise');
    const at = ['--lake', stepwise];
    const steps = [
      ['extract', source],
      ['load', '--on-quarantine', 'warn'],
      ['transform', '--on-quarantine', 'warn'],
      ['check', '--scope', 'silver'],
      ['enrich'],
      ['check', '--scope', 'gold'],
      ['promote'],
      ['report'],
    ];
    for (const step of steps) {
      const done = await listenlake([...step, ...at]);
      expect([step, done.code, done.stderr]).toEqual([step, 0, '']);
      expect(Object.keys(done.json).length).toBeGreaterThan(0);
    }
    expect(await filesBelow(join(stepwise, 'landing')).catch(() => [])).toEqual([]);
    expect(await fingerprint(stepwise)).toEqual(tables);
  });

  it('F64: a failed check leaves prod as it was, exit 65', async () => {
    const fixture = await openLakeFixture();
    const at = ['--lake', fixture.root];
    const play = (n: number, copies: number) => ({
      ...{ play_id: `p${n}`, user_id: 'me', source: 'api', content_type: 'unknown', copies },
      ...{ played_ms: 1000, ended_at: `2026-02-0${n} 12:00:00` },
    });
    await fixture.commitSilver({ plays: [play(1, 1)] });
    for (const step of ['enrich', 'check', 'promote'])
      expect([step, (await listenlake([step, ...at])).code]).toEqual([step, 0]);
    const before = await fingerprint(fixture.root, ['gold_prod']);
    expect(before['gold_prod.fct_plays']!.rows).toBe(1);
    // No bronze gives a play without a copy of it: it is written over the table, as a bad restore might.
    await fixture.commitSilver({ plays: [play(1, 1), play(2, 0)] });
    await listenlake(['enrich', ...at]);
    const [check, promote, run] = [
      await listenlake(['check', ...at]),
      await listenlake(['promote', ...at]),
      await listenlake(['run', '--no-report', ...at]),
    ];
    expect([check.code, check.json.status]).toEqual([65, 'failed']);
    expect([promote.code, promote.stderr]).toEqual([65, expect.stringMatching(/silver fails its tests: plays: 1 row/)]);
    expect([run.code, run.json.status]).toEqual([65, 'checks_failed']);
    expect(await fingerprint(fixture.root, ['gold_prod'])).toEqual(before);
    await fixture.close();
  });

  it('F55: of several runs at once one does the work, the others end with 75 or find nothing new', async () => {
    const shared = join(folder, 'shared');
    await mkdir(shared);
    const runs = await Promise.all(
      Array.from({ length: 4 }, () =>
        finished(start(['run', source, '--lake', shared, '--on-quarantine', 'warn', '--no-report'])),
      ),
    );
    const done = runs.filter((run) => run.code === 0 && run.json.status !== 'nothing_new');
    expect(done).toHaveLength(1);
    for (const run of runs.filter((each) => each.code !== 0))
      expect([run.code, run.stderr]).toEqual([75, expect.stringContaining('is writing to this lake')]);
    expect(await fingerprint(shared)).toEqual(tables);
  });

  it('doctor --verify reads everything and finds it whole; a flipped bit is named with its remedy, and the remedy works', async () => {
    const well = await listenlake(['doctor', '--verify', '--lake', lake]);
    expect([well.code, well.json.status]).toEqual([0, 'well']);
    const victim = (await filesBelow(join(lake, 'silver/plays')))[0]!;
    const bytes = await readFile(victim);
    bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 0xff;
    await writeFile(victim, bytes);
    const broken = await listenlake(['doctor', '--verify', '--lake', lake]);
    expect(broken.code).toBe(65);
    expect(broken.stdout).toContain(victim.slice(lake.length + 1));
    expect(broken.stdout).toContain('transform --rebuild');
    expect((await listenlake(['transform', '--rebuild', '--lake', lake, '--on-quarantine', 'warn'])).code).toBe(0);
    expect((await listenlake(['doctor', '--verify', '--lake', lake])).json.status).toBe('well');
    expect(await fingerprint(lake, ['silver'])).toEqual(
      Object.fromEntries(Object.entries(tables).filter(([name]) => name.startsWith('silver.'))),
    );
  });
});
