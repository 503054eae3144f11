import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, realpath, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describeError, isErrno, JobError } from '../base/errors.ts';
import { hashFile } from '../base/hash.ts';
import { createPseudonymSql, createPseudonyms, withoutPersonal } from '../base/personal-fields.ts';
import type { Effects } from '../effects/index.ts';
import { type Embedded, literalPath, openEmbedded } from '../engine/duckdb/database.ts';
import { bronzeKey } from '../lake/keys.ts';
import type { BronzeFile, LakeState } from '../lake/manifest.ts';
import type { Recognised } from './examine.ts';
import { faultOfFile, isWorthAnotherTry } from './file-faults.ts';
import { knownContent } from './known-content.ts';
import type { LoadedFile } from './loaded-file.ts';
import { findPseudonymKey, type PseudonymKey } from './pseudonym-key.ts';
import type { Refusal } from './refusals.ts';
import { type BronzeDraft, type People, type RowSource, type Source, tableOf } from './source.ts';
import { writeBronze } from './write.ts';

/** A file that was examined and is to be written. */
export interface ExaminedFile {
  path: string;
  name: string;
  sha256: string;
  /** False when the file is no longer what was examined. */
  isSame(): Promise<boolean>;
}

/** The files of one load on their way into bronze. Objects are put as they are ready; nothing is committed here. */
export interface Loading {
  readonly sources: readonly Source[];
  /** See `KnownContent.has`. */
  isKnown(sha256: string, name?: string): boolean;
  known(name: string, ...sha256: string[]): LoadedFile;
  /** See `KnownContent.answerTo`. */
  answerTo(name: string, sha256: string, recognised: Recognised | undefined): LoadedFile | undefined;
  ignored(name: string, reason: string): LoadedFile;
  /** Not read at all: reported, but without a hash there is nothing to quarantine. */
  unreadable(name: string, error: JobError): LoadedFile;
  refused(name: string, sha256: string, error: JobError): LoadedFile;
  /** What an error says about the file of this name; undefined where it is not about the file (see `faultOfFile`). */
  faultOf(error: unknown, name: string): JobError | undefined;
  /** Begins to write; resolves when there is room for the next one. The answer's status is final after `finish`. */
  start(file: ExaminedFile, recognised: Recognised): Promise<LoadedFile>;
  /** Waits for all that was started. @throws the first error that is not one file's own */
  finish(): Promise<void>;
  drafts(): Draft[];
  /** Files that were refused for the first time. */
  refusals(): Refusal[];
  /** What the state records of the key that replaced ids of people; undefined where none was needed. */
  pseudonymMark(): string | undefined;
  /** Gives the action a path for a temporary file, which is removed after it; where it was given to `start`, when it is written. */
  withTemporary<T>(action: (path: string) => Promise<T>): Promise<T>;
  localFile(key: string): Promise<string>;
  hash(path: string): Promise<string>;
  /** Stops the engine and removes everything temporary. */
  close(): Promise<void>;
}

/** What is new in bronze. */
export interface Draft {
  file: Omit<BronzeFile, 'sequence'>;
  /** It takes the place of the file with the same content in the index, because its name says something else. */
  isReplacing: boolean;
}

/** A file at work, and its answer. */
interface Task {
  file: ExaminedFile;
  recognised: Recognised;
  answer: LoadedFile;
}

type Paths = [staged: string, output: string, scratch: string];

/** The answer about a file that is not what it was any more. */
const CHANGED = {
  status: 'changed',
  rows: 0,
  code: 'file_changed',
  reason: 'it changed while it was read (run it again when it is complete)',
} as const;

/** Files written at the same time: one reads while the other waits for the disk; more only cost memory. */
const WRITERS = 2;

/** @param options.given files and folders that the engine may read where they lie; what lies elsewhere is copied first */
export async function openLoading(options: {
  state: LakeState;
  index: readonly BronzeFile[];
  userId: string;
  sources: readonly Source[];
  effects: Effects;
  given: readonly string[];
}): Promise<Loading> {
  const { store, config, scratch, log } = options.effects;
  // Beside the lake's objects, so that what is finished is moved into place and not copied.
  const work = await mkdtemp(join(scratch, 'load-'));
  const readable = [...new Set((await Promise.all([scratch, ...options.given].map(folderOf))).flat())];
  /** Found, or made, by the first file that names people. */
  let people: Promise<PseudonymKey | undefined> | undefined;
  let pseudonymMark: string | undefined;
  const content = knownContent(options.index, options.userId, options.sources);
  const refusedBefore = new Set(options.index.flatMap((file) => (file.table === 'refused' ? [file.sourceKey] : [])));
  const drafts = new Map<string, Draft>();
  const refusals = new Map<string, Refusal>();
  let engines: Promise<Embedded>[] = [];
  let idle: Embedded[] = [];
  /** Temporary files that `start` has been given. */
  const taken = new Set<string>();
  /** Failed beside others, which may be why: each is tried once more alone. */
  const again: Task[] = [];
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;

  /** The engine is opened by the first file that needs it: a run without new files does not wait for it. */
  async function acquire(): Promise<Embedded> {
    const free = idle.pop();
    if (free !== undefined) return free;
    const first = engines[0];
    const folders = [work, ...readable].flatMap((folder) => [folder, literalPath(folder)]);
    // One thread a file: the files are what runs in parallel. Measured on one file of 650 MB: 90 MiB less than with two threads, in less time.
    const memory = { memoryMb: config.memoryMb, threads: 1, tempDir: join(work, 'spill') };
    const opened =
      first === undefined ? openEmbedded({ ...memory, folders }) : first.then((engine) => engine.connect());
    engines.push(opened);
    return opened;
  }

  function throwFailure(): void {
    if (failure !== undefined) throw failure.error;
  }

  async function closeEngines(): Promise<void> {
    const opened = (await Promise.allSettled(engines)).flatMap((each) =>
      each.status === 'fulfilled' ? [each.value] : [],
    );
    for (const engine of opened.reverse()) engine.close();
    [engines, idle] = [[], []];
  }

  async function readPeople(recognised: Recognised): Promise<People | undefined> {
    const rows =
      recognised.form === 'csv'
        ? recognised.header.shape.rows?.source
        : recognised.form === 'rows'
          ? recognised.source
          : undefined;
    const isNeeded = recognised.form === 'documents' ? recognised.source.namesPeople : rows?.people !== undefined;
    if (!isNeeded && !namesAccount(recognised, rows)) return undefined;
    const { effects, state, index } = options;
    people ??= findPseudonymKey(effects, state, index, 'where_possible');
    // Without a key a user name is dropped: plays of two accounts are then not told apart.
    const found = (await people) ?? (isNeeded ? await findPseudonymKey(effects, state, index, 'always') : undefined);
    // What everybody can hash would tell everybody the name.
    if (found === undefined || (!isNeeded && found.from === 'built-in')) return undefined;
    pseudonymMark = found.mark;
    return { pseudonym: createPseudonyms(found.key), sql: createPseudonymSql(found.key) };
  }

  function refuse(name: string, sha256: string, error: JobError): LoadedFile {
    const { byte } = error.place;
    // The name and the place stand in columns of their own.
    const reason = withoutPersonal(
      describeError(
        new JobError(error.code, error.exit, error.message, {
          hint: error.hint ?? '',
          place: { row: error.place.row, byte },
        }),
      ),
    );
    const isRepeated = refusedBefore.has(sha256) || refusals.has(sha256);
    if (!isRepeated) refusals.set(sha256, { fileName: name, sourceKey: sha256, code: error.code, reason, byte });
    return {
      fileName: name,
      kind: 'unknown',
      rows: 0,
      status: 'refused',
      ...(isRepeated ? { isRepeated } : {}),
      reason,
      code: error.code,
    };
  }

  /** @param isAlone nothing else is at work, so a failure is the file's own */
  async function write(task: Task, isAlone: boolean): Promise<void> {
    const { file, recognised, answer } = task;
    const engine = await acquire();
    const [staged, output, scratch] = ['in', 'out', 'tmp'].map((end) => join(work, `${randomUUID()}.${end}`)) as Paths;
    try {
      let draft: BronzeDraft;
      try {
        await stageFor(file.path, staged, readable);
        const { name, sha256 } = file;
        const target = { engine, path: staged, name, sha256, output, scratch };
        draft = await writeBronze(target, recognised, await readPeople(recognised));
      } catch (error) {
        const fault = faultOfFile(error, file.name, work, staged);
        if (fault === undefined) throw error;
        content.undo(file.sha256);
        if (fault.exit === 'tempfail' || !(await file.isSame())) Object.assign(answer, CHANGED);
        else if (!isAlone && isWorthAnotherTry(error)) again.push(task);
        else Object.assign(answer, refuse(file.name, file.sha256, fault));
        if (fault.code === 'file_failed') log.error({ code: fault.code, stack: stackOf(error) }, 'a file failed');
        return;
      }
      if (!(await file.isSame())) {
        Object.assign(answer, CHANGED);
        content.undo(file.sha256);
        return;
      }
      const written = { rows: draft.readRows, kind: draft.kind };
      const replaced = content.end(file.sha256, written, answer);
      drafts.set(file.sha256, {
        file: await putBronze(file, draft, output, replaced),
        isReplacing: replaced !== undefined,
      });
      Object.assign(answer, written);
    } finally {
      idle.push(engine);
      await Promise.all([staged, output, scratch].map((path) => rm(path, { force: true })));
      if (taken.has(file.path) && !again.includes(task)) await rm(file.path, { force: true });
    }
  }

  /** An engine that has failed may be of no use any more, so each of them gets a new one. */
  async function tryAgainAlone(): Promise<void> {
    if (again.length === 0) return;
    await Promise.all(running);
    for (let task = again.shift(); task !== undefined; task = again.shift()) {
      await closeEngines();
      content.begin(task.file.sha256, task.file.name);
      await write(task, true);
    }
    await closeEngines();
  }

  async function putBronze(
    file: ExaminedFile,
    draft: BronzeDraft,
    output: string,
    replaced: BronzeFile | undefined,
  ): Promise<Omit<BronzeFile, 'sequence'>> {
    let [bytes, sha256] = [(await stat(output)).size, await hashFile(output)];
    // What it replaces has the name by the source.
    const key = bronzeKey(draft.table, replaced === undefined ? file.sha256 : sha256, draft.format);
    const written = await store.put(key, { file: output }, { ifAbsent: true });
    if (written.status === 'conflict') {
      // Left by a run that was killed before its commit, or put by one at work beside this one: an object that is there never changes.
      const there = await store.localFile(key);
      [bytes, sha256] = [(await stat(there)).size, await hashFile(there)];
    }
    const { table, kind, rows, readRows, accounts } = draft;
    // Rows that were elsewhere under its name of before are to go from there.
    const periods = [...new Set([...draft.periods, ...(replaced?.periods ?? [])])].sort();
    const userId = tableOf(options.sources, table)?.isOwn === false ? null : options.userId;
    return {
      key,
      rows,
      bytes,
      sha256,
      table,
      sourceKey: file.sha256,
      fileName: file.name,
      kind,
      userId,
      readRows,
      periods,
      ...(accounts && { accounts }),
    };
  }

  return {
    sources: options.sources,
    isKnown: content.has,
    known: (name, ...hashes) => content.answer(name, hashes),
    answerTo: content.answerTo,
    ignored: (name, reason) => ({ fileName: name, kind: 'ignored', rows: 0, status: 'ignored', reason }),
    unreadable: (name, error) => ({
      ...{
        fileName: name,
        kind: 'unknown',
        rows: 0,
        status: error.exit === 'tempfail' ? 'changed' : 'refused',
        code: error.code,
      },
      reason: withoutPersonal(
        describeError(new JobError(error.code, error.exit, error.message, { hint: error.hint ?? '' })),
      ),
    }),
    refused: refuse,
    faultOf: (error, name) => faultOfFile(error, name, work),
    async start(file, recognised) {
      const answer: LoadedFile = { fileName: file.name, kind: 'unknown', rows: 0, status: 'loaded' };
      if (file.path.startsWith(`${work}/`)) taken.add(file.path);
      while (running.size >= WRITERS) await Promise.race(running);
      throwFailure();
      await tryAgainAlone();
      content.begin(file.sha256, file.name);
      const writing: Promise<void> = write({ file, recognised, answer }, false)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => running.delete(writing));
      running.add(writing);
      return answer;
    },
    async finish() {
      await Promise.all(running);
      throwFailure();
      await tryAgainAlone();
      throwFailure();
      for (const sha256 of content.settle()) drafts.delete(sha256);
    },
    drafts: () => [...drafts.values()],
    refusals: () => [...refusals.values()],
    pseudonymMark: () => pseudonymMark,
    async withTemporary(action) {
      const path = join(work, `${randomUUID()}.file`);
      try {
        return await action(path);
      } finally {
        if (!taken.has(path)) await rm(path, { force: true });
      }
    },
    localFile: (key) => store.localFile(key),
    hash: hashFile,
    async close() {
      await Promise.all(running);
      await closeEngines();
      await rm(work, { recursive: true, force: true });
    },
  };
}

function namesAccount(recognised: Recognised, rows: RowSource | undefined): boolean {
  const key = rows?.account?.key;
  if (key === undefined || recognised.form === 'documents') return false;
  return recognised.form === 'rows' ? recognised.scan.keys.has(key) : recognised.header.names.includes(key);
}

/**
 * Makes the file readable for the engine under a name without characters that its globs read: a link where the engine may follow it, else a copy.
 */
async function stageFor(path: string, staged: string, folders: readonly string[]): Promise<void> {
  const real = await realpath(path);
  if (folders.some((folder) => real.startsWith(`${folder}/`))) await symlink(real, staged);
  else await copyFile(real, staged);
}

/** The folder itself, or the one of a file; none where it is gone: then nothing of it will be read. */
async function folderOf(path: string): Promise<string[]> {
  try {
    const real = await realpath(path);
    return [(await stat(real)).isDirectory() ? real : dirname(real)];
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return [];
    throw error;
  }
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined;
}
