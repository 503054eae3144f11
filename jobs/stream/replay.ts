import { commitWork } from '../effects/commit.ts';
import type { Effects } from '../effects/index.ts';
import { type BronzeFile, latestManifest, putState, readBronzeIndex } from '../lake/manifest.ts';
import { readStreamIndex, type StreamBatch } from '../lake/stream.ts';
import { listBatches, peopleOf, writeEvents } from './take.ts';
import type { PartitionProgress } from './watermark.ts';

/**
 * Makes what was taken from streams anew from the batches alone, commit by commit in their order, so that a
 * watermark and a first copy are the same as then. Batches that are gone from the lake stay as they were
 * taken. One commit shows it; nothing changes where everything is as it was.
 *
 * @returns objects of `bronze.listening_events` that are others now
 * @throws `object_missing` (65); `commit_conflict`, `lease_lost` (75; retry helps); `disk_full` (74)
 */
export async function replayBatches(runId: string, effects: Effects): Promise<number> {
  const { store, now } = effects;
  const startedAt = now();
  const base = await latestManifest(store);
  if (base?.state.stream === undefined) return 0;
  const batches = await readStreamIndex(store, base.state);
  const index = await readBronzeIndex(store, base.state);
  const people = await peopleOf(effects, base);
  const lying = await listBatches(effects);
  const progress = new Map<string, PartitionProgress>();
  const changed = new Map<BronzeFile | undefined, BronzeFile>();
  const added: BronzeFile[] = [];
  const read: StreamBatch[] = [];
  for (const [sequence, own] of [...Map.groupBy(batches, (batch) => batch.sequence)].sort(([a], [b]) => a - b)) {
    const known = new Map(own.map((batch) => [batch.key, batch]));
    const there = index.find((file) => file.kind === 'stream' && file.sequence === sequence);
    const some = lying.filter(({ key }) => known.has(key));
    if (some.length < own.length) {
      read.push(...own);
      continue;
    }
    const written = await writeEvents(some, progress, people, effects);
    read.push(...written.batches.map((batch) => ({ ...known.get(batch.key)!, ...batch })));
    if (written.file === undefined || written.file.sha256 === there?.sha256) continue;
    const loadedAt = there?.loadedAt ?? new Date(own[0]!.takenMs).toISOString();
    const file: BronzeFile = { ...written.file, sequence, loadedAt };
    if (there === undefined) added.push(file);
    else changed.set(there, file);
  }
  if (changed.size === 0 && added.length === 0) return 0;
  const bronze = [...index.map((file) => changed.get(file) ?? file), ...added];
  await commitWork(effects, {
    ...{ job: 'transform', runId, startedAt, base },
    outputs: [...changed.values(), ...added].map(({ key, rows, bytes, sha256 }) => ({ key, rows, bytes, sha256 })),
    details: { step: 'replay', files: changed.size + added.length },
    state: {
      ...base.state,
      bronze: [await putState(store, 'bronze', bronze)],
      stream: [await putState(store, 'stream', read)],
    },
  });
  return changed.size + added.length;
}
