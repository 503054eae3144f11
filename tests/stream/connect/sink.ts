/** One connector of the worker: its bucket, what is in it, and the lake that its objects are loaded into. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { type LocalAws, REGION } from '../../aws/local.ts';
import { listenlake } from '../../fixtures/command-line.ts';

export const LAYOUTS = ['confluent', 'aiven'] as const;
export type Layout = (typeof LAYOUTS)[number];

/** What the two sinks are given alike, as docs/kafka-connect.md says; the dead letters' copies are of a test. */
export const DEAD_LETTERS = {
  'errors.tolerance': 'all',
  'errors.deadletterqueue.topic.replication.factor': '1',
  'errors.deadletterqueue.context.headers.enable': 'true',
};

/** What Confluent's needs besides, so that a line says where its record was, and what is no object gets no line. */
const PLACE = {
  transforms: 'place',
  'transforms.place.type': 'org.apache.kafka.connect.transforms.InsertField$Value',
  'transforms.place.topic.field': 'topic',
  'transforms.place.partition.field': 'partition_number',
  'transforms.place.offset.field': 'record_offset',
  'transforms.place.static.field': 'source',
};

export class Sink {
  readonly name: string;
  readonly deadLetters: string;
  readonly bucket: string;
  readonly #layout: Layout;
  readonly #topic: string;
  readonly #aws: LocalAws;
  readonly #s3: S3Client;
  readonly #files: string;
  readonly #lake: string;

  constructor(layout: Layout, topic: string, { folder, aws }: { folder: string; aws: LocalAws }) {
    this.name = `${layout}-${topic}`;
    this.deadLetters = `${this.name}-dead`;
    this.bucket = this.name;
    this.#layout = layout;
    this.#topic = topic;
    this.#aws = aws;
    this.#files = join(folder, this.name, 'files');
    this.#lake = join(folder, this.name, 'lake');
    mkdirSync(this.#files, { recursive: true });
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    this.#s3 = new S3Client({ endpoint: aws.motoUrl, region: REGION, forcePathStyle: true, credentials });
  }

  /** The group whose offsets say how far the connector is. */
  get group(): string {
    return `connect-${this.name}`;
  }

  settings(): Record<string, string> {
    return {
      topics: this.#topic,
      layout: this.#layout,
      'bucket.url': `${this.#aws.endpoint.url}/${this.bucket}`,
      'flush.size': '50',
      'rotate.schedule.interval.ms': '1000',
      ...(this.#layout === 'aiven'
        ? { 'behavior.on.null.values': 'write' }
        : { ...PLACE, 'transforms.place.static.value': this.#topic, 'behavior.on.null.values': 'ignore' }),
    };
  }

  /** Objects of the bucket, by key. */
  async objects(): Promise<Map<string, Buffer>> {
    const { Contents = [], IsTruncated } = await this.#s3.send(new ListObjectsV2Command({ Bucket: this.bucket }));
    if (IsTruncated === true) throw new Error(`${this.bucket} has more objects than one answer names`);
    const objects = new Map<string, Buffer>();
    for (const { Key } of Contents) {
      const { Body } = await this.#s3.send(new GetObjectCommand({ Bucket: this.bucket, Key: Key! }));
      objects.set(Key!, Buffer.from(await Body!.transformToByteArray()));
    }
    return objects;
  }

  /** `partition:offset` of every line of every object: one that was written twice is there twice. */
  async places(): Promise<string[]> {
    return [...(await this.objects())].flatMap(([key, bytes]) => placesOf({ key, bytes }));
  }

  /** What was put so far, in the order of time: also what was put over later. */
  puts(): { key: string; bytes: Buffer }[] {
    const path = `/${this.bucket}/`;
    return this.#aws.endpoint.calls
      .filter(({ operation, url }) => operation === 'PutObject' && url.startsWith(path))
      .map(({ url, body }) => ({ key: decodeURIComponent(url.slice(path.length)), bytes: body }));
  }

  /** Keys that were put again, with other lines than before. */
  rewritten(): string[] {
    const puts = this.puts();
    const isOther = ({ key, bytes }: { key: string; bytes: Buffer }): boolean =>
      puts.some((each) => each.key === key && !each.bytes.equals(bytes));
    return [...new Set(puts.filter(isOther).map(({ key }) => key))];
  }

  /** Brings the bucket to a folder, as `aws s3 sync` does, and loads the folder. @returns its accounts of files */
  async load(): Promise<Record<string, number>> {
    for (const [key, bytes] of await this.objects()) {
      mkdirSync(dirname(join(this.#files, key)), { recursive: true });
      writeFileSync(join(this.#files, key), bytes);
    }
    const { code, stderr, json } = await this.listenlake('load', this.#files);
    expect([this.name, code, stderr]).toEqual([this.name, 0, '']);
    return json.accounts as Record<string, number>;
  }

  /** Takes what is loaded to silver. @returns rows of silver's events, and the accounts */
  async transform(): Promise<{ events: Record<string, unknown>[]; accounts: Record<string, number> }> {
    const done = await this.listenlake('transform', '--on-quarantine', 'warn');
    expect([this.name, done.code, done.stderr]).toEqual([this.name, 0, '']);
    const select =
      'select event_id, topic, partition_number, record_offset from silver.listening_events order by event_id';
    const { code, stderr, stdout } = await this.listenlake('sql', select, '--max-rows', '100000', '--json');
    expect([this.name, code, stderr]).toEqual([this.name, 0, '']);
    return { events: JSON.parse(stdout), accounts: done.json.accounts as Record<string, number> };
  }

  listenlake(...args: string[]) {
    return listenlake([...args, '--lake', this.#lake]);
  }

  close(): void {
    this.#s3.destroy();
  }
}

/** `partition:offset` of the lines of an object. */
export function placesOf({ key, bytes }: { key: string; bytes: Buffer }): string[] {
  const isAiven = key.endsWith('.gz');
  const partition = isAiven ? /-(\d+)-\d+\.gz$/.exec(key)![1] : /\/partition=(\d+)\//.exec(key)![1];
  const text = (isAiven ? gunzipSync(bytes) : bytes).toString('utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const { offset, record_offset } = JSON.parse(line);
      return `${partition}:${isAiven ? offset : record_offset}`;
    });
}
