/** `run --follow` builds the models tagged `live` and what they read; all else is as it was, and known to be. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check } from '../../jobs/check.ts';
import { type EnrichInput, enrich } from '../../jobs/enrich.ts';
import { modelGraph } from '../../jobs/gold/models.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { promote } from '../../jobs/promote.ts';
import { type LakeFixture, openLakeFixture, projectOf, type Row } from '../fixtures/effects.ts';

const AS_OF = '2026-03-01T00:00:00.000Z';
const FILES = {
  'dbt_project.yml': 'vars: {}',
  'models/heard.sql': "select user_id, count(*) as n from {{ source('silver', 'plays') }} group by user_id",
  'models/inner_part.sql': "{{ config(materialized='ephemeral') }} select n from {{ ref('heard') }}",
  'models/now.sql': "select cast(sum(n) as bigint) as n from {{ ref('inner_part') }}",
  'models/mart.sql': "select max(n) as n from {{ ref('heard') }}",
  'models/above.sql': "select n + 1 as n from {{ ref('mart') }}",
  'models/named.sql': "select count(*) as n from {{ source('silver', 'artists') }}",
  'models/all.yml': `models:
  - {name: heard, columns: [{name: user_id, data_type: varchar, data_tests: [unique]}, {name: n, data_type: bigint}]}
  - {name: now, config: {tags: [live]}, columns: [{name: n, data_type: bigint}]}
  - {name: mart, columns: [{name: n, data_type: bigint}]}
  - {name: above, columns: [{name: n, data_type: bigint}]}
  - {name: named, columns: [{name: n, data_type: bigint}]}
`,
};
const project = projectOf(FILES);

let lake: LakeFixture;
let runs = 0;
beforeEach(async () => {
  lake = await openLakeFixture();
  await lake.commitSilver({ plays: plays(2), artists: [{ artist_id: 'a', artist_name: 'A' }] });
  expect(await run({ isLive: true })).toEqual(['above', 'heard', 'mart', 'named', 'now']);
});
afterEach(() => lake.close());

const plays = (count: number): Row[] =>
  Array.from({ length: count }, (_, n) => ({ play_id: `p${n}`, user_id: 'u', source: 'api', content_type: 'unknown' }));

async function run(input: Partial<EnrichInput> = {}): Promise<string[]> {
  runs += 1;
  const { built } = await enrich({ runId: `run-${runs}`, asOf: AS_OF, project, ...input }, lake.effects);
  return built;
}

async function numbers(target: 'dev' | 'prod' = 'dev'): Promise<Record<string, unknown>> {
  const tables = ['now', 'mart', 'above', 'named'];
  const one = (table: string) => lake.engine.query(`select n from gold_${target}.${table}`);
  const all = await Promise.all(tables.map(async (table) => [table, Number((await one(table)).rows[0]![0])]));
  return Object.fromEntries(all);
}

it('builds the live models and what they read; a full build then builds the others, and only them', async () => {
  await lake.commitSilver({ plays: plays(5) });
  expect(await run({ isLive: true })).toEqual(['heard', 'now']);
  expect((await lake.state()).gold.dev?.kept).toEqual(['above', 'mart']);
  expect(await numbers()).toEqual({ now: 5, mart: 2, above: 3, named: 1 });
  // Nothing new for who wants the live ones, and something for who wants all.
  expect(await run({ isLive: true })).toEqual([]);
  await lake.commitSilver({ plays: plays(7) });
  expect(await run({ isLive: true })).toEqual(['heard', 'now']);
  expect(await run()).toEqual(['above', 'mart']);
  expect((await lake.state()).gold.dev).not.toHaveProperty('kept');
  expect(await numbers()).toEqual({ now: 7, mart: 7, above: 8, named: 1 });
});

it('goes through check and promote like any version, and the full one of the same silver is another', async () => {
  const publish = async (input: Partial<EnrichInput>): Promise<string> => {
    await run(input);
    await check({ scope: 'silver', target: 'dev', runId: 'c' }, lake.effects);
    await check({ scope: 'gold', target: 'dev', runId: 'c', project }, lake.effects);
    return (await promote({ runId: `promote-${runs}`, project }, lake.effects)).status;
  };
  expect(await publish({})).toBe('promoted');
  await lake.commitSilver({ plays: plays(4) });
  expect(await publish({ isLive: true })).toBe('promoted');
  expect(await numbers('prod')).toEqual({ now: 4, mart: 2, above: 3, named: 1 });
  expect(await publish({ isLive: true })).toBe('nothing_new');
  expect(await publish({})).toBe('promoted');
  expect(await numbers('prod')).toEqual({ now: 4, mart: 4, above: 5, named: 1 });
});

it('builds everything where the version before is of another day or of other models', async () => {
  await lake.commitSilver({ plays: plays(3) });
  expect(await run({ isLive: true, asOf: '2026-03-02T00:00:00.000Z' })).toEqual(['above', 'heard', 'mart', 'now']);
  await lake.commitSilver({ plays: plays(4) });
  const other = projectOf({ ...FILES, 'models/named.sql': `${FILES['models/named.sql']} where 1 = 1` });
  expect(await run({ isLive: true, asOf: '2026-03-02T00:00:00.000Z', project: other })).toEqual([
    ...['above', 'heard', 'mart', 'named', 'now'],
  ]);
});

it('F43: a kept table that is damaged is built, from tables that may be old, and so again by a full build', async () => {
  const { tables } = (await lake.state()).gold.dev!;
  writeFileSync(join(lake.root, tables.above!.key), readFileSync(join(lake.root, tables.named!.key)));
  await lake.commitSilver({ plays: plays(6) });
  expect(await run({ isLive: true })).toEqual(['above', 'heard', 'now']);
  expect(await numbers()).toEqual({ now: 6, mart: 2, above: 3, named: 1 });
  expect(await run()).toEqual(['above', 'mart']);
  expect(await numbers()).toEqual({ now: 6, mart: 6, above: 7, named: 1 });
});

it('the warehouse has the live models that docs/streaming.md names, and marts that are not', () => {
  const warehouse = readProject();
  const tagged = [...warehouse.models.values()].filter(({ config }) => [config.tags ?? []].flat().includes('live'));
  const names = tagged.map(({ name }) => name).sort();
  expect(names).toEqual(['daily_aggregates', 'fct_user_activity', 'stream_progress']);
  const docs = readFileSync(new URL('../../docs/streaming.md', import.meta.url), 'utf8');
  for (const name of names) expect(docs).toContain(`\`${name}\``);
  const graph = modelGraph(warehouse, { dialect: 'duckdb', target: 'dev', asOf: AS_OF });
  const needed = new Set(names);
  for (const { name, refs } of graph.toReversed()) if (needed.has(name)) for (const ref of refs) needed.add(ref);
  expect(needed.size).toBeLessThan(graph.length / 2);
});
