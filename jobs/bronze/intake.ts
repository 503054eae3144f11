import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { JobError } from '../base/errors.ts';
import { type Gzip, openGzip } from '../formats/gzip.ts';
import { inputDenied, otherThanFile, readHead } from '../formats/input.ts';
import { type Budget, nestedArchive, openBudget, packingOf, unknownArchive } from '../formats/packing.ts';
import { type Archive, type ArchiveEntry, openArchive } from '../formats/zip.ts';
import { examine } from './examine.ts';
import { type FileStamp, type Fingerprints, stampOf } from './hash-cache.ts';
import type { InputFile } from './input-files.ts';
import type { LoadedFile } from './loaded-file.ts';
import type { Loading } from './loading.ts';
import { reasonToIgnore } from './source.ts';

/** One file that was given, or lies in landing. */
export interface Input extends InputFile {
  landingKey?: string;
  /** SHA-256 by its landing key. */
  sha256?: string;
  error?: JobError;
  /** Notes the fingerprint, when the outcome is known. */
  remember?: (files: LoadedFile[]) => void;
}

const HEAD_BYTES = 4_096;

/**
 * Takes one input in: looks it up, tells what it is by its content, unpacks it where it is an archive, and begins to write what is new.
 * Temporary files go as soon as nothing needs them. A fault of this input is its answer; whatever else fails is thrown.
 *
 * @returns a line for the file, or for each file of an archive; final after `loading.finish`
 */
export async function takeIn(input: Input, loading: Loading, fingerprints: Fingerprints): Promise<LoadedFile[]> {
  if (input.error !== undefined) return [loading.unreadable(input.name, input.error)];
  if (input.sha256 !== undefined && loading.isKnown(input.sha256, input.name))
    return [loading.known(input.name, input.sha256)];
  try {
    const path = input.landingKey === undefined ? input.path : await loading.localFile(input.landingKey);
    const stamp = await stampOfFile(path, input.name);
    const remembered = fingerprints.get(stamp.id);
    if (remembered !== undefined) {
      const { sha256, members } = remembered;
      const isKnown =
        members === undefined
          ? loading.isKnown(sha256, input.name)
          : members.length > 0 && members.every((member) => loading.isKnown(member));
      if (isKnown) return [loading.known(input.name, ...(members ?? [sha256]))];
    }
    const given = new Given({ path, name: input.name }, stamp, loading);
    const files = await given.read();
    input.remember = (final) => {
      if (given.sha256 === undefined || final.some(({ status }) => status === 'refused' || status === 'changed'))
        return;
      fingerprints.set(stamp, { sha256: given.sha256, ...(given.members && { members: given.members() }) });
    };
    return files;
  } catch (error) {
    if (input.landingKey !== undefined && error instanceof JobError && error.code === 'object_missing')
      return [loading.unreadable(input.name, vanished(input.name))];
    const fault = loading.faultOf(error, input.name);
    if (fault === undefined) throw error;
    return [loading.unreadable(input.name, fault)];
  }
}

/** A file as it was given, and what is found in it. */
class Given {
  /** Of the whole file, once it is known. */
  sha256: string | undefined;
  /** Of an archive: the files in it that are loaded by now. */
  members: (() => string[]) | undefined;
  readonly #file: InputFile;
  readonly #stamp: FileStamp;
  readonly #loading: Loading;
  readonly #budget: Budget = openBudget();

  constructor(file: InputFile, stamp: FileStamp, loading: Loading) {
    this.#file = file;
    this.#stamp = stamp;
    this.#loading = loading;
  }

  async read(): Promise<LoadedFile[]> {
    const { path, name } = this.#file;
    const head = await readHead(path, name, HEAD_BYTES);
    const { sources } = this.#loading;
    const isClaimed = sources.some((source) => source.claims?.(head));
    const ignored = isClaimed ? undefined : await reasonToIgnore(sources, name, async () => head);
    if (ignored !== undefined) return [this.#loading.ignored(name, ignored)];
    const packing = packingOf(head);
    if (packing?.as === 'zip') return this.#readArchive();
    if (packing?.as === 'other') {
      return [await this.#refuse(name, await this.#loading.hash(path), unknownArchive(packing.kind))];
    }
    if (packing?.as === 'gzip') return [await this.#readGzip(this.#file, this.#stamp.bytes, (own) => this.#note(own))];
    return [await this.#readPlain(this.#file, undefined, (own) => this.#note(own))];
  }

  #note(sha256: string): void {
    this.sha256 = sha256;
  }

  async #isSame(): Promise<boolean> {
    try {
      return (await stampOfFile(this.#file.path, this.#file.name)).id === this.#stamp.id;
    } catch (error) {
      if (error instanceof JobError) return false;
      throw error;
    }
  }

  /** What was read of a file that has changed meanwhile says nothing about it. */
  async #refuse(name: string, sha256: string, error: JobError): Promise<LoadedFile> {
    if (!(await this.#isSame())) throw changed(this.#file.name);
    return this.#loading.refused(name, sha256, error);
  }

  /** @param packedSha256 of the gzip file that it was in */
  async #readPlain(
    file: InputFile & { givenName?: string },
    packedSha256: string | undefined,
    note: (sha256: string) => void,
  ): Promise<LoadedFile> {
    const loading = this.#loading;
    const name = file.givenName ?? file.name;
    const examined = await examine(file.path, file.name, loading.sources);
    const sha256 = packedSha256 ?? examined.sha256;
    if (!(await this.#isSame())) throw changed(this.#file.name);
    note(sha256);
    if (examined.verdict === 'ignored') return loading.ignored(name, examined.reason);
    if (loading.isKnown(sha256)) {
      const recognised = examined.verdict === 'recognised' ? examined.recognised : undefined;
      const answer = loading.answerTo(name, sha256, recognised);
      if (answer !== undefined) return answer;
    }
    if (examined.verdict === 'refused') return loading.refused(name, sha256, examined.refusal);
    const isSame = (): Promise<boolean> => this.#isSame();
    return loading.start({ path: file.path, name, sha256, isSame }, examined.recognised);
  }

  async #readGzip(file: InputFile, packedBytes: number, note: (sha256: string) => void): Promise<LoadedFile> {
    const loading = this.#loading;
    let gzip: Gzip;
    try {
      gzip = await openGzip(file.path, packedBytes, this.#budget);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#refuse(file.name, await loading.hash(file.path), error);
    }
    const packing = packingOf(gzip.head);
    if (packing !== undefined) {
      const refusal = packing.as === 'other' ? unknownArchive(packing.kind) : nestedArchive();
      return this.#refuse(file.name, gzip.sha256, refusal);
    }
    return loading.withTemporary(async (target) => {
      await gzip.unpack(target);
      const name = file.name.replace(/\.gz$/i, '');
      return this.#readPlain({ path: target, name, givenName: file.name }, gzip.sha256, note);
    });
  }

  async #readArchive(): Promise<LoadedFile[]> {
    const { path, name } = this.#file;
    const loading = this.#loading;
    const sha256 = await loading.hash(path);
    let archive: Archive;
    try {
      archive = await openArchive(path, this.#budget);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return [await this.#refuse(name, sha256, error)];
    }
    const files: LoadedFile[] = [];
    const members: string[] = [];
    try {
      for (const entry of archive.entries) {
        // What cannot be unpacked has no hash of its own.
        const stand = createHash('sha256').update(`${sha256}/${entry.name}`).digest('hex');
        files.push(await this.#readEntry(entry, `${name}/${entry.name}`, stand, (own) => members.push(own)));
      }
      if (!(await this.#isSame())) throw changed(name);
    } catch (error) {
      const fault = loading.faultOf(error, name);
      if (fault === undefined) throw error;
      // What was whole until then is on its way.
      return [...files, loading.unreadable(name, fault)];
    } finally {
      archive.close();
    }
    this.sha256 = sha256;
    this.members = () => members.filter((member) => loading.isKnown(member));
    return files.length > 0 ? files : [loading.ignored(name, 'an archive without files')];
  }

  /** @param stand what stands for the hash of an entry that is not unpacked */
  async #readEntry(
    entry: ArchiveEntry,
    name: string,
    stand: string,
    note: (sha256: string) => void,
  ): Promise<LoadedFile> {
    const loading = this.#loading;
    if (entry.refusal !== undefined) return this.#refuse(name, stand, entry.refusal);
    try {
      const ignored = await reasonToIgnore(loading.sources, entry.name, () => entry.head());
      if (ignored !== undefined) return loading.ignored(name, ignored);
      const packing = packingOf(await entry.head());
      if (packing?.as === 'zip' || packing?.as === 'other') throw nestedArchive();
      return await loading.withTemporary(async (target) => {
        await entry.unpack(target);
        const file = { path: target, name };
        return packing === undefined
          ? this.#readPlain(file, undefined, note)
          : this.#readGzip(file, entry.packedBytes, note);
      });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return this.#refuse(name, stand, error);
    }
  }
}

function isRefusal(error: unknown): error is JobError {
  return error instanceof JobError && error.exit === 'data';
}

/** @throws `input_link`, `input_not_a_file`, `input_denied` (65); `file_changed` (75) where it is gone */
async function stampOfFile(path: string, name: string): Promise<FileStamp> {
  try {
    // Before anything opens it: to open a FIFO is to wait for somebody who writes.
    const other = otherThanFile(name, await lstat(path));
    if (other !== undefined) throw other;
    return await stampOf(path);
  } catch (error) {
    if (error instanceof JobError) throw error;
    throw inputDenied(name, error);
  }
}

function vanished(name: string): JobError {
  return inputDenied(name, Object.assign(new Error('gone'), { code: 'ENOENT' }));
}

function changed(name: string): JobError {
  return new JobError('file_changed', 'tempfail', 'it changed while it was read', {
    hint: 'run it again when it is complete',
    place: { file: name },
  });
}
