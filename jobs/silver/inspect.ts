import { describeError, JobError } from '../base/errors.ts';
import type { Finding } from '../base/finding.ts';
import { silentProgress } from '../base/progress.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import { messageOf } from '../engine/duckdb/database.ts';
import type { BronzeFile } from '../lake/manifest.ts';
import { type Committed, openBuild, readCommitted } from './open.ts';
import { isOfData } from './search.ts';
import { buildSilver } from './tables/index.ts';

const FILES_SHOWN = 5;

/**
 * What stands between bronze and silver: files that `transform` refuses whole and, where all of the lake is
 * read, whether bronze that is not in the tables yet can be transformed.
 *
 * @param isVerified also builds the tables of that bronze aside, which takes as long as the next `transform`
 */
export async function lookAtTransform(effects: Effects, isVerified: boolean): Promise<Finding[]> {
  const there = await readCommitted(effects);
  const findings = lookAtRefusals(there);
  if (!isVerified || !there.index.some(there.isNew)) return findings;
  const error = await rehearseTransform(effects);
  return error === undefined ? findings : [...findings, findingOf(error)];
}

function lookAtRefusals({ index, refusals }: Committed): Finding[] {
  const refused = index.filter(({ key }) => refusals.byKey.has(key));
  const again = index.filter(({ key }) => refusals.triedAgain.has(key));
  const findings: Finding[] = shown(refused).map((file) => ({
    name: 'refused',
    verdict: 'warn',
    text: `${JSON.stringify(file.fileName)}: ${refusals.byKey.get(file.key)?.reason}`,
  }));
  if (refused.length > FILES_SHOWN)
    findings.push({
      name: 'refused',
      verdict: 'warn',
      text: `${refused.length - FILES_SHOWN} more: \`listenlake sql "select * from silver.quarantine where code like 'transform_%'"\``,
    });
  for (const { fileName } of shown(again))
    findings.push({
      name: 'refused',
      verdict: 'warn',
      text: `${JSON.stringify(fileName)} could not be transformed before: run \`listenlake run\`, which tries it again`,
    });
  return findings;
}

function shown(files: readonly BronzeFile[]): readonly BronzeFile[] {
  return files.slice(0, FILES_SHOWN);
}

/** What is wrong with a lake whose next transform fails. */
function findingOf(error: unknown): Finding {
  const name = 'transform';
  if (isOfData(error)) {
    const [words = ''] = messageOf(error).split('\n', 1);
    const text = `a statement fails on bronze that is not in the tables yet (${words}): run \`listenlake run\`, which finds the file and leaves it out`;
    return { name, verdict: 'warn', text };
  }
  const what = error instanceof JobError ? describeError(error) : `${messageOf(error)} (a bug: please report it)`;
  return { name, verdict: 'fail', text: `bronze that is not in the tables yet cannot be transformed: ${what}` };
}

/**
 * Builds aside what the next transform would build, and throws it away.
 *
 * @returns what it fails with; undefined where it does not
 * @throws `stopped` (75)
 */
async function rehearseTransform(effects: Effects): Promise<unknown | undefined> {
  const there = await readCommitted(effects);
  const build = await openBuild({ ...effects, progress: silentProgress }, there);
  try {
    await buildSilver(build, '1970-01-01', [], undefined);
    return undefined;
  } catch (error) {
    stopIfAsked(effects.signal);
    return error;
  } finally {
    build.db.close();
  }
}
