import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { JobError } from '../base/errors.ts';
import { hashText } from '../base/hash.ts';
import { type Effects, stopIfAsked } from '../effects/index.ts';
import { linesOf } from '../formats/json/lines.ts';
import { type LakeState, putState } from '../lake/manifest.ts';
import { readStreamIndex } from '../lake/stream.ts';
import { contentOf } from '../stream/read.ts';
import { emptiedLine, type Owner, ownerOf, readLine, withoutKey } from '../stream/record.ts';
import { type LyingBatch, listBatches } from '../stream/take.ts';

/** What batches and dead letters hold of a person, named by a commit or not. */
export interface StreamHits {
  objects: readonly { batch: LyingBatch; records: number }[];
  records: number;
  /** Newest timestamp of their records, Unix ms; undefined where there is none. */
  newestMs: number | undefined;
  topics: readonly string[];
}

export const NO_HITS: StreamHits = Object.freeze({ objects: [], records: 0, newestMs: undefined, topics: [] });

/**
 * Finds records of a person; changes nothing. A dead letter is theirs unless it names somebody else: nobody
 * can say whose a broken one is.
 *
 * @param names by which records call them
 */
export async function findRecords(names: readonly string[], effects: Effects): Promise<StreamHits> {
  const objects: { batch: LyingBatch; records: number }[] = [];
  const topics = new Set<string>();
  let newestMs: number | undefined;
  let records = 0;
  for (const batch of await listBatches(effects)) {
    stopIfAsked(effects.signal);
    let own = 0;
    for await (const line of linesOf(await effects.store.localFile(batch.key))) {
      if (line === '' || ownerOf(line, names, batch.kind) === 'other') continue;
      own += 1;
      const { atMs = Number.NaN } = readLine(line) ?? {};
      if (Number.isFinite(atMs) && batch.kind === 'batch') newestMs = Math.max(newestMs ?? atMs, atMs);
    }
    if (own === 0) continue;
    objects.push({ batch, records: own });
    topics.add(batch.topic);
    records += own;
  }
  return { objects, records, newestMs, topics: [...topics] };
}

/**
 * Empties the records of a person: their batches are written anew under the same first offset, line for line,
 * with places and without keys and values, so that nothing below the lake's offsets is read from the topic
 * again. Doing it again changes nothing.
 *
 * @returns the part of the state that names batches; nothing where there is no stream
 * @throws `commit_conflict` (75; retry helps) where a batch has changed meanwhile
 */
export async function emptyRecords(
  { objects }: StreamHits,
  names: readonly string[],
  state: LakeState,
  effects: Effects,
): Promise<Pick<LakeState, 'stream'>> {
  for (const { batch } of objects) {
    stopIfAsked(effects.signal);
    await emptyBatch(batch, names, effects);
  }
  if (state.stream === undefined) return {};
  const index = await readStreamIndex(effects.store, state);
  const sizes = new Map((await listBatches(effects)).map(({ key, bytes }) => [key, bytes]));
  const entries = [];
  for (const entry of index) {
    // Also those that a killed removal has emptied: a line that is emptied is shorter.
    const isOther = sizes.has(entry.key) && sizes.get(entry.key) !== entry.bytes;
    entries.push(isOther ? { ...entry, ...(await contentOf(await effects.store.localFile(entry.key))) } : entry);
  }
  return { stream: [await putState(effects.store, 'stream', entries)] };
}

async function emptyBatch({ key, kind }: LyingBatch, names: readonly string[], effects: Effects): Promise<void> {
  const { store, scratch } = effects;
  const there = await store.head(key);
  const path = await store.localFile(key);
  const output = join(scratch, `emptied-${hashText(key)}`);
  async function* lines(): AsyncGenerator<string> {
    for await (const line of linesOf(path)) {
      const owner: Owner = line === '' ? 'other' : ownerOf(line, names, kind);
      if (line !== '') yield `${owner === 'theirs' ? emptiedLine(line) : owner === 'key' ? withoutKey(line) : line}\n`;
    }
  }
  try {
    await pipeline(lines, createWriteStream(output, { flags: 'wx', mode: 0o600 }));
    const put = await store.put(
      key,
      { file: output },
      there === undefined ? { ifAbsent: true } : { ifVersion: there.version },
    );
    if (put.status === 'conflict')
      throw new JobError('commit_conflict', 'tempfail', 'a batch of a stream has changed meanwhile', {
        place: { file: key },
        hint: 'run it again',
      });
  } finally {
    await rm(output, { force: true });
  }
}
