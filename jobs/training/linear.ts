import { Matrix } from 'ml-matrix';
import type { EngineSession } from '../engine/index.ts';
import { type Design, linearPart, numbers, pairs, scaled, symmetric, terms } from './design.ts';
import { type Fit, inverseOf } from './logistic.ts';

/** A linear regression, and the share of the label's variance that it explains. */
export interface LinearFit extends Fit {
  rSquared: number;
}

/**
 * Ordinary least squares in two selects of one row. Standard errors stand against unequal variances (HC1:
 * White 1980, with the factor n / (n - k)).
 *
 * @returns undefined where there are no more rows than coefficients, or the label is always the same
 */
export async function fitLinear(session: EngineSession, design: Design): Promise<LinearFit | undefined> {
  const factors = terms(design);
  const size = factors.length;
  if (design.n <= size) return undefined;
  const half = pairs(size);
  const ofPairs = half.map(([row, column]) => `sum(${factors[row]} * ${factors[column]})`);
  const sums = [...factors.map((factor) => `sum(y * ${factor})`), 'stddev_pop(y)', ...ofPairs];
  const values = await numbers(session, `${scaled(design)}\nselect ${sums.join(',\n    ')}\nfrom scaled`);
  const deviation = values[size]!;
  const inverse = inverseOf(symmetric(size, values.slice(size + 1)));
  if (inverse === undefined || deviation === 0) return undefined;
  const coefficients = inverse.mmul(Matrix.columnVector(values.slice(0, size))).to1DArray();
  const squares = half.map(([row, column]) => `sum(residual * residual * ${factors[row]} * ${factors[column]})`);
  const [remaining = 0, ...lower] = await numbers(
    session,
    `${scaled(design)},
rest as (select *, y - (${linearPart(coefficients, factors)}) as residual from scaled)
select sum(residual * residual), ${squares.join(',\n    ')}\nfrom rest`,
  );
  const covariance = inverse
    .mmul(symmetric(size, lower))
    .mmul(inverse)
    .mul(design.n / (design.n - size));
  const rSquared = 1 - remaining / (deviation * deviation * design.n);
  return { status: 'fitted', coefficients, covariance, rSquared, iterations: 1, clusters: design.n };
}
