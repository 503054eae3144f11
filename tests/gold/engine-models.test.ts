import { type BuildOptions, buildModels, modelGraph } from '../../jobs/gold/models.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { EMPTY_STATE, type OutputFile } from '../../jobs/lake/manifest.ts';
import { type LakeFixture, openLakeFixture, projectOf } from '../fixtures/effects.ts';

const OPTIONS: BuildOptions = {
  dialect: 'duckdb',
  target: 'dev',
  asOf: '2026-03-01T00:00:00.000Z',
  state: EMPTY_STATE,
  previous: undefined,
};
const yml = (name: string, ...columns: string[]): string =>
  `models: [{name: ${name}, columns: [${columns.map((column) => `{name: ${column.split(' ')[0]}, data_type: ${column.split(' ')[1]}}`).join(', ')}]}]`;

let lake: LakeFixture;
let runs = 0;
beforeAll(async () => {
  lake = await openLakeFixture();
  await lake.commitSilver({
    plays: [
      { play_id: 'p1', user_id: 'u1' },
      { play_id: 'p2', user_id: 'u1' },
    ],
  });
});
afterAll(() => lake.close());

/** Builds a project and returns the rows of its models, and the files. */
async function build(
  files: Record<string, string>,
  options: Partial<BuildOptions> = {},
): Promise<{ rows: Record<string, unknown[]>; tables: Record<string, OutputFile> }> {
  const runId = `run-${runs++}`;
  const session = await lake.engine.session({ state: await lake.state(), target: 'dev', runId });
  try {
    const { tables } = await buildModels(session, projectOf(files), { ...OPTIONS, ...options });
    const rows: Record<string, unknown[]> = {};
    for (const name of Object.keys(tables))
      rows[name] = (await session.query(`select * from ${await session.relation('run', name)} order by all`)).rows;
    return { rows, tables };
  } finally {
    await session.close();
  }
}

/** One model whose only column is the rendered text. */
const text = async (
  template: string,
  extra: Record<string, string> = {},
  options: Partial<BuildOptions> = {},
): Promise<unknown> =>
  (
    await build(
      { 'models/m.sql': `select '${template}' as t`, 'models/m.yml': yml('m', 't varchar'), ...extra },
      options,
    )
  ).rows.m![0];

describe('model runner', () => {
  it('builds models after those they refer to, whatever their names', async () => {
    const { rows } = await build({
      'models/a_last.sql': "select n + 1 as n from {{ ref('m_middle') }}",
      'models/deep/er/m_middle.sql': "select n + 1 as n from {{ ref('z_first') }}",
      'models/z_first.sql': "select count(*) as n from {{ source('silver', 'plays') }}",
      'models/a_last.yml': yml('a_last', 'n bigint'),
      'models/m_middle.yml': yml('m_middle', 'n bigint'),
      'models/z_first.yml': yml('z_first', 'n bigint'),
    });
    expect(rows).toEqual({ z_first: [[2n]], m_middle: [[3n]], a_last: [[4n]] });
  });

  it('puts an ephemeral model into those that refer to it and writes no table for it', async () => {
    const { rows, tables } = await build({
      'models/e.sql':
        "{{ config(materialized='ephemeral') }}\nwith x as (select 1 as n) -- a comment at the end\nselect n from x -- and here",
      'models/m.sql':
        "with e as (select * from {{ ref('e') }}) select a.n + b.n as n from e as a cross join {{ ref('e') }} as b",
      'models/m.yml': yml('m', 'n integer'),
    });
    expect(Object.keys(tables)).toEqual(['m']);
    expect(rows.m).toEqual([[2]]);
  });

  it('renders variables, target, loops and macros as dbt does', async () => {
    expect(await text("{{ var('as_of') }}")).toEqual(['2026-03-01T00:00:00.000Z']);
    expect(await text("{{ var('nowhere', 'fallback') }}")).toEqual(['fallback']);
    expect(
      await text(
        "{{ var('gap') }} {{ var('own') }}",
        { 'dbt_project.yml': 'vars: {gap: 30, own: 1}' },
        { vars: { own: 2 } },
      ),
    ).toEqual(['30 2']);
    expect(await text('{{ target.type }} {{ target.name }}')).toEqual(['duckdb dev']);
    expect(await text('{% for n in range(3) %}{{ n }}{% if not loop.last %},{% endif %}{% endfor %}')).toEqual([
      '0,1,2',
    ]);
    const macros = {
      'macros/a.sql': '{% macro outer(x) -%}<{{ inner(x) }}>{%- endmacro %}',
      'macros/b.sql': "{% macro inner(x) -%}{{ x }} {{ var('as_of')[:4] }}{%- endmacro %}",
    };
    expect(await text("{{ outer('v') }}", macros)).toEqual(['<v 2026>']);
  });

  it('keeps the newline after a block, so that words are not glued together', async () => {
    const { rows } = await build({
      'models/m.sql': 'select 1 as n{% if true %}\n{% endif %}from (select 1) as x',
      'models/m.yml': yml('m', 'n integer'),
    });
    expect(rows.m).toEqual([[1]]);
  });

  it('takes settings from dbt_project.yml, the .yml and the model, the nearest first', () => {
    const files = {
      'dbt_project.yml': 'name: p\nmodels: {p: {+materialized: table, parts: {+materialized: ephemeral}}}',
      'models/a.sql': 'select 1 as n',
      'models/parts/b.sql': 'select 1 as n',
      'models/parts/c.sql': "{{ config(materialized='table') }} select 1 as n",
      'models/parts/d.sql': 'select 1 as n',
      'models/parts/d.yml': 'models: [{name: d, config: {materialized: table}}]',
    };
    const found = modelGraph(projectOf(files), OPTIONS).map(({ name, materialized }) => `${name} ${materialized}`);
    expect(found).toEqual(['a table', 'b ephemeral', 'c table', 'd table']);
  });

  it('has a hash that changes with every text that tables or tests depend on', () => {
    const files = {
      'models/a.sql': 'select 1 as n',
      'models/a.yml': yml('a', 'n integer'),
      'macros/m.sql': '',
      'dbt_project.yml': 'vars: {}',
    };
    const hashes = [
      files,
      ...Object.keys(files).map((name) => ({ ...files, [name]: `${files[name as keyof typeof files]} ` })),
    ].map((given) => projectOf(given).hash);
    expect(new Set(hashes).size).toBe(5);
    expect(projectOf(files).hash).toBe(hashes[0]);
  });

  it.each([
    [
      'an unknown model',
      { 'models/m.sql': "select * from {{ ref('x') }}" },
      'warehouse/models/m.sql',
      /ref\('x'\): there is no such model/,
    ],
    [
      'an unknown source',
      { 'models/m.sql': "select * from {{ source('silver', 'x') }}" },
      'warehouse/models/m.sql',
      /source\('silver', 'x'\)/,
    ],
    [
      'a circle',
      { 'models/a.sql': "select * from {{ ref('b') }}", 'models/b.sql': "select * from {{ ref('a') }}" },
      'warehouse/models/a.sql',
      /models\/a\.sql -> models\/b\.sql -> models\/a\.sql/,
    ],
    [
      'a model that refers to itself',
      { 'models/a.sql': "select * from {{ ref('a') }}" },
      'warehouse/models/a.sql',
      /models\/a\.sql -> models\/a\.sql/,
    ],
    ['a template that does not parse', { 'models/m.sql': 'select {% if %}' }, 'warehouse/models/m.sql', /template/],
    ['an unknown macro', { 'models/m.sql': 'select {{ sparkle(1) }}' }, 'warehouse/models/m.sql', /template/],
    [
      'a variable that is set nowhere',
      { 'models/m.sql': "select {{ var('x') }}" },
      'warehouse/models/m.sql',
      /var\('x'\)/,
    ],
    [
      'an unknown materialization',
      { 'models/m.sql': "{{ config(materialized='snapshot') }} select 1 as n" },
      'warehouse/models/m.sql',
      /snapshot/,
    ],
    [
      'a model without declared columns',
      { 'models/m.sql': 'select 1 as n' },
      'warehouse/models/m.sql',
      /no \.yml declares/,
    ],
    [
      'a column without data_type',
      { 'models/m.sql': 'select 1 as n', 'models/m.yml': 'models: [{name: m, columns: [{name: n}]}]' },
      'warehouse/models/m.yml',
      /column n of m has no data_type/,
    ],
    [
      'a .yml entry without its model',
      { 'models/m.yml': yml('gone', 'n integer') },
      'warehouse/models/m.yml',
      /models\/\*\*\/gone\.sql/,
    ],
    [
      'two models of one name',
      { 'models/a/m.sql': 'select 1', 'models/b/m.sql': 'select 1' },
      'warehouse/models/b/m.sql',
      /models\/a\/m\.sql/,
    ],
    ['YAML that does not parse', { 'models/m.yml': 'models: [' }, 'warehouse/models/m.yml', /./],
    [
      'an incremental model without a key',
      {
        'models/m.sql': "{{ config(materialized='incremental') }} select 1 as n",
        'models/m.yml': yml('m', 'n integer'),
      },
      'warehouse/models/m.sql',
      /unique_key/,
    ],
  ])('names the file of %s', async (_what, files, file, message) => {
    const action = async (): Promise<unknown> => build(files as unknown as Record<string, string>);
    await expect(action()).rejects.toMatchObject({
      code: 'model_invalid',
      exit: 'config',
      place: { file },
      message: expect.stringMatching(message),
    });
  });

  it('names the file and the column where a select gives something else than its .yml says', async () => {
    const wrong = build({ 'models/m.sql': 'select 1 as n', 'models/m.yml': yml('m', 'n bigint') });
    await expect(wrong).rejects.toMatchObject({
      code: 'model_columns',
      exit: 'data',
      place: { file: 'warehouse/models/m.sql' },
      message: 'column 1 of m is n integer, its .yml says n bigint',
    });
  });

  it('names the file of SQL that the engine refuses', async () => {
    const wrong = build({ 'models/m.sql': 'select nothing as n', 'models/m.yml': yml('m', 'n bigint') });
    await expect(wrong).rejects.toMatchObject({
      code: 'sql_invalid',
      place: { file: 'warehouse/models/m.sql' },
      message: expect.stringContaining('nothing'),
    });
  });

  it('a model reads no file and writes none', async () => {
    for (const select of ["select 1 as n from read_text('/etc/passwd')", "select 1 as n from glob('/etc/*')"]) {
      await expect(build({ 'models/m.sql': select, 'models/m.yml': yml('m', 'n integer') })).rejects.toMatchObject({
        code: 'sql_refused',
      });
    }
  });
});

describe('incremental models', () => {
  const files = (rows: string, key = "'id'"): Record<string, string> => ({
    'models/m.sql': `{{ config(materialized='incremental', unique_key=${key}) }}
      select id, v, {% if is_incremental() %}(select max(id) from {{ this }}){% else %}0{% endif %} as seen from (values ${rows}) as given (id, v)`,
    'models/m.yml': yml('m', 'id integer', 'v varchar', 'seen integer'),
  });
  const publish = async (tables: Record<string, OutputFile>): Promise<void> => {
    const state = await lake.state();
    const dev = { runId: `published-${runs++}`, asOf: OPTIONS.asOf, silverSequence: 1, modelsHash: '', tables };
    await lake.commitState({ ...state, gold: { dev } });
  };

  it('are built in full where nothing is published, and then merged by key', async () => {
    const first = await build(files("(1, 'a'), (2, 'b')"));
    expect(first.rows.m).toEqual([
      [1, 'a', 0],
      [2, 'b', 0],
    ]);
    await publish(first.tables);
    const second = await build(files("(2, 'B'), (3, 'c')"), { previous: first });
    expect(second.rows.m).toEqual([
      [1, 'a', 0],
      [2, 'B', 2],
      [3, 'c', 2],
    ]);
  });

  it('merge by several columns, null keys being equal', async () => {
    const first = await build(files("(1, 'a'), (2, 'b'), (null, 'n')", "['id', 'v']"));
    await publish(first.tables);
    const second = await build(files("(2, 'b'), (2, 'c'), (null, 'n')", "['id', 'v']"), { previous: first });
    expect(second.rows.m).toEqual([
      [1, 'a', 0],
      [2, 'b', 2],
      [2, 'c', 2],
      [null, 'n', 2],
    ]);
  });

  it('are built in full when their columns have changed', async () => {
    const first = await build(files("(1, 'a')"));
    await publish(first.tables);
    const other: Record<string, string> = {
      ...files("(2, 'b')"),
      'models/m.yml': yml('m', 'id integer', 'v varchar', 'seen integer', 'more integer'),
    };
    other['models/m.sql'] = other['models/m.sql']!.replace(' as seen', ' as seen, 5 as more');
    expect((await build(other, { previous: first })).rows.m).toEqual([[2, 'b', 0, 5]]);
  });
});

describe('the models of the warehouse', () => {
  it('can be ordered, and read silver only through contracts', () => {
    const graph = modelGraph(readProject(), OPTIONS);
    expect(graph.length).toBeGreaterThan(15);
    expect(graph.flatMap(({ sources }) => sources).every((source) => source.startsWith('silver.'))).toBe(true);
  });

  it('render for the other engine too', () => {
    // The same models read the same tables; what they select is in each engine's own words.
    const graphOf = (dialect: 'duckdb' | 'athena'): unknown[] =>
      modelGraph(readProject(), { ...OPTIONS, dialect }).map(({ select, ...node }) => ({
        ...node,
        isRendered: select !== '',
      }));
    expect(graphOf('athena')).toEqual(graphOf('duckdb'));
  });
});
