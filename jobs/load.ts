import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExitName } from './base/errors.ts';
import { count } from './base/words.ts';
import { accountsOf, commitLoad } from './bronze/commit.ts';
import { type HashCache, openHashCache } from './bronze/hash-cache.ts';
import { type Input, listInputs } from './bronze/input-files.ts';
import type { LoadedFile } from './bronze/loaded-file.ts';
import { peopleFinder } from './bronze/people.ts';
import { hashesInBronze, type Settled, settle } from './bronze/settle.ts';
import { storedFiles } from './bronze/stored.ts';
import { examinedFiles, type Line, meet } from './bronze/walk.ts';
import { type Ended, type Given, isEnded } from './bronze/walked.ts';
import { loadWarnings } from './bronze/warnings.ts';
import { fileWriter, realFolders, type Writing } from './bronze/write-file.ts';
import { Writers } from './bronze/writers.ts';
import type { Effects } from './effects/index.ts';
import { literalPath, openEmbedded } from './engine/duckdb/database.ts';
import { PREFIX } from './lake/keys.ts';
import { type Accounts, EMPTY_STATE, latestManifest, readBronzeIndex } from './lake/manifest.ts';
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
  /**
   * How a run ends that does nothing else: `data` where a file was refused for the first time, `tempfail`
   * where one changed or the run was stopped.
   */
  exit: ExitName;
}

/** An input that was walked to its end. */
interface Walked {
  input: Input;
  /** Absent where it was not opened. */
  given?: Given;
  ended: Ended[];
}

/** An input of which some files may still be written. */
type Walking = Omit<Walked, 'ended'> & { ended: (Ended | Promise<Ended>)[] };

/**
 * Landing (and files given by their path) to bronze. Each file walks a line once: it is met, unpacked, hashed
 * and checked byte by byte, recognised by its content, freed of personal fields, and written under its hash.
 * Then all new files are committed at once. What was loaded before costs a look-up. A file that cannot be
 * loaded, for whatever reason, is recorded in `bronze.refused` and costs no other file; its bytes stay where
 * they are (in landing, or where it was given), and every load that meets it tries again, because a newer
 * version may understand it. Loaded and ignored landing objects are deleted after the commit.
 *
 * Killed anywhere, the next run finishes the work: objects without a commit are not part of the lake, and are
 * found under their hash again.
 *
 * @throws `input_missing` (64); `disk_full`, `disk_failed` (74); `store_unavailable` (69); `commit_conflict`
 *   (75). Faults of single files are not thrown
 */
export async function load(input: LoadInput, effects: Effects): Promise<LoadResult> {
  const { store, config, scratch, now } = effects;
  const { runId, userId } = input;
  const startedAt = now();
  const inputs = await listInputs(input.paths, store);
  const base = await latestManifest(store);
  const index = await readBronzeIndex(store, base?.state ?? EMPTY_STATE);
  const hashCache = await openHashCache(config.cacheDir, now);
  const stored = storedFiles(index, SOURCES);
  // Beside the lake's objects, so that what is finished is moved into place and not copied.
  const work = await mkdtemp(join(scratch, 'load-'));
  const line: Line = { store, stored, hashCache, sources: SOURCES, work, userId };
  const readable = await realFolders([scratch, ...input.paths, store.localFolder(PREFIX.landing)]);
  const peopleOf = peopleFinder(effects, base?.state ?? EMPTY_STATE, index);
  const walked = await walkAll(inputs, line, { readable, peopleOf }, effects);
  const ended = walked.map((each) => each.ended);
  const settled = settle(ended, stored, userId);
  const manifest = await commitLoad({ runId, userId, startedAt }, settled, effects);
  if (!input.keepLanding) await clearLanding(walked, settled, store);
  await remember(walked, settled, hashCache);

  // What is kept in landing is met by the load of every person.
  const given = settled.files.filter((_, number) => !(input.keepLanding && 'landingKey' in walked[number]!.input));
  const added = settled.drafts.map(({ file }) => file);
  const warnings = loadWarnings(given.flat(), index, added, userId);
  const sequence = manifest?.sequence ?? base?.sequence ?? 0;
  return { ...resultOf(settled.files.flat(), walked.length < inputs.length, effects), warnings, sequence };
}

/** Walks every input to its end, or as far as the run is not stopped: unpacked, examined and written. */
async function walkAll(
  inputs: readonly Input[],
  line: Line,
  { readable, peopleOf }: Pick<Writing, 'readable' | 'peopleOf'>,
  { config, log, progress, signal }: Effects,
): Promise<Walked[]> {
  const { work } = line;
  const folders = [work, ...readable].flatMap((folder) => [folder, literalPath(folder)]);
  // One thread a file: the files are what runs in parallel. Measured on one file of 650 MB: 90 MiB less than
  // with two threads, in less time.
  const engine = { memoryMb: config.memoryMb, threads: 1, tempDir: join(work, 'spill'), folders };
  const writers = new Writers(() => openEmbedded(engine), fileWriter({ ...line, log, readable, peopleOf }));
  const walking: Walking[] = [];
  const onTheWay = new Map<string, string>();
  progress.start('load', inputs.length);
  try {
    for (const input of inputs) {
      if (signal.aborted) break;
      walking.push(await walk(input, line, writers, onTheWay));
      progress.update(walking.length, input.name);
    }
    await writers.finish();
    return await Promise.all(walking.map(async (each) => ({ ...each, ended: await Promise.all(each.ended) })));
  } finally {
    await writers.close();
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * The line: an input is met, what is in it is unpacked and examined file by file, and what is new begins to
 * be written.
 */
async function walk(input: Input, line: Line, writers: Writers, onTheWay: Map<string, string>): Promise<Walking> {
  const given = await meet(input, line);
  if (isEnded(given)) return { input, ended: [given] };
  const ended: Walking['ended'] = [];
  for await (const file of examinedFiles(given, line, onTheWay)) {
    if (isEnded(file)) ended.push(file);
    else {
      await writers.room();
      onTheWay.set(file.sha256, file.candidate.name);
      ended.push(writers.write(file));
    }
  }
  return { input, given, ended };
}

/** Deletes what is loaded, known or ignored from landing; the rest stays for the next load. */
async function clearLanding(walked: readonly Walked[], { files }: Settled, store: LakeStore): Promise<void> {
  for (const [number, { input }] of walked.entries())
    if ('landingKey' in input && !files[number]!.some(isOpen)) await store.delete(input.landingKey);
}

/** Notes the hashes of what was read whole, so that it costs a look-up next time. */
async function remember(walked: readonly Walked[], { files }: Settled, hashCache: HashCache): Promise<void> {
  for (const [number, { given, ended }] of walked.entries()) {
    if (given === undefined || files[number]!.some(isOpen)) continue;
    const [hashes, { stamp, archive }] = [hashesInBronze(ended), given];
    if (archive !== undefined) hashCache.set(stamp, { sha256: archive, members: hashes });
    else if (hashes[0] !== undefined) hashCache.set(stamp, { sha256: hashes[0] });
  }
  await hashCache.save();
}

/** True where another load is to meet it again. */
function isOpen({ status }: LoadedFile): boolean {
  return status === 'refused' || status === 'changed';
}

function resultOf(
  files: LoadedFile[],
  isStopped: boolean,
  { progress }: Effects,
): Pick<LoadResult, 'files' | 'accounts' | 'rows' | 'exit'> {
  const accounts = accountsOf(files);
  const rows = files.filter(({ status }) => status === 'loaded').reduce((sum, file) => sum + file.rows, 0);
  progress.end(
    `${count(accounts.new, 'new file')} with ${count(rows, 'row')}, ${accounts.duplicate} known, ${accounts.quarantined} refused`,
  );
  const isUnfinished = isStopped || files.some(({ status }) => status === 'changed');
  const isRefused = files.some(({ status, isRepeated }) => status === 'refused' && !isRepeated);
  return { files, accounts, rows, exit: isUnfinished ? 'tempfail' : isRefused ? 'data' : 'ok' };
}
