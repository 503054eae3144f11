import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { Effects } from './effects.ts';
import { type ExitName, JobError } from './errors.ts';
import { landingName, PREFIX } from './lake/keys.ts';
import {
  type Accounts,
  appendBronze,
  type BronzeFile,
  commitManifest,
  EMPTY_STATE,
  latestManifest,
  type Manifest,
  readBronzeIndex,
} from './lake/manifest.ts';
import { reasonToIgnore } from './sources/account-export.ts';
import { type Archive, openArchive, unpackGzip } from './sources/archive.ts';
import { examine, readHead } from './sources/examine.ts';
import { type FileStamp, openFingerprints, stampOf } from './sources/fingerprints.ts';
import { type InputFile, inputDenied, walkInputs } from './sources/input-files.ts';
import { type Loading, openLoading } from './sources/loading.ts';

export interface LoadInput {
  runId: string;
  /** Files, folders and zips to read where they lie, besides what is in landing. */
  paths: readonly string[];
  /** Label of the person whose listening it is. */
  userId: string;
  /** Keeps landing objects that were loaded. */
  keepLanding: boolean;
}

/** What became of one file, or of an archive whose files were all known. */
export interface LoadedFile {
  fileName: string;
  /** e.g. `export_extended`, `recently_played`, `kaggle`; `unknown` where nothing fitted. */
  kind: string;
  /** Rows that must be accounted for; of an archive: of all its files. */
  rows: number;
  /**
   * `loaded`: new in bronze. `known`: the same content is there already. `refused`: quarantined. `ignored`: holds no listening. `changed`: was being
   * written while it was read; run it again.
   */
  status: 'loaded' | 'known' | 'refused' | 'ignored' | 'changed';
  /** Refused, and for the same content was refused before. */
  isRepeated?: boolean;
  /** One line for a person; for refused, ignored and changed files. */
  reason?: string;
  /** The error's code; for refused and changed files. */
  code?: string;
}

export interface LoadResult {
  files: LoadedFile[];
  /** In files: read = new + duplicate + quarantined; ignored and changed files are not in it. */
  accounts: Accounts;
  /** New rows in bronze, as accounted for. */
  rows: number;
  /** Sequence of the newest commit: of this run when there was something new; 0 in an empty lake. */
  sequence: number;
  /** How a run ends that does nothing else: `data` where a file was refused for the first time, `tempfail` where one changed or the run was stopped. */
  exit: ExitName;
}

/** Another run may commit between reading and committing; bronze adds do not conflict with anything, so it is repeated. */
const COMMIT_ATTEMPTS_MAX = 20;
const GZIP_MAGIC = '1f8b';
const ZIP_MAGICS = new Set(['504b0304', '504b0506', '504b0708']);
const HEAD_BYTES = 4_096;

/**
 * Landing (and files given by their path) to bronze: each file is hashed, checked byte by byte, recognised by its content, freed of personal
 * fields and written once under its hash; then all new files are committed at once. What was loaded before costs a look-up. A file that cannot be
 * loaded is recorded in `bronze.refused` and costs no other file; its bytes stay where they are (in landing, or where it was given), and every load
 * that meets it tries again, because a newer version may understand it. Loaded and ignored landing objects are deleted after the commit.
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
  const landed = inputs.find(({ landingKey }) => landingKey !== undefined)?.landingKey;
  const inbox = landed === undefined ? [] : [dirname(dirname(await store.localFile(landed)))];
  const loading = await openLoading({ index, userId: input.userId, effects, given: [...input.paths, ...inbox] });
  const files: LoadedFile[] = [];
  const finished: { input: Input; files: LoadedFile[] }[] = [];
  progress.start('load', inputs.length);
  try {
    for (const [number, each] of inputs.entries()) {
      if (signal.aborted) break;
      const own = await loadInput(each, loading, fingerprints);
      finished.push({ input: each, files: own });
      progress.update(number + 1, each.name);
    }
    await loading.finish();
  } finally {
    await loading.close();
  }
  for (const done of finished) files.push(...done.files);

  const manifest = await commit(input, effects, startedAt, loading.drafts(), files);
  // Also where nothing was new: a run that ended between its commit and its publish has left readers with the version before.
  if (manifest === undefined && base !== undefined) await effects.engine.publish(base.state);
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
    rows,
    sequence: manifest?.sequence ?? base?.sequence ?? 0,
    exit: isUnfinished ? 'tempfail' : isRefused ? 'data' : 'ok',
  };
}

interface Input extends InputFile {
  landingKey?: string;
  /** SHA-256 by its landing key. */
  sha256?: string;
  error?: JobError;
  /** Notes the fingerprint, when the outcome is known. */
  remember?: (files: LoadedFile[]) => void;
}

async function listInputs(paths: readonly string[], { store }: Effects): Promise<Input[]> {
  const inputs: Input[] = [];
  for await (const found of walkInputs(paths)) {
    inputs.push('error' in found ? { path: '', ...found } : found);
  }
  for await (const { key } of store.list(PREFIX.landing)) {
    const sha256 = key.slice(PREFIX.landing.length).split('/', 1)[0];
    inputs.push({
      path: '',
      name: landingName(key),
      landingKey: key,
      sha256: /^[0-9a-f]{64}$/.test(sha256 ?? '') ? sha256 : undefined,
    });
  }
  return inputs;
}

async function loadInput(
  input: Input,
  loading: Loading,
  fingerprints: Awaited<ReturnType<typeof openFingerprints>>,
): Promise<LoadedFile[]> {
  if (input.error !== undefined) return [loading.unreadable(input.name, input.error)];
  if (input.sha256 !== undefined && loading.isKnown(input.sha256)) return [loading.known(input.name, input.sha256)];
  try {
    const path = input.landingKey === undefined ? input.path : await loading.localFile(input.landingKey);
    const stamp = await stampOrChanged(path, input.name);
    const remembered = fingerprints.get(stamp.id);
    if (remembered !== undefined) {
      const { sha256, members } = remembered;
      if (
        members === undefined
          ? loading.isKnown(sha256)
          : members.length > 0 && members.every((member) => loading.isKnown(member))
      ) {
        return [loading.known(input.name, ...(members ?? [sha256]))];
      }
    }
    return await loadFile({ ...input, path }, stamp, loading, (sha256, own) => {
      input.remember = (files) => {
        if (files.some(({ status }) => status === 'refused' || status === 'changed')) return;
        fingerprints.set(stamp, { sha256, ...(own === undefined ? {} : { members: own() }) });
      };
    });
  } catch (error) {
    if (error instanceof JobError && (error.code === 'input_denied' || error.code === 'file_changed'))
      return [loading.unreadable(input.name, error)];
    throw error;
  }
}

/** `note` is told the file's hash, and for an archive how to learn its members'. */
async function loadFile(
  file: InputFile,
  stamp: FileStamp,
  loading: Loading,
  note: (sha256: string, members?: () => string[]) => void,
): Promise<LoadedFile[]> {
  const head = await readHead(file.path, file.name, HEAD_BYTES);
  const ignored = head.includes('"href"') ? undefined : reasonToIgnore(file.name);
  if (ignored !== undefined) return [loading.ignored(file.name, ignored)];
  if (ZIP_MAGICS.has(head.toString('hex', 0, 4))) return loadArchive(file, stamp, loading, note);

  let content = file;
  let packedSha256: string | undefined;
  if (head.toString('hex', 0, 2) === GZIP_MAGIC) {
    const target = loading.temporary();
    try {
      packedSha256 = await unpackGzip(file.path, target);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return [await loading.refused(file.name, await loading.hash(file.path), error)];
    }
    content = { path: target, name: file.name.replace(/\.gz$/i, '') };
  }
  const examined = await examine(content.path, content.name);
  const sha256 = packedSha256 ?? examined.sha256;
  const isSame = async (): Promise<boolean> => (await stampOrChanged(file.path, file.name)).id === stamp.id;
  if (!(await isSame())) throw changed(file.name);
  note(sha256);
  if (examined.verdict === 'ignored') return [loading.ignored(file.name, examined.reason)];
  if (loading.isKnown(sha256)) return [loading.known(file.name, sha256)];
  if (examined.verdict === 'refused') return [await loading.refused(file.name, sha256, examined.refusal)];
  return [await loading.start({ ...content, name: file.name, sha256, isSame }, examined.recognised)];
}

async function loadArchive(
  file: InputFile,
  stamp: FileStamp,
  loading: Loading,
  note: (sha256: string, members?: () => string[]) => void,
): Promise<LoadedFile[]> {
  const sha256 = await loading.hash(file.path);
  let archive: Archive;
  try {
    archive = await openArchive(file.path);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return [await loading.refused(file.name, sha256, error)];
  }
  const files: LoadedFile[] = [];
  const members: string[] = [];
  try {
    for (const entry of archive.entries) {
      const name = `${file.name}/${entry.name}`;
      const ignored = reasonToIgnore(entry.name);
      // What cannot be unpacked has no hash of its own.
      const stand = createHash('sha256').update(`${sha256}/${entry.name}`).digest('hex');
      if (entry.refusal !== undefined) files.push(await loading.refused(name, stand, entry.refusal));
      else if (ignored !== undefined) files.push(loading.ignored(name, ignored));
      else {
        const target = loading.temporary();
        try {
          await entry.unpack(target);
        } catch (error) {
          await loading.discard(target);
          if (!isRefusal(error)) throw error;
          files.push(await loading.refused(name, stand, error));
          continue;
        }
        files.push(
          ...(await loadFile({ path: target, name }, await stampOf(target), loading, (own) => members.push(own))),
        );
      }
    }
  } finally {
    archive.close();
  }
  if ((await stampOrChanged(file.path, file.name)).id !== stamp.id) throw changed(file.name);
  note(sha256, () => members.filter((member) => loading.isKnown(member)));
  return files.length > 0 ? files : [loading.ignored(file.name, 'an archive without files')];
}

function isRefusal(error: unknown): error is JobError {
  return error instanceof JobError && error.exit === 'data';
}

async function stampOrChanged(path: string, name: string): Promise<FileStamp> {
  try {
    return await stampOf(path);
  } catch (error) {
    throw inputDenied(name, error);
  }
}

function changed(name: string): JobError {
  return new JobError('file_changed', 'tempfail', 'it changed while it was read', {
    hint: 'run it again when it is complete',
    place: { file: name },
  });
}

function accountsOf(files: readonly LoadedFile[]): Accounts {
  const count = (status: LoadedFile['status']): number => files.filter((file) => file.status === status).length;
  const accounts = { new: count('loaded'), duplicate: count('known'), quarantined: count('refused') };
  return { read: accounts.new + accounts.duplicate + accounts.quarantined, ...accounts };
}

/** Commits the new bronze files, if there are any; what another run has committed meanwhile is left out. */
async function commit(
  input: LoadInput,
  { store, engine, now }: Effects,
  startedAt: number,
  drafts: readonly Omit<BronzeFile, 'sequence'>[],
  files: readonly LoadedFile[],
): Promise<Manifest | undefined> {
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt += 1) {
    const base = await latestManifest(store);
    const state = base?.state ?? EMPTY_STATE;
    const there = new Set(
      (await readBronzeIndex(store, state)).map(({ table, sourceKey }) => `${table === 'refused'}/${sourceKey}`),
    );
    const fresh = drafts.filter(({ table, sourceKey }) => !there.has(`${table === 'refused'}/${sourceKey}`));
    if (fresh.length === 0) return base;
    const sequence = (base?.sequence ?? 0) + 1;
    const added = fresh.map((file) => ({ ...file, sequence }));
    const manifest: Manifest = {
      format: 1,
      sequence,
      job: 'load',
      runId: input.runId,
      startedAt: new Date(startedAt).toISOString(),
      elapsedMs: now() - startedAt,
      versions: { node: process.version },
      interval: { from: null, to: null },
      inputs: added.map(({ sourceKey }) => sourceKey),
      outputs: added.map(({ key, rows, bytes, sha256 }) => ({ key, rows, bytes, sha256 })),
      accounts: accountsOf(files),
      details: {
        ignored: files.filter(({ status }) => status === 'ignored').length,
        changed: files.filter(({ status }) => status === 'changed').length,
      },
      state: { ...state, bronze: await appendBronze(store, state, added) },
    };
    if (!(await commitManifest(store, manifest))) continue;
    await engine.publish(manifest.state);
    return manifest;
  }
  throw new JobError('commit_conflict', 'tempfail', 'other runs keep committing; nothing was changed', {
    hint: 'run it again',
  });
}
