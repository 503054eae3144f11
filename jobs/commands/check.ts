import type { CheckResult } from '../check.ts';
import type { TestResult } from '../gold/data-tests.ts';
import { observed } from '../lineage/observe.ts';
import type { Command } from './command.ts';
import { TARGET_OPTION, target } from './command.ts';
import { capped, row } from './lines.ts';

/** Tests of silver and gold. */
export const CHECK: Command = {
  usage: 'check',
  group: 'operate',
  summary: 'Test silver by its contracts and gold by the tests of its models',
  reads: 'silver, gold',
  writes: 'check results',
  options: {
    scope: { choices: ['silver', 'gold', 'all'] as const, default: 'all', describe: 'What to test' },
    ...TARGET_OPTION,
  },
  isWriter: true,
  async run(args, effects, runId) {
    const { check, checkFault } = await import('../check.ts');
    const scopes = args.scope === 'all' ? (['silver', 'gold'] as const) : [args.scope as 'silver' | 'gold'];
    const results: CheckResult[] = [];
    for (const scope of scopes) {
      const work = { job: `check_${scope}`, runId, target: target(args) } as const;
      results.push(
        await observed(work, effects, () => check({ scope, target: target(args), runId }, effects), checkFault),
      );
    }
    const isFailed = results.some((result) => result.verdict === 'failed');
    const json = {
      status: isFailed ? 'failed' : 'passed',
      scopes: results.map(({ scope, passed, failed, warned, errors }) => ({ scope, passed, failed, warned, errors })),
      warnings: results.flatMap(({ scope, results: found }) => found.filter(isWarned).map(warningOf(scope))),
    };
    return { text: results.map(checkText).join('\n'), json, exit: isFailed ? 'data' : 'ok' };
  },
};

function isWarned({ status }: TestResult): boolean {
  return status === 'warned';
}

function warningOf(scope: string): (result: TestResult) => Record<string, unknown> {
  return ({ table_name: table, test, message }) => ({ scope, table, test, message });
}

/** What `data_quality` warns of, for the summary of a run; no line where all is well. */
export function qualityLines(results: readonly CheckResult[]): string[] {
  const found = results
    .flatMap(({ results: all }) => all)
    .filter((each) => isWarned(each) && each.table_name === 'data_quality');
  return capped(found.map(({ test, message }, index) => row(index === 0 ? 'look at' : '', `${test}: ${message}`)));
}

/** One scope's tests: the counts, and each test that did not pass. */
export function checkText(result: CheckResult): string {
  const counts = `${result.passed} passed, ${result.failed} failed, ${result.warned} warned, ${result.errors} could not run`;
  const bad = result.results
    .filter(({ status }) => status !== 'passed')
    .map(({ table_name, test, status, message }) => row('', `${status}: ${table_name} ${test}: ${message}`));
  return [row(result.scope, counts), ...capped(bad)].join('\n');
}
