import type { Effects } from './effects.ts';
import { JobError } from './errors.ts';
import {
  commitManifest,
  LAKE_FORMAT,
  type LakeState,
  type Manifest,
  NO_ACCOUNTS,
  type OutputFile,
} from './lake/manifest.ts';

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
 * Commits a job that reads and writes no source rows, then shows readers the new state.
 *
 * @throws `commit_conflict` (75) when another run has committed since `base`: nothing has changed, running it again helps
 */
export async function commitWork(
  { store, engine, now }: Pick<Effects, 'store' | 'engine' | 'now'>,
  work: Work,
): Promise<Manifest> {
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
  if (!(await commitManifest(store, manifest))) {
    throw new JobError('commit_conflict', 'tempfail', 'another run has committed meanwhile; nothing was changed', {
      hint: 'run it again',
    });
  }
  await engine.publish(manifest.state);
  return manifest;
}
