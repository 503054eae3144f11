import { randomUUID } from 'node:crypto';
import { copyFile, realpath, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isErrno } from '../base/errors.ts';
import { hashObject } from '../base/hash.ts';
import type { Log } from '../base/log.ts';
import { bronzeKey } from '../lake/keys.ts';
import type { LakeStore } from '../lake/store.ts';
import { discard } from './candidates.ts';
import type { Recognised } from './examine.ts';
import { faultOfFile, isWorthAnotherTry } from './file-faults.ts';
import { isUnchanged } from './given.ts';
import type { MarkedPeople } from './people.ts';
import { type BronzeDraft, type Source, type StagedFile, tableOf } from './source.ts';
import { type BronzeEntry, type Ended, type ExaminedFile, isEnded, refused } from './walked.ts';
import { writeBronze } from './write.ts';
import type { WriteFile } from './writers.ts';

/** Where a file is written, and with what. */
export interface Writing {
  store: LakeStore;
  log: Log;
  sources: readonly Source[];
  userId: string;
  /** Folder for what is unpacked and written. */
  work: string;
  /** Folders (real paths) in which the engine may read files where they lie; others are copied first. */
  readable: readonly string[];
  peopleOf(recognised: Recognised): Promise<MarkedPeople | undefined>;
}

/**
 * Gives the step that writes an examined file: its rows become a draft, and the draft an object of bronze.
 * Nothing is committed, and what is temporary is removed when the file's way ends.
 */
export function fileWriter(writing: Writing): WriteFile {
  return async (engine, file, isAlone) => {
    const { name } = file.candidate;
    const [path, output, scratch] = ['in', 'out', 'tmp'].map((end) => join(writing.work, `${randomUUID()}.${end}`));
    const staged = { engine, name, sha256: file.sha256, path: path!, output: output!, scratch: scratch! };
    try {
      const draft = await draftOf(staged, file, isAlone, writing);
      const ended = draft === undefined || isEnded(draft) ? draft : await putDraft(staged, file, draft, writing);
      if (ended !== undefined) await discard(file.candidate);
      return ended;
    } finally {
      for (const temporary of [staged.path, staged.output, staged.scratch]) await rm(temporary, { force: true });
    }
  };
}

/** A draft, and what the state is to record of the key that replaced people in it. */
type MarkedDraft = BronzeDraft & { keyMark?: string };

async function draftOf(
  staged: StagedFile,
  { candidate, recognised, sha256 }: ExaminedFile,
  isAlone: boolean,
  { work, readable, peopleOf, log }: Writing,
): Promise<MarkedDraft | Ended | undefined> {
  const { name, given, path } = candidate;
  try {
    await stageFor(path, staged.path, readable);
    const people = await peopleOf(recognised);
    const draft = await writeBronze(staged, recognised, people);
    if (!(await isUnchanged(given))) return { name, as: 'changed', sha256 };
    return { ...draft, ...(people && { keyMark: people.mark }) };
  } catch (error) {
    const fault = faultOfFile(error, name, work, staged.path);
    if (fault === undefined) throw error;
    if (fault.code === 'file_failed') {
      const stack = error instanceof Error ? error.stack : undefined;
      log.error({ code: fault.code, stack }, 'a file failed');
    }
    if (fault.exit === 'tempfail' || !(await isUnchanged(given))) return { name, as: 'changed', sha256 };
    return !isAlone && isWorthAnotherTry(error) ? undefined : refused(name, sha256, fault);
  }
}

async function putDraft(
  { output }: StagedFile,
  { candidate, sha256: sourceKey, replaces }: ExaminedFile,
  draft: MarkedDraft,
  { store, sources, userId }: Writing,
): Promise<Ended> {
  const { table, kind, format, rows, readRows, accounts, keys, passedOver, keyMark } = draft;
  let { bytes, sha256 } = await contentOf(output);
  // What it replaces has the key by the source.
  const key = bronzeKey(table, replaces === undefined ? sourceKey : sha256, format);
  const put = await store.put(key, { file: output }, { ifAbsent: true });
  // Left by a run that was killed before its commit, or put by one beside this one: what is there never
  // changes.
  if (put.status === 'conflict') ({ bytes, sha256 } = await contentOf(await store.localFile(key)));
  const file: BronzeEntry = {
    ...{ key, rows, bytes, sha256, table, sourceKey, fileName: candidate.name, kind, readRows },
    userId: tableOf(sources, table)?.isOwn === false ? null : userId,
    // Rows that were elsewhere under the name of before are to go from there.
    periods: [...new Set([...draft.periods, ...(replaces?.periods ?? [])])].sort(),
    ...(accounts && { accounts }),
    ...(keys && { keys }),
  };
  const { name } = candidate;
  return {
    ...{ name, as: 'written', sha256: sourceKey, file },
    ...(replaces && { replaces }),
    ...(passedOver && { passedOver }),
    ...(keyMark && { keyMark }),
  };
}

async function contentOf(path: string): Promise<{ bytes: number; sha256: string }> {
  return { bytes: (await stat(path)).size, sha256: await hashObject(path) };
}

/**
 * Makes the file readable for the engine under a name without characters that its globs read: a link where
 * the engine may follow it, else a copy.
 */
async function stageFor(path: string, staged: string, folders: readonly string[]): Promise<void> {
  const real = await realpath(path);
  if (folders.some((folder) => real.startsWith(`${folder}/`))) await symlink(real, staged);
  else await copyFile(real, staged);
}

/**
 * The folder itself, or the one of a file, as a real path; none where it is gone: then nothing of it will be
 * read.
 */
export async function realFolders(paths: readonly string[]): Promise<string[]> {
  const folders = await Promise.all(paths.map(realFolder));
  return [...new Set(folders.flat())];
}

async function realFolder(path: string): Promise<string[]> {
  try {
    const real = await realpath(path);
    return [(await stat(real)).isDirectory() ? real : dirname(real)];
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return [];
    throw error;
  }
}
