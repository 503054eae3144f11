import { createHash } from 'node:crypto';
import { systemError } from '../base/disk.ts';
import { JobError } from '../base/errors.ts';
import type { LineageRun } from '../base/lineage-run.ts';
import type { Effects } from '../effects/index.ts';
import type { Target } from '../lake/keys.ts';
import { EMPTY_STATE, type LakeState, latestManifest } from '../lake/manifest.ts';
import { errorFacet, jobFacets, PRODUCER, parentFacet } from './facets.ts';
import { datasetName } from './tables.ts';
import type { ObservedJob } from './work.ts';

/** The work of one job that is told of. */
export interface ObservedWork {
  job: ObservedJob;
  runId: string;
  /** Which gold it is about; default dev. */
  target?: Target;
  /** Run id of the `run` that it is a part of; undefined: it was started by itself. */
  partOf?: string;
}

const SCHEMA_URL = 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent';

type Observing = Pick<Effects, 'config' | 'store' | 'lineage' | 'log' | 'now'>;
type EventType = 'START' | 'COMPLETE' | 'FAIL' | 'ABORT';

/**
 * Does a job's work, and tells of it as OpenLineage events where somebody asked for them: one when it begins,
 * one when it ends (https://openlineage.io/docs/spec/run-cycle). Whatever goes wrong with the telling is a
 * warning and no fault of the job.
 *
 * @param faultOf the code of what is wrong with a result that is told as a failure; default: none is
 * @throws what the work throws
 */
export async function observed<T>(
  work: ObservedWork,
  effects: Observing,
  action: () => Promise<T>,
  faultOf: (result: T) => string | undefined = () => undefined,
): Promise<T> {
  if (effects.lineage === undefined) return action();
  const before = await told(effects, () => stateOf(effects));
  if (before === undefined) return action();
  const tell = async (type: EventType, fault?: string): Promise<void> => {
    await told(effects, async () => effects.lineage?.send(await eventOf(type, work, effects, before, fault)));
  };
  await tell('START');
  let result: T;
  try {
    result = await action();
  } catch (error) {
    const code = error instanceof JobError ? error.code : 'bug';
    // What is wrong with the telling as well is not what people must know first.
    await tell(code === 'stopped' ? 'ABORT' : 'FAIL', code).catch(() => {});
    throw error;
  }
  const fault = faultOf(result);
  await tell(fault === undefined ? 'COMPLETE' : 'FAIL', fault);
  return result;
}

/** What the telling gives; undefined where the lake cannot be read. */
async function told<T>({ log }: Observing, tell: () => Promise<T>): Promise<T | undefined> {
  try {
    return await tell();
  } catch (error) {
    const fault = systemError(error, '');
    if (!(fault instanceof JobError)) throw error;
    log.warn({ code: 'lineage_unknown', reason: fault.code }, 'a lineage event is left out');
    return undefined;
  }
}

async function stateOf({ store }: Observing): Promise<LakeState> {
  return (await latestManifest(store))?.state ?? EMPTY_STATE;
}

async function eventOf(
  eventType: EventType,
  { job, runId, target = 'dev', partOf }: ObservedWork,
  effects: Observing,
  before: LakeState,
  fault: string | undefined,
): Promise<object> {
  const { config, store, now } = effects;
  const { lakeUri } = config;
  const hasEnded = eventType !== 'START';
  const after = hasEnded ? await stateOf(effects) : before;
  // Only here: reading models takes longer than most of a command's start-up.
  const { tablesOfJob } = await import('./work.ts');
  const { inputs, outputs } = await tablesOfJob(job, { store, lakeUri, target, before, after, hasEnded });
  const { namespace = 'listenlake', parent: starter, root } = config.lineage ?? {};
  const parent =
    partOf === undefined ? starter : { namespace, name: 'run', runId: lineageRunId(lakeUri, 'run', partOf) };
  return {
    ...{ eventType, eventTime: new Date(now()).toISOString(), producer: PRODUCER, schemaURL: SCHEMA_URL },
    run: {
      runId: lineageRunId(lakeUri, job, runId),
      facets: { ...parentsOf(parent, root), ...(fault !== undefined && errorFacet(fault)) },
    },
    job: { namespace, name: job, facets: jobFacets() },
    inputs,
    outputs,
  };
}

function parentsOf(parent: LineageRun | undefined, root: LineageRun | undefined): Record<string, object> {
  return parent === undefined ? {} : parentFacet(parent, root ?? parent);
}

/** The UUID (RFC 9562, version 5: made of a hash) of a job's run: whoever knows the run knows it. */
function lineageRunId(lakeUri: string, job: string, runId: string): string {
  const { namespace, name } = datasetName(lakeUri, job);
  const bytes = createHash('sha1').update(`${namespace} ${name} ${runId}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
