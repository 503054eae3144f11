import { JobError } from '../../base/errors.ts';
import { refuseLostLease } from '../../effects/commit.ts';
import type { Effects } from '../../effects/index.ts';
import {
  commitManifest,
  EMPTY_STATE,
  getState,
  LAKE_FORMAT,
  latestManifest,
  type Manifest,
  NO_ACCOUNTS,
  putState,
} from '../../lake/manifest.ts';
import type { LakeStore } from '../../lake/store.ts';
import { CAPTURE } from './tables.ts';

/** What this app may call, as probed or as met. */
export interface Capability {
  /** Status of the answer; 200: open. */
  status: number;
  /** ISO, UTC. */
  seenAt: string;
}

/** What is known of one person's recently played. Times are ISO, UTC. */
export interface PollMark {
  /** Newest `played_at` that was received. */
  newestPlayedAt: string | null;
  /** Stamp of the last answer. Stamps only grow, also when a clock is set back. */
  polledAt: string;
  /** When the last answer without a lower bound was received. */
  deepAt: string;
}

/** What `extract` knows from earlier runs; committed with every run that received something. */
export interface Ledger {
  format: 1;
  /** Nothing is called before this (ISO, UTC). */
  retryAt: string | null;
  isQuota: boolean;
  polls: Record<string, PollMark>;
  /** Playlist to the day (YYYY-MM-DD, UTC) and version of its last whole snapshot. */
  playlists: Record<string, { date: string; snapshotId: string | null }>;
  /** `<user>/<list>` to the day of its last whole snapshot. */
  lists: Record<string, string>;
  capabilities: Record<string, Capability>;
  /** `<collection>/<id>` that was not found, to the time from which it is asked for again. */
  missing: Record<string, string>;
  /** Keys of lists of `<collection>/<id>` that were looked up. */
  lookedUp: string[];
}

const EMPTY_LEDGER: Ledger = Object.freeze({
  format: 1,
  retryAt: null,
  isQuota: false,
  polls: {},
  playlists: {},
  lists: {},
  capabilities: {},
  missing: {},
  lookedUp: [],
});
/** Lists of what was looked up are merged when there are more. */
const SEGMENTS_MAX = 32;
const COMMIT_ATTEMPTS_MAX = 20;

/** What earlier runs know. @throws `manifest_too_new` (78) */
export async function readLedger(store: LakeStore): Promise<Ledger> {
  const key = (await latestManifest(store))?.state[CAPTURE.stateKey];
  if (key === undefined) return structuredClone(EMPTY_LEDGER);
  const ledger = await getState<Ledger>(store, key);
  if (ledger.format !== 1) {
    throw new JobError(
      'manifest_too_new',
      'config',
      `what is known of the Web API was written by another version (format ${ledger.format})`,
      {
        hint: 'use a listenlake that is at least as new as the one that wrote it',
      },
    );
  }
  return ledger;
}

/**
 * Commits the ledger beside whatever else is true in the lake. Tables do not change by it.
 *
 * @throws `commit_conflict` (75) when others keep committing; `lease_lost` (75): what it knows may be what
 *   another run has removed
 */
export async function commitLedger(
  { store, lease, now }: Pick<Effects, 'store' | 'lease' | 'now'>,
  work: { job: string; runId: string; startedAt: number; inputs: string[]; details: Record<string, unknown> },
  ledger: Ledger,
): Promise<void> {
  const key = await putState(store, CAPTURE.stateKey, ledger);
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt += 1) {
    await refuseLostLease({ lease });
    const base = await latestManifest(store);
    const manifest: Manifest = {
      format: base?.format ?? LAKE_FORMAT,
      sequence: (base?.sequence ?? 0) + 1,
      job: work.job,
      runId: work.runId,
      startedAt: new Date(work.startedAt).toISOString(),
      elapsedMs: now() - work.startedAt,
      versions: { node: process.version },
      interval: { from: null, to: null },
      inputs: work.inputs,
      outputs: [],
      accounts: NO_ACCOUNTS,
      details: work.details,
      state: { ...(base?.state ?? EMPTY_STATE), [CAPTURE.stateKey]: key },
    };
    if (await commitManifest(store, manifest)) return;
  }
  throw new JobError('commit_conflict', 'tempfail', 'other runs keep committing; what was received is in landing', {
    hint: 'run it again',
  });
}

/** Everything that was looked up: `<collection>/<id>`. */
export async function readLookedUp(store: LakeStore, ledger: Ledger): Promise<Set<string>> {
  const segments = await Promise.all(ledger.lookedUp.map((key) => getState<string[]>(store, key)));
  return new Set(segments.flat());
}

/** Remembers what was looked up. Changes the ledger; `commitLedger` makes it true. */
export async function addLookedUp(store: LakeStore, ledger: Ledger, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  if (ledger.lookedUp.length < SEGMENTS_MAX) {
    ledger.lookedUp = [...ledger.lookedUp, await putState(store, 'spotify_lookups', names)];
    return;
  }
  const all = [...(await readLookedUp(store, ledger)), ...names].sort();
  ledger.lookedUp = [await putState(store, 'spotify_lookups', all)];
}
