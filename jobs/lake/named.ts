import { JobError } from '../base/errors.ts';
import { type BronzeFile, getState, type LakeState, type Manifest, readManifest, type SilverFile } from './manifest.ts';
import type { LakeStore } from './store.ts';

/** The objects that a set of manifests names. */
export interface NamedObjects {
  has(key: string): boolean;
}

/**
 * Every object that one of these manifests names: data, and the lists of state by which it is named.
 *
 * @param newest the commit that readers see: its lists must all be there. Of older ones what is gone is no
 *   longer needed either
 * @throws `object_missing`, `manifest_invalid` (65) for lists of the newest
 */
export async function namedObjects(
  store: LakeStore,
  newest: Manifest | undefined,
  older: readonly number[],
): Promise<NamedObjects> {
  const keys = new Set<string>();
  const seen = new Set<string>();

  /** Names a list and what is in it; once for all manifests that share it. */
  async function addList<T>(key: string | undefined, keysOf: (list: T) => Iterable<string>): Promise<void> {
    if (key === undefined || seen.has(key)) return;
    seen.add(key);
    keys.add(key);
    for (const each of keysOf(await getState<T>(store, key))) keys.add(each);
  }

  async function add(state: LakeState): Promise<void> {
    for (const segment of state.bronze) await addList<BronzeFile[]>(segment, keysOfFiles);
    for (const segment of state.stream ?? []) await addList<{ key: string }[]>(segment, keysOfFiles);
    for (const list of Object.values(state.silver)) await addList<SilverFile[]>(list, keysOfFiles);
    for (const version of Object.values(state.gold)) for (const { key } of Object.values(version.tables)) keys.add(key);
    for (const { key } of Object.values(state.iceberg?.tables ?? {})) keys.add(key);
    for (const { key } of Object.values(state.checks)) keys.add(key);
    await addList<{ lookedUp?: string[] }>(state.spotify, (ledger) => ledger.lookedUp ?? []);
    if (state.lookUps !== undefined) keys.add(state.lookUps);
    if (state.refusals !== undefined) keys.add(state.refusals);
    if (state.trainings !== undefined) keys.add(state.trainings);
  }

  if (newest !== undefined) await add(newest.state);
  for (const sequence of older) {
    try {
      await add((await readManifest(store, sequence)).state);
    } catch (error) {
      if (!(error instanceof JobError && error.exit === 'data')) throw error;
    }
  }
  return {
    // A table of several objects is named by their prefix; an Iceberg table has folders below it.
    has: (key) => keys.has(key) || foldersOf(key).some((folder) => keys.has(folder)),
  };
}

/** `a/b/`, `a/` for `a/b/c`. */
function foldersOf(key: string): string[] {
  const folders: string[] = [];
  for (let end = key.lastIndexOf('/'); end > 0; end = key.lastIndexOf('/', end - 1))
    folders.push(key.slice(0, end + 1));
  return folders;
}

function keysOfFiles(files: readonly { key: string }[]): string[] {
  return files.map(({ key }) => key);
}
