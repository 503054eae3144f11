import { JobError } from '../base/errors.ts';
import { manifestKey } from '../lake/keys.ts';
import {
  commitManifest,
  EMPTY_STATE,
  LAKE_FORMAT,
  type LakeState,
  type Manifest,
  NO_ACCOUNTS,
  type OutputFile,
} from '../lake/manifest.ts';
import type { Effects } from './index.ts';

/** What a job did, for its manifest. */
export interface Work {
  job: string;
  runId: string;
  /** Wall clock at the start, Unix ms. */
  startedAt: number;
  /** The commit it started from; undefined in an empty lake. */
  base: Manifest | undefined;
  state: LakeState;
  versions?: Record<string, string>;
  interval?: Manifest['interval'];
  inputs?: string[];
  outputs?: OutputFile[];
  details?: Record<string, unknown>;
}

/**
 * Stops a run that is not alone any more: it was asleep, or cut off, for longer than a lease lasts. To be
 * called right before a job shows readers something or deletes.
 *
 * @param base the newest commit when the job began; undefined in an empty lake
 * @throws `commit_conflict`, `lease_lost` (75): another run has committed since, or has the lease; running it
 *   again helps
 */
export async function refuseOvertaken(
  { store, lease }: Pick<Effects, 'store' | 'lease'>,
  base: Manifest | undefined,
): Promise<void> {
  const sequence = base?.sequence ?? 0;
  // A number is free again once its manifest is collected, so one that is gone tells the same as a next one.
  const isNewest =
    (await store.head(manifestKey(sequence + 1))) === undefined &&
    (sequence === 0 || (await store.head(manifestKey(sequence))) !== undefined);
  if (!isNewest) throw overtaken();
  await refuseLostLease({ lease });
}

/**
 * As `refuseOvertaken`, for a job that can build on whatever others have committed. @throws `lease_lost` (75)
 */
export async function refuseLostLease({ lease }: Pick<Effects, 'lease'>): Promise<void> {
  if (lease === undefined || (await lease.isHeld())) return;
  throw new JobError('lease_lost', 'tempfail', 'another run has taken over the lease meanwhile; stopped', {
    hint: 'run it again',
  });
}

/**
 * Shows readers the commit that is there already, for a job that has nothing to change: whoever made it may
 * have been killed before it did.
 *
 * @throws `commit_conflict`, `lease_lost` (75): what `base` says is not the newest any more
 */
export async function publishAgain(
  effects: Pick<Effects, 'store' | 'engine' | 'lease'>,
  base: Manifest | undefined,
): Promise<void> {
  await refuseOvertaken(effects, base);
  await effects.engine.publish(base?.state ?? EMPTY_STATE);
}

function overtaken(): JobError {
  return new JobError('commit_conflict', 'tempfail', 'another run has committed meanwhile; nothing was changed', {
    hint: 'run it again',
  });
}

/**
 * Commits a job that reads and writes no source rows, then shows readers the new state.
 *
 * @throws `commit_conflict`, `lease_lost` (75) when another run has committed since `base`, or has the lease:
 *   nothing has changed, running it again helps
 */
export async function commitWork(
  { store, engine, lease, now }: Pick<Effects, 'store' | 'engine' | 'lease' | 'now'>,
  work: Work,
): Promise<Manifest> {
  await refuseLostLease({ lease });
  const manifest: Manifest = {
    format: work.base?.format ?? LAKE_FORMAT,
    sequence: (work.base?.sequence ?? 0) + 1,
    job: work.job,
    runId: work.runId,
    startedAt: new Date(work.startedAt).toISOString(),
    elapsedMs: now() - work.startedAt,
    versions: work.versions ?? {},
    interval: work.interval ?? { from: null, to: null },
    inputs: work.inputs ?? [],
    outputs: work.outputs ?? [],
    accounts: NO_ACCOUNTS,
    details: work.details ?? {},
    state: work.state,
  };
  if (!(await commitManifest(store, manifest))) throw overtaken();
  await engine.publish(manifest.state);
  return manifest;
}
