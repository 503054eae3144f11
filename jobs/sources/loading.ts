import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, realpath, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Effects } from '../effects.ts';
import { type Embedded, literalPath, openEmbedded } from '../engine/embedded.ts';
import { describeError, JobError } from '../errors.ts';
import { bronzeKey } from '../lake/keys.ts';
import type { BronzeFile, LakeState } from '../lake/manifest.ts';
import type { LoadedFile } from '../load.ts';
import { findPseudonymKey, type PseudonymKey } from '../pseudonym-key.ts';
import { type BronzeDraft, hashFile, type PeopleReaders, writeBronze } from './bronze-files.ts';
import type { Recognised } from './examine.ts';
import { createPseudonymSql, createPseudonyms, withoutPersonal } from './personal-fields.ts';
import { createApiReader } from './spotify-api.ts';

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
  isKnown(sha256: string): boolean;
  known(name: string, ...sha256: string[]): LoadedFile;
  ignored(name: string, reason: string): LoadedFile;
  /** Not read at all: reported, but without a hash there is nothing to quarantine. */
  unreadable(name: string, error: JobError): LoadedFile;
  refused(name: string, sha256: string, error: JobError): Promise<LoadedFile>;
  /** Begins to write; resolves when there is room for the next one. The answer's status is final after `finish`. */
  start(file: ExaminedFile, recognised: Recognised): Promise<LoadedFile>;
  /** Waits for all that was started. @throws the first error that is not one file's own */
  finish(): Promise<void>;
  drafts(): Omit<BronzeFile, 'sequence'>[];
  /** What the state records of the key that replaced ids of people; undefined where none was needed. */
  pseudonymMark(): string | undefined;
  /** A path for a temporary file, which the next `start` or `close` removes. */
  temporary(): string;
  discard(path: string): Promise<void>;
  localFile(key: string): Promise<string>;
  hash(path: string): Promise<string>;
  /** Stops the engine and removes everything temporary. */
  close(): Promise<void>;
}

/** Files written at the same time: one reads while the other waits for the disk; more only cost memory. */
const WRITERS = 2;

/** @param options.given files and folders that the engine may read where they lie; what lies elsewhere is copied first */
export async function openLoading(options: {
  state: LakeState;
  index: readonly BronzeFile[];
  userId: string;
  effects: Effects;
  given: readonly string[];
}): Promise<Loading> {
  const { store, config, scratch } = options.effects;
  // Beside the lake's objects, so that what is finished is moved into place and not copied.
  const work = await mkdtemp(join(scratch, 'load-'));
  const readable = [...new Set(await Promise.all([scratch, ...options.given].map(folderOf)))];
  /** Found, or made, by the first file that names people. */
  let people: Promise<PseudonymKey> | undefined;
  let pseudonymMark: string | undefined;
  const rowsByHash = new Map<string, { rows: number; kind: string }>();
  const refusedBefore = new Set<string>();
  for (const file of options.index) {
    if (file.table === 'refused') refusedBefore.add(file.sourceKey);
    else rowsByHash.set(file.sourceKey, { rows: file.readRows, kind: file.kind });
  }
  const drafts = new Map<string, Omit<BronzeFile, 'sequence'>>();
  const engines: Promise<Embedded>[] = [];
  const idle: Embedded[] = [];
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  /** Answers about content that is still being written: completed at the end. */
  const unsettled: { answer: LoadedFile; hashes: string[] }[] = [];

  function describe(answer: LoadedFile, hashes: readonly string[]): LoadedFile {
    const found = hashes.map((sha256) => rowsByHash.get(sha256));
    answer.kind = hashes.length === 1 ? (found[0]?.kind ?? 'unknown') : 'archive';
    answer.rows = found.reduce((sum, file) => sum + (file?.rows ?? 0), 0);
    return answer;
  }

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

  async function readPeople(recognised: Recognised): Promise<PeopleReaders | undefined> {
    if (recognised.form === 'csv' || (recognised.form === 'rows' && recognised.source.people === undefined))
      return undefined;
    people ??= findPseudonymKey(options.effects, options.state, options.index, true) as Promise<PseudonymKey>;
    const { key, mark } = await people;
    pseudonymMark = mark;
    return { api: createApiReader(createPseudonyms(key)), pseudonymSql: createPseudonymSql(key) };
  }

  async function refuse(name: string, sha256: string, error: JobError): Promise<LoadedFile> {
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
    const row = {
      source: 'unknown',
      file_name: name,
      source_key: sha256,
      row_number: 0,
      byte_offset: byte ?? null,
      code: error.code,
      reason,
      sample: null,
    };
    const isRepeated = refusedBefore.has(sha256);
    if (!isRepeated && !drafts.has(`refused/${sha256}`)) {
      const key = bronzeKey('refused', sha256, 'json');
      const body = `${JSON.stringify(row)}\n`;
      await store.put(key, body, { ifAbsent: true });
      const stored = await store.localFile(key);
      drafts.set(`refused/${sha256}`, {
        ...{ key, rows: 1, bytes: (await stat(stored)).size, sha256: await hashFile(stored) },
        ...{
          table: 'refused',
          sourceKey: sha256,
          fileName: name,
          kind: 'refused',
          userId: options.userId,
          readRows: 1,
          periods: [],
        },
      });
    }
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

  async function write(file: ExaminedFile, recognised: Recognised, answer: LoadedFile): Promise<void> {
    const engine = await acquire();
    const staged = join(work, `${randomUUID()}.in`);
    const output = join(work, `${randomUUID()}.out`);
    const scratch = join(work, `${randomUUID()}.tmp`);
    try {
      await stageFor(file.path, staged, readable);
      const source = { file: staged, name: file.name, sha256: file.sha256 };
      const draft = await writeBronze(engine, recognised, source, output, scratch, await readPeople(recognised));
      if (!(await file.isSame())) {
        Object.assign(answer, {
          status: 'changed',
          rows: 0,
          code: 'file_changed',
          reason: 'it changed while it was read (run it again when it is complete)',
        });
        rowsByHash.delete(file.sha256);
        return;
      }
      drafts.set(file.sha256, await putBronze(engine, file, draft, output));
      rowsByHash.set(file.sha256, { rows: draft.readRows, kind: draft.kind });
      Object.assign(answer, { rows: draft.readRows, kind: draft.kind });
    } catch (error) {
      if (!(error instanceof JobError && error.exit === 'data')) throw error;
      rowsByHash.delete(file.sha256);
      Object.assign(answer, await refuse(file.name, file.sha256, error));
    } finally {
      idle.push(engine);
      await Promise.all([staged, output, scratch].map((path) => rm(path, { force: true })));
      if (file.path.startsWith(`${work}/`)) await rm(file.path, { force: true });
    }
  }

  async function putBronze(
    _engine: Embedded,
    file: ExaminedFile,
    draft: BronzeDraft,
    output: string,
  ): Promise<Omit<BronzeFile, 'sequence'>> {
    const key = bronzeKey(draft.table, file.sha256, draft.format);
    let [bytes, sha256] = [(await stat(output)).size, await hashFile(output)];
    const written = await store.put(key, { file: output }, { ifAbsent: true });
    if (written.status === 'conflict') {
      // Left by a run that was killed before its commit, or put by one at work beside this one: an object that is there never changes.
      const there = await store.localFile(key);
      [bytes, sha256] = [(await stat(there)).size, await hashFile(there)];
    }
    const { table, kind, rows, readRows, periods } = draft;
    const userId = table === 'listening_events' || table.endsWith('_csv') ? null : options.userId;
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
    };
  }

  return {
    isKnown: (sha256) => rowsByHash.has(sha256),
    known(name, ...hashes) {
      const answer: LoadedFile = { fileName: name, kind: 'unknown', rows: 0, status: 'known' };
      unsettled.push({ answer, hashes });
      return describe(answer, hashes);
    },
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
    async start(file, recognised) {
      const answer: LoadedFile = { fileName: file.name, kind: 'unknown', rows: 0, status: 'loaded' };
      while (running.size >= WRITERS) await Promise.race(running);
      if (failure !== undefined) throw failure.error;
      // From here on the same content is known, so that a copy of the file in the same run is not written twice.
      rowsByHash.set(file.sha256, { rows: 0, kind: 'unknown' });
      const task: Promise<void> = write(file, recognised, answer)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => running.delete(task));
      running.add(task);
      return answer;
    },
    async finish() {
      await Promise.all(running);
      if (failure !== undefined) throw failure.error;
      for (const { answer, hashes } of unsettled) describe(answer, hashes);
    },
    drafts: () => [...drafts.values()],
    pseudonymMark: () => pseudonymMark,
    temporary: () => join(work, `${randomUUID()}.file`),
    discard: (path) => rm(path, { force: true }),
    localFile: (key) => store.localFile(key),
    hash: hashFile,
    async close() {
      await Promise.all(running);
      const opened = (await Promise.allSettled(engines)).flatMap((each) =>
        each.status === 'fulfilled' ? [each.value] : [],
      );
      for (const engine of opened.reverse()) engine.close();
      await rm(work, { recursive: true, force: true });
    },
  };
}

/**
 * Makes the file readable for the engine under a name without characters that its globs read: a link where the engine may follow it, else a copy.
 */
async function stageFor(path: string, staged: string, folders: readonly string[]): Promise<void> {
  const real = await realpath(path);
  if (folders.some((folder) => real.startsWith(`${folder}/`))) await symlink(real, staged);
  else await copyFile(real, staged);
}

async function folderOf(path: string): Promise<string> {
  const real = await realpath(path);
  return (await stat(real)).isDirectory() ? real : dirname(real);
}
