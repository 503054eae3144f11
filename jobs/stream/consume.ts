import { JobError } from '../base/errors.ts';
import { createPseudonyms } from '../base/personal-fields.ts';
import { findPseudonymKey } from '../bronze/pseudonym-key.ts';
import type { Effects } from '../effects/index.ts';
import { EMPTY_STATE, latestManifest, readBronzeIndex } from '../lake/manifest.ts';
import type { Bounds, Fetched, TopicReader, TopicRecord } from '../sources/kafka/reader.ts';
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX } from './batch.ts';
import { readRecord } from './event.ts';
import { type Position, readPositions } from './positions.ts';
import { StallWatch } from './stall.ts';
import { addKnownRecord, addLetter, addRecord, type OpenBatch, openBatch, writeBatch } from './writer.ts';

/** What all open batches of a consumer may hold together; beyond it the largest is closed. */
export const OPEN_BYTES_MAX = 64 * 1024 * 1024;
/** Without a single answer of the cluster for so long, the consumer gives up. */
export const OUTAGE_MAX_MS = 10 * 60_000;
const RETRY_MS = 1_000;
/** Batches that are written at once: partitions that are read at the same pace are full at the same time. */
const WRITES_MAX = 3;
/** A member that has lost its place and does not find back joins anew. */
const UNASSIGNED_MAX_MS = 45_000;

export interface ConsumeOptions {
  topic: string;
  /** Opens the topic as a member of the group; called again after an outage. */
  open(): Promise<TopicReader>;
  /** Once the end of the topic is reached, a batch waits so long for more. */
  lingerMs: number;
  /** Stop where the topic ended when the consumer began. */
  isUntilEnd: boolean;
  /** Go on where records were deleted from the topic before they were read; their number is told. */
  isGapAccepted: boolean;
  /** Told of all that happens, for metrics. */
  onProgress?: (state: readonly PartitionState[], counts: ConsumeCounts, bounds?: Bounds) => void;
}

/** What a consumer has done since it began. */
export interface ConsumeCounts {
  records: number;
  batches: number;
  deadLetters: number;
  /** Batches that another consumer had written already. */
  conflicts: number;
  /** Records that the topic had deleted before they were read. */
  lost: number;
}

/** One partition that this consumer has. */
export interface PartitionState {
  partition: number;
  /** Offset to read next. */
  next: number;
  /** The first offset that the lake does not hold. */
  stored: number;
  /** First offset that cannot be read yet, as last heard; -1: nothing heard yet. */
  end: number;
  /** Timestamp of the newest record read, Unix ms; 0: none. */
  newestAt: number;
  batch: OpenBatch;
  /** The open batch is closed at the latest where the topic ended at this time. */
  dueAt: number;
  /** The topic's record here must still be the lake's. */
  probe: Position['last'] | undefined;
}

/**
 * Reads a topic into bronze until it is told to stop, or to the end.
 *
 * @returns what was done
 * @throws `topic_recreated`, `stream_hole`, `stream_records_deleted` (65), `kafka_unavailable`,
 *   `stream_stalled` (69), `kafka_denied` (77), and what the store throws. Whatever happens, the lake holds
 *   each record before the position once and none behind it
 */
export async function consume(options: ConsumeOptions, effects: Effects): Promise<ConsumeCounts> {
  const pseudonym = await pseudonymOf(effects);
  const consumer = new StreamConsumer(options, effects, pseudonym);
  return consumer.run();
}

async function pseudonymOf(effects: Effects): Promise<(id: string) => string> {
  const state = (await latestManifest(effects.store))?.state ?? EMPTY_STATE;
  const index = await readBronzeIndex(effects.store, state);
  const key = await findPseudonymKey(effects, state, index, 'always');
  if (key === undefined) throw new Error('a key was to be made, and none was');
  return createPseudonyms(key.key);
}

class StreamConsumer {
  readonly #options: ConsumeOptions;
  readonly #effects: Effects;
  readonly #pseudonym: (id: string) => string;
  readonly #counts: ConsumeCounts = { records: 0, batches: 0, deadLetters: 0, conflicts: 0, lost: 0 };
  readonly #partitions = new Map<number, PartitionState>();
  readonly #stall = new StallWatch();
  #reader: TopicReader | undefined;
  /** A request that is under way, and from where. */
  #ahead: { reader: TopicReader; positions: ReadonlyMap<number, number>; answer: Promise<Fetched[]> } | undefined;
  /** Batches that are being written, by partition. None rejects: `#failure` says why one could not be written. */
  readonly #writing = new Map<number, Promise<void>>();
  #failure: { error: unknown } | undefined;
  /** Where a run to the end stops, by partition. */
  #ends: Map<number, number> | undefined;
  /** When the cluster was last heard of, and when this member last had a partition. */
  #heardAt = 0;
  #assignedAt = 0;
  #wasThere = false;

  constructor(options: ConsumeOptions, effects: Effects, pseudonym: (id: string) => string) {
    this.#options = options;
    this.#effects = effects;
    this.#pseudonym = pseudonym;
  }

  async run(): Promise<ConsumeCounts> {
    const { signal, now } = this.#effects;
    this.#heardAt = now();
    this.#assignedAt = now();
    try {
      do {
        while (!signal.aborted && !this.#isAtEnd()) {
          try {
            await this.#turn();
            this.#heardAt = now();
            this.#wasThere = true;
          } catch (error) {
            await this.#recover(error);
          }
        }
        // Told to stop: what was read is kept, so that the next one need not read it again.
        for (const state of [...this.#partitions.values()]) await this.#close(state);
        await this.#written();
        // Where another consumer has written a last batch before this one, it may reach less far.
      } while (!signal.aborted && !this.#isAtEnd());
      this.#tell();
    } finally {
      await Promise.all(this.#writing.values());
      await this.#reader?.close().catch(() => undefined);
    }
    return this.#counts;
  }

  /** One fetch of all partitions, and what is due after it. */
  async #turn(): Promise<void> {
    this.#throwFailure();
    this.#reader ??= await this.#options.open();
    await this.#followAssignment(this.#reader);
    if (this.#partitions.size === 0) {
      await pause(RETRY_MS / 5);
      return;
    }
    const fetched = await this.#fetch(this.#reader);
    const assigned = new Set(this.#reader.assigned());
    for (const each of fetched) {
      const state = this.#partitions.get(each.partition);
      // What came for a partition that is another member's by now is that one's to write.
      if (state !== undefined && assigned.has(each.partition)) await this.#take(state, each);
      // Meanwhile the next answer comes in, as far as somebody reads it from its socket.
      await nextTurn();
    }
    await this.#closeDue();
    this.#tell();
  }

  /** What comes next of each partition; while it is taken, the cluster looks for what comes after it. */
  async #fetch(reader: TopicReader): Promise<Fetched[]> {
    const positions = new Map([...this.#partitions.values()].map(({ partition, next }) => [partition, next]));
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const isRight = ahead?.reader === reader && isSame(ahead.positions, positions);
    const fetched = await (isRight ? ahead.answer : reader.fetch(positions));
    for (const { partition, next } of fetched) positions.set(partition, next);
    if (fetched.some(({ next, end, records }) => records.length > 0 && next < end)) {
      const answer = reader.fetch(positions);
      // Nobody may be there any more to hear of it.
      answer.catch(() => undefined);
      this.#ahead = { reader, positions, answer };
    }
    return fetched;
  }

  /** Drops what is another member's now, and goes on from the lake with what is new here. */
  async #followAssignment(reader: TopicReader): Promise<void> {
    const { now } = this.#effects;
    const assigned = reader.assigned() ?? [];
    if (assigned.length > 0) this.#assignedAt = now();
    else if (now() - this.#assignedAt > UNASSIGNED_MAX_MS && reader.assigned() === undefined)
      throw new JobError('kafka_unavailable', 'unavailable', 'the group does not answer', { hint: 'run it again' });
    for (const partition of [...this.#partitions.keys()])
      if (!assigned.includes(partition)) this.#partitions.delete(partition);
    const added = assigned.filter((partition) => !this.#partitions.has(partition));
    if (added.length === 0) return;
    await this.#written();
    const bounds = await reader.bounds();
    if (this.#options.isUntilEnd) this.#ends ??= new Map([...bounds].map(([partition, { end }]) => [partition, end]));
    const positions = await readPositions(this.#effects.store, this.#options.topic, bounds);
    for (const partition of added) this.#resume(partition, positions.get(partition), bounds);
  }

  /** Where to read on: what the lake says, if the topic is still the one that the lake holds. */
  #resume(partition: number, position: Position | undefined, bounds: Bounds): void {
    const { topic, isGapAccepted } = this.#options;
    const { start, end } = bounds.get(partition) ?? { start: 0, end: 0 };
    let stored = position?.next ?? start;
    if (stored > end)
      throw recreated(topic, partition, `the lake holds offsets to ${stored - 1}, the topic to ${end - 1}`);
    if (stored < start) {
      if (!isGapAccepted)
        throw new JobError(
          'stream_records_deleted',
          'data',
          `${topic}, partition ${partition}: offsets ${stored} to ${start - 1} were deleted before they were read`,
          { hint: 'keep records longer in the topic (retention.ms); to go on without these: --accept-gap' },
        );
      this.#counts.lost += start - stored;
      this.#effects.log.warn({ partition, from: stored, to: start - 1 }, 'records were deleted before they were read');
      stored = start;
    }
    const probe = position !== undefined && position.last.offset >= start ? position.last : undefined;
    this.#partitions.set(partition, {
      partition,
      next: probe?.offset ?? stored,
      stored,
      end,
      newestAt: position?.last.recordAt ?? 0,
      batch: openBatch(topic, partition),
      dueAt: Number.POSITIVE_INFINITY,
      probe,
    });
  }

  async #take(state: PartitionState, fetched: Fetched): Promise<void> {
    for (const record of fetched.records) {
      if (state.probe !== undefined && record.offset <= state.probe.offset) this.#compare(state, record);
      else if (record.offset >= state.stored) {
        this.#add(state, record);
        if (!isFull(state.batch)) continue;
        await this.#close(state);
        // Another consumer has written one: this one reads on behind that one.
        if (!this.#has(state)) return;
      }
    }
    state.probe = undefined;
    state.next = Math.max(state.next, fetched.next);
    state.end = fetched.end;
  }

  #compare({ partition, probe }: PartitionState, { offset, recordAt }: TopicRecord): void {
    if (offset !== probe?.offset || recordAt === probe.recordAt || recordAt < 0) return;
    const [here, there] = [recordAt, probe.recordAt].map((ms) => new Date(ms).toISOString());
    throw recreated(this.#options.topic, partition, `offset ${offset} is of ${here}, in the lake of ${there}`);
  }

  #add(state: PartitionState, record: TopicRecord): void {
    const { batch } = state;
    const recordAt = addKnownRecord(batch, record) ? record.recordAt : this.#addUnknown(batch, record);
    if (batch.records + batch.letters.length === 1) state.dueAt = this.#effects.now() + this.#options.lingerMs;
    state.next = record.offset + 1;
    if (recordAt > state.newestAt) state.newestAt = recordAt;
  }

  /** @returns the record's time as it is kept */
  #addUnknown(batch: OpenBatch, record: TopicRecord): number {
    const { topic, partition } = batch;
    const { offset } = record;
    const read = readRecord(record, this.#pseudonym);
    const recordAt = read.isTaken || read.reason !== 'time_invalid' ? Math.max(0, record.recordAt) : 0;
    if (read.isTaken) addRecord(batch, { topic, partition, offset, recordAt, key: read.key, value: read.value });
    else addLetter(batch, { topic, partition, offset, recordAt, reason: read.reason, value: read.value });
    return recordAt;
  }

  /** Closes batches that wait at the end of the topic, and the largest where all together are too large. */
  async #closeDue(): Promise<void> {
    const now = this.#effects.now();
    for (const state of [...this.#partitions.values()])
      if (now >= state.dueAt && state.next >= state.end) await this.#close(state);
    if (this.#reader !== undefined) await this.#stall.look(this.#reader, this.#partitions, now);
    const open = [...this.#partitions.values()].toSorted((a, b) => b.batch.size - a.batch.size);
    let size = open.reduce((sum, { batch }) => sum + batch.size, 0);
    for (const state of open) {
      if (size <= OPEN_BYTES_MAX) return;
      size -= state.batch.size;
      await this.#close(state);
    }
  }

  /**
   * Begins to write the open batch of a partition and opens the next one, so that more is read meanwhile. One at
   * a time of a partition: no batch is durable before those before it. And few of all: memory stays bounded.
   */
  async #close(state: PartitionState): Promise<void> {
    await this.#writing.get(state.partition);
    while (this.#writing.size >= WRITES_MAX) await Promise.race(this.#writing.values());
    this.#throwFailure();
    const { partition, batch, next } = state;
    if (!this.#has(state) || (batch.records === 0 && batch.letters.length === 0)) return;
    state.batch = openBatch(this.#options.topic, partition);
    state.dueAt = Number.POSITIVE_INFINITY;
    const writing = this.#write(state, batch, next)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#writing.delete(partition));
    this.#writing.set(partition, writing);
  }

  /** Waits until no batch is being written. @throws what the store has thrown */
  async #written(): Promise<void> {
    await Promise.all(this.#writing.values());
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** @param next offset behind the batch */
  async #write(state: PartitionState, batch: OpenBatch, next: number): Promise<void> {
    const { store, log } = this.#effects;
    const { partition } = state;
    if ((await writeBatch(store, batch)) === 'conflict') {
      this.#counts.conflicts += 1;
      log.warn({ partition, first: batch.first?.offset }, 'another consumer has written this batch');
      if (this.#has(state)) this.#partitions.delete(partition);
      return;
    }
    this.#counts.records += batch.records;
    this.#counts.deadLetters += batch.letters.length;
    if (batch.records > 0) this.#counts.batches += 1;
    state.stored = next;
    // For whoever looks at the group's lag. The lake says where to go on, so its failure loses nothing.
    await this.#reader?.commit(new Map([[partition, next]])).catch((error: unknown) => {
      log.warn({ partition, error: String(error) }, 'the group could not be told');
    });
  }

  /** False for a partition that was given up, or taken up anew. */
  #has(state: PartitionState): boolean {
    return this.#partitions.get(state.partition) === state;
  }

  /** Waits and asks again where the cluster is away for a while; else throws. */
  async #recover(error: unknown): Promise<void> {
    const { now, log } = this.#effects;
    await this.#written();
    if (!(error instanceof JobError) || error.code !== 'kafka_unavailable') throw error;
    if (now() - this.#heardAt > OUTAGE_MAX_MS) throw error;
    // A cluster that has never answered is one that nobody has started, or another one.
    if (!this.#wasThere) throw error;
    log.warn({ code: error.code, message: error.message }, 'the cluster is away: trying again');
    // A new client finds new leaders, the group's new coordinator, and its place in the group.
    await this.#reader?.close().catch(() => undefined);
    this.#reader = undefined;
    this.#partitions.clear();
    this.#assignedAt = now();
    await pause(RETRY_MS);
  }

  /** Of the partitions that this member has; the others are at their ends with other members. */
  #isAtEnd(): boolean {
    const ends = this.#ends;
    const assigned = this.#reader?.assigned() ?? [];
    if (ends === undefined || assigned.length === 0) return false;
    return assigned.every((partition) => {
      const state = this.#partitions.get(partition);
      return state !== undefined && state.next >= (ends.get(partition) ?? 0) && state.probe === undefined;
    });
  }

  #tell(): void {
    this.#options.onProgress?.([...this.#partitions.values()], this.#counts);
  }
}

function recreated(topic: string, partition: number, why: string): JobError {
  return new JobError(
    'topic_recreated',
    'data',
    `${topic}, partition ${partition}: this is not the topic that the lake holds: ${why}`,
    {
      hint: 'give a topic that was made anew a new name: its offsets begin again at 0',
    },
  );
}

function isFull({ records, size }: OpenBatch): boolean {
  return records >= BATCH_RECORDS_MAX || size >= BATCH_BYTES_MAX;
}

function isSame(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([partition, next]) => b.get(partition) === next);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
