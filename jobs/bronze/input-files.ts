import { isUtf8 } from 'node:buffer';
import type { Dirent, Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isErrno, JobError } from '../base/errors.ts';
import { fileNameWithoutPersonal, withoutPersonal } from '../base/personal-fields.ts';
import { inputDenied, isLitter, otherThanFile } from '../formats/input.ts';
import { STAGING_FOLDER } from '../lake/folder/store.ts';
import { landingName, PREFIX } from '../lake/keys.ts';
import type { LakeStore } from '../lake/store.ts';

/**
 * One file to read. `name` is for people: relative to what was given, never an absolute path, and without
 * addresses and ids of people.
 */
export interface InputFile {
  path: string;
  name: string;
}

/** One file to load: it was named by a path, or lies in landing, or is known to be unreadable. */
export type Input = { name: string } & (
  | { path: string }
  | { landingKey: string /** By its key; undefined for a key of another form. */; sha256: string | undefined }
  | { error: JobError }
);

/** A path that cannot be read; the others can. */
export interface UnreadableInput {
  name: string;
  error: JobError;
}

/** Bounds of one walk: far above an export (about 60 files), far below a whole disk given by mistake. */
const FILES_MAX = 100_000;
const FOLDER_DEPTH_MAX = 32;

/** What every lake in a folder has from its first command on (jobs/lake/). */
const LAKE_FOLDERS = [STAGING_FOLDER, PREFIX.leases.slice(0, -1)];

/**
 * What a load has to read: the given files, then landing.
 *
 * @throws as `walkInputs`
 */
export async function listInputs(paths: readonly string[], store: LakeStore): Promise<Input[]> {
  const inputs: Input[] = [];
  for await (const found of walkInputs(paths, store.uri)) inputs.push(found);
  for await (const { key } of store.list(PREFIX.landing)) {
    const sha256 = /^[0-9a-f]{64}(?=\/)/.exec(key.slice(PREFIX.landing.length))?.[0];
    inputs.push({ name: fileNameWithoutPersonal(landingName(key)), landingKey: key, sha256 });
  }
  return inputs;
}

/**
 * Every file under the given files and folders, in name order. Hidden files and desktop litter are passed
 * over. A symbolic link is followed only where it was given itself, so that a walk cannot loop or leave the
 * folder; other links, FIFOs, sockets and devices are named as unreadable and never opened. So is a lake,
 * whose own files are no listening; the one that is loaded into is passed over.
 *
 * @param lake where the lake is that is loaded into: a folder or an address
 * @throws `input_missing` (64) for a given path that is not there, `input_lake` (64) for the lake itself,
 *   `input_too_many` (64) beyond 100,000 files
 */
export async function* walkInputs(paths: readonly string[], lake: string): AsyncGenerator<InputFile | UnreadableInput> {
  const walk: Walk = { files: 0, lake: await realPathOf(resolve(lake)) };
  const given = await Promise.all(paths.map(async (path) => ({ path: resolve(path), stats: await statOfGiven(path) })));
  for (const { path, stats } of given) {
    const name = fileNameWithoutPersonal(basename(path), basename(dirname(path)));
    const other = stats.isDirectory() ? undefined : otherThanFile(name, stats);
    if (stats.isDirectory() && (await realPathOf(path)) === walk.lake) {
      throw new JobError('input_lake', 'usage', `${name} is the lake itself`, { hint: 'give the files of the export' });
    }
    if (stats.isDirectory()) yield* walkFolder(path, name, 1, walk);
    else if (other === undefined) yield { path: await realPathOf(path), name };
    else yield { name, error: other };
  }
}

/** What a walk through folders has seen, and the lake that it is for (its real path). */
interface Walk {
  files: number;
  lake: string;
}

async function statOfGiven(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) {
      throw new JobError(
        'input_missing',
        'usage',
        `there is no file or folder ${JSON.stringify(withoutPersonal(path))}`,
        {
          hint: 'check the path',
          cause: error,
        },
      );
    }
    throw inputDenied(path, error);
  }
}

async function* walkFolder(
  folder: string,
  name: string,
  depth: number,
  walk: Walk,
): AsyncGenerator<InputFile | UnreadableInput> {
  let entries: Dirent<Buffer>[];
  try {
    entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    yield { name, error: inputDenied(name, error) };
    return;
  }
  if (LAKE_FOLDERS.every((own) => entries.some((entry) => entry.name.toString() === own && entry.isDirectory()))) {
    if ((await realPathOf(folder)) !== walk.lake) yield { name, error: otherLake(name) };
    return;
  }
  for (const entry of entries.sort((a, b) => Buffer.compare(a.name, b.name))) {
    if (!isUtf8(entry.name)) {
      const error = new JobError('name_invalid', 'data', 'the file name is not UTF-8', { hint: 'rename it' });
      yield { name: `${name}/${fileNameWithoutPersonal(entry.name.toString('latin1').slice(0, 100))}`, error };
      continue;
    }
    const own = entry.name.toString('utf8');
    if (isLitter(own)) continue;
    const child = { path: join(folder, own), name: `${name}/${fileNameWithoutPersonal(own, basename(folder))}` };
    if (!entry.isDirectory()) yield fileOf(entry, child, name, walk);
    else if (depth < FOLDER_DEPTH_MAX) yield* walkFolder(child.path, child.name, depth + 1, walk);
    else yield { name: child.name, error: tooDeep() };
  }
}

/** @throws `input_too_many` (64) */
function fileOf(entry: Dirent<Buffer>, file: InputFile, folderName: string, walk: Walk): InputFile | UnreadableInput {
  walk.files += 1;
  if (walk.files > FILES_MAX) {
    throw new JobError('input_too_many', 'usage', `more than ${FILES_MAX} files under ${folderName}`, {
      hint: 'give the folder of the export itself',
    });
  }
  const other = otherThanFile(file.name, entry);
  return other === undefined ? file : { name: file.name, error: other };
}

function otherLake(name: string): JobError {
  return new JobError('input_lake', 'data', 'a lake, whose files are no listening', {
    hint: 'give the files of the export, or say --lake',
    place: { file: name },
  });
}

function tooDeep(): JobError {
  return new JobError('input_too_deep', 'data', `folders nested deeper than ${FOLDER_DEPTH_MAX}`, {
    hint: 'give the inner folder itself',
  });
}

/**
 * Given files may be links; what follows looks at the file itself. One that is gone is found to be gone when
 * it is read.
 */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return path;
    throw error;
  }
}
