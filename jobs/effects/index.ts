import type { Config } from '../base/config.ts';
import { stopped } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Progress } from '../base/progress.ts';
import type { SqlEngine } from '../engine/index.ts';
import type { Lease } from '../lake/lease.ts';
import type { LakeStore } from '../lake/store.ts';

/**
 * What a job acts on and through. `cli.ts` makes it once for each command; tests make their own with a fixed
 * clock.
 */
export interface Effects {
  readonly config: Config;
  readonly store: LakeStore;
  readonly engine: SqlEngine;
  readonly log: Log;
  readonly progress: Progress;
  /**
   * A private folder of this command on the lake's disk (or the system's, for a lake elsewhere); emptied when
   * it ends. Engines spill here, jobs stage here.
   */
  readonly scratch: string;
  /** The lake's writer lease, as long as the command runs; absent where it only reads. */
  readonly lease?: Lease | undefined;
  /**
   * Wall clock in Unix ms: for run ids, elapsed time and `loaded_on`. Never for what a job computes, nor for
   * whose turn it is.
   */
  readonly now: () => number;
  /** Takes what is told of jobs and their tables; absent where nobody asked for it. */
  readonly lineage?: EventSink | undefined;
  /** Aborted on SIGTERM and SIGINT: finish or roll back the unit at hand, then stop. */
  readonly signal: AbortSignal;
}

/** Where events go, one after the other. */
export interface EventSink {
  /**
   * Resolves also where the event could not be delivered: that is told in the log, and is nobody's failure.
   */
  send(event: object): Promise<void>;
}

/**
 * Throws where the command has been asked to stop. Called between units of work, so that none is left half
 * done.
 */
export function stopIfAsked(signal: AbortSignal): void {
  if (signal.aborted) throw stopped();
}
