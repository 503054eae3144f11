import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolders } from '../base/disk.ts';
import { JobError } from '../base/errors.ts';
import { silentProgress } from '../base/progress.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import { isDataError, messageOf } from '../engine/duckdb/database.ts';
import { PREFIX } from '../lake/keys.ts';
import type { BronzeFile, Refusal } from '../lake/manifest.ts';
import type { Build, Limits } from './build.ts';
import { codeHash } from './fan-out/staging.ts';
import { type Committed, openBuild } from './open.ts';
import { FAILED, MEMORY } from './refusals.ts';
import { TABLE as EVENTS, isOfEngine } from './tables/events-by-engine.ts';

const REASON_CHARS_MAX = 300;

/** A lake on which a statement has failed. */
export interface Search {
  effects: Effects;
  limits: Limits;
  there: Committed;
  /** Builds all tables of silver. @throws what building throws */
  buildAll(build: Build): Promise<unknown>;
}

/**
 * Finds the files on which a statement fails, by halves: about 2 log2(files) builds of ever fewer files for
 * each of them. New files first, each part by itself; where none of them fails so, the others (a rebuild, or
 * newer code); and last the new ones together with all others.
 *
 * @param error what a build of the lake has thrown
 * @returns at least one
 * @throws `error` where it says nothing about data, or no file can be found: nothing at all can be built, or
 *   memory is too small for the lake and not for a single file; what building throws that says nothing about
 *   data
 */
export async function searchRefusals(error: unknown, search: Search): Promise<Map<string, Refusal>> {
  if (!isOfData(error) || (await failureOf(search, [])) !== undefined) throw error;
  const { index, refusals, isNew } = search.there;
  // Of a table that the lake's engine has built no file can have made a statement of this process fail.
  const ofEngine = new Set(index.filter(({ table }) => table === EVENTS));
  const isElsewhere = isOfEngine(search.effects, [...ofEngine]);
  const files = index.filter(
    (file) => file.table !== 'refused' && !refusals.byKey.has(file.key) && !(isElsewhere && ofEngine.has(file)),
  );
  const fresh = files.filter((file) => isNew(file));
  const others = files.filter((file) => !isNew(file));
  const found =
    (await sift(search, fresh)) ??
    (await sift(search, others)) ??
    // Too little memory for all together is nobody's fault.
    (error instanceof JobError ? undefined : await sift(search, fresh, [...others]));
  if (found === undefined) throw error;
  for (const { key, reason } of found) search.effects.log.warn({ key, reason }, 'a file is refused by transform');
  return new Map(found.map((refusal) => [refusal.key, refusal]));
}

/**
 * Refusals of those of the files on which a statement fails; undefined where there are none.
 *
 * @param accepted files that are built together with each part, and to which what can be built is added;
 *   undefined: each part by itself
 */
async function sift(
  search: Search,
  files: readonly BronzeFile[],
  accepted?: BronzeFile[],
): Promise<Refusal[] | undefined> {
  if (files.length === 0) return undefined;
  const error = await failureOf(search, [...(accepted ?? []), ...files]);
  if (error === undefined) {
    accepted?.push(...files);
    return undefined;
  }
  const [file] = files;
  if (files.length === 1 && file !== undefined) return [refusalOf(search, file, error)];
  const middle = Math.ceil(files.length / 2);
  const [left, right] = [
    await sift(search, files.slice(0, middle), accepted),
    await sift(search, files.slice(middle), accepted),
  ];
  return left === undefined && right === undefined ? undefined : [...(left ?? []), ...(right ?? [])];
}

/**
 * Builds all of silver from these files alone, aside, and throws it away. @returns what it fails with, where
 * that says something about data
 */
async function failureOf(
  { effects, limits, there, buildAll }: Search,
  files: readonly BronzeFile[],
): Promise<unknown | undefined> {
  stopIfAsked(effects.signal);
  const scratch = join(effects.scratch, 'search');
  await makeFolders(scratch);
  const alone: Committed = { ...there, index: files, silver: new Map(), isNew: () => true };
  const everything = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  const build = await openBuild({ ...effects, scratch, progress: silentProgress }, alone, everything, limits);
  try {
    await buildAll(build);
    return undefined;
  } catch (error) {
    if (!isOfData(error)) throw error;
    return error;
  } finally {
    build.db.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * True for a failure that `transform` searches for the file that causes it. Memory that is too small may be a
 * file's fault, too: one that fails so by itself is refused, with what to do.
 */
export function isOfData(error: unknown): boolean {
  return isDataError(error) || (error instanceof JobError && error.code === 'memory_full');
}

function refusalOf({ effects }: Search, { key, sha256 }: BronzeFile, error: unknown): Refusal {
  const { store, config } = effects;
  const [words = ''] = messageOf(error).replaceAll(store.localFolder(PREFIX.bronze), PREFIX.bronze).split('\n', 1);
  const isMemory = error instanceof JobError;
  const remedy = isMemory ? 'raise LISTENLAKE_MEMORY_MB and run it again' : 'a newer listenlake tries again';
  const reason = `silver is built without this file, because a statement fails on it: ${words.slice(0, REASON_CHARS_MAX)} (${remedy})`;
  return { key, sha256, code: isMemory ? MEMORY : FAILED, reason, codeHash: codeHash(), memoryMb: config.memoryMb };
}

/** The lake as if these files had been refused before; they count in this run. */
export function withRefusals(there: Committed, refused: ReadonlyMap<string, Refusal>): Committed {
  return {
    ...there,
    refusals: { ...there.refusals, byKey: new Map([...there.refusals.byKey, ...refused]) },
    isNew: (file) => there.isNew(file) || refused.has(file.key),
  };
}
