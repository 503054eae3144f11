import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { JobError } from '../base/errors.ts';
import type { DeclaredColumn, GoldModels } from '../engine/index.ts';
import { WAREHOUSE_DIR } from '../lake/contracts.ts';

/** One `data_tests` entry of a model's .yml. */
export interface DeclaredTest {
  /**
   * `not_null`, `unique`, `accepted_values`, `relationships`, `expression_is_true`, `unique_combination`,
   * without the package's name.
   */
  kind: string;
  /** The column it stands under; undefined for tests of the whole model. */
  column: string | undefined;
  arguments: Record<string, unknown>;
  severity: 'fail' | 'warn';
  /** Only rows for which this holds are tested. */
  where: string | undefined;
}

/** One model: a select in a file, and what the .yml beside it says. */
export interface Model {
  name: string;
  /** Path inside the warehouse folder, for messages. */
  file: string;
  /** The template as written. */
  sql: string;
  /** What dbt_project.yml and the .yml configure; `config()` in the model itself wins. */
  config: Record<string, unknown>;
  /** Declared columns in order; empty where no .yml declares any. */
  columns: DeclaredColumn[];
  /**
   * Columns that identify a row, from its first `unique` or `unique_combination` test; empty where none is
   * declared.
   */
  key: string[];
  /** Columns to sort the stored table by: `meta.sorted_by` of its configuration, else the key. */
  sort: string[];
  tests: DeclaredTest[];
  /**
   * Models that `train` makes this table from; undefined for a table that its own select makes. Its select
   * gives no rows: the table is empty until it is trained.
   */
  trainedFrom?: readonly string[];
}

/** The models of a warehouse folder, read but not rendered. */
export interface Project {
  models: Map<string, Model>;
  /** Texts of `macros/*.sql`, in name order. */
  macros: string;
  /** `vars` of dbt_project.yml. */
  vars: Record<string, unknown>;
  /** Changes whenever anything changes that a table or a test depends on. */
  hash: string;
}

const testEntry = z.union([z.string(), z.record(z.string(), z.unknown())]);
const columnEntry = z.looseObject({
  name: z.string(),
  data_type: z.string().optional(),
  data_tests: z.array(testEntry).optional(),
  tests: z.array(testEntry).optional(),
});
const modelEntry = z.looseObject({
  name: z.string(),
  config: z.record(z.string(), z.unknown()).optional(),
  columns: z.array(columnEntry).optional(),
  data_tests: z.array(testEntry).optional(),
  tests: z.array(testEntry).optional(),
});
/** Only what `train` fills is declared here: what silver holds stands in its contracts. */
const sourceEntry = z.looseObject({ tables: z.array(modelEntry).optional() });
const modelsFile = z
  .looseObject({ models: z.array(modelEntry).optional(), sources: z.array(sourceEntry).optional() })
  .nullable();
const trainedMeta = z.looseObject({ trained_from: z.array(z.string()).min(1) });

type ModelEntry = z.infer<typeof modelEntry>;

/**
 * Reads `models/**`, `macros/*.sql` and `dbt_project.yml` of a folder in dbt's layout.
 *
 * @throws `model_invalid` (78) that names the file: YAML that does not parse, two models of one name, a .yml
 *   entry without its model
 */
export function readProject(folder: string = WAREHOUSE_DIR): Project {
  const hash = createHash('sha256');
  const read = (file: string): string => {
    const text = readFileSync(join(folder, file), 'utf8');
    hash.update(`${file}\n${text}\n`);
    return text;
  };
  const settings = existsSync(join(folder, 'dbt_project.yml'))
    ? z.looseObject({}).parse(parsed('dbt_project.yml', read('dbt_project.yml')) ?? {})
    : {};
  const macros = filesUnder(folder, 'macros', '.sql').map(read).join('\n');
  const models = new Map<string, Model>();
  for (const file of filesUnder(folder, 'models', '.sql')) {
    const name = file.slice(file.lastIndexOf('/') + 1, -'.sql'.length);
    const other = models.get(name);
    if (other !== undefined) throw invalid(file, `another model has the same name: ${other.file}`);
    models.set(name, {
      name,
      file,
      sql: read(file),
      config: configOf(settings, file),
      columns: [],
      key: [],
      sort: [],
      tests: [],
    });
  }
  for (const file of filesUnder(folder, 'models', '.yml')) {
    const content = modelsFile.safeParse(parsed(file, read(file)));
    if (!content.success) throw invalid(file, z.prettifyError(content.error));
    for (const entry of content.data?.models ?? []) {
      const model = models.get(entry.name);
      if (model === undefined) throw invalid(file, `there is no models/**/${entry.name}.sql`);
      describe(model, entry, file);
    }
    for (const entry of (content.data?.sources ?? []).flatMap(({ tables }) => tables ?? [])) {
      const model = trainedModel(entry, file);
      if (model === undefined) continue;
      if (models.has(model.name)) throw invalid(file, `a model has the same name: ${models.get(model.name)!.file}`);
      models.set(model.name, model);
    }
  }
  return { models, macros, vars: (settings.vars ?? {}) as Record<string, unknown>, hash: hash.digest('hex') };
}

/** An error in the project's own files. */
export function invalid(file: string, message: string, cause?: unknown): JobError {
  return new JobError('model_invalid', 'config', message, { place: { file: `warehouse/${file}` }, cause });
}

function describe(model: Model, entry: ModelEntry, file: string): void {
  model.config = { ...model.config, ...entry.config };
  const columns = entry.columns ?? [];
  model.columns = columns
    .filter((column) => column.data_type !== undefined)
    .map(({ name, data_type = '' }) => ({ name, type: data_type.toLowerCase().replaceAll(' ', '') }));
  if (model.columns.length !== columns.length) {
    const bare = columns.find((column) => column.data_type === undefined);
    throw invalid(file, `column ${bare?.name} of ${model.name} has no data_type`);
  }
  const wholeModel = (entry.data_tests ?? entry.tests ?? []).map((test) => declaredTest(test, undefined, file));
  const byColumn = columns.flatMap(({ name, data_tests, tests }) =>
    (data_tests ?? tests ?? []).map((test) => declaredTest(test, name, file)),
  );
  model.tests = [...wholeModel, ...byColumn];
  const unique = model.tests.find(({ kind, where }) => where === undefined && /^unique(_combination|$)/.test(kind));
  model.key = unique === undefined ? [] : uniqueColumns(unique);
  model.sort = sortedBy(model, file) ?? model.key;
}

/** A table that `train` fills; undefined for any other source. */
function trainedModel(entry: ModelEntry, file: string): Model | undefined {
  const meta = trainedMeta.safeParse(entry.config?.meta);
  if (!meta.success) return undefined;
  const trainedFrom = meta.data.trained_from;
  const model: Model = {
    name: entry.name,
    file,
    sql: '',
    config: {},
    columns: [],
    key: [],
    sort: [],
    tests: [],
    trainedFrom,
  };
  describe(model, entry, file);
  // What it is trained from is named, so that its fingerprint changes with theirs.
  const named = trainedFrom.map((name) => `{{ ref('${name}') }}`).join(', ');
  model.sql = `-- trained from ${named}\n${noRows(model.columns)}`;
  return model;
}

/** A select of these columns that gives no row. */
export function noRows(columns: readonly DeclaredColumn[]): string {
  const typeOf = (type: string): string => (type === 'timestamp' ? 'timestamp(3)' : type);
  const casts = columns.map(({ name, type }) => `cast(null as ${typeOf(type)}) as ${name}`);
  return `select\n    ${casts.join(',\n    ')}\nwhere 1 = 0`;
}

/** Under `meta`, which is dbt's place for what dbt does not know. */
function sortedBy(model: Model, file: string): string[] | undefined {
  const { sorted_by: columns } = z.looseObject({ sorted_by: z.unknown().optional() }).parse(model.config.meta ?? {});
  if (columns === undefined) return undefined;
  const known = model.columns.map(({ name }) => name);
  const found = z.array(z.enum(known)).safeParse(columns);
  if (!found.success) throw invalid(file, `sorted_by of ${model.name} is no list of its columns`);
  return found.data;
}

/** Columns of a `unique` or `unique_combination` test. */
export function uniqueColumns(test: DeclaredTest): string[] {
  if (test.column !== undefined) return [test.column];
  const columns = test.arguments.columns ?? test.arguments.combination_of_columns;
  return Array.isArray(columns) ? columns.map(String) : [];
}

/**
 * `not_null` · `accepted_values: {arguments: {values: [...]}, config: {severity: warn}}` (older dbt:
 * arguments beside config).
 */
function declaredTest(entry: z.infer<typeof testEntry>, column: string | undefined, file: string): DeclaredTest {
  if (typeof entry === 'string') {
    return { kind: bareName(entry), column, arguments: {}, severity: 'fail', where: undefined };
  }
  const [name, body] = Object.entries(entry)[0] ?? [];
  if (name === undefined) throw invalid(file, `an empty test${column === undefined ? '' : ` of column ${column}`}`);
  const {
    arguments: given,
    config,
    name: _label,
    description: _description,
    ...flat
  } = (body ?? {}) as Record<string, unknown>;
  const settings = { ...flat, ...((config ?? {}) as Record<string, unknown>) };
  return {
    kind: bareName(name),
    column,
    arguments: { ...flat, ...((given ?? {}) as Record<string, unknown>) },
    severity: settings.severity === 'warn' ? 'warn' : 'fail',
    where: typeof settings.where === 'string' ? settings.where : undefined,
  };
}

function bareName(name: string): string {
  return name.replace(/^.*\./, '');
}

/**
 * `models: {<project>: {<folder>: {+materialized: ...}}}` of dbt_project.yml, inner folders over outer ones.
 */
function configOf(settings: Record<string, unknown>, file: string): Record<string, unknown> {
  let node = (settings.models as Record<string, unknown> | undefined)?.[String(settings.name)];
  const config: Record<string, unknown> = {};
  for (const part of [undefined, ...file.split('/').slice(1, -1)]) {
    if (part !== undefined) node = (node as Record<string, unknown>)[part];
    if (typeof node !== 'object' || node === null) break;
    for (const [key, value] of Object.entries(node)) if (key.startsWith('+')) config[key.slice(1)] = value;
  }
  return config;
}

function filesUnder(folder: string, part: string, ending: string): string[] {
  if (!existsSync(join(folder, part))) return [];
  return readdirSync(join(folder, part), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending) && !entry.name.startsWith('.'))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

function parsed(file: string, text: string): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    throw invalid(file, error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error), error);
  }
}

/** The models that become tables, for who compares them with what is published. */
export function goldModelsOf({ hash, models }: Project): GoldModels {
  const tables = [...models.values()].filter((model) => model.config.materialized !== 'ephemeral');
  return { hash, columns: new Map(tables.map(({ name, columns }) => [name, columns])) };
}
