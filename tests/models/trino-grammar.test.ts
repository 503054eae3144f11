/**
 * Every SQL text that Athena gets, looked at without an engine: it parses as Trino's, and calls only
 * functions that both engines have.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expanded, macrosOf, withDefinitions } from '../../jobs/engine/athena/macros.ts';
import type { EngineSession } from '../../jobs/engine/index.ts';
import { goldTests, runTests, silverTests } from '../../jobs/gold/data-tests.ts';
import { buildModels } from '../../jobs/gold/models.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { WAREHOUSE_DIR } from '../../jobs/lake/contracts.ts';
import { EMPTY_STATE } from '../../jobs/lake/manifest.ts';
import { projectOf } from '../fixtures/effects.ts';
import { PER_DIALECT, SHARED_FUNCTIONS } from './sql-functions.ts';
import { openTrinoGrammar } from './trino-grammar.ts';

const grammar = await openTrinoGrammar();
const project = readProject();
const queries = Object.fromEntries(
  readdirSync(join(WAREHOUSE_DIR, 'queries')).map((name) => [
    name,
    readFileSync(join(WAREHOUSE_DIR, 'queries', name), 'utf8'),
  ]),
);

/** A session that answers nothing and remembers what it was asked. */
function recorder(): { session: EngineSession; built: Record<string, string>; asked: string[] } {
  const built: Record<string, string> = {};
  const asked: string[] = [];
  const session: EngineSession = {
    writer: 'recorder',
    concurrency: 1,
    relation: async (schema, table) => `"listenlake_${schema}"."${table}"`,
    query: async (sql) => {
      asked.push(sql);
      return { columns: [], rows: [] };
    },
    singleRows: async (selects) => {
      asked.push(...selects.map(({ sql }) => sql));
      return selects.map(({ columns }) => Array.from({ length: columns }, () => 0n));
    },
    describe: async () => [],
    columns: async () => [],
    take: async () => false,
    copy: async (_model, _columns, from) => from,
    build: async ({ model, select }) => {
      built[model] = select;
      return { key: model, rows: 0, bytes: 0, sha256: '' };
    },
    close: async () => {},
  };
  return { session, built, asked };
}

/** Text of each model's select, those of ephemeral models within. */
async function rendered(dialect: 'athena' | 'duckdb', of = project): Promise<Record<string, string>> {
  const { session, built } = recorder();
  const asOf = '2026-11-01T00:00:00.000Z';
  await buildModels(session, of, { dialect, target: 'dev', asOf, state: EMPTY_STATE, previous: undefined });
  return built;
}

const onAthena = await rendered('athena');
const onDuckDb = await rendered('duckdb');
const perDialect = (dialect: 'athena' | 'duckdb'): string[] =>
  Object.values(PER_DIALECT).flatMap((names) => names[dialect]);

it('the grammar tells what only the other engine takes', () => {
  expect(grammar.faults('select a, count(*) filter (where a > 1) from t group by 1')).toEqual([]);
  for (const sql of [
    'select a::integer from t',
    'select a from t qualify row_number() over (order by a) = 1',
    'select * exclude (a) from t',
    'select a from t group by all',
    'from t select a',
    'select interval 3 day',
    'select a from t limit 1 offset 1',
  ]) {
    expect([sql, grammar.faults(sql).length > 0]).toEqual([sql, true]);
  }
  expect(grammar.functions('select COUNT(*), extract(year from a), list_sort(b), trim(c) from t')).toEqual([
    'count',
    'extract',
    'list_sort',
    'trim',
  ]);
});

it('every model that is a table is rendered', () => {
  expect(Object.keys(onAthena).length).toBeGreaterThan(25);
  expect(Object.keys(onDuckDb)).toEqual(Object.keys(onAthena));
});

describe.each(Object.keys(onAthena))('model %s', (name) => {
  it('parses as Trino, and calls functions that both engines have, or that a macro names for each', () => {
    const sql = onAthena[name]!;
    expect(grammar.faults(sql)).toEqual([]);
    const allowed = [...SHARED_FUNCTIONS, ...perDialect('athena')];
    expect(grammar.functions(sql).filter((called) => !allowed.includes(called))).toEqual([]);
  });

  it('on DuckDB calls nothing else either', () => {
    const allowed = [...SHARED_FUNCTIONS, ...perDialect('duckdb')];
    expect(grammar.functions(onDuckDb[name]!).filter((called) => !allowed.includes(called))).toEqual([]);
  });

  it('takes no unit of time that the engines count differently', () => {
    const text = onAthena[name]!;
    const differences = [...text.matchAll(/\bdate_diff\(\s*'(\w+)'/g)].map((match) => match[1]);
    // In larger units DuckDB counts boundaries and Trino whole units; whole days of dates are the same.
    expect(differences.filter((unit) => unit !== 'millisecond' && unit !== 'day')).toEqual([]);
    const parts = [...text.matchAll(/\bextract\(\s*(\w+)/g)].map((match) => match[1]!);
    // Sunday is 0 on DuckDB and 7 on Trino.
    expect(parts.filter((part) => !/^(year|quarter|month|day|hour|minute)$/.test(part))).toEqual([]);
  });
});

it.each(Object.keys(queries))('queries/%s parses as Trino and calls functions that both engines have', (name) => {
  expect(grammar.faults(queries[name]!)).toEqual([]);
  expect(grammar.functions(queries[name]!).filter((called) => !SHARED_FUNCTIONS.includes(called))).toEqual([]);
});

const macros = macrosOf(readFileSync(join(WAREHOUSE_DIR, 'silver/macros_athena.sql'), 'utf8'));
const OF_EVENTS = ['stg_events', 'event_rows', 'event_marks', 'event_accounts', 'event_dates', 'event_problems'];
it.each([...OF_EVENTS, 'listening_events'])('silver/%s.sql parses as Trino, its macros written out', (name) => {
  const interval =
    'create or replace macro interval_start() as now(); create or replace macro interval_end() as now();';
  const text = readFileSync(join(WAREHOUSE_DIR, 'silver', `${name}.sql`), 'utf8');
  const sql = expanded(expanded(text, macros), macrosOf(interval.replace('; ', ';\n')));
  expect(grammar.faults(sql)).toEqual([]);
  expect([...macros.keys(), 'interval_start', 'interval_end'].filter((macro) => sql.includes(`${macro}(`))).toEqual([]);
});

it('a macro is written out in brackets, its arguments first, and one that cannot be is told', () => {
  const own = macrosOf(
    '-- halves; of numbers\ncreate or replace macro half(n) as n / 2;\ncreate or replace macro quarter(n) as half(half(n));\ncreate or replace macro nothing() as null;\ncreate or replace macro ever(n) as ever(n);',
  );
  expect(expanded('select quarter(a + half(b)), "half"(c), nothing(), half, \'half(1)\' from t', own)).toBe(
    'select (((a + (b / 2) / 2) / 2)), "half"(c), (null), half, \'half(1)\' from t',
  );
  expect(() => expanded('select half(1, 2)', own)).toThrow('half takes 1 arguments, not 2');
  expect(() => expanded('select half(1', own)).toThrow('does not close');
  expect(() => expanded('select ever(1)', own)).toThrow('calls itself');
});

it('what a select reads stands in front of it, in the order in which it was named', () => {
  const definitions = [
    { name: 'a', sql: 'select 1 as n' },
    { name: 'b', sql: 'select n from a' },
    { name: 'c', sql: 'select 2 as n' },
  ];
  expect(withDefinitions('select n from b', definitions).replace(/\s+/g, ' ')).toBe(
    'with "a" as ( select 1 as n ), "b" as ( select n from a ) select * from ( select n from b ) as work',
  );
  expect(withDefinitions('select 1', definitions)).toBe('select 1');
});

it('the tests of every contract and model do', async () => {
  const { session, asked } = recorder();
  await runTests(session, [...silverTests(), ...goldTests(project, 'gold_dev')]);
  expect(asked.length).toBeGreaterThan(60);
  const faults = asked.flatMap((sql) => grammar.faults(sql).map((fault) => `${fault} in ${sql}`));
  expect(faults).toEqual([]);
  const called = new Set(asked.flatMap((sql) => grammar.functions(sql)));
  expect([...called].filter((name) => !SHARED_FUNCTIONS.includes(name))).toEqual([]);
});

it("dbt's generic tests do", async () => {
  const folder = join(WAREHOUSE_DIR, 'tests/generic');
  const calls: Record<string, string> = {
    expression_is_true: "{{ expression_is_true('t', 'a > 1') }}",
    unique_combination: "{{ unique_combination('t', ['a', 'b']) }}",
  };
  for (const file of readdirSync(folder)) {
    const name = file.replace('.sql', '');
    // A test is a macro that dbt calls by itself.
    const macro = readFileSync(join(folder, file), 'utf8')
      .replace(/{% test /, '{% macro ')
      .replace('endtest', 'endmacro');
    const files = {
      [`macros/${file}`]: macro,
      'models/m.sql': calls[name] ?? '',
      'models/m.yml': 'models: [{name: m, columns: [{name: a, data_type: integer}]}]',
    };
    const { m = '' } = await rendered('athena', projectOf(files));
    expect([name, m]).toEqual([name, expect.stringMatching(/select[\s\S]+from t/)]);
    expect(grammar.faults(m)).toEqual([]);
  }
});

it('what differs between the engines stands in macros, and every macro that differs is in use', () => {
  for (const { file, sql } of project.models.values()) {
    const own = [...perDialect('athena'), ...perDialect('duckdb')].filter((name) =>
      new RegExp(`\\b${name}\\(`).test(sql),
    );
    expect([file, own, /target\.type/.test(sql)]).toEqual([file, [], false]);
  }
  for (const name of Object.keys(PER_DIALECT)) {
    expect([name, new RegExp(`macro ${name}\\(`).test(project.macros)]).toEqual([name, true]);
  }
  const used = (texts: Record<string, string>): Set<string> =>
    new Set(Object.values(texts).flatMap((sql) => grammar.functions(sql)));
  expect(perDialect('athena').filter((name) => !used(onAthena).has(name))).toEqual([]);
  expect(perDialect('duckdb').filter((name) => !used(onDuckDb).has(name))).toEqual([]);
});
