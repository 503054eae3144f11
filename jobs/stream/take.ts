import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../base/errors.ts';
import { hashText } from '../base/hash.ts';
import { createPseudonymSql, createPseudonyms } from '../base/personal-fields.ts';
import { count } from '../base/words.ts';
import { findPseudonymKey } from '../bronze/pseudonym-key.ts';
import { writeRecords } from '../bronze/records.ts';
import type { People } from '../bronze/source.ts';
import { refuseLostLease } from '../effects/commit.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import { type Embedded, openEmbedded } from '../engine/duckdb/database.ts';
import {
  bronzeKey,
  PREFIX,
  parseStreamBatchKey,
  STREAM_DEAD_LETTERS_PREFIX,
  STREAM_PREFIX,
  type StreamBatchName,
} from '../lake/keys.ts';
import {
  appendBronze,
  type BronzeFile,
  commitManifest,
  EMPTY_STATE,
  LAKE_FORMAT,
  latestManifest,
  type Manifest,
  readBronzeIndex,
} from '../lake/manifest.ts';
import { appendStream, readStreamIndex, type StreamBatch, type StreamKind } from '../lake/stream.ts';
import { LISTENING_EVENTS } from '../sources/events/index.ts';
import { contentOf, countDeadLetters, emptyCounts, rowsOfBatch } from './read.ts';
import { type PartitionProgress, progressOf } from './watermark.ts';

/** What one commit takes at most: a killed run has no more to do again, and its rows fit into the scratch folder. */
const TAKEN_BYTES_MAX = 256 * 1024 ** 2;
const TAKEN_FILES_MAX = 4_000;

/** A batch or a file of dead letters that lies in the lake. */
export interface LyingBatch extends StreamBatchName {
  kind: StreamKind;
  key: string;
  bytes: number;
}

/** Every batch and every file of dead letters, whoever names it, in the order of topic, partition and offset. */
export async function listBatches({ store }: Pick<Effects, 'store'>): Promise<LyingBatch[]> {
  const found: LyingBatch[] = [];
  for (const prefix of [STREAM_PREFIX, STREAM_DEAD_LETTERS_PREFIX]) {
    for await (const { key, bytes } of store.list(prefix)) {
      const name = parseStreamBatchKey(key);
      if (name === undefined) continue;
      const { kind, topic, partition, firstOffset } = name;
      found.push({ kind, topic, partition, firstOffset, key, bytes });
    }
  }
  return found.sort(inOrder);
}

/**
 * Takes what consumers have written since the last commit: their events become one object of
 * `bronze.listening_events` a commit, and the commit names each batch with its offsets. The batches stay as
 * they are. Killed anywhere, the next call takes what no commit names.
 *
 * @returns batches and files of dead letters that were taken
 * @throws `commit_conflict`, `lease_lost` (75; retry helps); `pseudonym_key_missing` (78) for a lake on S3
 *   without a key; `disk_full` (74)
 */
export async function takeBatches(runId: string, effects: Effects): Promise<number> {
  let taken = 0;
  for (;;) {
    stopIfAsked(effects.signal);
    const base = await latestManifest(effects.store);
    const index = await readStreamIndex(effects.store, base?.state ?? EMPTY_STATE);
    const known = new Set(index.map(({ key }) => key));
    const waiting = (await listBatches(effects)).filter(({ key }) => !known.has(key));
    if (waiting.length === 0) return taken;
    const some = firstOf(waiting);
    effects.progress.start('stream', some.length);
    await takeSome(runId, some, { base, index }, effects);
    effects.progress.end(count(some.length, 'batch', 'batches'));
    taken += some.length;
    if (some.length === waiting.length) return taken;
  }
}

function firstOf(waiting: readonly LyingBatch[]): LyingBatch[] {
  const some: LyingBatch[] = [];
  let bytes = 0;
  for (const batch of waiting.slice(0, TAKEN_FILES_MAX)) {
    bytes += batch.bytes;
    if (some.length > 0 && bytes > TAKEN_BYTES_MAX) break;
    some.push(batch);
  }
  return some;
}

/** The lake as it is before batches are taken. */
interface Before {
  base: Manifest | undefined;
  index: readonly StreamBatch[];
}

async function takeSome(runId: string, some: readonly LyingBatch[], before: Before, effects: Effects): Promise<void> {
  const { store, now } = effects;
  const startedAt = now();
  const { base, index } = before;
  const state = base?.state ?? EMPTY_STATE;
  const sequence = (base?.sequence ?? 0) + 1;
  const people = await peopleOf(effects, base);
  const written = await writeEvents(some, progressOf(index), people, effects);
  const common = { runId, takenMs: startedAt, sequence };
  const added = written.batches.map((batch): StreamBatch => ({ ...batch, ...common }));
  const at = new Date(startedAt).toISOString();
  const file: BronzeFile[] = written.file === undefined ? [] : [{ ...written.file, sequence, loadedAt: at }];
  const records = sum(added.filter(({ kind }) => kind === 'batch').map(({ rows }) => rows));
  const kept = sum(file.map(({ rows }) => rows));
  await refuseLostLease(effects);
  const manifest: Manifest = {
    ...{ format: base?.format ?? LAKE_FORMAT, sequence, job: 'transform', runId, startedAt: at },
    ...{ elapsedMs: now() - startedAt, versions: { node: process.version }, interval: { from: null, to: null } },
    inputs: added.map(({ key }) => key),
    outputs: file.map(({ key, rows, bytes, sha256 }) => ({ key, rows, bytes, sha256 })),
    accounts: { read: records, new: kept, duplicate: records - kept, quarantined: 0 },
    details: { stream: added.map(({ key, lastOffset }) => ({ key, lastOffset })) },
    state: {
      ...state,
      bronze: await appendBronze(store, state, file),
      stream: await appendStream(store, state, added),
      ...(people && { pseudonymKey: people.mark }),
    },
  };
  if (!(await commitManifest(store, manifest))) {
    throw new JobError('commit_conflict', 'tempfail', 'another run has committed meanwhile; nothing was changed', {
      hint: 'run it again',
    });
  }
}

/**
 * What replaces ids of people that are addresses; the consumer has replaced them already where it could.
 *
 * @throws what `findPseudonymKey` throws (78)
 */
export async function peopleOf(effects: Effects, base: Manifest | undefined): Promise<People & { mark: string }> {
  const state = base?.state ?? EMPTY_STATE;
  const index = await readBronzeIndex(effects.store, state);
  const found = await findPseudonymKey(effects, state, index, 'always');
  if (found === undefined) throw new Error('no key was made');
  return { pseudonym: createPseudonyms(found.key), sql: createPseudonymSql(found.key), mark: found.mark };
}

/** Batches as they were read, and the object that their events became. */
export interface WrittenEvents {
  batches: Omit<StreamBatch, 'runId' | 'takenMs' | 'sequence'>[];
  /** Undefined where there is no event in them. */
  file: Omit<BronzeFile, 'sequence' | 'loadedAt'> | undefined;
}

/**
 * Reads batches and puts their events as an object of `bronze.listening_events`. The same batches on the same
 * progress give the same object.
 *
 * @param progress of the partitions before these batches; kept up
 */
export async function writeEvents(
  some: readonly LyingBatch[],
  progress: Map<string, PartitionProgress>,
  people: People,
  effects: Effects,
): Promise<WrittenEvents> {
  const { store, config, scratch } = effects;
  const batches: WrittenEvents['batches'] = [];
  async function* records(): AsyncGenerator<Record<string, unknown>> {
    for (const [done, batch] of some.entries()) {
      stopIfAsked(effects.signal);
      const { key, kind, topic, partition, firstOffset } = batch;
      const name = { topic, partition, firstOffset };
      const path = await store.localFile(key);
      const counts = batch.kind === 'batch' ? emptyCounts(name) : await countDeadLetters(name, path);
      if (batch.kind === 'batch') yield* rowsOfBatch(name, path, counts, progress, config.streamLateness);
      batches.push({ kind, ...name, key, ...counts, ...(await contentOf(path)) });
      effects.progress.update(done + 1);
    }
  }
  const sourceKey = hashText(some.map(({ key }) => `${key}\n`).join(''));
  const db = await openEmbedded({
    ...{ memoryMb: config.memoryMb, threads: config.threads, tempDir: join(scratch, 'spill'), folders: [scratch] },
  });
  const [output, lines] = [join(scratch, `stream-${sourceKey}`), join(scratch, `stream-${sourceKey}.lines`)];
  try {
    const staged = { engine: db, path: lines, name: nameOf(some), sha256: sourceKey, output, scratch: lines };
    return { batches, file: await putEvents(db, staged, records(), people, effects) };
  } finally {
    db.close();
    for (const path of [output, lines]) await rm(path, { force: true });
  }
}

async function putEvents(
  db: Embedded,
  staged: Parameters<typeof writeRecords>[0],
  records: AsyncGenerator<Record<string, unknown>>,
  people: People,
  { store }: Effects,
): Promise<WrittenEvents['file']> {
  const first = await records.next();
  if (first.done === true) return undefined;
  async function* all(): AsyncGenerator<Record<string, unknown>> {
    yield first.value;
    yield* records;
  }
  const draft = await writeRecords({ ...staged, engine: db }, LISTENING_EVENTS, all(), people);
  const { bytes, sha256 } = await contentOf(staged.output);
  const { table, rows, readRows, periods } = draft;
  const key = bronzeKey(table, sha256, 'parquet');
  await store.put(key, { file: staged.output }, { ifAbsent: true });
  return {
    ...{ key, rows, bytes, sha256, table, sourceKey: staged.sha256, fileName: staged.name, kind: 'stream' },
    ...{ userId: null, readRows, periods },
  };
}

/** For messages. */
function nameOf(some: readonly LyingBatch[]): string {
  const first = some[0]!.key.slice(PREFIX.bronze.length);
  return some.length === 1 ? first : `${first} and ${count(some.length - 1, 'more', 'more')}`;
}

/** The order in which batches are read. */
function inOrder(a: LyingBatch, b: LyingBatch): number {
  return (
    (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : 0) ||
    a.partition - b.partition ||
    a.firstOffset - b.firstOffset ||
    (a.kind < b.kind ? -1 : 1)
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
