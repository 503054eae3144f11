import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { ResultSet, SqlValue } from '../../jobs/engine/index.ts';
import { WAREHOUSE_DIR } from '../../jobs/lake/contracts.ts';
import { formatResult, sql } from '../../jobs/sql.ts';
import { type LakeFixture, openLakeFixture, publishProd } from '../fixtures/effects.ts';

const COOKBOOK = readFileSync(join(WAREHOUSE_DIR, '../docs/cookbook.md'), 'utf8');

/** The recipes of the cookbook: a heading with a number, and the SQL under it. */
const RECIPES = [...COOKBOOK.matchAll(/^### (\d+\. .*)\n(?:(?!#|```).*\n)*```sql\n([^`]+)```$/gm)].map(
  ([, title, statement]) => ({ title: title!, statement: statement! }),
);

/** The questions of docs/playlists.md: the last line before each SQL. */
const PLAYLIST_QUESTIONS = [
  ...readFileSync(join(WAREHOUSE_DIR, '../docs/playlists.md'), 'utf8').matchAll(/^(.*\?)\n\n```sql\n([^`]+)```$/gm),
].map(([, question, statement]) => ({ question: question!, statement: statement! }));

const result = (types: Record<string, string>, ...rows: SqlValue[][]): ResultSet => ({
  columns: Object.entries(types).map(([name, type]) => ({ name, type })),
  rows,
});

describe('formatResult', () => {
  describe('json', () => {
    it('prints one array with exact numbers', () => {
      const text = formatResult(
        result({ big: 'bigint', amount: 'decimal(22,2)', share: 'double', name: 'varchar', is_on: 'boolean' }, [
          9007199254740993n,
          '12345678901234567890.10',
          0.1,
          '1.5',
          true,
        ]),
        'json',
      );
      expect(text).toBe(
        '[\n{"big": 9007199254740993, "amount": 12345678901234567890.10, "share": 0.1, "name": "1.5", "is_on": true}\n]',
      );
      expect(JSON.parse(text)).toHaveLength(1);
    });

    it('is a valid array for no rows, for nulls and for what JSON has no number for', () => {
      expect(formatResult(result({ a: 'integer' }), 'json')).toBe('[]');
      expect(
        JSON.parse(formatResult(result({ a: 'double', b: 'double', c: 'varchar' }, [NaN, -Infinity, null]), 'json')),
      ).toEqual([{ a: 'NaN', b: '-Infinity', c: null }]);
    });

    it('keeps columns of one name apart', () => {
      const columns = ['n', 'n', 'n_2', 'n'].map((name) => ({ name, type: 'integer' }));
      expect(JSON.parse(formatResult({ columns, rows: [[1, 2, 3, 4]] }, 'json'))).toEqual([
        { n: 1, n_2: 2, n_2_2: 3, n_3: 4 },
      ]);
    });

    it('F31: any text comes back as it was', () => {
      fc.assert(
        fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
          const rows = texts.map((text) => [text]);
          expect(JSON.parse(formatResult(result({ a: 'varchar' }, ...rows), 'json'))).toEqual(
            texts.map((a) => ({ a })),
          );
        }),
      );
    });
  });

  it('csv: header, quotes where needed, null apart from empty text', () => {
    const text = formatResult(
      result({ a: 'varchar', 'b,c': 'bigint' }, ['say "hi"', 1n], ['', null], [null, 2n], ['two\nlines', 3n]),
      'csv',
    );
    expect(text).toBe('a,"b,c"\r\n"say ""hi""",1\r\n"",\r\n,2\r\n"two\nlines",3');
  });

  describe('table', () => {
    it('aligns text left and numbers right, and counts the rows', () => {
      const text = formatResult(
        result({ name: 'varchar', plays: 'bigint' }, ['ab', 1n], ['日本', 12345n], [null, null]),
        'table',
      );
      expect(text).toBe(['name  plays', '────  ─────', 'ab        1', '日本  12345', '', '3 rows'].join('\n'));
      expect(formatResult(result({ a: 'integer' }, [1]), 'table')).toMatch(/\n1 row$/);
    });

    it('F31: shows control characters and marks of direction instead of obeying them', () => {
      const text = formatResult(result({ a: 'varchar' }, ['\u001b[2Jx\u202Ey\nz\u0000']), 'table');
      expect(text).toContain('\\u001b[2Jx\\u202ey\\nz\\u0000');
      expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    });

    it('cuts long cells', () => {
      const [, , row = ''] = formatResult(result({ a: 'varchar' }, ['x'.repeat(500)]), 'table').split('\n');
      expect(row).toBe(`${'x'.repeat(59)}…`);
    });
  });
});

describe('sql', () => {
  let lake: LakeFixture;
  beforeAll(async () => {
    lake = await openLakeFixture();
    await lake.commitSilver({
      plays: [{ play_id: 'p1', played_ms: 5n, track_name: "Robert'); drop table plays; --" }],
    });
  });
  afterAll(() => lake.close());

  it('reads the lake with values as parameters', async () => {
    const found = await sql(
      {
        statement: 'select track_name, played_ms from silver.plays where play_id = ?',
        parameters: ['p1'],
        target: 'dev',
      },
      lake.effects,
    );
    expect(formatResult(found, 'json')).toBe('[\n{"track_name": "Robert\'); drop table plays; --", "played_ms": 5}\n]');
  });

  it('passes the limit of rows on', async () => {
    await expect(
      sql({ statement: 'select * from range(10)', target: 'dev', maxRows: 9 }, lake.effects),
    ).rejects.toMatchObject({ code: 'result_too_large' });
  });
});

describe('warehouse/queries', () => {
  let lake: LakeFixture;
  beforeAll(async () => {
    lake = await openLakeFixture();
    await publishProd(lake.effects, { runId: 'prod', asOf: '2026-03-01' });
  });
  afterAll(() => lake.close());

  const folder = join(WAREHOUSE_DIR, 'queries');
  it.each(readdirSync(folder).filter((name) => name.endsWith('.sql')))('%s answers from gold_prod', async (name) => {
    const { columns } = await sql(
      { statement: readFileSync(join(folder, name), 'utf8'), target: 'prod' },
      lake.effects,
    );
    expect(columns.length).toBeGreaterThan(1);
    const names = columns.map(({ name }) => name);
    // A rate without the number that it rests on says nothing.
    for (const [rate, base] of Object.entries(BASES))
      if (names.includes(rate))
        expect([name, rate, names.filter((each) => [base].flat().includes(each))]).toEqual([
          name,
          rate,
          [expect.anything()],
        ]);
    expect(names.filter((each) => /rate|share|average|per_/.test(each) && !(each in BASES))).toEqual([]);
  });

  it('every table with a skip rate has the numbers that it is made of', async () => {
    const columns = await sql(
      {
        statement: `select table_name, string_agg(column_name, ' ') from information_schema.columns
          where table_schema = 'gold_prod' group by table_name having count(*) filter (where column_name = 'skip_rate') > 0 order by 1`,
        target: 'prod',
      },
      lake.effects,
    );
    const tables = columns.rows.map(([table, names]): [unknown, string[]] => [table, String(names).split(' ')]);
    expect(tables.length).toBeGreaterThan(6);
    const parts = ['skips', 'finishes', 'neutral_plays'];
    expect(tables.filter(([, names]) => !parts.every((part) => names.includes(part)))).toEqual([]);
  });

  it('the cookbook tells the question of each, as it begins', () => {
    const shown = [...COOKBOOK.matchAll(/^\| \[`(\w+\.sql)`\]\(\.\.\/warehouse\/queries\/\1\) \| (.*) \|$/gm)];
    const files = readdirSync(folder).filter((name) => name.endsWith('.sql'));
    expect(shown.map(([, name, question]) => [name, question])).toEqual(
      files.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8').split('\n')[0]!.slice('-- '.length)]),
    );
  });

  it('the cookbook has 20 recipes, numbered, each with its SQL', () => {
    expect(RECIPES.map(({ title }) => title)).toEqual(
      Array.from({ length: 20 }, (_, index) => expect.stringMatching(`^${index + 1}\\. `)),
    );
  });

  it('docs/playlists.md asks seven questions', () => expect(PLAYLIST_QUESTIONS).toHaveLength(7));

  it.each(PLAYLIST_QUESTIONS)('docs/playlists.md, $question', async ({ statement }) => {
    const { columns } = await sql({ statement, target: 'prod' }, lake.effects);
    expect(columns.length).toBeGreaterThan(1);
  });

  it.each(RECIPES)('docs/cookbook.md, $title, answers from gold_prod', async ({ statement }) => {
    const { columns } = await sql({ statement, target: 'prod' }, lake.effects);
    expect(columns.length).toBeGreaterThan(0);
  });
});

/** Columns that are a rate, a share or a mean, with the column of what each of them is of. */
const BASES: Record<string, string | readonly string[]> = {
  skip_rate: 'verdict_plays',
  skip_rate_low: 'verdict_plays',
  skip_rate_high: 'verdict_plays',
  share: ['plays_of_month', 'plays_of_region'],
  share_without_genre: 'plays_of_month',
  average_session_minutes: 'sessions',
  plays_per_user: 'daily_active_users',
  average_popularity: 'songs',
  repeat_rate: 'song_plays',
};
