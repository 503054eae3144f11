import { JobError } from './base/errors.ts';
import { count } from './base/words.ts';
import { commitWork, publishAgain } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import { goldTests, runTests, silverTests, type TestResult, verdictOf } from './gold/data-tests.ts';
import { type Project, readProject } from './gold/project.ts';
import { qualityWarnings } from './gold/quality.ts';
import { checkScope, type Scope } from './gold/verdict.ts';
import type { Target } from './lake/keys.ts';
import { EMPTY_STATE, getState, type LakeState, latestManifest } from './lake/manifest.ts';

export interface CheckInput {
  scope: 'silver' | 'gold';
  /** Which gold; without meaning for silver. */
  target: Target;
  runId: string;
  /**
   * Where the last tests of exactly this version have passed, take their results instead of running them
   * again.
   */
  isReused?: boolean;
  /** The models whose tests run; default: the warehouse folder of this package. */
  project?: Project;
}

export interface CheckResult {
  scope: Scope;
  /** What was tested: the sequence of silver, the run of gold. */
  of: string;
  verdict: 'passed' | 'failed';
  status: 'checked' | 'nothing_new';
  passed: number;
  failed: number;
  warned: number;
  /** Tests that could not run: nothing is known about what they test. */
  errors: number;
  /** In the order of the tables' names in the project. */
  results: TestResult[];
}

/**
 * Runs the tests of silver (from the contracts) or of a published gold (from the models' .yml) and keeps what
 * they found: `silver.check_results` shows it, and `promote` asks for it. A failing test is a result, not an
 * error. The warnings of `data_quality` are results that warn, after those of the tests.
 *
 * @throws `gold_missing`, `gold_outdated` (65) where there is no gold that today's models built;
 *   `model_invalid` (78); `commit_conflict` (75; retry helps)
 */
export async function check(input: CheckInput, effects: Effects): Promise<CheckResult> {
  const startedAt = effects.now();
  const base = await latestManifest(effects.store);
  const state = base?.state ?? EMPTY_STATE;
  const scope: Scope = input.scope === 'silver' ? 'silver' : `gold_${input.target}`;
  const project = input.scope === 'gold' ? (input.project ?? readProject()) : undefined;
  const of = testedVersion(state, input, project?.hash);
  const last = state.checks[scope];
  if (input.isReused === true && last?.of === of && last.verdict === 'passed') {
    await publishAgain(effects, base);
    return resultOf(scope, of, 'nothing_new', await getState<TestResult[]>(effects.store, last.key));
  }
  const tests = project === undefined ? silverTests() : goldTests(project, scope);
  const session = await effects.engine.session({ state, target: input.target, runId: input.runId });
  let results: TestResult[];
  try {
    effects.progress.start(`check ${scope.replace('_', ' ')}`, new Set(tests.map(({ table }) => table)).size);
    results = await runTests(session, tests, (done) => {
      stopIfAsked(effects.signal);
      effects.progress.update(done);
    });
    if (project !== undefined) results.push(...(await qualityWarnings(session, project, scope)));
  } finally {
    await session.close();
  }
  const next = await checkScope(effects.store, state, scope, of, results);
  const isNew = JSON.stringify(next.checks[scope]) !== JSON.stringify(state.checks[scope]);
  if (isNew) {
    const details = { scope, of, verdict: verdictOf(results), tests: results.length };
    await commitWork(effects, { job: 'check', runId: input.runId, startedAt, base, state: next, details });
  } else {
    await publishAgain(effects, base);
  }
  const result = resultOf(scope, of, isNew ? 'checked' : 'nothing_new', results);
  effects.progress.end(
    `${count(results.length, 'test')}, ${result.failed} failed, ${result.warned} warned, ${result.errors} could not run`,
  );
  return result;
}

/** What is told of a version that fails its tests. */
export function checkFault({ verdict }: CheckResult): string | undefined {
  return verdict === 'failed' ? 'checks_failed' : undefined;
}

function resultOf(scope: Scope, of: string, status: CheckResult['status'], results: TestResult[]): CheckResult {
  const count = (each: TestResult['status']): number => results.filter((result) => result.status === each).length;
  return {
    scope,
    of,
    verdict: verdictOf(results),
    status,
    passed: count('passed'),
    failed: count('failed'),
    warned: count('warned'),
    errors: count('error'),
    results,
  };
}

function testedVersion(state: LakeState, { scope, target }: CheckInput, modelsHash: string | undefined): string {
  if (scope === 'silver') return String(state.silverSequence);
  const version = state.gold[target];
  const hint = target === 'dev' ? 'run `listenlake enrich` first' : 'run `listenlake promote` first';
  if (version === undefined) throw new JobError('gold_missing', 'data', `there is no gold_${target} yet`, { hint });
  if (version.modelsHash !== modelsHash) {
    throw new JobError('gold_outdated', 'data', `gold_${target} was built by other models than those of today`, {
      hint,
    });
  }
  return version.runId;
}
