import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { modelGraph } from '../../jobs/gold/models.ts';
import { readProject } from '../../jobs/gold/project.ts';
import { readContracts } from '../../jobs/lake/contracts.ts';
import { columnLineage } from '../../jobs/lineage/columns.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { runSmall } from '../fixtures/lineage-backend.ts';
import { openLineageOracles } from './python-tools.ts';

/**
 * Builds the client's class for each part of each event. A field that a class does not have, one that it
 * needs, a value of another type and a schema of another version are faults: the classes themselves look at
 * ids and times only. Prints the faults, and how many facets of each class were built.
 */
const EVENTS = `
import collections, enum, json, sys, types, typing
import attr
from openlineage.client import event_v2, facet_v2, serde
from openlineage.client.generated import base
facets = {c.__name__: c for c in vars(facet_v2).values() if isinstance(c, types.ModuleType) for c in vars(c).values()
          if isinstance(c, type) and issubclass(c, base.BaseFacet)}
built, faults = collections.Counter(), []
def checked(value, hint, where):
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments: return None
        [hint] = [each for each in arguments if each is not type(None)]
        return checked(value, hint, where)
    if origin is list:
        assert isinstance(value, list), f"{where}: {value!r} is no list"
        return [checked(each, arguments[0], f"{where}[{index}]") for index, each in enumerate(value)]
    if origin is dict:
        assert isinstance(value, dict), f"{where}: {value!r} is no object"
        return {name: checked(each, arguments[1], f"{where}.{name}") for name, each in value.items()}
    if hint is typing.Any: return value
    if attr.has(hint): return build(hint, value, where)
    if issubclass(hint, enum.Enum): return hint(value)
    assert type(value) is hint, f"{where}: {value!r} is no {hint.__name__}"
    return value
def build(cls, value, where):
    given = dict(value)
    if issubclass(cls, base.BaseFacet):
        name = given["_schemaURL"].rsplit("/", 1)[1]
        assert name in facets and issubclass(facets[name], cls), f"{where}: {name} is no {cls.__name__}"
        cls = facets[name]
        built[name] += 1
        assert given.pop("_schemaURL") == cls._get_schema(), f"{where}: another schema than {cls._get_schema()}"
    if issubclass(cls, base.BaseEvent):
        assert given.pop("schemaURL") == cls._get_schema(), f"{where}: another schema than {cls._get_schema()}"
    # Types stand in the classes as text.
    attr.resolve_types(cls, globalns={**vars(typing), **vars(base), **vars(sys.modules[cls.__module__])})
    fields = {field.name: field for field in attr.fields(cls)}
    assert not set(given) - set(fields), f"{where}: {set(given) - set(fields)} are no fields of {cls.__name__}"
    parts = {name: checked(each, fields[name].type, f"{where}.{name}") for name, each in given.items()}
    return cls(**{fields[name].alias: part for name, part in parts.items()})
for number, line in enumerate(sys.stdin):
    event = json.loads(line)
    try:
        again = json.loads(serde.Serde.to_json(build(event_v2.RunEvent, event, f"event {number}")))
        assert again["run"]["runId"] == event["run"]["runId"]
    except (AssertionError, TypeError, ValueError, KeyError) as error:
        faults.append(f"{type(error).__name__}: {error}")
print(json.dumps({"faults": faults[:20], "built": built}))
`;

/** For every column of every select, the columns that it comes from. */
const COLUMNS = `
import json, sys
import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage
given = json.load(sys.stdin)
def origin(node):
    table = node.source
    layer = "" if table.db == "gold" else f"{table.db}."
    return f"{layer}{table.name}.{node.name.split('.')[-1]}"
def origins(select):
    found = lineage(None, select, given["schema"], dialect="duckdb", db="gold")
    leaves = {name: [each for each in top.walk() if isinstance(each.source, exp.Table) and not each.downstream] for name, top in found.items()}
    return {name: sorted({origin(each) for each in nodes}) for name, nodes in leaves.items()}
print(json.dumps({name: origins(select) for name, select in given["selects"].items()}))
`;

const python = openLineageOracles();

function ask(program: string, script: string, input: string): unknown {
  const done = spawnSync(program, ['-W', 'ignore', '-c', script], { input, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (done.status !== 0) throw new Error(done.stderr.slice(-2_000));
  return JSON.parse(done.stdout);
}

if ('missing' in python) {
  layerSkipped('lineage oracles', python.missing, PYTHON);
  it('is left out, which CI does not allow', () => {
    expect(process.env.CI).not.toBe('true');
  });
} else {
  const { program } = python;

  it("every event of a run is one of OpenLineage's own classes", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'listenlake-lineage-'));
    try {
      const file = join(folder, 'events.jsonl');
      const parent = 'airflow/listenlake_daily.run/01990000-0000-7000-8000-00000000000a';
      const done = await runSmall(folder, { LISTENLAKE_OPENLINEAGE: file, OPENLINEAGE_PARENT_ID: parent });
      expect([done.code, done.stderr]).toEqual([0, '']);
      const lines = await readFile(file, 'utf8');
      const answer = ask(program, EVENTS, lines) as { faults: string[]; built: Record<string, number> };
      expect(answer.faults).toEqual([]);
      expect(Object.keys(answer.built).sort()).toEqual([
        'ColumnLineageDatasetFacet',
        'DataQualityAssertionsDatasetFacet',
        'InputStatisticsInputDatasetFacet',
        'JobTypeJobFacet',
        'OutputStatisticsOutputDatasetFacet',
        'ParentRunFacet',
        'SchemaDatasetFacet',
      ]);

      const events = lines.trimEnd().split('\n');
      const broken = [
        events[0]!.replace(/"runId":"[^"]*"/, '"runId":"7"'),
        events[1]!.replace('"inputs":', '"input":'),
        events[3]!.replace(/"rowCount":\d+/, '"rowCount":"7"'),
        events[3]!.replace('SchemaDatasetFacet.json', 'SchemaFacet.json'),
      ];
      expect((ask(program, EVENTS, broken.join('\n')) as { faults: string[] }).faults.length).toBe(broken.length);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('sqlglot finds the same origins of every column of gold', async () => {
    const project = readProject();
    const options = { dialect: 'duckdb', target: 'dev', asOf: '2026-01-01T00:00:00.000Z' } as const;
    const ours = (await columnLineage(project, 'steps')).filter(({ unknown }) => unknown === undefined);
    const selects = Object.fromEntries(modelGraph(project, options).map(({ name, select }) => [name, select]));
    const typed = (columns: readonly { name: string; type: string }[]): Record<string, string> =>
      Object.fromEntries(columns.map(({ name, type }) => [name, type]));
    const schema: Record<string, Record<string, Record<string, string>>> = { bronze: {}, silver: {}, gold: {} };
    for (const { layer, table, columns, partition } of readContracts())
      schema[layer]![table] = { ...typed(columns), ...typed(partition) };
    for (const { name, columns } of project.models.values()) schema.gold![name] = typed(columns);
    const theirs = ask(
      program,
      COLUMNS,
      JSON.stringify({ schema, selects: Object.fromEntries(ours.map(({ model }) => [model, selects[model]])) }),
    );
    const told = ours.map(({ model, columns }) => [
      model,
      Object.fromEntries([...columns].map(([name, origins]) => [name, [...origins.keys()].sort()])),
    ]);
    expect(Object.fromEntries(told)).toEqual(theirs);
    expect(told.length).toBeGreaterThan(60);
  });
}
