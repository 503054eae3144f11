import { JobError } from '../base/errors.ts';
import { refuseLostLease } from '../effects/commit.ts';
import type { Effects } from '../effects/index.ts';
import {
  type Accounts,
  appendBronze,
  type BronzeFile,
  commitManifest,
  EMPTY_STATE,
  LAKE_FORMAT,
  type LakeState,
  latestManifest,
  type Manifest,
  objectsOfFiles,
  putState,
  readBronzeIndex,
} from '../lake/manifest.ts';
import type { LakeStore } from '../lake/store.ts';
import type { LoadedFile } from './loaded-file.ts';
import { putRefusals } from './refusals.ts';
import type { Settled } from './settle.ts';
import type { BronzeEntry } from './walked.ts';

/**
 * Another run may commit between reading and committing; bronze adds conflict with nothing, so it is
 * repeated.
 */
const COMMIT_ATTEMPTS_MAX = 20;

/** The load whose files are committed. */
export interface LoadRun {
  runId: string;
  userId: string;
  /** Wall clock at the start, Unix ms. */
  startedAt: number;
}

/**
 * Files by what became of them: read = new + duplicate + quarantined; ignored and changed ones are not read.
 */
export function accountsOf(files: readonly LoadedFile[]): Accounts {
  const accounts = {
    new: count(files, 'loaded'),
    duplicate: count(files, 'known'),
    quarantined: count(files, 'refused'),
  };
  return { read: accounts.new + accounts.duplicate + accounts.quarantined, ...accounts };
}

/**
 * Commits the new files of a load, if there are any, and shows them to readers. What another run has
 * committed meanwhile is left out.
 *
 * @returns the newest commit; undefined in a lake that is empty and stays so
 * @throws `commit_conflict`, `lease_lost` (75): running it again helps
 */
export async function commitLoad(run: LoadRun, settled: Settled, effects: Effects): Promise<Manifest | undefined> {
  const { store, engine, lease } = effects;
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt += 1) {
    // Who has the lease now may have deleted what nobody had committed.
    await refuseLostLease({ lease });
    const base = await latestManifest(store);
    const index = await readBronzeIndex(store, base?.state ?? EMPTY_STATE);
    const { fresh, replaced } = await freshOf(settled, index, run, effects);
    const manifest =
      fresh.length === 0 ? base : await manifestOf(run, settled, { base, index, fresh, replaced }, effects);
    if (manifest !== undefined && manifest !== base && !(await commitManifest(store, manifest))) continue;
    // Also where nothing is new: a run that ended between its commit and its publish left readers the version
    // before.
    if (manifest !== undefined) await engine.publish(manifest.state);
    return manifest;
  }
  throw new JobError('commit_conflict', 'tempfail', 'other runs keep committing; nothing was changed', {
    hint: 'run it again',
  });
}

/** Entries that the index does not have yet, and the sources (SHA-256) whose entries they replace. */
async function freshOf(
  { drafts, refusals }: Settled,
  index: readonly BronzeFile[],
  { userId }: LoadRun,
  effects: Effects,
): Promise<{ fresh: BronzeEntry[]; replaced: Set<string> }> {
  const [loaded, refused] = [new Set<string>(), new Set<string>()];
  for (const { table, sourceKey } of index) (table === 'refused' ? refused : loaded).add(sourceKey);
  const added = drafts.filter(({ sha256, replaces }) => replaces !== undefined || !loaded.has(sha256));
  const replaced = new Set(added.flatMap(({ sha256, replaces }) => (replaces === undefined ? [] : [sha256])));
  const first = refusals.filter(({ sourceKey }) => !refused.has(sourceKey));
  return { fresh: [...added.map(({ file }) => file), ...(await putRefusals(effects, first, userId))], replaced };
}

async function manifestOf(
  { runId, startedAt }: LoadRun,
  { files, drafts }: Settled,
  change: { base: Manifest | undefined; index: BronzeFile[]; fresh: BronzeEntry[]; replaced: ReadonlySet<string> },
  { store, now }: Effects,
): Promise<Manifest> {
  const { base, index, fresh, replaced } = change;
  const state = base?.state ?? EMPTY_STATE;
  const sequence = (base?.sequence ?? 0) + 1;
  const at = new Date(startedAt).toISOString();
  const added = fresh.map((file) => ({ ...file, sequence, loadedAt: at }));
  const pseudonymKey = drafts.find(({ keyMark }) => keyMark !== undefined)?.keyMark;
  return {
    ...{ format: base?.format ?? LAKE_FORMAT, sequence, job: 'load', runId, startedAt: at },
    elapsedMs: now() - startedAt,
    versions: { node: process.version },
    interval: { from: null, to: null },
    inputs: added.map(({ sourceKey }) => sourceKey),
    outputs: objectsOfFiles(added),
    accounts: accountsOf(files.flat()),
    details: { ignored: count(files.flat(), 'ignored'), changed: count(files.flat(), 'changed') },
    state: {
      ...state,
      ...(pseudonymKey !== undefined && { pseudonymKey }),
      bronze: await addToIndex(store, state, index, added, replaced),
    },
  };
}

/** The bronze segments with what was added, and without what it replaces. */
async function addToIndex(
  store: LakeStore,
  state: LakeState,
  index: readonly BronzeFile[],
  added: BronzeFile[],
  replaced: ReadonlySet<string>,
): Promise<string[]> {
  if (replaced.size === 0) return appendBronze(store, state, added);
  const left = index.filter(({ table, sourceKey }) => table === 'refused' || !replaced.has(sourceKey));
  return [await putState(store, 'bronze', [...left, ...added])];
}

function count(files: readonly LoadedFile[], status: LoadedFile['status']): number {
  return files.filter((file) => file.status === status).length;
}
