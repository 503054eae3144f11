import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import { ROOT } from '../fixtures/command-line.ts';
import { IMPORT_RULES } from './import-rules.ts';

/** Imports of `jobs/` below a folder that break a rule: `rule: from -> to`. */
async function broken(baseDir: string): Promise<{ broken: string[]; modules: number }> {
  const { options, ...ruleSet } = IMPORT_RULES;
  const { output } = await cruise(['jobs'], { ...options, baseDir, validate: true, ruleSet } as never);
  const { summary, modules } = output as ICruiseResult;
  return {
    broken: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`),
    modules: modules.length,
  };
}

it('imports run down the rooms, and never in a circle', async () => {
  const found = await broken(ROOT);
  expect(found.broken).toEqual([]);
  // All of them were read, types too.
  expect(found.modules).toBeGreaterThan(200);
});

it('the rules see a circle, an import up (of a type alone, too), a job that calls a job, a file in no room', async () => {
  const files = {
    'jobs/base/one.ts': "import { two } from './two.ts';\nexport const one = (): number => two;\n",
    'jobs/base/two.ts': "import { one } from './one.ts';\nexport const two: number = one();\n",
    'jobs/lake/up.ts': "import type { Gold } from '../gold/gold.ts';\nexport const up = (gold: Gold): Gold => gold;\n",
    'jobs/gold/gold.ts': 'export interface Gold {\n  name: string;\n}\n',
    'jobs/load.ts': "export const load = async (): Promise<unknown> => import('./check.ts');\n",
    'jobs/check.ts': 'export const check = 1;\n',
    'jobs/attic/box.ts': "import { one } from '../base/one.ts';\nexport const box = one;\n",
    'jobs/run.ts':
      "import { box } from './attic/box.ts';\nimport { load } from './load.ts';\nexport const run = [box, load];\n",
  };
  const root = await mkdtemp(join(tmpdir(), 'listenlake-imports-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), text);
    }
    expect((await broken(root)).broken.sort()).toEqual([
      'a-job-calls-no-job: jobs/load.ts -> jobs/check.ts',
      'in-a-room: jobs/run.ts -> jobs/attic/box.ts',
      'lake-imports-down: jobs/lake/up.ts -> jobs/gold/gold.ts',
      expect.stringMatching(/^no-circle: jobs\/base\/(one|two)\.ts -> jobs\/base\/(one|two)\.ts$/),
    ]);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
