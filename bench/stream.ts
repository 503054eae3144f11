/**
 * Part of `make bench`: what a stream costs beside the client alone and beside Kafka's own consumer, whether
 * memory and the cost of an event stay the same, and how long an event takes until `sql` answers with it.
 *
 *     node bench/stream.ts [events, default 2000000] [--short]
 *
 * `--short` leaves out the way to `sql`. Needs a JDK and Maven; where they are missing it says so and ends.
 */

import { once } from 'node:events';
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Broker, kafkaTool, missingForBroker, startBroker } from '../deploy/stream/broker.ts';
import { generateEvents } from '../jobs/sources/synthetic/index.ts';
import { measureFreshness } from './freshness.ts';
import { type Measured, measure, ROOT, ratio, say, WORK } from './measure.ts';

const USERS = 1_000;
/** Events of so many users on a day, a little less than there are. */
const EVENTS_PER_DAY = 15_000;
/** Lines that the client alone sends again and again. */
const LINES = 200_000;
const MIB = 1024 ** 2;

const events = Number(process.argv.slice(2).find((arg) => /^\d+$/.test(arg)) ?? 2_000_000);
const few = Math.round(events / 10);
const cli = join(ROOT, 'jobs/cli.ts');
const raw = join(ROOT, 'bench/raw-kafka.ts');
const lake = join(WORK, 'stream-lake');

say(`\na stream: ${events.toLocaleString('en')} events through a real Kafka of one node`);
const missing = missingForBroker();
if (missing === undefined) {
  mkdirSync(WORK, { recursive: true });
  const broker = await startBroker();
  process.env.LISTENLAKE_KAFKA_BROKERS = broker.brokers;
  try {
    await compare(broker);
    if (!process.argv.includes('--short')) await measureFreshness(broker.brokers, join(WORK, 'fresh-lake'));
  } finally {
    await broker.close();
    rmSync(lake, { recursive: true, force: true });
  }
} else say(`  --   left out: ${missing}`);

async function compare({ brokers }: Broker): Promise<void> {
  const lines = await makeLines();
  const produced = await produce('many', events);
  await produce('few', few);
  const rawProduced = await measure(process.execPath, [raw, 'produce', brokers, 'raw', String(events), lines]);
  told('stream produce', produced, events);
  told('the client alone, sending', rawProduced, events);
  ratio('producer, against the client alone', rawProduced.seconds / produced.seconds, 'at least', 0.5);

  const short = await consume('few');
  const consumed = await consume('many');
  const rawConsumed = await measure(process.execPath, [raw, 'consume', brokers, 'many', String(events)]);
  const { program, args } = kafkaTool('org.apache.kafka.tools.ConsumerPerformance');
  const own = ['--bootstrap-server', brokers, '--topic', 'many', '--num-records', String(events)];
  const java = await measure(program, [...args, ...own]);
  told('stream consume, to bronze', consumed, events);
  told(`stream consume, a tenth of them`, short, few);
  told('the client alone, dropping what it reads', rawConsumed, events);
  told("Kafka's own ConsumerPerformance", java, events);
  ratio('consumer to bronze, against the client alone', rawConsumed.seconds / consumed.seconds, 'at least', 0.5);
  ratio('the same in processor seconds', rawConsumed.cpuSeconds / consumed.cpuSeconds, 'at least', 0.5);
  const cost = consumed.cpuSeconds / events / (short.cpuSeconds / few);
  ratio('processor time of an event, against that with a tenth of them', cost, 'at most', 1.1);
  ratio('peak memory, against that with a tenth of them', consumed.peakMb / short.peakMb, 'at most', 1.5);
}

function produce(topic: string, count: number): Promise<Measured> {
  const days = String(Math.ceil(count / EVENTS_PER_DAY) + 1);
  const size = ['--users', String(USERS), '--days', days, '--count', String(count), '--rate', '0'];
  return measure(process.execPath, [cli, 'stream', 'produce', '--topic', topic, ...size, '--quiet']);
}

function consume(topic: string): Promise<Measured> {
  rmSync(lake, { recursive: true, force: true });
  const how = ['--until-end', '--group', `bench-${topic}`, '--lake', lake, '--quiet'];
  return measure(process.execPath, [cli, 'stream', 'consume', '--topic', topic, ...how]);
}

function told(what: string, { seconds, cpuSeconds, peakMb }: Measured, count: number): void {
  const rate = `${Math.round(count / seconds).toLocaleString('en')} events a second`;
  const cost = `${((cpuSeconds / count) * 1e6).toFixed(1)} processor seconds a million`;
  say(`  --   ${what}: ${rate}, ${cost}, peak ${peakMb.toFixed(0)} MiB`);
}

/** Events as lines in a file, for the client alone; made once. */
async function makeLines(): Promise<string> {
  const path = join(WORK, `events-${LINES}.jsonl`);
  if (existsSync(path)) return path;
  const file = createWriteStream(`${path}.unfinished`, { highWaterMark: MIB });
  const days = Math.ceil(LINES / EVENTS_PER_DAY);
  const what = { seed: 1, users: USERS, days, tracks: 5_000, end: '2026-11-01', faults: false };
  await generateEvents(what, async (lines) => {
    if (!file.write(lines.map((line) => `${line}\n`).join(''))) await once(file, 'drain');
  });
  file.end();
  await once(file, 'finish');
  renameSync(`${path}.unfinished`, path);
  return path;
}
