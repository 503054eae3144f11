import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contractOf } from '../../jobs/lake/contracts.ts';
import { measureTable, type TableProfile } from '../../jobs/profile/measure.ts';
import { type ProfileResult, profile } from '../../jobs/profile.ts';
import { type LakeFixture, openLakeFixture, type Row } from '../fixtures/effects.ts';

const PERSON = 'u_0123456789abcdef';
const HOSTILE = '</script><script>globalThis.hit = 1</script>';

const folder = mkdtempSync(join(tmpdir(), 'listenlake-profile-'));
const lakes: LakeFixture[] = [];
afterAll(async () => {
  for (const lake of lakes) await lake.close();
  rmSync(folder, { recursive: true, force: true });
});

async function lakeOf(silver: Record<string, readonly Row[]>): Promise<LakeFixture> {
  const lake = await openLakeFixture();
  lakes.push(lake);
  await lake.commitSilver(silver);
  return lake;
}

/** Lengths with a tie, a null and one that is far out; the row count is not a multiple of anything. */
const LENGTHS = [
  ...Array.from({ length: 97 }, (_, n) => ((n * 7919) % 240) * 1000),
  null,
  null,
  86_400_000 * 3,
  5_000,
  5_000,
  5_000,
];

function plays(): Row[] {
  return LENGTHS.map((played_ms, n) => {
    const at = new Date(Date.UTC(2026, 0, 1 + (n % 70), 12, 0, n)).toISOString().replace('T', ' ').replace('Z', '');
    return {
      ...{ play_id: `p${n}`, user_id: PERSON, source: 'export_extended', content_type: 'track' },
      ...{ track_name: n % 10 === 0 ? HOSTILE : `Song ${n % 9}`, played_ms, started_at: at, ended_at: at },
      ...{ reported_at: at, time_quality: 'exact', copies: 1, source_key: 'a'.repeat(64), source_row: n + 1 },
    };
  });
}

/** The least value that at least this share of the values does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(share * sorted.length) - 1]!;
}

describe('of plays', () => {
  let result: ProfileResult;
  let table: TableProfile;
  let html: string;
  beforeAll(async () => {
    const lake = await lakeOf({ plays: plays() });
    result = await profile({ tables: [], outDir: join(folder, 'plays') }, lake.effects);
    table = result.tables.find((each) => each.table === 'plays')!;
    html = readFileSync(result.html, 'utf8');
  });
  const column = (name: string) => table.columns.find((each) => each.name === name)!;
  const lengths = LENGTHS.filter((length) => length !== null);

  it('counts what is there, as counting by hand does', () => {
    expect(table).toMatchObject({ rows: LENGTHS.length, duplicates: 0 });
    const { filled, distinct, least, greatest, mean, quantiles, top } = column('played_ms');
    expect({ filled, distinct, least, greatest }).toEqual({
      filled: lengths.length,
      distinct: new Set(lengths).size,
      least: String(Math.min(...lengths)),
      greatest: String(Math.max(...lengths)),
    });
    expect(mean).toBeCloseTo(lengths.reduce((sum, length) => sum + length, 0) / lengths.length, 6);
    expect(quantiles).toEqual({
      p05: String(quantile(lengths, 0.05)),
      p25: String(quantile(lengths, 0.25)),
      p50: String(quantile(lengths, 0.5)),
      p75: String(quantile(lengths, 0.75)),
      p95: String(quantile(lengths, 0.95)),
    });
    expect(top[0]).toEqual({ value: '5000', rows: lengths.filter((length) => length === 5000).length });
    expect(column('context_uri')).toMatchObject({ filled: 0, distinct: 0, quantiles: null, histogram: [], top: [] });
  });

  it('every row with a value is in one bar, or is said to be outside of them', () => {
    const { histogram, outsideBars } = column('played_ms');
    expect(histogram).toHaveLength(24);
    expect(histogram.reduce((sum, bar) => sum + bar.rows, 0) + outsideBars).toBe(lengths.length);
    expect(outsideBars).toBeGreaterThan(0);
    expect(column('ended_at').histogram).toEqual([
      { from: '2026-01-01', to: '2026-02-01', rows: 62 },
      { from: '2026-02-01', to: '2026-03-01', rows: 30 },
      { from: '2026-03-01', to: '2026-04-01', rows: 11 },
    ]);
  });

  it('says what stands out, and what the pipeline does about it', () => {
    const found = result.findings.filter((finding) => finding.table === 'plays');
    expect(found).toContainEqual(
      expect.objectContaining({
        seen: expect.stringContaining('1 row of which'),
        done: '`check` warns; the rows stay',
      }),
    );
    expect(found).toContainEqual(
      expect.objectContaining({ column: 'played_ms', seen: expect.stringContaining('up to 259,200,000 ms') }),
    );
    const columnsOf = (seen: string) => found.find((finding) => finding.seen === seen)?.column?.split(', ');
    expect(columnsOf('no row has a value')).toContain('context_uri');
    expect(columnsOf('every value is the same')).toContain('source');
    expect(columnsOf('every value is the same')).not.toContain('play_id');
  });

  it('S8: shows no name of a person, runs nothing, loads nothing, and says the same as JSON', () => {
    expect(html).not.toContain(PERSON);
    expect(html).not.toContain(HOSTILE);
    expect(html).toContain('&#60;/script&#62;');
    expect(html).toContain("default-src 'none'");
    const json = JSON.parse(readFileSync(result.json, 'utf8'));
    expect(JSON.stringify(json)).not.toContain(PERSON);
    expect(json.tables).toEqual(JSON.parse(JSON.stringify(result.tables)));
    expect(json.empty).toContain('listening_events');
  });

  it('draws a picture for each number and time', () => {
    for (const name of ['played_ms', 'ended_at', 'source_row']) {
      const at = html.indexOf(`id="plays-${name.replaceAll('_', '-')}"`);
      expect(html.slice(at, at + 2000)).toContain('<svg');
    }
  });
});

it('of one row: no quantile is missing, and nothing is called an outlier', async () => {
  const lake = await lakeOf({ plays: plays().slice(0, 1) });
  const { tables, findings } = await profile({ tables: ['plays'], outDir: join(folder, 'one') }, lake.effects);
  const length = tables[0]!.columns.find(({ name }) => name === 'played_ms')!;
  expect(length).toMatchObject({ filled: 1, distinct: 1, histogram: [], outsideBars: 0 });
  expect(length.quantiles).toEqual({ p05: '0', p25: '0', p50: '0', p75: '0', p95: '0' });
  expect(findings.filter(({ column }) => column === 'played_ms')).toEqual([]);
});

it('two columns that go together are told, and a key that stands twice', async () => {
  const features = Array.from({ length: 40 }, (_, n) => ({
    ...{ track_id: `t${n % 39}`, danceability: n / 40, energy: n / 80, valence: ((n * 17) % 40) / 40 },
    has_conflict: false,
  }));
  const lake = await lakeOf({ track_features: features });
  const measured = await measureTable(lake.effects.engine, contractOf('silver', 'track_features'));
  expect(measured.duplicates).toBe(1);
  expect(measured.correlations[0]).toMatchObject({ a: 'danceability', b: 'energy', r: expect.closeTo(1, 9) });
});

it('says what to do where there is nothing, and which tables there are', async () => {
  const lake = await openLakeFixture();
  lakes.push(lake);
  const outDir = join(folder, 'none');
  await expect(profile({ tables: [], outDir }, lake.effects)).rejects.toMatchObject({
    code: 'silver_missing',
    exit: 'data',
  });
  await expect(profile({ tables: ['play'], outDir }, lake.effects)).rejects.toMatchObject({
    code: 'table_unknown',
    exit: 'usage',
    hint: expect.stringContaining('plays'),
  });
});
