import { check } from '../check.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import { enrich } from '../enrich.ts';
import { copyProd } from '../gold/iceberg.ts';
import { readProject } from '../gold/project.ts';
import { isSameVersion } from '../gold/versions.ts';
import { EMPTY_STATE, type LakeState, latestManifest } from '../lake/manifest.ts';
import { publishDev } from '../promote.ts';
import { train } from '../train.ts';

/** Whose work a removal is. */
interface RemovalWork {
  job: string;
  runId: string;
}

/**
 * Gold of what a removal has left of silver: models, the skip model, their tests, production and its copy as
 * Iceberg tables, whatever the tests find. What is built already stays.
 *
 * @returns the verdict on production; undefined where there is none
 */
export async function rebuildGold(work: RemovalWork, effects: Effects): Promise<'passed' | 'failed' | undefined> {
  const { runId } = work;
  await rebuildDev(runId, effects);
  stopIfAsked(effects.signal);
  // A rebuild takes no table over, so the trained one is empty.
  if ((await stateOf(effects)).gold.dev !== undefined) await train({ runId: `${runId}-train` }, effects);
  stopIfAsked(effects.signal);
  const verdict = await replaceProd(work, effects);
  stopIfAsked(effects.signal);
  // Whatever the setting of this machine says: what readers have of it must not stay.
  await copyProd(work, undefined, effects);
  return verdict;
}

async function stateOf({ store }: Effects): Promise<LakeState> {
  return (await latestManifest(store))?.state ?? EMPTY_STATE;
}

/**
 * Gold of silver as it is now, where there is gold of another silver; as of the same end, so that nothing
 * else changes in it. Its tests are run, and whatever they find does not hold up the removal.
 */
async function rebuildDev(runId: string, effects: Effects): Promise<void> {
  const state = await stateOf(effects);
  const { dev = state.gold.prod } = state.gold;
  const wanted = { asOf: dev?.asOf ?? '', silverSequence: state.silverSequence, modelsHash: readProject().hash };
  if (dev === undefined || isSameVersion(state.gold.dev, wanted)) return;
  await check({ scope: 'silver', target: 'dev', runId }, effects);
  await enrich({ runId: `${runId}-dev`, asOf: dev.asOf, rebuild: true }, effects);
}

async function replaceProd({ job, runId }: RemovalWork, effects: Effects): Promise<'passed' | 'failed' | undefined> {
  const startedAt = effects.now();
  const { prod } = (await stateOf(effects)).gold;
  if (prod === undefined) return undefined;
  // Tables that a live round has kept are of a silver from before the removal.
  if (prod.silverSequence !== (await stateOf(effects)).silverSequence || prod.kept !== undefined) {
    await check({ scope: 'gold', target: 'dev', runId, isReused: true }, effects);
    await publishDev(effects, await latestManifest(effects.store), readProject(), { job, runId, startedAt });
  }
  return (await stateOf(effects)).checks.gold_prod?.verdict;
}
