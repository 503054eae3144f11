import { originsOf } from '../gold/versions.ts';
import type { Target } from '../lake/keys.ts';
import { type GoldVersion, type LakeState, listManifests, type Manifest, readManifest } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import { formatDate } from '../report/format.ts';

/** Commits that are looked through for the one that made a version: those of some runs. */
const COMMITS_MAX = 40;

/** Names everything that `waitingFor` looks at: another name means other lines. */
export function freshnessOf(state: LakeState, target: Target): string {
  const { dev } = state.gold;
  return [state.silverSequence, target === 'prod' ? dev?.runId : '', state.checks.gold_dev?.of].join(' ');
}

/**
 * What is newer than the tables that are shown: since when, and what to run. Empty where they are the newest,
 * and where there are none.
 *
 * @throws what `listManifests` throws
 */
export async function waitingFor(store: LakeStore, state: LakeState, target: Target): Promise<string[]> {
  const shown = state.gold[target];
  const { dev } = state.gold;
  if (shown === undefined) return [];
  const isDevNewer = target === 'prod' && dev !== undefined && !isShown(shown, dev);
  const newestBuilt = isDevNewer ? dev : shown;
  if (newestBuilt.silverSequence !== state.silverSequence) {
    const since = await timeOf(store, ({ sequence }) => sequence === state.silverSequence);
    return [`What was loaded${since} is not in these tables yet. Give listenlake run.`];
  }
  if (!isDevNewer) return [];
  const since = await timeOf(store, ({ runId }) => runId === dev.runId);
  const check = state.checks.gold_dev;
  const next =
    check?.of !== dev.runId
      ? 'They wait to be checked: give listenlake check --scope gold, then listenlake promote.'
      : check.verdict === 'failed'
        ? 'Their checks have failed, so they are not published: listenlake check --scope gold says which.'
        : 'They are checked: give listenlake promote.';
  return [`Newer tables than these were built${since}. ${next}`];
}

/** Whether readers of `shown` have the tables of `dev` already. */
function isShown(shown: GoldVersion, dev: GoldVersion): boolean {
  const { origins } = shown;
  if (origins === undefined) return shown.silverSequence === dev.silverSequence && shown.modelsHash === dev.modelsHash;
  return Object.entries(originsOf(dev)).every(([model, origin]) => origins[model] === origin);
}

/** ` on 21 Nov 2026 at 06:54 (UTC)`; an empty text where `gc` has collected the commit. */
async function timeOf(store: LakeStore, isIt: (commit: Manifest) => boolean): Promise<string> {
  const newest = (await listManifests(store)).slice(-COMMITS_MAX).reverse();
  for (const { sequence, committedAt } of newest) {
    if (!isIt(await readManifest(store, sequence))) continue;
    const at = new Date(committedAt).toISOString();
    return ` on ${formatDate(at.slice(0, 10))} at ${at.slice(11, 16)} (UTC)`;
  }
  return '';
}
