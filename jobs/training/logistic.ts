import { CholeskyDecomposition, type Matrix, Matrix as MlMatrix } from 'ml-matrix';
import type { EngineSession } from '../engine/index.ts';
import { asNumber, type Design, linearPart, numbers, pairs, scaled, symmetric, terms } from './design.ts';

/**
 * Coefficients of a regression on standardised inputs: the intercept first, then the inputs of the design.
 */
export interface Fit {
  status: 'fitted';
  coefficients: number[];
  /** Of the coefficients, robust: clustered, or against unequal variances. */
  covariance: Matrix;
  iterations: number;
  /** Groups of rows that hang together; the rows themselves where there are no groups. */
  clusters: number;
}

/** No finite coefficient fits best, because the inputs tell the two labels apart. */
export interface Separated {
  status: 'separated';
  /** The input whose coefficient has run away furthest. */
  by: string;
}

const ITERATIONS_MAX = 30;
/**
 * In standard deviations. Newton's method squares the error with each step: 1e-12 is left after such a one.
 */
const STEP_MIN = 1e-6;
const HALVINGS_MAX = 12;
/** Mean log loss below which nothing is left to be explained. */
const LOSS_MIN = 1e-7;

/** The log likelihood and its derivatives at some coefficients. */
interface Point {
  coefficients: number[];
  /** Sum of the rows' log losses: what is made least. */
  loss: number;
  gradient: Matrix;
  hessian: Matrix;
}

/**
 * Logistic regression without any penalty, by Newton's method (iteratively reweighted least squares): one
 * select of one row for each step. Standard errors are of the sandwich estimator (Liang and Zeger 1986) with
 * the small-sample factor G / (G - 1) · (n - 1) / (n - k).
 *
 * @param cluster an expression over the columns of the observations
 */
export async function fitLogistic(session: EngineSession, design: Design, cluster: string): Promise<Fit | Separated> {
  let point = await pointAt(session, design, [0, ...design.inputs.map(() => 0)]);
  for (let iteration = 1; iteration <= ITERATIONS_MAX; iteration += 1) {
    const inverse = inverseOf(point.hessian);
    if (inverse === undefined || point.loss / design.n < LOSS_MIN) break;
    const step = inverse.mmul(point.gradient).to1DArray();
    point = await stepFrom(session, design, point, step);
    if (Math.max(...step.map(Math.abs)) >= STEP_MIN) continue;
    const covariance = await clusteredCovariance(session, design, point, cluster);
    return { status: 'fitted', coefficients: point.coefficients, iterations: iteration, ...covariance };
  }
  const size = point.coefficients.slice(1).map(Math.abs);
  return { status: 'separated', by: design.inputs[size.indexOf(Math.max(...size))]?.name ?? 'none' };
}

/** A whole step where it does not lead uphill, else a half, a quarter, ... */
async function stepFrom(session: EngineSession, design: Design, from: Point, step: number[]): Promise<Point> {
  let share = 1;
  for (let halvings = 0; ; halvings += 1) {
    const to = from.coefficients.map((value, index) => value + share * step[index]!);
    const point = await pointAt(session, design, to);
    // Near the end the loss of one point and the next are the same but for rounding.
    if (point.loss <= from.loss * (1 + 1e-12) || halvings === HALVINGS_MAX) return point;
    share /= 2;
  }
}

async function pointAt(session: EngineSession, design: Design, coefficients: number[]): Promise<Point> {
  const factors = terms(design);
  const sums = [
    ROW_LOSS,
    ...factors.map((factor) => `residual * ${factor}`),
    ...pairs(factors.length).map(([row, column]) => `weight * ${factors[row]} * ${factors[column]}`),
  ];
  const values = await numbers(
    session,
    `${fitted(design, coefficients)}\nselect ${sums.map((sum) => `sum(${sum})`).join(',\n    ')}\nfrom fitted`,
  );
  const size = factors.length;
  return {
    coefficients,
    loss: values[0]!,
    gradient: MlMatrix.columnVector(values.slice(1, 1 + size)),
    hessian: symmetric(size, values.slice(1 + size)),
  };
}

/**
 * Log loss of a row, `y` and `eta` given: `ln(1 + exp(eta)) - y * eta`, written so that no exponential
 * overflows and no logarithm is of 0.
 */
export const ROW_LOSS =
  '(case when eta > 0e0 then eta else 0e0 end - y * eta + ln(1e0 + exp(case when eta > 0e0 then -eta else eta end)))';

/**
 * `with ..., fitted (<columns of scaled>, eta, probability, residual, weight)`; parameters as those of
 * `scaled`.
 */
export function fitted(
  design: Design,
  coefficients: readonly number[],
  extra: readonly string[] = [],
  select?: string,
): string {
  return `${scaled(design, extra, select)},
linear as (select *, ${linearPart(coefficients, terms(design))} as eta from scaled),
likely as (select *, 1e0 / (1e0 + exp(-eta)) as probability from linear),
fitted as (select *, y - probability as residual, probability * (1e0 - probability) as weight from likely)`;
}

async function clusteredCovariance(
  session: EngineSession,
  design: Design,
  { coefficients, hessian }: Point,
  cluster: string,
): Promise<Pick<Fit, 'covariance' | 'clusters'>> {
  const factors = terms(design);
  const size = factors.length;
  const scores = factors.map((factor, index) => `sum(residual * ${factor}) as s${index}`);
  const products = pairs(size).map(([row, column]) => `sum(s${row} * s${column})`);
  const { rows } = await session.query(
    `${fitted(design, coefficients, [`${cluster} as cluster_key`])},
scores as (select ${scores.join(',\n    ')} from fitted group by cluster_key)
select count(*), ${products.join(',\n    ')}\nfrom scores`,
  );
  const [clusters = 0, ...lower] = (rows[0] ?? []).map(asNumber);
  const bread = inverseOf(hessian)!;
  const correction = (clusters / (clusters - 1)) * ((design.n - 1) / (design.n - size));
  return { covariance: bread.mmul(symmetric(size, lower)).mmul(bread).mul(correction), clusters };
}

/** Of a symmetric matrix; undefined where it is not positive definite. */
export function inverseOf(matrix: Matrix): Matrix | undefined {
  const cholesky = new CholeskyDecomposition(matrix);
  return cholesky.isPositiveDefinite() ? cholesky.solve(MlMatrix.eye(matrix.rows)) : undefined;
}
