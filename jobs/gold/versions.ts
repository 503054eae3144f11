import { JobError } from '../base/errors.ts';
import type { GoldVersion, LakeState, Manifest } from '../lake/manifest.ts';

/** @throws `run_id_taken` (64) where a published version is of this run: its tables must not be written again */
export function refuseTaken(state: LakeState, runId: string): void {
  if (!Object.values(state.gold).some((version) => version?.runId === runId)) return;
  throw new JobError('run_id_taken', 'usage', `the run ${runId} is published: its tables must not be written again`, {
    hint: 'give the run another id',
  });
}

/** True where building again would give the same tables. */
export function isSameVersion(
  version: GoldVersion | undefined,
  wanted: Pick<GoldVersion, 'asOf' | 'silverSequence' | 'modelsHash'>,
): boolean {
  return (
    version !== undefined &&
    version.asOf === wanted.asOf &&
    version.silverSequence === wanted.silverSequence &&
    version.modelsHash === wanted.modelsHash
  );
}

/** What the commit of a version of gold says of it. */
export function accountOf(version: GoldVersion): Pick<Manifest, 'versions' | 'interval' | 'outputs'> {
  return {
    versions: { models: version.modelsHash },
    interval: { from: null, to: version.asOf },
    outputs: Object.values(version.tables),
  };
}
