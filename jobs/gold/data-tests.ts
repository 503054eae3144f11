import { atMost } from '../base/concurrency.ts';
import { JobError } from '../base/errors.ts';
import { quoteName, quoteText } from '../engine/duckdb/database.ts';
import type { EngineSession, Schema, SingleRow } from '../engine/index.ts';
import { type Contract, readContracts } from '../lake/contracts.ts';
import { type DeclaredTest, invalid, type Model, type Project, uniqueColumns } from './project.ts';
import { askedTogether } from './together.ts';

/** One test of one table, not yet run. Exactly one of `predicate` and `failing` is set. */
export interface DataTest {
  schema: Schema;
  table: string;
  /** E.g. `not_null(track_id)`. */
  name: string;
  severity: 'fail' | 'warn';
  /** True for a row that fails. */
  predicate?: string;
  /** A select whose rows are what fails; asks for relations itself. */
  failing?: (relation: (table: string) => Promise<string>) => Promise<string>;
}

/**
 * What a test found. Grain: one row per test. `error`: the test itself could not run, so nothing is known.
 */
export interface TestResult {
  table_name: string;
  test: string;
  severity: 'fail' | 'warn';
  status: 'passed' | 'failed' | 'warned' | 'error';
  /** Rows (or groups of rows) that fail; null when the test could not run. */
  failing_rows: number | null;
  message: string;
}

/**
 * Tests of silver from its contracts: columns that may not be null, the key, the contract's own checks, and
 * that each partition column says what its rows say.
 */
export function silverTests(): DataTest[] {
  return readContracts()
    .filter((contract) => contract.layer === 'silver')
    .flatMap(contractTests);
}

/**
 * Tests of the models' .yml over `schema`. @throws `model_invalid` (78) for a kind of test that is not known
 */
export function goldTests(project: Project, schema: Schema): DataTest[] {
  return [...project.models.values()]
    .filter((model) => model.columns.length > 0)
    .flatMap((model) => model.tests.map((test) => modelTest(project, model, test, schema)));
}

/**
 * Runs tests, those of a table together, and of several tables where statements wait for others' machines. A
 * test that cannot run is a result as well, and costs no other test.
 */
export async function runTests(
  session: EngineSession,
  tests: readonly DataTest[],
  onTable?: (done: number) => void,
): Promise<TestResult[]> {
  let done = 0;
  const results = await atMost(
    session.concurrency,
    askedTogether(session, byTable(tests), selectCount),
    async (tables) => {
      const ofThese = await runTogether(session, tables.flat());
      done += tables.length;
      onTable?.(done);
      return ofThese;
    },
  );
  const found = new Map(results.flat());
  return tests.map((test) => found.get(test)!);
}

/** Failed or errored tests of severity fail decide. */
export function verdictOf(results: readonly TestResult[]): 'passed' | 'failed' {
  return results.some(({ status }) => status === 'failed' || status === 'error') ? 'failed' : 'passed';
}

function byTable(tests: readonly DataTest[]): DataTest[][] {
  return [...Map.groupBy(tests, ({ schema, table }) => `${schema}.${table}`).values()];
}

/** Selects that `selectsOf` gives. */
function selectCount(tests: readonly DataTest[]): number {
  return Math.min(1, tests.filter(isByRow).length) + tests.filter((test) => !isByRow(test)).length;
}

function isByRow({ predicate }: DataTest): boolean {
  return predicate !== undefined;
}

/** Tests in as few statements as can be. Where one of them cannot run, fewer of them together tell which. */
async function runTogether(session: EngineSession, tests: readonly DataTest[]): Promise<[DataTest, TestResult][]> {
  const tables = byTable(tests);
  try {
    const selects: SingleRow[] = [];
    for (const ofTable of tables) selects.push(...(await selectsOf(session, ofTable)));
    const values = (await session.singleRows(selects)).flat();
    const asked = tables.flatMap(inOrder);
    return asked.map((test, index) => [test, resultOf(test, Number(values[index] ?? 0))]);
  } catch (error) {
    if (tests.length === 1) return [[tests[0]!, errorOf(tests[0]!, error)]];
    const results: [DataTest, TestResult][] = [];
    const parts = tables.length > 1 ? tables : tests.map((test) => [test]);
    for (const part of parts) results.push(...(await runTogether(session, part)));
    return results;
  }
}

/** Selects for the tests of one table: one for all that look at single rows, one for each of the others. */
async function selectsOf(session: EngineSession, tests: readonly DataTest[]): Promise<SingleRow[]> {
  const selects: SingleRow[] = [];
  const byRow = tests.filter(isByRow);
  if (byRow.length > 0) {
    const { schema, table } = tests[0]!;
    const counts = byRow.map(({ predicate }, index) => `count_if(${predicate}) as test_${index}`);
    const sql = `select ${counts.join(',\n    ')} from ${await session.relation(schema, table)}`;
    selects.push({ sql, columns: byRow.length });
  }
  for (const { schema, failing } of tests) {
    if (failing === undefined) continue;
    const rows = await failing((name) => session.relation(schema, name));
    selects.push({ sql: `select count(*) from (${rows}) as failing`, columns: 1 });
  }
  return selects;
}

/** The tests of a table in the order of the values that `selectsOf` gives. */
function inOrder(tests: readonly DataTest[]): DataTest[] {
  return [...tests.filter(isByRow), ...tests.filter((test) => !isByRow(test))];
}

function resultOf(test: DataTest, failing: number): TestResult {
  const broken = test.severity === 'warn' ? ('warned' as const) : ('failed' as const);
  return {
    table_name: test.table,
    test: test.name,
    severity: test.severity,
    status: failing === 0 ? 'passed' : broken,
    failing_rows: failing,
    message: failing === 0 ? '' : `${failing} ${failing === 1 ? 'row fails' : 'rows fail'} ${test.name}`,
  };
}

/**
 * Only what the engine or the lake says about the test is its result; a full disk, a stop or a bug ends the
 * job.
 */
export function errorOf(test: DataTest, error: unknown): TestResult {
  if (!(error instanceof JobError) || (error.exit !== 'usage' && error.exit !== 'data')) throw error;
  const where = error.place.file === undefined ? '' : `${error.place.file}: `;
  return {
    table_name: test.table,
    test: test.name,
    severity: test.severity,
    status: 'error',
    failing_rows: null,
    message: `${where}${error.message}`,
  };
}

function contractTests(contract: Contract): DataTest[] {
  const base = { schema: 'silver' as const, table: contract.table, severity: 'fail' as const };
  const keys = contract.key.map(quoteName).join(', ');
  return [
    ...contract.columns
      .filter(({ nullable }) => !nullable)
      .map(({ name }) => ({ ...base, name: `not_null(${name})`, predicate: `${quoteName(name)} is null` })),
    {
      ...base,
      name: `unique(${contract.key.join(', ')})`,
      failing: async (relation) =>
        `select ${keys} from ${await relation(contract.table)} group by ${keys} having count(*) > 1`,
    },
    ...contract.checks.map(({ name, expression, severity }) => ({
      ...base,
      name,
      severity,
      // A check that cannot tell (null) has not held: contracts say `x is null or ...` where null is fine.
      predicate: `not coalesce((${expression}), false)`,
    })),
    ...contract.partition.flatMap((partition) => {
      const expected = partitionExpression(contract, partition);
      const predicate = `${quoteName(partition.name)} is distinct from ${expected}`;
      return expected === undefined ? [] : [{ ...base, name: `partition(${partition.name})`, predicate }];
    }),
  ];
}

/** What the partition column must be, where it is computed from a column of the table. */
function partitionExpression(contract: Contract, partition: Contract['partition'][number]): string | undefined {
  if (!contract.columns.some(({ name }) => name === partition.from)) return undefined;
  const from = quoteName(partition.from);
  if (partition.type === 'integer') return `cast(extract(${partition.name} from ${from}) as integer)`;
  return `cast(cast(${from} as date) as varchar)`;
}

function modelTest(project: Project, model: Model, test: DeclaredTest, schema: Schema): DataTest {
  const { kind, column, arguments: given, severity, where } = test;
  const label = column ?? (kind === 'expression_is_true' ? String(given.expression) : uniqueColumns(test).join(', '));
  const base = { schema, table: model.name, name: `${kind}(${label})`, severity };
  const scope = where === undefined ? '' : `(${where}) and `;
  const name = quoteName(column ?? '');
  const rows = async (relation: (table: string) => Promise<string>, table = model.name): Promise<string> =>
    where === undefined ? relation(table) : `(select * from ${await relation(table)} where ${where}) as tested`;
  switch (kind) {
    case 'not_null':
      return { ...base, predicate: `${scope}${name} is null` };
    case 'accepted_values': {
      const values = asList(model, test, given.values).map((value) =>
        given.quote === false ? String(value) : literal(value),
      );
      return { ...base, predicate: `${scope}${name} not in (${values.join(', ')})` };
    }
    case 'expression_is_true': {
      const expression = `${column === undefined ? '' : `${name} `}${given.expression}`;
      return { ...base, predicate: `${scope}not (${expression})` };
    }
    case 'unique':
      return {
        ...base,
        failing: async (relation) =>
          `select ${name} from ${await rows(relation)} where ${name} is not null group by ${name} having count(*) > 1`,
      };
    case 'unique_combination':
    case 'unique_combination_of_columns': {
      const columns = asList(model, test, given.columns ?? given.combination_of_columns).map((key) =>
        quoteName(String(key)),
      );
      const list = columns.join(', ');
      const isNull = columns.map((key) => `${key} is null`).join(' or ');
      return {
        ...base,
        failing: async (relation) =>
          `select ${list} from ${await rows(relation)} group by ${list} having count(*) > 1 or ${isNull}`,
      };
    }
    case 'relationships': {
      const parent = /^ref\(\s*['"]([a-z0-9_]+)['"]\s*\)$/.exec(String(given.to))?.[1];
      if (parent === undefined || !project.models.has(parent)) {
        throw invalid(model.file, `test relationships of ${column}: to: ${JSON.stringify(given.to)} is no model`);
      }
      const field = quoteName(String(given.field));
      return {
        ...base,
        name: `relationships(${column} -> ${parent}.${String(given.field)})`,
        failing: async (relation) =>
          `select child.${name} from (select ${name} from ${await rows(relation)}) as child
           left join (select distinct ${field} as parent_key from ${await relation(parent)}) as parent on child.${name} = parent.parent_key
           where child.${name} is not null and parent.parent_key is null`,
      };
    }
    default:
      throw invalid(model.file, `a test of kind ${kind} is not known here`);
  }
}

function asList(model: Model, test: DeclaredTest, value: unknown): unknown[] {
  if (!Array.isArray(value) || value.length === 0)
    throw invalid(model.file, `test ${test.kind} needs a list of values or columns`);
  return value;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? quoteText(value) : String(value);
}
