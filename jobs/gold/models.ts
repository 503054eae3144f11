import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { atMost } from '../base/concurrency.ts';
import { JobError } from '../base/errors.ts';
import type { EngineSession, SqlEngine } from '../engine/index.ts';
import { readContracts } from '../lake/contracts.ts';
import type { Target } from '../lake/keys.ts';
import type { GoldVersion, LakeState, OutputFile } from '../lake/manifest.ts';
import { modelFingerprint, sourceFingerprint } from './fingerprints.ts';
import { notLive } from './live.ts';
import { invalid, type Model, type Project } from './project.ts';

/** For what the models are built. */
export interface BuildOptions {
  dialect: SqlEngine['dialect'];
  target: Target;
  /** Exclusive end of the data, `YYYY-MM-DDTHH:mm:ss.sssZ`: the models' `var('as_of')`. */
  asOf: string;
  /** Over the `vars` of dbt_project.yml. */
  vars?: Record<string, unknown>;
  /** These models have been built by this engine before: what their selects give is known. */
  areColumnsKnown?: boolean;
  /** What silver and bronze hold. */
  state: Pick<LakeState, 'bronze' | 'silver'>;
  /**
   * The target's published version: a table whose model would give the same again is taken over from it, and
   * incremental models add to theirs. Undefined: everything is built, in full.
   */
  previous: Pick<GoldVersion, 'tables' | 'fingerprints'> | undefined;
  /** Only live models and what they read are built; the other tables stay those of `previous` (live.ts). */
  isLive?: boolean;
  /** Called before each table. */
  onModel?: (name: string, index: number, total: number) => void;
}

/** The tables of a run. Each is by model name, ephemeral models left out. */
export interface BuiltModels {
  tables: Record<string, OutputFile>;
  fingerprints: Record<string, string>;
  /** Models whose tables are those of the version before. */
  taken: string[];
  /** Models whose tables may not be what today's silver gives; by name. */
  kept: string[];
}

type Materialized = 'table' | 'incremental' | 'ephemeral';

/** A model's place in the graph: what its text refers to, whichever way its conditions go. */
interface Node {
  model: Model;
  config: Record<string, unknown>;
  materialized: Materialized;
  refs: Set<string>;
  sources: Set<string>;
  /** As rendered with the names of tables: in full, and as what is added to the version before. */
  texts: string[];
}

/** What the functions of a template answer with. */
interface Answers {
  ref: (name: string) => string;
  source: (schema: string, table: string) => string;
  config: (settings: Record<string, unknown>) => void;
  isIncremental: boolean;
  self: string;
}

/**
 * Builds every model of the project, each as soon as those it refers to are there and the session takes one
 * more. A model with the fingerprint that it had in the version before is not built: its table is taken over,
 * unless it is damaged. Tables of the run are seen by nobody but the session. After a failure no further one
 * begins, and those at work end first.
 *
 * @throws `model_invalid` (78) for a template, a graph or a `.yml` that is wrong, `sql_invalid` (64) and
 *   `model_columns` (65), all naming the model's file; what the session throws
 */
export async function buildModels(
  session: EngineSession,
  project: Project,
  options: BuildOptions,
): Promise<BuiltModels> {
  const render = openTemplates(project, options);
  const nodes = planModels(project, render);
  const byName = new Map(nodes.map((node) => [node.model.name, node]));
  const tables = nodes.filter((node) => node.materialized !== 'ephemeral').length;
  let done = 0;
  /** Model to the text that stands for it. */
  const relations = new Map<string, string>();
  const fingerprints = fingerprintsOf(nodes, session.writer, options.state);
  const taken = new Set<string>();
  const passed = options.isLive === true ? notLive(nodes) : new Set<string>();
  const kept = new Set<string>();

  /** The model's table of the version before, if the model would give the same again. */
  async function take({ model, materialized }: Node): Promise<OutputFile | undefined> {
    const file = options.previous?.tables[model.name];
    const isSame = options.previous?.fingerprints?.[model.name] === fingerprints[model.name];
    if (materialized === 'ephemeral' || file === undefined || !(isSame || passed.has(model.name))) return undefined;
    if (!(await session.take(model.name, model.columns, file))) return undefined;
    if (!isSame) keep(model.name);
    relations.set(model.name, await session.relation('run', model.name));
    taken.add(model.name);
    done += 1;
    return file;
  }

  /** What it says of its table stays that of the version before: the next full build knows that it is old. */
  function keep(name: string): void {
    kept.add(name);
    fingerprints[name] = options.previous?.fingerprints?.[name] ?? '';
  }

  async function build({ model, materialized, sources: names, config }: Node): Promise<OutputFile | undefined> {
    const sources = new Map<string, string>();
    for (const source of names) {
      const [schema = '', table = ''] = source.split('.');
      sources.set(source, await session.relation(schema as 'silver' | 'bronze', table));
    }
    const previous = materialized === 'incremental' ? await previousRelation(session, model, options) : undefined;
    const select = render(model, {
      ref: (name) => relations.get(name)!,
      source: (schema, table) => sources.get(`${schema}.${table}`)!,
      config: () => {},
      isIncremental: previous !== undefined,
      self: previous ?? `run.${model.name}`,
    });
    if (materialized === 'ephemeral') {
      relations.set(model.name, `(\n${select}\n)`);
      return undefined;
    }
    if (model.columns.length === 0) throw invalid(model.file, `no .yml declares the columns of ${model.name}`);
    const merged = previous === undefined ? select : mergeSelect(model, config, previous, select);
    const { areColumnsKnown = false } = options;
    const request = { model: model.name, select: merged, columns: model.columns, sort: model.sort, areColumnsKnown };
    const file = await session.build(request);
    // Built where its table was damaged, and of tables that are old themselves.
    if (passed.has(model.name)) keep(model.name);
    relations.set(model.name, await session.relation('run', model.name));
    done += 1;
    return file;
  }

  const files = await atMost(
    session.concurrency,
    nodes,
    async (node) => {
      if (node.materialized !== 'ephemeral') options.onModel?.(node.model.name, done, tables);
      return named(node.model, async () => (await take(node)) ?? build(node));
    },
    ({ refs }) => [...refs].map((name) => byName.get(name)!),
  );
  // In the order of the graph, whichever ended first.
  const names = nodes.map(({ model }) => model.name);
  const isTable = (pair: readonly [string, OutputFile | undefined]): pair is [string, OutputFile] =>
    pair[1] !== undefined;
  const built = names.map((name, index) => [name, files[index]] as const).filter(isTable);
  return {
    tables: Object.fromEntries(built),
    fingerprints: Object.fromEntries(built.map(([name]) => [name, fingerprints[name]!])),
    taken: names.filter((name) => taken.has(name)),
    kept: [...kept].sort(),
  };
}

/** Of every model, in the order of the graph: each has those of what it refers to in its own. */
function fingerprintsOf(nodes: readonly Node[], writer: string, state: BuildOptions['state']): Record<string, string> {
  const fingerprints: Record<string, string> = {};
  for (const { model, materialized, config, refs, sources, texts } of nodes) {
    const reads = Object.fromEntries([
      ...[...refs].map((name) => [name, fingerprints[name]!] as const),
      ...[...sources].map((source) => [source, sourceFingerprint(state, source)] as const),
    ]);
    const how = [materialized, ...uniqueKey(config)];
    fingerprints[model.name] = modelFingerprint({ model, texts, config: how, writer, reads });
  }
  return fingerprints;
}

/** A model as others see it. */
export interface GraphModel {
  name: string;
  materialized: Materialized;
  /** Models that it reads, by name. */
  refs: string[];
  /** Tables below gold that it reads, as `schema.table`. */
  sources: string[];
  /** Its select in full: models under their names, sources as `schema.table`. */
  select: string;
}

/**
 * The project's models in build order, and what each reads.
 *
 * @throws `model_invalid` (78) for unknown references and for cycles
 */
export function modelGraph(project: Project, options: Pick<BuildOptions, 'dialect' | 'target' | 'asOf'>): GraphModel[] {
  const nodes = planModels(project, openTemplates(project, options));
  return nodes.map(({ model, materialized, refs, sources, texts }) => ({
    name: model.name,
    materialized,
    refs: [...refs].sort(),
    sources: [...sources].sort(),
    select: texts[0]!,
  }));
}

type Render = (model: Model, answers: Answers) => string;

/** Macros are read once; each model is rendered in an environment of its own above theirs. */
function openTemplates(project: Project, options: Pick<BuildOptions, 'dialect' | 'target' | 'asOf' | 'vars'>): Render {
  const macros = new Environment();
  for (const [name, value] of Object.entries({ true: true, false: false, none: null })) macros.set(name, value);
  macros.set('range', (from: number, to?: number) =>
    to === undefined
      ? Array.from({ length: from }, (_, n) => n)
      : Array.from({ length: to - from }, (_, n) => from + n),
  );
  const vars: Record<string, unknown> = { ...project.vars, ...options.vars, as_of: options.asOf };
  runTemplate('macros', project.macros, macros);

  return (model, answers) => {
    const environment = new Environment(macros);
    const functions: Record<string, unknown> = {
      ref: (...names: unknown[]) => answers.ref(String(names.at(-1))),
      source: (schema: string, table: string) => answers.source(schema, table),
      config: (settings: unknown) => {
        answers.config((plain(settings) ?? {}) as Record<string, unknown>);
        return '';
      },
      var: (name: string, fallback?: unknown) => {
        const value = vars[name] ?? plain(fallback);
        if (value === undefined) throw new Error(`var('${name}') is set nowhere and has no default`);
        return value;
      },
      is_incremental: () => answers.isIncremental,
      this: answers.self,
      target: { type: options.dialect, name: options.target, schema: `gold_${options.target}` },
    };
    for (const [name, value] of Object.entries(functions)) environment.set(name, value);
    return runTemplate(model.file, model.sql, environment).trim().replace(/;$/, '');
  };
}

/**
 * The `Template` class would drop the newline after each block and so glue words together, which dbt does
 * not: tokenised without that.
 */
function runTemplate(file: string, text: string, environment: Environment): string {
  try {
    return String(
      new Interpreter(environment).run(parse(tokenize(text, { trim_blocks: false, lstrip_blocks: false }))).value,
    );
  } catch (error) {
    if (error instanceof JobError) throw error;
    throw invalid(
      file,
      `the template does not render: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

/** The interpreter hands over its own values: maps of values for keyword arguments, lists of values. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null && 'value' in value) return plain(value.value);
  return value;
}

/** Every model after those it refers to; models that could come in any order come by name. */
function planModels(project: Project, render: Render): Node[] {
  const nodes = new Map([...project.models].map(([name, model]) => [name, examine(project, model, render)]));
  const ordered: Node[] = [];
  const placed = new Set<string>();
  const visit = (name: string, path: string[]): void => {
    if (placed.has(name)) return;
    const node = nodes.get(name)!;
    if (path.includes(name)) {
      const cycle = [...path.slice(path.indexOf(name)), name].map((step) => nodes.get(step)!.model.file);
      throw invalid(node.model.file, `models refer to each other in a circle: ${cycle.join(' -> ')}`);
    }
    for (const ref of [...node.refs].sort()) visit(ref, [...path, name]);
    placed.add(name);
    ordered.push(node);
  };
  for (const name of [...nodes.keys()].sort()) visit(name, []);
  return ordered;
}

function examine(project: Project, model: Model, render: Render): Node {
  const node: Node = {
    ...{ model, config: { ...model.config }, materialized: 'table' },
    ...{ refs: new Set(), sources: new Set(), texts: [] },
  };
  const answers = (isIncremental: boolean): Answers => ({
    ref: (name) => {
      if (!project.models.has(name)) throw invalid(model.file, `ref('${name}'): there is no such model`);
      node.refs.add(name);
      return name;
    },
    source: (schema, table) => {
      const isKnown = readContracts().some((contract) => contract.layer === schema && contract.table === table);
      if (!isKnown) throw invalid(model.file, `source('${schema}', '${table}'): there is no such contract`);
      node.sources.add(`${schema}.${table}`);
      return `${schema}.${table}`;
    },
    config: (settings) => Object.assign(node.config, settings),
    isIncremental,
    self: model.name,
  });
  // Both ways, because what stands in `{% if is_incremental() %}` may refer to further tables.
  node.texts = [false, true].map((isIncremental) => render(model, answers(isIncremental)));
  const materialized = String(node.config.materialized ?? 'table');
  if (materialized !== 'table' && materialized !== 'incremental' && materialized !== 'ephemeral') {
    throw invalid(model.file, `materialized='${materialized}' is not known here`);
  }
  if (materialized === 'incremental' && uniqueKey(node.config).length === 0) {
    throw invalid(model.file, "materialized='incremental' needs a unique_key");
  }
  return { ...node, materialized };
}

function uniqueKey(config: Record<string, unknown>): string[] {
  return [config.unique_key ?? []].flat().map(String);
}

/** The published version of an incremental model, if there is one with the columns of today. */
async function previousRelation(
  session: EngineSession,
  model: Model,
  options: BuildOptions,
): Promise<string | undefined> {
  if (options.previous?.tables[model.name] === undefined) return undefined;
  const relation = await session.relation(`gold_${options.target}`, model.name);
  const columns = await session.columns(`gold_${options.target}`, model.name);
  const isSame = JSON.stringify(columns) === JSON.stringify(model.columns);
  return isSame ? relation : undefined;
}

/** New rows, and the rows of the version before whose key is not among them. */
function mergeSelect(model: Model, config: Record<string, unknown>, previous: string, select: string): string {
  const columns = model.columns.map(({ name }) => `"${name}"`).join(', ');
  const isSameKey = uniqueKey(config)
    .map((name) => `new_rows."${name}" is not distinct from old_rows."${name}"`)
    .join(' and ');
  return `with new_rows as (\n${select}\n)
select ${columns} from new_rows
union all
select ${columns} from ${previous} as old_rows where not exists (select 1 from new_rows where ${isSameKey})`;
}

/** Errors of the engine do not know which model they are about. */
async function named<T>(model: Model, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof JobError) || error.place.file !== undefined) throw error;
    const options = {
      place: { file: `warehouse/${model.file}` },
      cause: error,
      ...(error.hint && { hint: error.hint }),
    };
    throw new JobError(error.code, error.exit, error.message, options);
  }
}
