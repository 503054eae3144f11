import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResultColumn, SqlValue } from '../../jobs/engine/index.ts';
import { buildModels, modelGraph } from '../../jobs/gold/models.ts';
import { type Project, readProject } from '../../jobs/gold/project.ts';
import { readContracts } from '../../jobs/lake/contracts.ts';
import { type LakeFixture, openLakeFixture, type Row, selectRows } from '../fixtures/effects.ts';

/**
 * One folder a case: `tests/models/<model>/<case>/`. `silver.<table>.json` are rows of silver, `<model>.json`
 * of models upstream (what is not given is built from silver, and silver that is not given is empty);
 * `expect.json` are the model's rows, in any order, on the columns that are listed in them; `vars.json` sets
 * variables, `as_of` among them.
 */
const CASES = import.meta.dirname;
const OPTIONS = { dialect: 'duckdb', target: 'dev', asOf: '2026-03-01T00:00:00.000Z' } as const;

const project = readProject();
const graph = modelGraph(project, OPTIONS);

describe.each(foldersOf(CASES))('%s', (model) => {
  let lake: LakeFixture;
  beforeEach(async () => {
    lake = await openLakeFixture();
  });
  afterEach(() => lake.close());

  it.each(foldersOf(join(CASES, model)))('%s', async (name) => {
    const folder = join(CASES, model, name);
    const inputs = readInputs(folder);
    const silver = Object.entries(inputs).filter(([name]) => name.startsWith('silver.'));
    const state = await lake.commitSilver(
      Object.fromEntries(silver.map(([name, rows]) => [name.slice('silver.'.length), rows])),
    );
    const session = await lake.engine.session({ state, target: 'dev', runId: 'case' });
    const { as_of, ...vars } = readJson<Record<string, unknown>>(join(folder, 'vars.json'), {});
    const asOf = typeof as_of === 'string' ? as_of : OPTIONS.asOf;
    await buildModels(session, partOf(model, inputs), { ...OPTIONS, asOf, vars, state, previous: undefined });
    const { columns, rows } = await session.query(`select * from ${await session.relation('run', model)}`);
    await session.close();
    const expected = readJson<Row[]>(join(folder, 'expect.json'));
    expect(sorted(rows.map((row) => pick(columns, row, expected)))).toEqual(
      sorted(expected.map((row) => comparable(columns, row))),
    );
  });
});

it('every model has a case', () => {
  const tested = foldersOf(CASES);
  // An ephemeral one is a part of those that read it, and tested as such.
  const tables = graph.filter(({ materialized }) => materialized !== 'ephemeral');
  expect(tables.map(({ name }) => name).filter((name) => !tested.includes(name))).toEqual([]);
});

it('every model says its grain and who answers for it', () => {
  const owners = ['activity', 'catalogue', 'listening', 'models', 'operations', 'personal story'];
  const metas = [...project.models.values()].map(
    ({ name, config }) => [name, config.meta as Record<string, string>] as const,
  );
  expect(metas.filter(([, meta]) => !meta?.grain || !owners.includes(meta.owner ?? ''))).toEqual([]);
});

it('every table of gold is counted', () => {
  const { refs } = graph.find(({ name }) => name === 'record_counts')!;
  const tables = graph.filter(({ name, materialized }) => materialized === 'table' && !name.startsWith('int_'));
  expect(tables.map(({ name }) => name).filter((name) => !refs.includes(name))).toEqual([
    'record_counts',
    // `train` fills it, after the models are built.
    'skip_predictions',
  ]);
});

/** The model and what it is made of; models whose rows are given become those rows. */
function partOf(model: string, inputs: Record<string, Row[]>): Project {
  const models: Project['models'] = new Map();
  const add = (name: string): void => {
    if (models.has(name)) return;
    const found = project.models.get(name)!;
    const rows = inputs[name];
    if (rows !== undefined && name !== model) {
      const columns = found.columns.map((column) => ({ ...column, nullable: true, description: name })) as never;
      models.set(name, {
        ...found,
        sql: selectRows({ columns, partition: [] }, rows),
        config: { materialized: 'table' },
      });
      return;
    }
    models.set(name, found);
    for (const ref of graph.find((node) => node.name === name)!.refs) add(ref);
  };
  add(model);
  return { ...project, models };
}

function readInputs(folder: string): Record<string, Row[]> {
  const names = readdirSync(folder).filter(
    (name) => name.endsWith('.json') && name !== 'expect.json' && name !== 'vars.json',
  );
  for (const name of names.map((file) => file.slice(0, -'.json'.length))) {
    if (!isInput(name)) throw new Error(`${folder}: ${name} is no model and no silver.<table>`);
  }
  return Object.fromEntries(names.map((name) => [name.slice(0, -'.json'.length), readJson<Row[]>(join(folder, name))]));
}

function isInput(name: string): boolean {
  return project.models.has(name) || readContracts().some(({ layer, table }) => `${layer}.${table}` === name);
}

/** Values of a row on the columns that any expected row lists. */
function pick(columns: readonly ResultColumn[], row: readonly SqlValue[], expected: readonly Row[]): Row {
  const listed = new Set(expected.flatMap((wanted) => Object.keys(wanted)));
  const all = Object.fromEntries(columns.map(({ name }, index) => [name, row[index]]));
  return comparable(columns, Object.fromEntries(Object.entries(all).filter(([name]) => listed.has(name))));
}

/** 64-bit integers as numbers, doubles to 9 digits, times with milliseconds, columns in order of name. */
function comparable(columns: readonly ResultColumn[], row: Row): Row {
  const one = ([name, value]: [string, unknown]): [string, unknown] => {
    const type = columns.find((column) => column.name === name)?.type;
    if (type === undefined) throw new Error(`expect.json has a column ${name} that the model has not`);
    if (typeof value === 'bigint') return [name, Number(value)];
    if (typeof value === 'number' && !Number.isInteger(value)) return [name, Number(value.toPrecision(9))];
    if (type === 'timestamp' && typeof value === 'string') return [name, timestamp(value)];
    return [name, value];
  };
  return Object.fromEntries(
    Object.entries(row)
      .map(one)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function timestamp(text: string): string {
  const [, day, clock = '00:00:00', fraction = ''] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?Z?)?$/.exec(text) ?? [];
  return `${day} ${clock.padEnd(8, ':00')}.${fraction.padEnd(3, '0')}`;
}

function sorted(rows: Row[]): Row[] {
  return rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function foldersOf(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

function readJson<T>(path: string, absent?: T): T {
  if (absent !== undefined && !existsSync(path)) return absent;
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
