import type { Finding } from '../base/finding.ts';
import { listManifests, readManifest } from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';

/** Commits that are looked at: a month of daily runs has about 200. */
const COMMITS_MAX = 200;
/** A job that takes more of a function's time than this is told of before it no longer fits. */
const SHARE_MAX = 0.5;

/**
 * Says whether the jobs of this lake fit into functions, by how long the newest commits took. What they took on a
 * machine is a fair guess: statements on the lake's engine are most of it.
 *
 * @param seconds that a function may run
 * @returns one finding: `warn` above half of the time, `fail` where a job has taken longer
 */
export async function lookAtFunctions(store: LakeStore, seconds: number): Promise<Finding> {
  const newest = (await listManifests(store)).slice(-COMMITS_MAX);
  const manifests = await Promise.all(newest.map(({ sequence }) => readManifest(store, sequence)));
  const name = 'functions';
  const slowest = manifests.toSorted((a, b) => b.elapsedMs - a.elapsedMs)[0];
  if (slowest === undefined) return { name, verdict: 'ok', text: `a job may take ${seconds} s; none has run yet` };
  const took = Math.ceil(slowest.elapsedMs / 1000);
  const text = `the longest job of the last ${manifests.length} commits was ${slowest.job}: ${took} s of the ${seconds} that a function may run`;
  const advice = ': this lake needs a machine (host = "ec2"), or that one run by hand: docs/aws.md';
  if (took >= seconds) return { name, verdict: 'fail', text: `${text}${advice}` };
  return took > seconds * SHARE_MAX
    ? { name, verdict: 'warn', text: `${text}; it will not fit when the lake has doubled` }
    : { name, verdict: 'ok', text };
}
