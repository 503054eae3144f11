import { parseStreamBatchKey, STREAM_DEAD_LETTERS_PREFIX, STREAM_PREFIX } from '../lake/keys.ts';
import type { LakeStore } from '../lake/store.ts';
import type { Bounds } from '../sources/kafka/reader.ts';
import { parseBatch } from './batch.ts';

/** How far the lake holds one partition of a topic. */
export interface Position {
  /** The first offset that the lake does not hold yet. */
  next: number;
  /** The last record that it holds, to know the topic again. */
  last: { offset: number; recordAt: number };
}

/**
 * How far the lake holds each partition of a topic, from the keys of its batches and the content of the last
 * one: there is no other record of it, so what is told here cannot differ from what is there.
 *
 * Dead letters count where they follow the last batch without a gap; where there is no batch, the beginning of
 * the topic. They are written before the batch of the same round: after a crash between the two, the records
 * before them are in no object. One request for each thousand batches
 * of all topics, one for the last batch of each partition.
 *
 * @param bounds of the topic
 * @returns nothing for a partition that the lake holds nothing of
 * @throws `stream_batch_damaged` (65); what the store throws
 */
export async function readPositions(store: LakeStore, topic: string, bounds: Bounds): Promise<Map<number, Position>> {
  const lastKeys = new Map<number, { key: string; firstOffset: number }>();
  for await (const { key } of store.list(STREAM_PREFIX)) {
    const name = parseStreamBatchKey(key);
    if (name === undefined || name.topic !== topic) continue;
    const { partition, firstOffset } = name;
    if (firstOffset >= (lastKeys.get(partition)?.firstOffset ?? -1)) lastKeys.set(partition, { key, firstOffset });
  }
  const positions = new Map<number, Position>();
  for (const [partition, { key }] of lastKeys) {
    const { offset, recordAt } = parseBatch(await readText(store, key), key).at(-1)!;
    positions.set(partition, { next: offset + 1, last: { offset, recordAt } });
  }
  await addDeadLetters(store, topic, positions, bounds);
  return positions;
}

interface LettersFile {
  key: string;
  firstOffset: number;
}

/**
 * Moves positions past dead letters that come after the last batch. They may lie in a file that began before
 * that batch's end: the one with the greatest first offset below it is of the same round.
 */
async function addDeadLetters(
  store: LakeStore,
  topic: string,
  positions: Map<number, Position>,
  bounds: Bounds,
): Promise<void> {
  const before = new Map<number, LettersFile>();
  const after = new Map<number, LettersFile[]>();
  for await (const { key } of store.list(STREAM_DEAD_LETTERS_PREFIX)) {
    const name = parseStreamBatchKey(key);
    if (name === undefined || name.topic !== topic) continue;
    const { partition, firstOffset } = name;
    if (firstOffset >= (positions.get(partition)?.next ?? 0))
      after.set(partition, [...(after.get(partition) ?? []), { key, firstOffset }]);
    else if (firstOffset > (before.get(partition)?.firstOffset ?? -1)) before.set(partition, { key, firstOffset });
  }
  for (const partition of new Set([...before.keys(), ...after.keys()])) {
    const files = [...(after.get(partition) ?? []), ...(before.has(partition) ? [before.get(partition)!] : [])];
    files.sort((a, b) => a.firstOffset - b.firstOffset);
    const known = positions.get(partition);
    if (known === undefined && files[0]!.firstOffset > (bounds.get(partition)?.start ?? 0)) continue;
    const position = await positionAfter(store, files, known);
    if (position !== undefined) positions.set(partition, position);
  }
}

async function positionAfter(
  store: LakeStore,
  files: readonly LettersFile[],
  known: Position | undefined,
): Promise<Position | undefined> {
  let position = known;
  for (const { key, firstOffset } of files) {
    if (position !== undefined && firstOffset > position.next) return position;
    for (const { offset, recordAt } of parseBatch(await readText(store, key), key))
      if (offset === (position?.next ?? firstOffset)) position = { next: offset + 1, last: { offset, recordAt } };
  }
  return position;
}

/** A whole object as text; a batch has at most some tens of MB. */
export async function readText(store: LakeStore, key: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await store.get(key)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
