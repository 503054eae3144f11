/** The matrix of a regression, as expressions: its rows stay where they lie. */
import { Matrix, solve } from 'ml-matrix';
import type { EngineSession, SqlValue } from '../engine/index.ts';
import type { Input } from './inputs.ts';

/** What a regression is fitted to. */
export interface Observations {
  /** A select; inputs, label and cluster are expressions over its columns. */
  select: string;
  /** What is to be explained, a double: 0 or 1 for a logistic regression. */
  label: string;
}

/**
 * An input as it enters the fit: `(sql - mean) / sd`. Mean and standard deviation are of the observations.
 */
export interface Scaled extends Input {
  mean: number;
  sd: number;
}

/** Rows without any null, and the inputs that can be told apart in them. */
export interface Design {
  observations: Observations;
  inputs: Scaled[];
  leftOut: { name: string; why: string }[];
  /** Rows. */
  n: number;
  /** Sum of the label: of a 0-1 label, how many are 1. */
  labelSum: number;
  /** No row of the observations lacks anything: looking for nulls would double what a pass costs. */
  isWhole: boolean;
}

/** A yes-no input needs so many rows of either label on either side; fewer make its coefficient run away. */
const BINARY_SIDE_MIN = 10;
/** Share of an input's variance that the inputs before it must leave unexplained. */
const OWN_VARIANCE_MIN = 1e-7;

/**
 * Looks at the inputs over all rows: two selects of one row each. Left out, with the reason, are inputs
 * without variance, yes-no inputs that are nearly always the same, and inputs that are a combination of those
 * before.
 *
 * @param isBinaryLabel the label is 0 or 1
 */
export async function openDesign(
  session: EngineSession,
  observations: Observations,
  inputs: readonly Input[],
  isBinaryLabel: boolean,
): Promise<Design> {
  const columns = inputs.flatMap((_, index) =>
    [`avg(x${index})`, `stddev_pop(x${index})`, `min(x${index})`, `max(x${index})`].concat(
      [0, 1].flatMap((side) => [
        `count_if(x${index} = ${side} and y = 0e0)`,
        `count_if(x${index} = ${side} and y = 1e0)`,
      ]),
    ),
  );
  const values = await numbers(
    session,
    `${observed(observations, inputs)}\nselect count(*), ${['sum(y)', ...columns].join(',\n    ')}\nfrom observed`,
  );
  const [n = 0, labelSum = 0] = values;
  const [all = 0] = await numbers(session, `select count(*) from (${observations.select}) as given`);
  const leftOut: Design['leftOut'] = [];
  const varied: Scaled[] = [];
  for (const [index, input] of inputs.entries()) {
    const [mean = 0, sd = 0, low = 0, high = 0, ...sides] = values.slice(2 + index * 8, 10 + index * 8);
    const why = whyUseless(input, { low, high, sides, isBinaryLabel });
    if (why === undefined) varied.push({ ...input, mean, sd });
    else leftOut.push({ name: input.name, why });
  }
  const design = { observations, inputs: varied, leftOut, n, labelSum, isWhole: n === all };
  return n === 0 || varied.length === 0 ? design : withoutCombinations(session, design);
}

function whyUseless(
  { isBinary }: Input,
  { low, high, sides, isBinaryLabel }: { low: number; high: number; sides: number[]; isBinaryLabel: boolean },
): string | undefined {
  if (!(low < high)) return 'it is the same in every play';
  if (!isBinary || !isBinaryLabel || Math.min(...sides) >= BINARY_SIDE_MIN) return undefined;
  return `fewer than ${BINARY_SIDE_MIN} skipped or finished plays are on one of its sides`;
}

async function withoutCombinations(session: EngineSession, design: Design): Promise<Design> {
  const size = design.inputs.length;
  const products = pairs(size).map(([row, column]) => `avg(z${row} * z${column})`);
  const values = await numbers(session, `${scaled(design)}\nselect ${products.join(',\n    ')}\nfrom scaled`);
  const correlations = symmetric(size, values);
  const kept: number[] = [];
  for (let index = 0; index < size; index += 1) {
    if (ownVariance(correlations, kept, index) >= OWN_VARIANCE_MIN) kept.push(index);
    else design.leftOut.push({ name: design.inputs[index]!.name, why: 'the inputs before it say the same' });
  }
  return { ...design, inputs: kept.map((index) => design.inputs[index]!) };
}

/** The share of the variance of input `index` that those in `others` do not explain. */
function ownVariance(correlations: Matrix, others: readonly number[], index: number): number {
  if (others.length === 0) return 1;
  const among = correlations.selection([...others], [...others]);
  const withIt = correlations.selection([...others], [index]);
  return 1 - withIt.transpose().mmul(solve(among, withIt)).get(0, 0);
}

/** `with observed (y, x0, x1, ...)`: the inputs as they are, rows without any null. */
function observed(
  { select, label }: Observations,
  inputs: readonly Input[],
  { extra = [], isWhole = false }: { extra?: readonly string[]; isWhole?: boolean } = {},
): string {
  const columns = [`cast(${label} as double) as y`, ...inputs.map(({ sql }, index) => `${sql} as x${index}`), ...extra];
  const known = ['y', ...inputs.map((_, index) => `x${index}`)].map((name) => `${name} is not null`);
  return `with given as (\n${select}\n),
computed as (select ${columns.join(',\n    ')} from given),
observed as (select * from computed${isWhole ? '' : ` where ${known.join(' and ')}`})`;
}

/**
 * `with ..., scaled (y, z0, z1, ..., <extra>)`: the rows of a design, inputs standardised.
 *
 * @param extra further columns, `<expression> as <name>`
 * @param select other rows than those of the design, with the same columns
 */
export function scaled(
  { observations, inputs, isWhole }: Pick<Design, 'observations' | 'inputs' | 'isWhole'>,
  extra: readonly string[] = [],
  select: string = observations.select,
): string {
  const columns = inputs.map(({ mean, sd }, index) => `(x${index} - ${literal(mean)}) / ${literal(sd)} as z${index}`);
  const names = extra.map((column) => column.slice(column.lastIndexOf(' as ') + ' as '.length));
  const isOwn = isWhole && select === observations.select;
  return `${observed({ ...observations, select }, inputs, { extra, isWhole: isOwn })},
scaled as (select ${['y', ...columns, ...names].join(',\n    ')} from observed)`;
}

/** Intercept and inputs of a scaled row: `1e0`, `z0`, `z1`, ... */
export function terms({ inputs }: Pick<Design, 'inputs'>): string[] {
  return ['1e0', ...inputs.map((_, index) => `z${index}`)];
}

/** The sum of coefficients times terms. */
export function linearPart(coefficients: readonly number[], factors: readonly string[]): string {
  return coefficients.map((value, index) => `${literal(value)} * ${factors[index]}`).join(' + ');
}

/** A double of SQL that is exactly this number. */
export function literal(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`no number for SQL: ${value}`);
  return value < 0 ? `(${value.toExponential()})` : value.toExponential();
}

/** Places of the lower half of a matrix, the diagonal with it, row by row. */
export function pairs(size: number): [row: number, column: number][] {
  return Array.from({ length: size }, (_, row) =>
    Array.from({ length: row + 1 }, (_, column): [number, number] => [row, column]),
  ).flat();
}

/** The whole of a symmetric matrix from its lower half. */
export function symmetric(size: number, lower: readonly number[]): Matrix {
  const matrix = Matrix.zeros(size, size);
  for (const [index, [row, column]] of pairs(size).entries()) {
    matrix.set(row, column, lower[index]!);
    matrix.set(column, row, lower[index]!);
  }
  return matrix;
}

/** The one row of a select, as numbers; null is 0: sums of nothing. */
export async function numbers(session: EngineSession, sql: string): Promise<number[]> {
  const { rows } = await session.query(sql);
  return (rows[0] ?? []).map(asNumber);
}

export function asNumber(value: SqlValue | undefined): number {
  return value === null || value === undefined ? 0 : Number(value);
}
