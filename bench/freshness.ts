/** How long an event takes from the producer until `sql` answers with it, while `run --follow` goes round. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseStreamBatchKey } from '../jobs/lake/keys.ts';
import { parseBatch } from '../jobs/stream/batch.ts';
import { ROOT, say } from './measure.ts';

const RATE = 50;
const SECONDS = 120;
/** After the last event the lake gets so long to show it. */
const WAIT_MS = 180_000;
const TOPIC = 'fresh';

/** Where somebody who asked at this moment was told that a partition is. */
interface Seen {
  atMs: number;
  partition: number;
  lastOffset: number;
}

/**
 * Prints the distribution over all events of two minutes.
 *
 * @throws Error where an event is not answered for three minutes after the last one
 */
export async function measureFreshness(brokers: string, lake: string): Promise<void> {
  rmSync(lake, { recursive: true, force: true });
  const begin = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [join(ROOT, 'jobs/cli.ts'), ...args, '--json', '--quiet'], {
      env: { ...process.env, LISTENLAKE_KAFKA_BROKERS: brokers, LISTENLAKE_LAKE: lake, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const produce = ['stream', 'produce', '--topic', TOPIC, '--rate', String(RATE), '--seconds', String(SECONDS)];
  const producer = printed(begin(...produce));
  await new Promise((resolve) => setTimeout(resolve, 5_000)); // it makes the topic
  const consumer = begin('stream', 'consume', '--topic', TOPIC, '--linger', '1');
  const follower = begin('run', '--follow', '--every', '1');
  const ends = [printed(consumer), printed(follower)];
  const seen: Seen[] = [];
  let sent = Number.POSITIVE_INFINITY;
  void producer.then((text) => {
    sent = (JSON.parse(text) as { events: number }).events;
  });
  const ask = 'select partition_number, max(last_offset) as last_offset from stream_progress group by partition_number';
  const endsAt = Date.now() + SECONDS * 1_000 + WAIT_MS;
  try {
    while (sum(newestOf(seen)) < sent) {
      if (Date.now() > endsAt) throw new Error(`of ${sent} events ${sum(newestOf(seen))} were answered`);
      const text = await printed(begin('sql', ask)).catch(() => '[]'); // there is no gold yet
      const atMs = Date.now();
      for (const row of JSON.parse(text) as { partition_number: number; last_offset: number }[])
        seen.push({ atMs, partition: Number(row.partition_number), lastOffset: Number(row.last_offset) });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  } finally {
    for (const child of [consumer, follower]) child.kill('SIGTERM');
    await Promise.allSettled(ends);
  }
  tell(waitsOf(lake, seen));
  rmSync(lake, { recursive: true, force: true });
}

function tell(waits: number[]): void {
  waits.sort((a, b) => a - b);
  const at = (share: number): string => (waits[Math.floor(share * (waits.length - 1))]! / 1_000).toFixed(1);
  const shares = [0.1, 0.5, 0.9, 0.99, 1].map((share) => `${share * 100} %: ${at(share)} s`);
  say(`  --   from produced to answered by sql, ${waits.length} events at ${RATE} a second: ${shares.join(', ')}`);
}

/** Of each event in bronze: from its record's time to the first answer that had it, in ms. */
function waitsOf(lake: string, seen: readonly Seen[]): number[] {
  const root = join(lake, 'bronze/stream');
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
  return names.flatMap((name) => {
    const key = `bronze/stream/${name}`;
    const partition = parseStreamBatchKey(key)?.partition;
    return parseBatch(readFileSync(join(lake, key), 'utf8'), key).flatMap(({ offset, recordAt }) => {
      const first = seen.find((each) => each.partition === partition && each.lastOffset >= offset);
      return first === undefined ? [] : [first.atMs - recordAt];
    });
  });
}

/** By partition: how many events were answered. */
function newestOf(seen: readonly Seen[]): number[] {
  const newest = new Map<number, number>();
  for (const { partition, lastOffset } of seen) newest.set(partition, lastOffset + 1);
  return [...newest.values()];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** What a command prints. @throws Error where it fails */
async function printed(child: ChildProcess): Promise<string> {
  const chunks: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${child.spawnargs.slice(1).join(' ')} ended with ${code}`);
  return Buffer.concat(chunks).toString('utf8');
}
