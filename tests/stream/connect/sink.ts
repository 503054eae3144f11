/** One connector of the worker: its bucket, what is in it, and the lake that its objects are loaded into. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { type LocalAws, REGION } from '../../aws/local.ts';
import { listenlake, ROOT } from '../../fixtures/command-line.ts';

export const LAYOUTS = ['confluent', 'aiven'] as const;
export type Layout = (typeof LAYOUTS)[number];

const PAGE = join(ROOT, 'docs/kafka-connect.md');
/** Settings of the page that Connect itself reads, or that this sink has by the same name. */
const OF_CONNECT = /^(?:transforms|errors|key\.converter|value\.converter|behavior)\b/;

/** What the page tells people to set, as far as it is Connect's. @throws Error where the page has none */
function settingsOfPage(layout: Layout): Record<string, string> {
  const blocks = readFileSync(PAGE, 'utf8').matchAll(/```properties\n(.*?)```/gs);
  const block = [...blocks].map(([, text]) => text!).find((text) => text.includes(`connector.class=io.${layout}.`));
  if (block === undefined) throw new Error(`${PAGE} has no settings for ${layout}`);
  const settings = block
    .trim()
    .split('\n')
    .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  return Object.fromEntries(settings.filter(([name]) => OF_CONNECT.test(name)));
}

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

  /** @param isTolerant false: without what the page says of dead letters */
  settings(isTolerant = true): Record<string, string> {
    const given = Object.entries(settingsOfPage(this.#layout))
      .filter(([name]) => isTolerant || !name.startsWith('errors.'))
      .map(([name, value]) => [name, value.replace('listening-events', this.#topic)]);
    const dead = 'errors.deadletterqueue.topic';
    return {
      'behavior.on.null.values': 'write',
      ...Object.fromEntries(given),
      ...(isTolerant ? { [`${dead}.name`]: this.deadLetters, [`${dead}.replication.factor`]: '1' } : {}),
      topics: this.#topic,
      layout: this.#layout,
      'bucket.url': `${this.#aws.endpoint.url}/${this.bucket}`,
      'flush.size': '50',
      'rotate.schedule.interval.ms': '1000',
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
