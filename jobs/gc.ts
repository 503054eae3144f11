import { JobError } from './base/errors.ts';
import { DAY_MS } from './base/time.ts';
import { refuseOvertaken } from './effects/commit.ts';
import { type Effects, stopIfAsked } from './effects/index.ts';
import {
  isOwnKey,
  LATEST_MANIFEST_HINT_KEY,
  LAYERS,
  type Layer,
  manifestKey,
  parseStreamBatchKey,
} from './lake/keys.ts';
import { latestManifest, listManifests, type Manifest, readManifest } from './lake/manifest.ts';
import { namedObjects } from './lake/named.ts';
import type { LakeStore, ObjectInfo, UnfinishedWrite } from './lake/store.ts';

export interface GcInput {
  /**
   * Versions that were the newest at any moment of this many days before now stay whole, for whoever still
   * reads them.
   */
  keepDays: number;
  /** Only says what it would delete; needs no lease. */
  dryRun: boolean;
}

export interface Collected {
  objects: number;
  bytes: number;
}

export interface GcResult {
  status: 'collected' | 'nothing_new' | 'dry_run';
  /** Commits that stay. */
  commits: number;
  layers: Record<Layer, Collected>;
  /** Files that lie among the lake's and are not of it: left alone. */
  foreign: number;
  /** Tables of the catalog whose version is gone. */
  tables: string[];
  /** Writes that were never finished: staged files, uploads in parts. */
  unfinished: UnfinishedWrite[];
}

/** Whatever is younger may be of a run at work whose commit is still to come. */
const GRACE_MS = DAY_MS;
/**
 * After so many deletions, or so long, it looks again whether it is still alone: whoever was asleep looks
 * before the next one.
 */
const DELETES_BETWEEN_LOOKS = 50;
const MS_BETWEEN_LOOKS = 1_000;

/**
 * Deletes what no kept commit names: objects of killed runs, partitions that were staged and not taken,
 * versions of gold that were replaced, lists and manifests of old commits, tables of runs in the catalog,
 * unfinished writes. Kept are the newest commits (readers see the last one) and every one that was the newest
 * in the last `keepDays`. Never deleted: batches of streams, what is not the lake's own, what is younger than a day, what lies in
 * landing.
 *
 * It decides by what it sees and keeps no notes: killed anywhere, the next run goes on.
 *
 * @throws `commit_conflict`, `lease_lost` (75; retry helps) when another run commits or begins while it
 *   deletes; `object_missing`, `manifest_invalid` (65) where the newest commit is not whole,
 *   `commits_missing` (65) where there is bronze and none, before anything is deleted; what the store and the
 *   engine throw
 */
export async function gc(input: GcInput, effects: Effects): Promise<GcResult> {
  const { store, engine, progress } = effects;
  const now = effects.now();
  const manifests = await listManifests(store);
  const newest = await latestManifest(store);
  if (newest === undefined) await refuseLostCommits(store, now - GRACE_MS);
  const seen = seenSince(manifests, newest, now - input.keepDays * DAY_MS);
  const older = seen.filter((sequence) => sequence !== newest?.sequence);
  const named = await namedObjects(store, newest, older);
  // With the one before the newest: by it a commit that took too long finds out (see commitManifest). What it
  // names need not stay.
  const keptManifests = new Set([...seen, (newest?.sequence ?? 0) - 1].map((sequence) => manifestKey(sequence)));
  const remove = deleter(effects, newest, input.dryRun);

  progress.start('gc', Object.keys(LAYERS).length);
  const result: GcResult = {
    ...{ status: 'nothing_new', commits: seen.length, foreign: 0, tables: [], unfinished: [] },
    layers: none(),
  };
  // Manifests first and in their order: what is left of them is without gaps, and an object that outlives its
  // manifest is found again.
  for (const layer of ['manifests', 'gold', 'iceberg', 'silver', 'staging', 'bronze', 'state'] as const) {
    const isKept = ({ key, modifiedAt }: ObjectInfo): boolean =>
      modifiedAt >= now - GRACE_MS || (layer === 'manifests' ? keptManifests.has(key) : named.has(key));
    for await (const object of ownObjects(store, layer, () => (result.foreign += 1))) {
      if (isKept(object)) continue;
      await remove(object.key);
      result.layers[layer].objects += 1;
      result.layers[layer].bytes += object.bytes;
    }
    progress.update(Object.keys(LAYERS).indexOf(layer) + 1, layer);
  }
  const states = newest === undefined ? [] : [newest.state, ...(await statesOf(store, older))];
  result.tables = await engine.unusedTables(states, now - GRACE_MS);
  if (!input.dryRun) await refuseOvertaken(effects, newest);
  if (!input.dryRun) await engine.dropTables(result.tables);
  result.unfinished = await interruptedWrites(store, now - GRACE_MS);
  if (!input.dryRun) for (const write of result.unfinished) await store.remains.discard(write);

  const count = Object.values(result.layers).reduce((sum, { objects }) => sum + objects, 0);
  const hasFound = count + result.tables.length + result.unfinished.length > 0;
  if (hasFound) result.status = input.dryRun ? 'dry_run' : 'collected';
  progress.end(`${count} objects that no kept commit names`);
  return result;
}

/**
 * Without any commit all of bronze looks like left-overs, also where only the commits were lost: nothing else
 * has what is in it.
 */
async function refuseLostCommits(store: LakeStore, before: number): Promise<void> {
  for await (const { key, modifiedAt } of ownObjects(store, 'bronze', () => {})) {
    if (modifiedAt >= before) continue;
    throw new JobError('commits_missing', 'data', 'bronze has objects, but there is no commit; nothing was deleted', {
      place: { file: key },
      hint: 'bring manifests/ and state/ back; where the very first run was killed, run it again',
    });
  }
}

/** Sequences of the commits that were the newest at any moment since then (Unix ms), oldest first. */
function seenSince(
  manifests: readonly { sequence: number; committedAt: number }[],
  newest: Manifest | undefined,
  since: number,
): number[] {
  const own = manifests.filter(({ sequence }) => sequence <= (newest?.sequence ?? 0));
  const first = own.findLastIndex(({ committedAt }) => committedAt < since);
  return own.slice(Math.max(0, first)).map(({ sequence }) => sequence);
}

/** The lake's own objects of a layer, in key order; without batches of streams, which no job deletes. */
export async function* ownObjects(store: LakeStore, layer: Layer, onForeign: () => void): AsyncIterable<ObjectInfo> {
  for (const prefix of LAYERS[layer]) {
    for await (const object of store.list(prefix)) {
      // What a consumer has written is its only record of how far it has come: nobody deletes it.
      if (parseStreamBatchKey(object.key) !== undefined) continue;
      if (isOwnKey(layer, object.key)) yield object;
      else if (object.key !== LATEST_MANIFEST_HINT_KEY) onForeign();
    }
  }
}

/**
 * Deletes objects, as long as nobody commits meanwhile: what a new commit names need not be what was looked
 * at.
 *
 * @returns deletes one object; @throws `stopped`, `commit_conflict`, `lease_lost` (75; retry helps)
 */
export function deleter(effects: Effects, newest: Manifest | undefined, isDry: boolean) {
  const { now, signal, store } = effects;
  let deleted = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  return async (key: string): Promise<void> => {
    if (isDry) return;
    const sinceMs = now() - lookedAt;
    // A clock that was set back tells nothing.
    if (deleted % DELETES_BETWEEN_LOOKS === 0 || sinceMs < 0 || sinceMs > MS_BETWEEN_LOOKS) {
      stopIfAsked(signal);
      await refuseOvertaken(effects, newest);
      lookedAt = now();
    }
    await store.delete(key);
    deleted += 1;
  };
}

async function statesOf(store: LakeStore, sequences: readonly number[]): Promise<Manifest['state'][]> {
  const states: Manifest['state'][] = [];
  for (const sequence of sequences) states.push((await readManifest(store, sequence)).state);
  return states;
}

/** @param before Unix ms */
async function interruptedWrites(store: LakeStore, before: number): Promise<UnfinishedWrite[]> {
  const found = new Map<string, UnfinishedWrite>();
  // A store that does not stage by key gives the same ones for every prefix.
  for (const prefix of Object.values(LAYERS).flat()) {
    for await (const write of store.remains.unfinished(prefix))
      if (write.startedAt < before) found.set(`${write.name} ${write.id}`, write);
  }
  return [...found.values()];
}

function none(): Record<Layer, Collected> {
  const layers = Object.keys(LAYERS) as Layer[];
  return Object.fromEntries(layers.map((layer) => [layer, { objects: 0, bytes: 0 }])) as Record<Layer, Collected>;
}
