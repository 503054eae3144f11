import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '../base/config.ts';
import { makeFolders, onDisk } from '../base/disk.ts';
import { createLog } from '../base/log.ts';
import { plainProgress, type ShownProgress, silentProgress, terminalProgress } from '../base/progress.ts';
import type { Effects } from '../effects/index.ts';
import { interruptStatements, refuseUnusablePath } from '../engine/duckdb/connections.ts';
import { openEngine } from '../engine/open.ts';
import { acquireLease, type Lease } from '../lake/lease.ts';
import { openPlace } from '../lake/open.ts';
import { isElsewhere } from '../lake/store.ts';
import { openSink } from '../lineage/sink.ts';

export interface CommandOptions {
  job: string;
  /** Takes the lake's writer lease first. */
  isWriter: boolean;
  /** Show on stderr how far the command is: a bar on a terminal, elsewhere a line for each finished step. */
  isProgressShown: boolean;
  /** Leaves what killed commands have staged to the job itself. */
  isSweeper?: boolean;
}

/** A SIGTERM gives the unit at hand this long; then the process ends, and the next run finishes the work. */
const GRACE_MS = 25_000;

/**
 * Opens the lake and the engine for one command, runs it, and closes everything, whatever happens.
 *
 * @throws what `action` throws; `lease_held` (75) for a writer while another one is at work;
 *   `lake_unsupported` (78) for an address of a store that there is not; what `openS3Lake` throws
 */
export async function withEffects<T>(
  config: Config,
  options: CommandOptions,
  action: (effects: Effects, runId: string) => Promise<T>,
): Promise<T> {
  const now = (): number => Date.now();
  const log = createLog(config.logLevel, config.secrets);
  if (!isElsewhere(config.lakeUri)) refuseUnusablePath(resolve(config.lakeUri));
  const place = await openPlace(config);
  const { store } = place;
  const lineage = config.lineage && openSink(config.lineage, log);
  // Before the lease is taken: whoever is stopped just then gives it back.
  const progress = options.isProgressShown ? progressOf(config, now) : silentProgress;
  const stop = stopOnSignals(progress);
  let lease: Lease | undefined;
  let scratch: string | undefined;
  const act = async (): Promise<T> => {
    if (options.isWriter) lease = await acquireLease(store, 'writer', options.job, log);
    if (lease !== undefined && options.isSweeper !== true) await place.sweep(now());
    scratch = await place.makeScratch();
    await makeCacheDir(config.cacheDir);
    const engine = await openEngine(store, { config, scratch, signal: stop.signal });
    try {
      return await action(
        { config, store, engine, lease, lineage, log, progress, scratch, now, signal: stop.signal },
        makeRunId(now()),
      );
    } finally {
      progress.close();
      await engine.close();
    }
  };
  const tidyUp = async (): Promise<void> => {
    const [removed] = await Promise.allSettled([removeScratch(scratch)]);
    await lease?.release();
    if (removed.status === 'rejected') throw removed.reason;
  };
  try {
    const result = await act().catch(async (error: unknown) => {
      // What a disk that fails does to the tidying up as well is not what people must know first.
      await tidyUp().catch(() => {});
      throw error;
    });
    await tidyUp();
    return result;
  } finally {
    // Last: giving back a lease on a store that does not answer takes minutes, and belongs to the grace.
    stop.dispose();
  }
}

/**
 * On a terminal that can draw over a line, a line that moves; elsewhere nothing that a log would show twice.
 */
function progressOf({ terminal }: Pick<Config, 'terminal'>, now: () => number): ShownProgress {
  return process.stderr.isTTY && !terminal.isDumb
    ? terminalProgress(process.stderr, now, terminal)
    : plainProgress(process.stderr, now);
}

async function removeScratch(path: string | undefined): Promise<void> {
  const advice = { failed: 'what the command did is done; the next one removes this' };
  if (path !== undefined) await onDisk(path, () => rm(path, { recursive: true, force: true }), advice);
}

async function makeCacheDir(path: string): Promise<void> {
  const advice = { failed: 'set XDG_CACHE_HOME to a folder that you may write' };
  await onDisk(path, () => makeFolders(path), advice);
}

/** Sorts by time and is unique: `20261121t065400-3f9a`. */
function makeRunId(now: number): string {
  const time = new Date(now).toISOString().replace(/[-:]/g, '').replace(/\..*/, '').toLowerCase();
  return `${time}-${randomBytes(3).toString('hex')}`;
}

function stopOnSignals(progress: ShownProgress): { signal: AbortSignal; dispose: () => void } {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    const end = (): void => {
      interruptStatements();
      process.exit(name === 'SIGINT' ? 130 : 143);
    };
    if (controller.signal.aborted) end();
    // What a terminal shows of Ctrl-C (`^C`) stays on a line of its own.
    if (process.stderr.isTTY) process.stderr.write('\n');
    progress.close();
    controller.abort();
    timer = setTimeout(end, GRACE_MS);
    timer.unref();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return {
    signal: controller.signal,
    dispose() {
      clearTimeout(timer);
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
    },
  };
}
