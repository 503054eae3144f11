import { getState, type LakeState, type OutputFile, putState } from './manifest.ts';
import type { LakeStore } from './store.ts';

/** What a consumer writes: batches of events, and records that are none. */
export type StreamKind = 'batch' | 'dead-letters';

/**
 * A batch of a stream, or a file of dead letters, that a commit names. Grain: object. The consumer that wrote
 * it keeps no list of its own: its keys are its record (decision 39).
 */
export interface StreamBatch extends OutputFile {
  kind: StreamKind;
  topic: string;
  partition: number;
  firstOffset: number;
  /** Of its last line; both are inclusive. */
  lastOffset: number;
  /** Events that came later than the watermark of their partition (`isLate` in stream/watermark.ts). */
  late: number;
  /** Records at an offset that another batch has, too: they are in silver from there. */
  repeated: number;
  /** Records whose value is no event that can be read. */
  unreadable: number;
  /** Newest time of an event, as far as it is not after its record's own, and newest time of a record: Unix ms. */
  newestEventMs: number | null;
  newestRecordMs: number | null;
  /** The run whose commit has named it first, and when (Unix ms). */
  runId: string;
  takenMs: number;
  /** Sequence of that commit. Its events are in the object of `bronze.listening_events` of the same one. */
  sequence: number;
}

/** The table of bronze that batches are, as they lie there. */
export const STREAM_TABLE = 'stream';

/** The objects that `bronze.stream` is made of: batches with a line in them, and no dead letters. */
export async function streamObjects(store: LakeStore, state: Pick<LakeState, 'stream'>): Promise<OutputFile[]> {
  const batches = await readStreamIndex(store, state);
  return batches
    .filter(({ kind, rows }) => kind === 'batch' && rows > 0)
    .map(({ key, rows, bytes, sha256 }) => ({ key, rows, bytes, sha256 }));
}

/** Segments are merged when there are more than this. */
const SEGMENTS_MAX = 32;

/** Every batch that the state names, in the order in which they were named. */
export async function readStreamIndex(
  store: LakeStore,
  { stream = [] }: Pick<LakeState, 'stream'>,
): Promise<StreamBatch[]> {
  return (await Promise.all(stream.map((key) => getState<StreamBatch[]>(store, key)))).flat();
}

/** The segments after adding batches. */
export async function appendStream(
  store: LakeStore,
  state: Pick<LakeState, 'stream'>,
  added: readonly StreamBatch[],
): Promise<string[]> {
  const { stream = [] } = state;
  if (stream.length < SEGMENTS_MAX) return [...stream, await putState(store, 'stream', added)];
  return [await putState(store, 'stream', [...(await readStreamIndex(store, state)), ...added])];
}
