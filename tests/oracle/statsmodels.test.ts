import { spawnSync } from 'node:child_process';
import { createRandom } from '../../jobs/sources/synthetic/random.ts';
import { openDesign } from '../../jobs/training/design.ts';
import { fitLinear } from '../../jobs/training/linear.ts';
import { fitLogistic } from '../../jobs/training/logistic.ts';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { type Columns, emptySession, inputsOf, selectOf, unscaled } from '../fixtures/observations.ts';
import { openStatsmodels } from './python-tools.ts';

const NAMES = ['share', 'correlated', 'tempo', 'rare'];
const ORACLE = `
import json, sys
import numpy as np, statsmodels.api as sm
given = json.load(sys.stdin)
x = sm.add_constant(np.column_stack([given[name] for name in given["names"]]))
y, groups, points = (np.array(given[name]) for name in ("label", "groups", "points"))
def told(fit): return {"coefficients": fit.params.tolist(), "errors": fit.bse.tolist()}
def logit(groups): return sm.Logit(y, x).fit(disp=0, method="newton", maxiter=50, cov_type="cluster", cov_kwds={"groups": groups})
ols = sm.OLS(points, x).fit(cov_type="HC1")
print(json.dumps({"users": told(logit(groups)), "rows": told(logit(np.arange(len(y)))), "linear": told(ols), "r2": ols.rsquared}))
`;

const statsmodels = openStatsmodels();

/** Users who differ, inputs that go together, units far apart, and a yes-no input that is rarely yes. */
function generated(seed: number, rows: number): Columns {
  const random = createRandom(seed, 'oracle');
  const users = Array.from({ length: 40 }, () => random.normal());
  const columns = {
    ...{ share: [] as number[], correlated: [] as number[], tempo: [] as number[], rare: [] as number[] },
    ...{ label: [] as number[], points: [] as number[], user_id: [] as number[] },
  };
  for (let row = 0; row < rows; row++) {
    const user = random.int(users.length);
    const share = random.next();
    const correlated = 0.9 * share + 0.1 * random.normal();
    const tempo = 120 + 30 * random.normal();
    const rare = random.chance(0.05) ? 1 : 0;
    const odds = -0.5 + users[user]! - 1.4 * share + 0.8 * correlated + 0.01 * (tempo - 120) + 1.2 * rare;
    columns.share.push(share);
    columns.correlated.push(correlated);
    columns.tempo.push(tempo);
    columns.rare.push(rare);
    columns.user_id.push(user);
    columns.label.push(random.chance(1 / (1 + Math.exp(-odds))) ? 1 : 0);
    columns.points.push(50 + 10 * share - 0.1 * tempo + (1 + share) * 5 * random.normal());
  }
  return columns;
}

if ('missing' in statsmodels) {
  layerSkipped('statsmodels', statsmodels.missing, PYTHON);
  it('is left out, which CI does not allow', () => {
    expect(process.env.CI).not.toBe('true');
  });
} else {
  describe('statsmodels as the oracle', () => {
    let lake: LakeFixture;
    beforeEach(async () => {
      lake = await openLakeFixture();
    });
    afterEach(() => lake.close());

    it.each([1, 2])('agrees about coefficients and standard errors to 1e-6, data set %d', async (seed) => {
      const columns = generated(seed, 2_000);
      const { label, points, user_id: groups } = columns;
      const input = JSON.stringify({ names: NAMES, ...columns, groups, label, points });
      const done = spawnSync(statsmodels.program, ['-c', ORACLE], { input, encoding: 'utf8', maxBuffer: 2 ** 26 });
      expect(done.stderr).toBe('');
      const oracle = JSON.parse(done.stdout);

      const session = await emptySession(lake);
      const numbered = { ...columns, row_key: label!.map((_, row) => row) };
      const select = await selectOf(session, `seed_${seed}`, numbered);
      const inputs = inputsOf(NAMES, ['rare']);
      const design = await openDesign(session, { select, label: 'label' }, inputs, true);
      expect(design.leftOut).toEqual([]);
      for (const [cluster, wanted] of [
        ['user_id', oracle.users],
        ['row_key', oracle.rows],
      ] as const) {
        const fit = await fitLogistic(session, design, cluster);
        if (fit.status === 'separated') throw new Error(`separated by ${fit.by}`);
        expectClose(unscaled(design.inputs, fit), wanted);
      }
      const linear = (await fitLinear(session, await openDesign(session, { select, label: 'points' }, inputs, false)))!;
      expectClose(unscaled(design.inputs, linear), oracle.linear);
      expect(Math.abs(linear.rSquared - oracle.r2)).toBeLessThan(1e-9);
      await session.close();
    });
  });
}

function expectClose(
  ours: { coefficients: number[]; errors: number[] },
  theirs: { coefficients: number[]; errors: number[] },
): void {
  for (const part of ['coefficients', 'errors'] as const) {
    expect(ours[part].length).toBe(NAMES.length + 1);
    const furthest = Math.max(...ours[part].map((value, index) => Math.abs(value - theirs[part][index]!)));
    expect(furthest).toBeLessThan(1e-6);
  }
}
