/** A topic, a lake that consumers bring it into, and the proof that nothing was lost, doubled or changed. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingForBroker } from '../../deploy/stream/broker.ts';
import { readConfig } from '../../jobs/base/config.ts';
import { parseStreamBatchKey } from '../../jobs/lake/keys.ts';
import { openTopicReader } from '../../jobs/sources/kafka/reader.ts';
import { ensureTopic, type NewRecord, openTopicWriter } from '../../jobs/sources/kafka/writer.ts';
import { generateEvents } from '../../jobs/sources/synthetic/index.ts';
import { createRandom, type Random } from '../../jobs/sources/synthetic/random.ts';
import { parseBatch, type StreamRecord } from '../../jobs/stream/batch.ts';
import { type Finished, finished, listenlake, start } from '../fixtures/command-line.ts';
import { layerSkipped } from '../fixtures/layers.ts';

export const PARTITIONS = 3;

/** True where a broker can run here; else told. */
export function canRunBroker(): boolean {
  const missing = missingForBroker();
  if (missing === undefined) return true;
  layerSkipped('Kafka', missing, 'install a JDK of 17 or newer and Maven (Debian: default-jdk-headless maven)');
  return false;
}

/** One topic and one lake. */
export class StreamWorld {
  readonly topic: string;
  readonly lake: string;
  readonly brokers: string;
  readonly #envFile: string;
  readonly #keys = new Map<string, string>();
  /** Event ids sent, and how often. */
  readonly sent = new Map<string, number>();
  poison = 0;
  #groups = 0;

  constructor(folder: string, topic: string, brokers: string) {
    this.topic = topic;
    this.brokers = brokers;
    this.lake = join(folder, topic, 'lake');
    mkdirSync(join(folder, topic), { recursive: true });
    this.#envFile = join(folder, topic, 'settings.env');
    writeFileSync(this.#envFile, `LISTENLAKE_KAFKA_BROKERS=${brokers}\n`);
  }

  kafka() {
    return readConfig({ LISTENLAKE_LAKE: this.lake, LISTENLAKE_KAFKA_BROKERS: this.brokers }).kafka;
  }

  /** A group of its own: nobody has to wait until the place of a consumer that was killed runs out. */
  newGroup(): string {
    this.#groups += 1;
    return `${this.topic}-${this.#groups}`;
  }

  consumeArgs(group: string, ...more: string[]): string[] {
    const flags = ['--topic', this.topic, '--group', group, '--linger', '1', '--env-file', this.#envFile];
    return ['stream', 'consume', ...flags, ...more];
  }

  consume(group = this.newGroup(), ...more: string[]): Promise<Finished> {
    return finished(this.startConsumer(group, '--until-end', ...more));
  }

  startConsumer(group: string, ...more: string[]) {
    return start([...this.consumeArgs(group, ...more), '--lake', this.lake]);
  }

  listenlake(...args: string[]): Promise<Finished> {
    return listenlake([...args, '--lake', this.lake, '--env-file', this.#envFile]);
  }

  async lag(): Promise<Finished> {
    return this.listenlake('stream', 'lag', '--topic', this.topic, '--group', 'looker', '--json');
  }

  async makeTopic(): Promise<void> {
    await ensureTopic(this.kafka(), this.topic, PARTITIONS);
  }

  async send(records: readonly NewRecord[]): Promise<void> {
    const writer = openTopicWriter(this.kafka(), this.topic);
    try {
      for (let from = 0; from < records.length; from += 200) await writer.send(records.slice(from, from + 200));
    } finally {
      await writer.close();
    }
  }

  /** Sends events; remembers which. */
  async sendEvents(lines: readonly string[]): Promise<void> {
    await this.send(lines.map((line) => ({ key: Buffer.from(fieldOf(line, 'user_id')), value: Buffer.from(line) })));
    for (const line of lines) {
      const id = fieldOf(line, 'event_id');
      this.sent.set(id, (this.sent.get(id) ?? 0) + 1);
    }
  }

  files(prefix: 'stream' | 'stream-dead-letters'): string[] {
    const root = join(this.lake, 'bronze', prefix);
    if (!existsSync(root)) return [];
    return readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.json'))
      .map((name) => `bronze/${prefix}/${name}`)
      .sort();
  }

  records(prefix: 'stream' | 'stream-dead-letters'): StreamRecord[] {
    return this.files(prefix).flatMap((key) => {
      const name = parseStreamBatchKey(key);
      const records = parseBatch(readFileSync(join(this.lake, key), 'utf8'), key);
      expect([key, name?.partition, name?.firstOffset]).toEqual([key, records[0]?.partition, records[0]?.offset]);
      return records;
    });
  }

  /** No object that was there has changed or gone. */
  expectUnchanged(): void {
    for (const [key, hash] of this.#keys) expect([key, this.#hash(key)]).toEqual([key, hash]);
    for (const key of [...this.files('stream'), ...this.files('stream-dead-letters')])
      this.#keys.set(key, this.#hash(key));
  }

  #hash(key: string): string {
    return createHash('sha256')
      .update(readFileSync(join(this.lake, key)))
      .digest('hex');
  }

  /** Each offset of the topic is in the lake once: as a record, or as a dead letter. */
  async expectWhole(): Promise<void> {
    this.expectUnchanged();
    const reader = await openTopicReader(this.kafka(), { topic: this.topic, group: 'looker', isMember: false });
    const bounds = await reader.bounds();
    await reader.close();
    const records = this.records('stream');
    const places = records.map(({ partition, offset }) => `${partition}:${offset}`);
    expect(places.length).toBe(new Set(places).size);
    const letters = new Set(
      this.records('stream-dead-letters').map(({ partition, offset }) => `${partition}:${offset}`),
    );
    const expected = [...bounds].flatMap(([partition, { end }]) =>
      Array.from({ length: end }, (_, offset) => `${partition}:${offset}`),
    );
    expect(places.filter((place) => letters.has(place))).toEqual([]);
    expect([...places, ...letters].sort()).toEqual(expected.sort());
    expect(letters.size).toBe(this.poison);
    const got = new Map<string, number>();
    for (const { value } of records) {
      const id = fieldOf(value ?? '', 'event_id');
      got.set(id, (got.get(id) ?? 0) + 1);
    }
    expect([...got].sort()).toEqual([...this.sent].sort());
  }

  /** Silver has each event once. */
  async expectSilver(): Promise<void> {
    const done = await this.listenlake('transform', '--on-quarantine', 'warn');
    expect([done.code, done.stderr]).toEqual([0, '']);
    const { stdout } = await this.listenlake(
      'sql',
      'select count(*) as events, count(distinct event_id) as ids from silver.listening_events',
      '--json',
    );
    const [row] = JSON.parse(stdout);
    expect([Number(row.events), Number(row.ids)]).toEqual([this.sent.size, this.sent.size]);
  }
}

export function fieldOf(line: string, name: string): string {
  return new RegExp(`"${name}":"([^"]*)"`).exec(line)?.[1] ?? '';
}

/** Events of the generator, as many as there are up to a number. */
export async function someEvents(seed: number, count: number): Promise<string[]> {
  const lines: string[] = [];
  await generateEvents(
    { seed, users: 12, days: 12, tracks: 100, end: '2026-11-01', faults: false },
    async (day) => void lines.push(...day),
  );
  return lines.slice(0, count);
}

/** The same events, some of them twice, none of them far from its place, but in another order. */
export function disturbed(lines: readonly string[], random: Random): string[] {
  const twice = lines.flatMap((line) => (random.chance(0.03) ? [line, line] : [line]));
  return twice
    .map((line, index): [number, string] => [index + random.int(40), line])
    .sort(([a], [b]) => a - b)
    .map(([, line]) => line);
}

export function randomOf(seed: number): Random {
  return createRandom(seed, 'stream history');
}
