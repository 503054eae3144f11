/**
 * What EXPECT.md of the field inputs says of production: each folder goes from its files to the tables of
 * gold_prod.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { coverageText } from '../../jobs/commands/coverage.ts';
import { coverage } from '../../jobs/coverage.ts';
import { openEmbedded } from '../../jobs/engine/duckdb/database.ts';
import { type RunResult, run } from '../../jobs/run.ts';
import { type LoadFixture, namesBelow, openLoadFixture } from '../bronze/load-fixture.ts';
import { fieldInputsOrSkip } from '../fixtures/layers.ts';

const inputs = fieldInputsOrSkip();

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

async function built(folder: string): Promise<RunResult> {
  const paths = [join(inputs!, folder)];
  const result = await run({ runId: 'field', paths, userId: 'me', report: undefined }, lake.effects);
  expect(result.status).toBe('done');
  return result;
}

/** Rows of production, 64-bit integers as numbers. */
async function ask(sql: string): Promise<unknown[][]> {
  const { rows } = await lake.engine.query(sql, { target: 'prod' });
  return rows.map((row) => row.map((value) => (typeof value === 'bigint' ? Number(value) : value)));
}

const TOP = "select rank, track_name, plays from top_tracks where period = 'all' order by rank";

(inputs !== undefined ? describe : describe.skip)('field inputs in production', () => {
  it('06-coverage-exports: the two years between two exports are a gap', async () => {
    await built('06-coverage-exports');
    const found = await coverage(lake.effects);
    const hours = 739 * 24;
    expect(found.longestGaps[0]).toEqual({
      ...{ userId: 'me', from: '2022-01-01', to: '2024-01-09', hours, causes: ['between_exports'] },
    });
    // About 17,690 hours, as it is asked for.
    expect(Math.abs(hours / 17_690 - 1)).toBeLessThan(0.01);
    const between = `from listening_coverage where coverage_date between date '2022-01-01' and date '2024-01-09'`;
    expect(await ask(`select why, covered_hours, count(*) ${between} group by 1, 2`)).toEqual([
      ['between_exports', 0, 739],
    ]);
    expect(found.status).toBe('gaps');
    expect(coverageText(found)).toMatch(/2022-01-01 to 2024-01-09: 739 days, between two exports/);
  });

  it('07-relinked: one song of three ids ranks once; its recordings stay apart', async () => {
    await built('07-relinked');
    expect(await ask(TOP)).toEqual([
      [1, 'Take Off', 9],
      [2, 'Other Song', 6],
    ]);
    expect(await ask('select track_name, count(*) from dim_tracks group by 1 order by 2 desc')).toEqual([
      ['Take Off', 3],
      ['Other Song', 1],
    ]);
    expect(await ask('select song_name, recordings from dim_songs order by 2 desc')).toEqual([
      ['Take Off', 3],
      ['Other Song', 1],
    ]);
  });

  it('16-old-endsong: 3 plays of two copies each, and no place is in any byte of the lake', async () => {
    await built('16-old-endsong');
    expect(await ask('select copies from silver.plays')).toEqual([[2], [2], [2]]);
    expect(await ask(TOP)).toEqual([[1, 'Old Flowers', 3]]);
    const found: string[] = [];
    const root = lake.store.uri;
    const db = await openEmbedded({ memoryMb: 256, threads: 1, tempDir: join(lake.source, 'spill'), folders: [root] });
    for (const name of await namesBelow(root)) {
      const bytes = await readFile(join(root, name)).catch(() => Buffer.alloc(0));
      const rows =
        bytes.toString('latin1', 0, 4) === 'PAR1'
          ? await db.rows(`select to_json(t)::varchar as row from read_parquet('${join(root, name)}') t`)
          : [];
      found.push(`${name} ${bytes.toString('latin1')} ${JSON.stringify(rows)}`);
    }
    db.close();
    const all = found.join('\n');
    expect(all).toContain('Old Flowers');
    expect(all).not.toMatch(/Hintertupfing|48\.654321|11\.123456|somebody|198\.51\.100\.7/);
  });

  it('17-flags: 6 private plays in whatever form the flag is, and 6 skips', async () => {
    const { transform } = await built('17-flags');
    expect(transform.accounts).toEqual({ read: 10, new: 10, duplicate: 0, quarantined: 0 });
    const flags = (column: string): string =>
      `select substr(track_name, 1, 2) from silver.plays where ${column} order by track_name`;
    const yes = ['F0', 'F1', 'F2', 'F3', 'F4', 'F5'].map((name) => [name]);
    for (const column of ['is_incognito', 'is_skipped', 'is_shuffle', 'is_offline'])
      expect([column, await ask(flags(column))]).toEqual([column, yes]);
    expect(await ask(`select count(*) from fct_plays where is_incognito`)).toEqual([[6]]);
    expect(await ask(`select sum(plays) from top_tracks where period = 'all'`)).toEqual([[4]]);
  });

  it('20-counter: a play of 104 days is counted, and no session, minute or end of the data', async () => {
    const { asOf } = await built('20-counter');
    expect(await ask('select count(*) from fct_plays')).toEqual([[4]]);
    expect(await ask('select plays, session_minutes from fct_sessions')).toEqual(Array(3).fill([1, 200 / 60]));
    expect(await ask(`select track_name, plays, minutes from top_tracks where period = 'all'`)).toEqual([['x', 3, 10]]);
    expect(await ask('select sum(minutes) from daily_aggregates')).toEqual([[10]]);
    expect(asOf!.slice(0, 10)).toBe('2024-04-11');
  });

  it('43-folder: 2 tracks, and 2024-05-01 is covered', async () => {
    await built('43-folder');
    expect(await ask(TOP)).toEqual([
      [1, 'Song A', 1],
      [2, 'Song B', 1],
    ]);
    const rows = await ask('select coverage_date, covered_hours, export_hours from listening_coverage');
    // From the start of the first play to the end of the last: 9:56:40 to 10:03:20.
    expect(rows).toEqual([['2024-05-01', expect.closeTo(400 / 3600, 6), expect.closeTo(400 / 3600, 6)]]);
    expect(await coverage(lake.effects)).toMatchObject({ status: 'whole', days: 1, gaps: 0 });
  });
});
