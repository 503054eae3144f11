import { SKIP_COEFFICIENTS } from '../../jobs/sources/synthetic/skip-model.ts';
import { type Design, openDesign } from '../../jobs/training/design.ts';
import { aucOf, resampled } from '../../jobs/training/evaluation.ts';
import { fitLinear } from '../../jobs/training/linear.ts';
import { type Fit, fitLogistic } from '../../jobs/training/logistic.ts';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';
import { INPUTS_OF_TRUTH, playsByTheTruth, TRUE_INPUTS } from '../fixtures/generated-truth.ts';
import { IS_SOAK } from '../fixtures/layers.ts';
import { type Columns, emptySession, inputsOf, selectOf, unscaled } from '../fixtures/observations.ts';

let lake: LakeFixture;
beforeAll(async () => {
  lake = await openLakeFixture();
});
afterAll(() => lake.close());

let tables = 0;

/**
 * A design over literal rows and a fit to it; each row its own cluster, unless there is a column `user_id`.
 */
async function fitTo<T>(
  columns: Columns,
  action: (session: Awaited<ReturnType<typeof emptySession>>, select: string) => Promise<T>,
): Promise<T> {
  const session = await emptySession(lake);
  try {
    const [first] = Object.values(columns);
    const keyed = 'user_id' in columns ? columns : { ...columns, user_id: first!.map((_, row) => row) };
    return await action(session, await selectOf(session, `rows_${tables++}`, keyed));
  } finally {
    await session.close();
  }
}

async function logistic(
  columns: Columns,
  names: string[],
  binary: string[] = [],
): Promise<{ design: Design; fit: Fit }> {
  return fitTo(columns, async (session, select) => {
    const design = await openDesign(session, { select, label: 'y' }, inputsOf(names, binary), true);
    const fit = await fitLogistic(session, design, 'user_id');
    if (fit.status === 'separated') throw new Error(`separated by ${fit.by}`);
    return { design, fit };
  });
}

/** So many rows of each kind. */
function repeated(...groups: [x: number, y: number, rows: number][]): Columns {
  const rows = groups.flatMap(([x, y, count]) => Array.from({ length: count }, () => ({ x, y })));
  return { x: rows.map(({ x }) => x), y: rows.map(({ y }) => y) };
}

describe('logistic regression', () => {
  it('of a table of two by two is the log odds ratio, its error the root of the sum of reciprocals', async () => {
    const [a, b, c, d] = [40, 160, 90, 110];
    const { design, fit } = await logistic(repeated([1, 1, a], [1, 0, b], [0, 1, c], [0, 0, d]), ['x'], ['x']);
    const { coefficients, errors } = unscaled(design.inputs, fit);
    expect(coefficients[0]).toBeCloseTo(Math.log(c / d), 9);
    expect(coefficients[1]).toBeCloseTo(Math.log((a * d) / (b * c)), 9);
    const n = a + b + c + d;
    // Each row its own cluster: the sandwich of a saturated model is the plain one, but for n / (n - 2).
    expect(errors[1]).toBeCloseTo(Math.sqrt((1 / a + 1 / b + 1 / c + 1 / d) * (n / (n - 2))), 9);
  });

  it('plays of one user count as one where a user always says the same', async () => {
    const columns = repeated([1, 1, 40], [1, 0, 160], [0, 1, 90], [0, 0, 110]);
    const once = await logistic({ ...columns, user_id: columns.x!.map((_, row) => row) }, ['x'], ['x']);
    const twice = Object.fromEntries(
      Object.entries(columns).map(([name, values]) => [name, values.flatMap((value) => [value, value])]),
    );
    const pairs = { ...twice, user_id: twice.x!.map((_, row) => Math.floor(row / 2)) };
    const doubled = await logistic(pairs, ['x'], ['x']);
    expect(doubled.fit.clusters).toBe(400);
    expect(doubled.fit.coefficients[1]).toBeCloseTo(once.fit.coefficients[1]!, 9);
    const [one, two] = [once, doubled].map(({ fit }) => fit.covariance.get(1, 1)) as [number, number];
    // Of 800 rows, the errors of 400: the small-sample factors alone differ.
    expect(two / one).toBeCloseTo(((400 / 399) * (799 / 798)) / ((400 / 399) * (399 / 398)), 9);
  });

  it('does not mind the order of the rows', async () => {
    const columns = playsByTheTruth(3, 40, 4);
    const names = ['danceability', 'session_position', 'taste_match'];
    const y = columns.skipped!;
    const forward = await logistic({ ...columns, y }, names);
    const backward = await logistic(
      Object.fromEntries(Object.entries({ ...columns, y }).map(([name, values]) => [name, values.toReversed()])),
      names,
    );
    for (const [index, value] of forward.fit.coefficients.entries())
      expect(backward.fit.coefficients[index]).toBeCloseTo(value, 10);
    expect(backward.fit.covariance.get(1, 1)).toBeCloseTo(forward.fit.covariance.get(1, 1), 10);
  });

  it('has no answer where an input tells the labels apart, and names it', async () => {
    const x = Array.from({ length: 400 }, (_, row) => row);
    const noise = x.map((row) => Math.sin(row * 12.9898));
    const found = await fitTo({ x, noise, y: x.map((row) => (row > 250 ? 1 : 0)) }, async (session, select) => {
      const design = await openDesign(session, { select, label: 'y' }, inputsOf(['noise', 'x']), true);
      return fitLogistic(session, design, 'user_id');
    });
    expect(found).toEqual({ status: 'separated', by: 'x' });
  });

  it('leaves out, with the reason, what cannot be told apart, and rows that lack an input', async () => {
    const rows = Array.from({ length: 300 }, (_, row) => row);
    const noise = (row: number): number => Math.sin(row * 12.9898);
    const columns = {
      x: rows.map(noise),
      constant: rows.map(() => 0.1 + 0.2),
      same_as_x: rows.map((row) => 3 - 2 * noise(row)),
      rare: rows.map((row) => (row < 9 ? 1 : 0)),
      z: rows.map((row) => Math.cos(row * 78.233)),
      y: rows.map((row) => (noise(row + 0.5) > 0 ? 1 : 0)),
    };
    const design = await fitTo(columns, (session, select) =>
      openDesign(
        session,
        { select: `select *, case when z > -0.9e0 then z end as with_gaps from (${select}) as filled`, label: 'y' },
        inputsOf(['x', 'constant', 'same_as_x', 'rare', 'with_gaps'], ['rare']),
        true,
      ),
    );
    expect(design.inputs.map(({ name }) => name)).toEqual(['x', 'with_gaps']);
    expect(design.leftOut).toEqual([
      { name: 'constant', why: 'it is the same in every play' },
      { name: 'rare', why: 'fewer than 10 skipped or finished plays are on one of its sides' },
      { name: 'same_as_x', why: 'the inputs before it say the same' },
    ]);
    expect(design.n).toBe(columns.z.filter((value) => value > -0.9).length);
  });

  const seeds = Array.from({ length: IS_SOAK ? 100 : 6 }, (_, index) => index + 1);
  it(`finds the generator's own coefficients in their intervals, in ${seeds.length} data sets of 400 users`, async () => {
    const inside = Object.fromEntries(TRUE_INPUTS.map((name) => [name, 0]));
    for (const seed of seeds) {
      const columns = playsByTheTruth(seed, 400, 4);
      const { design, fit } = await fitTo({ ...columns, y: columns.skipped! }, async (session, select) => {
        const opened = await openDesign(session, { select, label: 'y' }, INPUTS_OF_TRUTH, true);
        return { design: opened, fit: (await fitLogistic(session, opened, 'user_id')) as Fit };
      });
      expect([seed, design.leftOut, fit.status]).toEqual([seed, [], 'fitted']);
      const { coefficients, errors } = unscaled(design.inputs, fit);
      for (const [index, name] of TRUE_INPUTS.entries()) {
        const miss = Math.abs(coefficients[index + 1]! - SKIP_COEFFICIENTS[name]);
        if (miss <= 1.959963984540054 * errors[index + 1]!) inside[name]! += 1;
      }
    }
    if (IS_SOAK) process.stderr.write(`inside, of ${seeds.length}: ${JSON.stringify(inside)}\n`);
    // Of 100 each at least 90. Of 6 at least 4: three misses of one coefficient come by chance in 1 of 450.
    const least = IS_SOAK ? 90 : 4;
    expect(Object.entries(inside).filter(([, count]) => count < least)).toEqual([]);
    const all = Object.values(inside).reduce((sum, count) => sum + count, 0);
    expect(all / (TRUE_INPUTS.length * seeds.length)).toBeGreaterThan(0.9);
  }, 3_600_000);
});

describe('linear regression', () => {
  it('finds a line, and none where there is nothing to explain', async () => {
    const x = Array.from({ length: 50 }, (_, row) => row);
    const line = await fitTo({ x, y: x.map((row) => 7 - 3 * row) }, async (session, select) => {
      const design = await openDesign(session, { select, label: 'y' }, inputsOf(['x']), false);
      return { design, fit: (await fitLinear(session, design))! };
    });
    const { coefficients, errors } = unscaled(line.design.inputs, line.fit);
    expect(coefficients[0]).toBeCloseTo(7, 9);
    expect(coefficients[1]).toBeCloseTo(-3, 9);
    expect(errors[1]).toBeLessThan(1e-9);
    expect(line.fit.rSquared).toBeCloseTo(1, 12);
    const flat = await fitTo({ x, y: x.map(() => 5) }, async (session, select) =>
      fitLinear(session, await openDesign(session, { select, label: 'y' }, inputsOf(['x']), false)),
    );
    expect(flat).toBeUndefined();
  });
});

describe('what a model is worth', () => {
  const cluster = (skips: number, plays: number, aboveFinished: number, belowSkipped: number) => ({
    ...{ skips, plays, aboveFinished, belowSkipped },
  });

  it('AUC of single plays: the interval of DeLong', () => {
    // Skipped at 0.9, 0.6; finished at 0.7, 0.3, 0.6: placements 1 and (1 + 0.5) / 3; 0.5, 1, 0.75.
    const singles = [
      cluster(1, 1, 1, 0),
      cluster(1, 1, 0.5, 0),
      cluster(0, 1, 0, 0.5),
      cluster(0, 1, 0, 1),
      cluster(0, 1, 0, 0.75),
    ];
    const { value, low, high } = aucOf(singles);
    expect(value).toBeCloseTo(0.75, 12);
    // Sample variances 0.125 and 0.0625, each over its number of plays.
    const error = Math.sqrt(0.125 / 2 + 0.0625 / 3);
    expect(low).toBeCloseTo(0.75 - 1.959963984540054 * error, 9);
    expect(high).toBe(1);
  });

  it('the bootstrap is the same each time, and knows what all clusters share', () => {
    const clusters = Array.from({ length: 200 }, (_, index) => ({ plays: 10, loss: -2 + Math.sin(index) }));
    const sum = (each: { loss: number }): number => each.loss;
    const first = resampled(clusters, sum);
    expect(resampled(clusters, sum)).toEqual(first);
    expect(first.low).toBeLessThan(first.value);
    expect(first.high).toBeLessThan(-0.18);
    // The standard error of a mean of 200, times 1.96 to either side.
    const error = 0.1 * Math.sqrt(0.5 / 200);
    expect((first.high - first.low) / (2 * 1.96 * error)).toBeGreaterThan(0.9);
    expect((first.high - first.low) / (2 * 1.96 * error)).toBeLessThan(1.1);
  });
});
