/**
 * A model is built where something that it depends on has changed, and its table is taken over where nothing
 * has.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { check } from '../../jobs/check.ts';
import { type EnrichInput, enrich } from '../../jobs/enrich.ts';
import { modelGraph } from '../../jobs/gold/models.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { LAKE_FORMAT, latestManifest } from '../../jobs/lake/manifest.ts';
import { promote } from '../../jobs/promote.ts';
import { type LakeFixture, openLakeFixture, projectOf, type Row } from '../fixtures/effects.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';

const AS_OF = '2026-03-01T00:00:00.000Z';

let lake: LakeFixture;
let runs = 0;
beforeEach(async () => {
  lake = await openLakeFixture();
});
afterEach(() => lake.close());

async function run(input: Partial<EnrichInput> = {}, of = lake): Promise<string[]> {
  const { built } = await enrich({ runId: `run-${runs++}`, asOf: AS_OF, ...input }, of.effects);
  return built;
}

describe('a small project', () => {
  const FILES = {
    'dbt_project.yml': 'vars: {smallest: 1}',
    'macros/m.sql': '{% macro counted(what) %}count({{ what }}){% endmacro %}{% macro other() %}1{% endmacro %}',
    'models/heard.sql': "select user_id, {{ counted('*') }} as n from {{ source('silver', 'plays') }} group by user_id",
    'models/named.sql': "select artist_id, artist_name from {{ source('silver', 'artists') }}",
    'models/recent.sql': "select n, cast('{{ var('as_of') }}' as varchar) as as_of from {{ ref('heard') }}",
    'models/few.sql': "select n from {{ ref('inner_part') }} where n >= {{ var('smallest') }}",
    'models/inner_part.sql': "{{ config(materialized='ephemeral') }} select n from {{ ref('heard') }}",
    'models/all_names.sql': "select count(*) as n from {{ ref('named') }}",
    'models/all.yml': `models:
  - {name: heard, columns: [{name: user_id, data_type: varchar, data_tests: [unique]}, {name: n, data_type: bigint}]}
  - {name: named, columns: [{name: artist_id, data_type: varchar}, {name: artist_name, data_type: varchar}]}
  - {name: recent, columns: [{name: n, data_type: bigint}, {name: as_of, data_type: varchar}]}
  - {name: few, columns: [{name: n, data_type: bigint}]}
  - {name: all_names, columns: [{name: n, data_type: bigint}]}
`,
  };
  const ALL = ['all_names', 'few', 'heard', 'named', 'recent'];
  const changed = (name: keyof typeof FILES, from: string, to: string) => {
    expect(FILES[name]).toContain(from);
    return projectOf({ ...FILES, [name]: FILES[name].replace(from, to) });
  };
  const project = projectOf(FILES);
  const plays = (...users: string[]): Row[] =>
    users.map((user_id, n) => ({ play_id: `p${n}`, user_id, source: 'api', content_type: 'unknown' }));
  beforeEach(async () => {
    await lake.commitSilver({ plays: plays('u1', 'u2'), artists: [{ artist_id: 'a', artist_name: 'A' }] });
    expect(await run({ project })).toEqual(ALL);
  });

  it('nothing has changed: no model is built, and the version names the tables of the run before', async () => {
    const before = (await lake.state()).gold.dev!;
    await lake.commitSilver({});
    expect(await run({ project })).toEqual([]);
    const manifest = await latestManifest(lake.store);
    expect(manifest?.state.gold.dev).toMatchObject({ tables: before.tables, fingerprints: before.fingerprints });
    expect(manifest?.state.gold.dev?.runId).not.toBe(before.runId);
    expect(manifest).toMatchObject({ outputs: [], details: { written: 0, taken_over: 5 } });
    expect((await lake.engine.query('select n from few order by 1')).rows).toEqual([[1n], [1n]]);
  });

  it('a row of the catalogue has changed: its descendants alone', async () => {
    await lake.commitSilver({ artists: [{ artist_id: 'a', artist_name: 'B' }] });
    expect(await run({ project })).toEqual(['all_names', 'named']);
    expect((await lake.engine.query('select artist_name from named')).rows).toEqual([['B']]);
  });

  it('the same rows in the same objects again are no change', async () => {
    await lake.commitSilver({ plays: plays('u1', 'u2') });
    expect(await run({ project })).toEqual([]);
    await lake.commitSilver({ plays: plays('u1', 'u3') });
    expect(await run({ project })).toEqual(['few', 'heard', 'recent']);
  });

  it.each([
    [
      'SQL of one model',
      'models/named.sql',
      'select artist_id, artist_name',
      "select artist_id, 'x' as artist_name",
      ['all_names', 'named'],
    ],
    ['an ephemeral model', 'models/inner_part.sql', 'select n from', 'select n + 1 as n from', ['few']],
    ['a macro', 'macros/m.sql', 'count({{ what }})', 'count( {{ what }})', ['few', 'heard', 'recent']],
    ['a macro that nothing uses', 'macros/m.sql', '%}1{%', '%}2{%', []],
    ['a variable', 'dbt_project.yml', 'smallest: 1', 'smallest: 2', ['few']],
    [
      'columns',
      'models/all.yml',
      '{name: few, columns: [{name: n, data_type: bigint}]}',
      '{name: few, columns: [{name: n, data_type: bigint}], config: {materialized: incremental, unique_key: n}}',
      ['few'],
    ],
    ['a test', 'models/all.yml', 'data_tests: [unique]', 'data_tests: [unique, not_null]', []],
  ] as const)('%s: it and its descendants', async (_what, file, from, to, built) => {
    expect(await run({ project: changed(file, from, to) })).toEqual(built);
  });

  it('as_of is of those who use it', async () => {
    expect(await run({ project, asOf: '2026-04-01' })).toEqual(['recent']);
  });

  it('all are built where it is asked for, and where an older version built the tables', async () => {
    expect(await run({ project, rebuild: true })).toEqual(ALL);
    const state = await lake.state();
    const { fingerprints: _, ...dev } = state.gold.dev!;
    await lake.commitState({ ...state, silverSequence: state.silverSequence + 1, gold: { dev } });
    expect(await run({ project })).toEqual(ALL);
  });

  it('F43: a table that is damaged or gone is built again, and no other', async () => {
    const fileOf = async (model: string): Promise<string> =>
      join(lake.root, (await lake.state()).gold.dev!.tables[model]!.key);
    writeFileSync(await fileOf('heard'), readFileSync(await fileOf('named')));
    await lake.commitSilver({});
    expect(await run({ project })).toEqual(['heard']);
    rmSync(await fileOf('all_names'));
    await lake.commitSilver({});
    expect(await run({ project })).toEqual(['all_names']);
    expect((await lake.engine.query('select n from heard union all select n from all_names')).rows).toEqual([
      [1n],
      [1n],
      [1n],
    ]);
  });

  it('refuses the id of a run whose tables are still named', async () => {
    await run({ project, runId: 'older', rebuild: true });
    await run({ project, runId: 'newer', asOf: '2026-04-01' });
    await expect(run({ project, runId: 'older', asOf: '2026-05-01' })).rejects.toMatchObject({ code: 'run_id_taken' });
  });

  it('promote keeps what is a copy of the same table already, and copies the rest', async () => {
    const publish = async (input = {}) => {
      await check({ scope: 'silver', target: 'dev', runId: `check-${runs++}` }, lake.effects);
      await check({ scope: 'gold', target: 'dev', runId: `check-${runs++}`, project }, lake.effects);
      await promote({ runId: `prod-${runs++}`, project, ...input }, lake.effects);
      return (await lake.state()).gold.prod!;
    };
    const first = await publish();
    await lake.commitSilver({
      artists: [
        { artist_id: 'a', artist_name: 'B' },
        { artist_id: 'b', artist_name: 'C' },
      ],
    });
    await run({ project });
    const second = await publish();
    const kept = (name: string): boolean => second.tables[name]!.key === first.tables[name]!.key;
    expect(ALL.filter(kept)).toEqual(['few', 'heard', 'recent']);
    expect(await latestManifest(lake.store)).toMatchObject({
      format: LAKE_FORMAT,
      details: { written: 2, taken_over: 3, changed: [{ table: 'all_names' }, { table: 'named' }] },
    });
    const rows = await lake.engine.query('select artist_name from named order by 1', { target: 'prod' });
    expect(rows.rows).toEqual([['B'], ['C']]);
    const third = await publish({ rebuild: true });
    expect(Object.values(third.tables).every(({ key }) => key.startsWith(`gold/prod/${third.runId}/`))).toBe(true);
  });
});

it('any change of any graph: built is what depends on it, and the tables are those of a full build', async () => {
  const SOURCES = {
    plays: ['play_id', 'user_id'],
    artists: ['artist_id', 'artist_name'],
    tracks: ['track_id', 'track_name'],
  };
  const names = Object.keys(SOURCES) as (keyof typeof SOURCES)[];
  const graph = fc.array(
    fc.record({ refs: fc.array(fc.nat(5), { maxLength: 2 }), source: fc.option(fc.nat(2)), usesEnd: fc.boolean() }),
    { minLength: 3, maxLength: 6 },
  );
  const step = fc.oneof(
    fc.record({ kind: fc.constant('source' as const), at: fc.nat(2) }),
    fc.record({ kind: fc.constant('text' as const), at: fc.nat(5) }),
    fc.record({ kind: fc.constant('end' as const), at: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(graph, fc.array(step, { minLength: 1, maxLength: 3 }), async (nodes, steps) => {
      const of = await openLakeFixture();
      try {
        const rowsOf = [1, 1, 1];
        const textOf = nodes.map(() => 0);
        let day = 1;
        const refsOf = (n: number): number[] => nodes[n]!.refs.filter((ref) => ref < n);
        const project = () =>
          projectOf(
            Object.fromEntries(
              nodes.flatMap(({ source, usesEnd }, n) => {
                const parts = [
                  `select ${textOf[n]} as n`,
                  ...(usesEnd
                    ? [`select length('{{ var('as_of') }}') + cast(substr('{{ var('as_of') }}', 9, 2) as bigint) as n`]
                    : []),
                  ...(source === null ? [] : [`select count(*) as n from {{ source('silver', '${names[source]}') }}`]),
                  ...refsOf(n).map((ref) => `select sum(n) as n from {{ ref('m${ref}') }}`),
                ];
                const sql = `select cast(sum(n) as bigint) as n from (${parts.join(' union all ')}) as parts`;
                return [
                  [`models/m${n}.sql`, sql],
                  [`models/m${n}.yml`, `models: [{name: m${n}, columns: [{name: n, data_type: bigint}]}]`],
                ];
              }),
            ),
          );
        const commit = (at: number) => {
          const [key = '', other = ''] = SOURCES[names[at]!];
          const rows = Array.from({ length: rowsOf[at]! }, (_, n) => ({ [key]: `k${n}`, [other]: 'x' }));
          return of.commitSilver({ [names[at]!]: rows });
        };
        for (const at of [0, 1, 2]) await commit(at);
        const asOf = (): string => `2026-03-0${day}T00:00:00.000Z`;
        await run({ project: project(), asOf: asOf() }, of);
        for (const { kind, at } of steps) {
          const isTouched = (n: number): boolean =>
            (kind === 'source' && nodes[n]!.source === at) ||
            (kind === 'text' && n === at) ||
            (kind === 'end' && nodes[n]!.usesEnd) ||
            refsOf(n).some(isTouched);
          if (kind === 'source') {
            rowsOf[at]! += 1;
            await commit(at);
          } else if (kind === 'text') {
            if (at < nodes.length) textOf[at]! += 1;
          } else day += 1;
          const touched = nodes.flatMap((_, n) => (isTouched(n) ? [`m${n}`] : []));
          expect(await run({ project: project(), asOf: asOf() }, of)).toEqual(touched.sort());
          const taken = await fingerprint(of.root, ['gold_dev']);
          await run({ project: project(), asOf: asOf(), rebuild: true }, of);
          expect(await fingerprint(of.root, ['gold_dev'])).toEqual(taken);
        }
      } finally {
        await of.close();
      }
    }),
    { numRuns: 5, endOnFailure: true },
  );
});

it('the models of the warehouse: what is taken over is what a full build would give', async () => {
  const project = readProject();
  const graph = modelGraph(project, { dialect: 'duckdb', target: 'dev', asOf: AS_OF });
  /** Of the graph alone: what is touched by a change, and what reads that. */
  // An ephemeral model is a part of those that read it.
  const tables = graph.filter(({ materialized }) => materialized !== 'ephemeral').map(({ name }) => name);
  const readersOf = (isTouched: (node: (typeof graph)[number]) => boolean): string[] => {
    const found = new Set<string>();
    for (const node of graph) if (isTouched(node) || node.refs.some((ref) => found.has(ref))) found.add(node.name);
    return tables.filter((name) => found.has(name)).sort();
  };
  const play = (n: number, day: string): Row => ({
    ...{
      play_id: `p${n}`,
      user_id: 'u1',
      source: 'export',
      content_type: 'track',
      track_id: `t${n % 3}`,
      country: 'DE',
    },
    ...{ artist_name: `Artist ${n % 2}`, track_name: `Track ${n % 3}`, played_ms: 60_000 + n },
    ...{ started_at: `${day} 10:0${n}:00`, ended_at: `${day} 10:0${n}:59`, reason_end: 'trackdone' },
  });
  const plays = [1, 2, 3].map((n) => play(n, '2026-02-03'));
  const tracks: Row[] = [0, 1, 2].map((n) => ({
    track_id: `t${n}`,
    track_name: `Track ${n}`,
    primary_artist_name: `Artist ${n % 2}`,
  }));
  await lake.commitSilver({ plays, tracks });
  await run();
  const changes: [string, Record<string, Row[]>][] = [
    ['track_genres', { track_genres: [{ track_id: 't1', genre: 'jazz' }] }],
    ['capture_polls', { capture_polls: [{ user_id: 'u1', polled_at: '2026-02-04 00:00:00' }] }],
    ['plays', { plays: [...plays, play(4, '2026-02-04'), play(5, '2024-12-31')] }],
  ];
  for (const [table, rows] of changes) {
    await lake.commitSilver(rows);
    expect(await run()).toEqual(readersOf(({ sources }) => sources.includes(`silver.${table}`)));
    const taken = await fingerprint(lake.root, ['gold_dev']);
    expect(await run({ rebuild: true })).toHaveLength(tables.length);
    expect(await fingerprint(lake.root, ['gold_dev'])).toEqual(taken);
  }
  const hasEnd = readersOf(({ name }) => /as_of_date\(\)/.test(project.models.get(name)!.sql));
  expect(hasEnd).toEqual(expect.arrayContaining(['listening_coverage', 'record_counts', 'top_tracks']));
  expect(hasEnd).not.toContain('fct_plays');
  expect(await run({ asOf: '2026-03-02' })).toEqual(hasEnd);
});
