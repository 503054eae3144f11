import { type ExitName, JobError } from './base/errors.ts';
import { fileNameWithoutPersonal } from './base/personal-fields.ts';
import { openFingerprints } from './bronze/hash-cache.ts';
import { walkInputs } from './bronze/input-files.ts';
import { type Input, takeIn } from './bronze/intake.ts';
import type { LoadedFile } from './bronze/loaded-file.ts';
import { type Loading, openLoading } from './bronze/loading.ts';
import { putRefusals } from './bronze/refusals.ts';
import { loadWarnings } from './bronze/warnings.ts';
import { refuseLostLease } from './effects/commit.ts';
import type { Effects } from './effects/index.ts';
import { landingName, PREFIX } from './lake/keys.ts';
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
} from './lake/manifest.ts';
import type { LakeStore } from './lake/store.ts';
import { SOURCES } from './sources/index.ts';

export interface LoadInput {
  runId: string;
  /** Files, folders and zips to read where they lie, besides what is in landing. */
  paths: readonly string[];
  /** Label of the person whose listening it is. */
  userId: string;
  /** Keeps landing objects that were loaded. */
  keepLanding: boolean;
}

export interface LoadResult {
  files: LoadedFile[];
  /** In files: read = new + duplicate + quarantined; ignored and changed files are not in it. */
  accounts: Accounts;
  /** One line each for a person: what is stored under another label or name, accounts that share a label. */
  warnings: string[];
  /** New rows in bronze, as accounted for. */
  rows: number;
  /** Sequence of the newest commit: of this run when there was something new; 0 in an empty lake. */
  sequence: number;
  /** How a run ends that does nothing else: `data` where a file was refused for the first time, `tempfail` where one changed or the run was stopped. */
  exit: ExitName;
}

/** Another run may commit between reading and committing; bronze adds do not conflict with anything, so it is repeated. */
const COMMIT_ATTEMPTS_MAX = 20;

/**
 * Landing (and files given by their path) to bronze: each file is hashed, checked byte by byte, recognised by its content, freed of personal
 * fields and written once under its hash; then all new files are committed at once. What was loaded before costs a look-up. A file that cannot be
 * loaded, for whatever reason, is recorded in `bronze.refused` and costs no other file; its bytes stay where they are (in landing, or where it
 * was given), and every load that meets it tries again, because a newer version may understand it. Loaded and ignored landing objects are
 * deleted after the commit.
 *
 * Killed anywhere, the next run finishes the work: objects without a commit are not part of the lake, and are found under their hash again.
 *
 * @throws `input_missing` (64); `disk_full`, `disk_failed` (74); `store_unavailable` (69); `commit_conflict` (75). Faults of single files are not thrown
 */
export async function load(input: LoadInput, effects: Effects): Promise<LoadResult> {
  const { store, config, progress, now, signal } = effects;
  const startedAt = now();
  const inputs = await listInputs(input.paths, effects);
  const base = await latestManifest(store);
  const index = await readBronzeIndex(store, base?.state ?? EMPTY_STATE);
  const fingerprints = await openFingerprints(config.cacheDir, now);
  const folders = [...input.paths, store.localFolder(PREFIX.landing)];
  const state = base?.state ?? EMPTY_STATE;
  const loading = await openLoading({ state, index, userId: input.userId, sources: SOURCES, effects, given: folders });
  const files: LoadedFile[] = [];
  const finished: { input: Input; files: LoadedFile[] }[] = [];
  progress.start('load', inputs.length);
  try {
    for (const [number, each] of inputs.entries()) {
      if (signal.aborted) break;
      const own = await takeIn(each, loading, fingerprints);
      finished.push({ input: each, files: own });
      progress.update(number + 1, each.name);
    }
    await loading.finish();
  } finally {
    await loading.close();
  }
  for (const done of finished) files.push(...done.files);
  // What is kept in landing is met by the load of every person.
  const given = finished.filter(({ input: each }) => each.landingKey === undefined || !input.keepLanding);
  const added = loading.drafts().map(({ file }) => file);
  const warnings = loadWarnings(
    given.flatMap((each) => each.files),
    index,
    added,
    input.userId,
  );

  const manifest = await commit(input, effects, startedAt, loading, files);
  if (!input.keepLanding) {
    for (const { input: each, files: own } of finished) {
      if (each.landingKey !== undefined && own.every(({ status }) => status !== 'refused' && status !== 'changed'))
        await store.delete(each.landingKey);
    }
  }
  for (const { input: each, files: own } of finished) each.remember?.(own);
  await fingerprints.save();

  const accounts = accountsOf(files);
  const rows = files.filter(({ status }) => status === 'loaded').reduce((sum, file) => sum + file.rows, 0);
  progress.end(
    `${accounts.new} new files with ${rows} rows, ${accounts.duplicate} known, ${accounts.quarantined} refused`,
  );
  const isUnfinished = finished.length < inputs.length || files.some(({ status }) => status === 'changed');
  const isRefused = files.some(({ status, isRepeated }) => status === 'refused' && !isRepeated);
  return {
    files,
    accounts,
    warnings,
    rows,
    sequence: manifest?.sequence ?? base?.sequence ?? 0,
    exit: isUnfinished ? 'tempfail' : isRefused ? 'data' : 'ok',
  };
}

async function listInputs(paths: readonly string[], { store }: Effects): Promise<Input[]> {
  const inputs: Input[] = [];
  for await (const found of walkInputs(paths, store.uri)) {
    inputs.push('error' in found ? { path: '', ...found } : found);
  }
  for await (const { key } of store.list(PREFIX.landing)) {
    const sha256 = key.slice(PREFIX.landing.length).split('/', 1)[0];
    inputs.push({
      path: '',
      name: fileNameWithoutPersonal(landingName(key)),
      landingKey: key,
      sha256: /^[0-9a-f]{64}$/.test(sha256 ?? '') ? sha256 : undefined,
    });
  }
  return inputs;
}

/** The bronze segments with what was added, and without what it replaces. @param replaced hashes of sources */
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

function accountsOf(files: readonly LoadedFile[]): Accounts {
  const count = (status: LoadedFile['status']): number => files.filter((file) => file.status === status).length;
  const accounts = { new: count('loaded'), duplicate: count('known'), quarantined: count('refused') };
  return { read: accounts.new + accounts.duplicate + accounts.quarantined, ...accounts };
}

/** Commits the new bronze files, if there are any; what another run has committed meanwhile is left out. */
async function commit(
  input: LoadInput,
  effects: Effects,
  startedAt: number,
  loading: Loading,
  files: readonly LoadedFile[],
): Promise<Manifest | undefined> {
  const { store, engine, lease, now } = effects;
  const pseudonymKey = loading.pseudonymMark();
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt += 1) {
    // Who has the lease now may have deleted what nobody had committed.
    await refuseLostLease({ lease });
    const base = await latestManifest(store);
    const state = base?.state ?? EMPTY_STATE;
    const [loaded, refused] = [new Set<string>(), new Set<string>()];
    const index = await readBronzeIndex(store, state);
    for (const { table, sourceKey } of index) (table === 'refused' ? refused : loaded).add(sourceKey);
    const drafts = loading.drafts().filter(({ file, isReplacing }) => isReplacing || !loaded.has(file.sourceKey));
    const replaced = new Set(drafts.flatMap(({ file, isReplacing }) => (isReplacing ? [file.sourceKey] : [])));
    const fresh = [
      ...drafts.map(({ file }) => file),
      ...(await putRefusals(
        effects,
        loading.refusals().filter(({ sourceKey }) => !refused.has(sourceKey)),
        input.userId,
      )),
    ];
    if (fresh.length === 0) {
      // A run that ended between its commit and its publish has left readers with the version before.
      if (base !== undefined) await engine.publish(base.state);
      return base;
    }
    const sequence = (base?.sequence ?? 0) + 1;
    const loadedAt = new Date(startedAt).toISOString();
    const added = fresh.map((file) => ({ ...file, sequence, loadedAt }));
    const manifest: Manifest = {
      format: base?.format ?? LAKE_FORMAT,
      sequence,
      job: 'load',
      runId: input.runId,
      startedAt: new Date(startedAt).toISOString(),
      elapsedMs: now() - startedAt,
      versions: { node: process.version },
      interval: { from: null, to: null },
      inputs: added.map(({ sourceKey }) => sourceKey),
      outputs: objectsOfFiles(added),
      accounts: accountsOf(files),
      details: {
        ignored: files.filter(({ status }) => status === 'ignored').length,
        changed: files.filter(({ status }) => status === 'changed').length,
      },
      state: {
        ...state,
        ...(pseudonymKey !== undefined && { pseudonymKey }),
        bronze: await addToIndex(store, state, index, added, replaced),
      },
    };
    if (!(await commitManifest(store, manifest))) continue;
    await engine.publish(manifest.state);
    return manifest;
  }
  throw new JobError('commit_conflict', 'tempfail', 'other runs keep committing; nothing was changed', {
    hint: 'run it again',
  });
}
