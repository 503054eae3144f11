import { JobError } from '../base/errors.ts';
import { goldRunPrefix, type Target } from '../lake/keys.ts';
import type { GoldVersion, LakeState, Manifest, OutputFile } from '../lake/manifest.ts';

/**
 * @throws `run_id_taken` (64) where a published version is of this run, or still names a table that it has
 *   built: its tables must not be written again
 */
export function refuseTaken(state: LakeState, runId: string): void {
  const isTaken = Object.entries(state.gold).some(
    ([target, version]) => version.runId === runId || writtenBy(version, target as Target, runId).length > 0,
  );
  if (!isTaken) return;
  throw new JobError('run_id_taken', 'usage', `the run ${runId} is published: its tables must not be written again`, {
    hint: 'give the run another id',
  });
}

/**
 * The published dev, where it is of today's silver and today's models.
 *
 * @param hint what to do where it is not
 * @throws `gold_missing`, `gold_outdated` (65)
 */
export function currentDev(state: LakeState, modelsHash: string, hint: string): GoldVersion {
  const dev = state.gold.dev;
  if (dev === undefined) throw new JobError('gold_missing', 'data', 'there is no gold_dev yet', { hint });
  if (dev.silverSequence !== state.silverSequence) {
    throw new JobError('gold_outdated', 'data', 'silver has changed since gold_dev was built', { hint });
  }
  if (dev.modelsHash !== modelsHash) {
    throw new JobError('gold_outdated', 'data', 'gold_dev was built by other models than those of today', { hint });
  }
  return dev;
}

/** True where building again would give the same tables. @param wanted without `kept`: each table of this silver */
export function isSameVersion(
  version: GoldVersion | undefined,
  wanted: Pick<GoldVersion, 'asOf' | 'silverSequence' | 'modelsHash' | 'kept'>,
): boolean {
  return (
    version !== undefined &&
    JSON.stringify(version.kept ?? []) === JSON.stringify(wanted.kept ?? []) &&
    version.asOf === wanted.asOf &&
    version.silverSequence === wanted.silverSequence &&
    version.modelsHash === wanted.modelsHash
  );
}

/** Model to what tells its table from every other one: what `origins` of the version that copies it says. */
export function originsOf({ tables }: GoldVersion): Record<string, string> {
  return Object.fromEntries(Object.entries(tables).map(([model, table]) => [model, originOf(table)]));
}

/** What tells a table from every other one. */
export function originOf({ key, sha256 }: Pick<OutputFile, 'key' | 'sha256'>): string {
  return `${key} ${sha256}`;
}

/** True where the model's table of `copy` was copied from the very table that `version` has. */
export function isCopied(copy: GoldVersion | undefined, version: GoldVersion | undefined, model: string): boolean {
  const origin = copy?.origins?.[model];
  return origin !== undefined && version !== undefined && originsOf(version)[model] === origin;
}

/**
 * What the commit of a version of gold says of it. `outputs` are the tables that the run has written itself.
 */
export function accountOf(
  version: GoldVersion,
  target: Target,
): Pick<Manifest, 'versions' | 'interval' | 'outputs' | 'details'> {
  const outputs = writtenBy(version, target, version.runId);
  return {
    versions: { models: version.modelsHash },
    interval: { from: null, to: version.asOf },
    outputs,
    details: { written: outputs.length, taken_over: Object.keys(version.tables).length - outputs.length },
  };
}

function writtenBy({ tables }: GoldVersion, target: Target, runId: string): Manifest['outputs'] {
  return Object.values(tables).filter(({ key }) => key.startsWith(goldRunPrefix(target, runId)));
}
