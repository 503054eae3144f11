import { EigenvalueDecomposition } from 'ml-matrix';
import { type Design, linearPart, literal, scaled, terms } from './design.ts';
import type { Fit } from './logistic.ts';

const Z95 = literal(1.959963984540054);

/**
 * The select of `skip_predictions`: one row per track of the observations.
 *
 * A track's probability is the mean over its plays of the test period. A track without one is predicted in
 * the mean context: that of each user, then of all users, so that who plays most does not decide. The
 * interval is that of the linear part of each play, as probabilities, averaged in the same way.
 *
 * @param select rows with the columns of the design, and `recording_id`, `user_id`, `split`, `popularity`
 */
export function predictionsSelect(
  design: Design,
  fit: Pick<Fit, 'coefficients' | 'covariance'>,
  select: string,
): string {
  const columns = design.inputs.map(({ of }, index) => ({ name: `z${index}`, isContext: of === 'context' }));
  const list = (from: (column: { name: string; isContext: boolean }) => string): string => columns.map(from).join(', ');
  const context = columns.filter(({ isContext }) => isContext).map(({ name }) => `avg(${name}) as ${name}`);
  const given = ['recording_id', 'user_id', 'split', 'popularity'].map((name) => `${name} as ${name}`);
  const probability = (eta: string): string => `1e0 / (1e0 + exp(-(${eta})))`;
  return `${scaled(design, given, select)},
of_users as (select ${['user_id', ...context].join(', ')} from scaled group by user_id),
mean_context as (select ${['count(*) as users', ...context].join(', ')} from of_users),
tracks as (
  select recording_id, count(*) as plays, count_if(split = 'test') as test_plays, max(popularity) as popularity,
    ${list(({ name }) => `avg(${name}) as ${name}`)}
  from scaled group by recording_id
),
to_predict as (
  select ${['recording_id', ...columns.map(({ name }) => name)].join(', ')} from scaled where split = 'test'
  union all
  select ${['tracks.recording_id', ...columns.map(({ name, isContext }) => `${isContext ? 'mean_context' : 'tracks'}.${name}`)].join(', ')}
  from tracks cross join mean_context where tracks.test_plays = 0
),
linear as (
  select recording_id, ${linearPart(fit.coefficients, terms(design))} as eta, ${Z95} * sqrt(${varianceOf(fit, terms(design))}) as margin
  from to_predict
),
predicted as (
  select recording_id, avg(${probability('eta')}) as skip_probability,
    avg(${probability('eta - margin')}) as skip_probability_low, avg(${probability('eta + margin')}) as skip_probability_high
  from linear group by recording_id
)
select
  cast(tracks.recording_id as varchar) as track_id,
  cast(round(predicted.skip_probability, 6) as double) as skip_probability,
  cast(round(predicted.skip_probability_low, 6) as double) as skip_probability_low,
  cast(round(predicted.skip_probability_high, 6) as double) as skip_probability_high,
  cast(tracks.popularity as integer) as popularity,
  cast(tracks.plays as bigint) as plays,
  cast(tracks.test_plays as bigint) as test_plays
from tracks inner join predicted on tracks.recording_id = predicted.recording_id`;
}

/** The variance of the linear part of a row: a sum of squares, so that rounding never makes it negative. */
function varianceOf({ covariance }: Pick<Fit, 'covariance'>, factors: readonly string[]): string {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  const squares = realEigenvalues.map((value, index) => {
    const length = Math.sqrt(Math.max(0, value));
    const direction = eigenvectorMatrix.getColumn(index).map((each) => each * length);
    const part = linearPart(direction, factors);
    return `(${part}) * (${part})`;
  });
  return squares.join(' + ');
}
