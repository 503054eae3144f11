import { JobError } from '../base/errors.ts';
import { type LakeState, putState } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { type TestResult, verdictOf } from './data-tests.ts';

/** What is tested at once: all tables of silver, or all of one gold. */
export type Scope = 'silver' | 'gold_dev' | 'gold_prod';

/** Stores the results and returns the state that names them as those of `scope`. */
export async function checkScope(
  store: LakeStore,
  state: LakeState,
  scope: Scope,
  of: string,
  results: readonly TestResult[],
): Promise<LakeState> {
  const rows = results.map((result) => ({ ...result, scope }));
  const key = await putState(store, 'checks', rows);
  return { ...state, checks: { ...state.checks, [scope]: { key, verdict: verdictOf(results), of } } };
}

/**
 * Throws where results stand in the way of publishing: tests that failed (65), or that only could not run
 * (69).
 */
export function refuseFailed(scope: Scope, results: readonly TestResult[]): void {
  if (verdictOf(results) === 'passed') return;
  const failed = results.filter(({ status }) => status === 'failed');
  const broken = failed.length > 0 ? failed : results.filter(({ status }) => status === 'error');
  const shown = broken.slice(0, 3).map(({ table_name, message }) => `${table_name}: ${message}`);
  const more = broken.length > shown.length ? ` and ${broken.length - shown.length} more` : '';
  throw failed.length > 0
    ? new JobError('checks_failed', 'data', `${scope} fails its tests: ${shown.join('; ')}${more}`, {
        hint: "gold_prod stays as it was; see `select * from silver.check_results where status <> 'passed'`",
      })
    : new JobError('checks_errored', 'unavailable', `tests of ${scope} could not run: ${shown.join('; ')}${more}`, {
        hint: 'nothing is known about the data; gold_prod stays as it was; check again',
      });
}
