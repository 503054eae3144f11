/** The consumer on S3: the same promises as in a folder, with answers that get lost and a kill between its steps. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { type Broker, startBroker } from '../../deploy/stream/broker.ts';
import { parseBatch, type StreamRecord } from '../../jobs/stream/batch.ts';
import { s3Error } from '../aws/endpoint.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from '../aws/local.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { canRunBroker, StreamWorld, someEvents } from './history.ts';

const local = canRunBroker() ? await startLocalAwsOrSkip('streams on S3', { isTrinoNeeded: false }) : undefined;

if (local === undefined) {
  it('streams on S3 are left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { calls, rules, url } = local.endpoint;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const s3 = new S3Client({ endpoint: local.motoUrl, region: REGION, credentials, forcePathStyle: true });
  let broker: Broker;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'listenlake-stream-s3-'));
    broker = await startBroker();
  });
  afterAll(async () => {
    await broker.close();
    await local.close();
    s3.destroy();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A topic with events, and a bucket for them. */
  async function newWorld(name: string, lines: readonly string[]) {
    await local!.makeBucket(name);
    const world = new StreamWorld(folder, name, broker.brokers);
    await world.makeTopic();
    await world.sendEvents(lines);
    const environment = { ...environmentOf(url), LISTENLAKE_LAKE: `s3://${name}` };
    const consumeArgs = (...more: string[]): string[] => world.consumeArgs(world.newGroup(), ...more);
    return { world, environment, consumeArgs };
  }

  /** Every batch of the bucket by its key, as moto holds it. */
  async function batchesOf(bucket: string): Promise<Map<string, StreamRecord[]>> {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: 'bronze/stream/' }));
    const found = new Map<string, StreamRecord[]>();
    for (const { Key } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
      found.set(Key!, parseBatch(await Body!.transformToString(), Key!));
    }
    return found;
  }

  function placesOf(batches: ReadonlyMap<string, StreamRecord[]>): string[] {
    return [...batches.values()].flat().map(({ partition, offset }) => `${partition}:${offset}`);
  }

  it('each event is in the bucket once, also where answers to writes get lost or S3 is busy', async () => {
    const { environment, consumeArgs } = await newWorld('stream-plain', await someEvents(71, 600));
    rules.push({ operation: 'PutObject', fault: s3Error('SlowDown', 503), times: 2 });
    rules.push({ operation: 'PutObject', fault: { kind: 'lose-answer' }, times: 1 });
    const done = await listenlake(consumeArgs('--until-end'), environment);
    expect([done.code, done.stderr, done.json.events]).toEqual([0, '', 600]);
    const places = placesOf(await batchesOf('stream-plain'));
    expect([places.length, new Set(places).size]).toEqual([600, 600]);
    expect(rules).toEqual([]);
    const written = calls.filter(
      ({ operation, url: at }) => operation === 'PutObject' && at.includes('/bronze/stream/'),
    );
    expect(written.every(({ headers }) => headers['if-none-match'] === '*')).toBe(true);
  });

  it('F59: killed when S3 has the batch and nobody has heard of it, the next one goes on behind it', async () => {
    const lines = await someEvents(72, 600);
    const { world, environment, consumeArgs } = await newWorld('stream-killed', lines.slice(0, 500));
    // The object is there, the answer waits: the consumer has neither heard of it nor committed an offset.
    const hold = Promise.withResolvers<void>();
    rules.push({ operation: 'PutObject', fault: { kind: 'lose-answer' }, times: 1 });
    rules.push({ operation: 'PutObject', fault: { kind: 'hold', until: hold.promise }, times: 100 });
    const child = start(consumeArgs(), environment);
    const ended = finished(child);
    let there = new Map<string, StreamRecord[]>();
    for (let turn = 0; turn < 240 && there.size === 0 && child.exitCode === null; turn += 1) {
      await sleep(250);
      there = await batchesOf('stream-killed');
    }
    child.kill('SIGKILL');
    expect([(await ended).signal, there.size]).toEqual(['SIGKILL', 1]);
    rules.length = 0;
    hold.resolve();
    await world.sendEvents(lines.slice(500));
    const next = await listenlake(consumeArgs('--until-end'), environment);
    expect([next.code, next.stderr]).toEqual([0, '']);
    const after = await batchesOf('stream-killed');
    const places = placesOf(after);
    expect([places.length, new Set(places).size]).toEqual([600, 600]);
    for (const [key, records] of there) expect(after.get(key)).toEqual(records);
    const lag = await listenlake(['stream', 'lag', '--topic', world.topic, '--group', 'looker'], {
      ...environment,
      LISTENLAKE_KAFKA_BROKERS: broker.brokers,
    });
    expect([lag.code, lag.json.lag_events]).toEqual([0, 0]);
  });
}
