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
/** So many that all events are of one day, as they are in two minutes of a real stream. */
const USERS = '1000';
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
  const begin = (args: string[], errors: 'inherit' | 'ignore' = 'inherit'): ChildProcess =>
    spawn(process.execPath, [join(ROOT, 'jobs/cli.ts'), ...args, '--json', '--quiet'], {
      env: { ...process.env, LISTENLAKE_KAFKA_BROKERS: brokers, LISTENLAKE_LAKE: lake, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', errors],
    });
  const produce = async (...size: string[]): Promise<number> => {
    const text = await printed(begin(['stream', 'produce', '--topic', TOPIC, '--users', USERS, ...size]));
    return (JSON.parse(text) as { events: number }).events;
  };
  const seen: Seen[] = [];
  /** Asks again and again until so many events are answered. */
  async function ask(count: () => number): Promise<void> {
    const sql = 'select partition_number, max(last_offset) as last_offset from stream_progress group by 1';
    const endsAt = Date.now() + SECONDS * 1_000 + WAIT_MS;
    while (answered(seen) < count()) {
      if (Date.now() > endsAt) throw new Error(`of ${count()} events ${answered(seen)} were answered`);
      // Before the first round there is nothing to ask.
      const text = await printed(begin(['sql', sql], 'ignore')).catch(() => '[]');
      const atMs = Date.now();
      for (const row of JSON.parse(text) as { partition_number: number; last_offset: number }[])
        seen.push({ atMs, partition: Number(row.partition_number), lastOffset: Number(row.last_offset) });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  // A lake that is in use: its first round builds everything.
  const before = await produce('--count', '500', '--rate', '0');
  const consumer = begin(['stream', 'consume', '--topic', TOPIC, '--linger', '1']);
  const follower = begin(['run', '--follow', '--every', '1']);
  const ends = [printed(consumer), printed(follower)];
  try {
    await ask(() => before);
    const old = newestOf(seen);
    let sent = Number.POSITIVE_INFINITY;
    const producing = produce('--seed', '2', '--rate', String(RATE), '--seconds', String(SECONDS)).then((events) => {
      sent = before + events;
    });
    await ask(() => sent);
    await producing;
    tell(waitsOf(lake, seen, old));
  } finally {
    for (const child of [consumer, follower]) child.kill('SIGTERM');
    await Promise.allSettled(ends);
    rmSync(lake, { recursive: true, force: true });
  }
}

function tell(waits: number[]): void {
  waits.sort((a, b) => a - b);
  const at = (share: number): string => (waits[Math.floor(share * (waits.length - 1))]! / 1_000).toFixed(1);
  const shares = [0.1, 0.5, 0.9, 0.99, 1].map((share) => `${share * 100} %: ${at(share)} s`);
  say(`  --   from produced to answered by sql, ${waits.length} events at ${RATE} a second: ${shares.join(', ')}`);
}

/**
 * Of each event in bronze from these offsets on: from its record's time to the first answer that had it, in ms.
 */
function waitsOf(lake: string, seen: readonly Seen[], from: ReadonlyMap<number, number>): number[] {
  const root = join(lake, 'bronze/stream');
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
  return names.flatMap((name) => {
    const key = `bronze/stream/${name}`;
    const { partition } = parseStreamBatchKey(key)!;
    return parseBatch(readFileSync(join(lake, key), 'utf8'), key).flatMap(({ offset, recordAt }) => {
      if (offset < (from.get(partition) ?? 0)) return [];
      const first = seen.find((each) => each.partition === partition && each.lastOffset >= offset);
      return first === undefined ? [] : [first.atMs - recordAt];
    });
  });
}

/** Partition to how many of its events were answered. */
function newestOf(seen: readonly Seen[]): Map<number, number> {
  return new Map(seen.map(({ partition, lastOffset }) => [partition, lastOffset + 1]));
}

function answered(seen: readonly Seen[]): number {
  return [...newestOf(seen).values()].reduce((total, each) => total + each, 0);
}

/** What a command prints. @throws Error where it fails */
async function printed(child: ChildProcess): Promise<string> {
  const chunks: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${child.spawnargs.slice(1).join(' ')} ended with ${code}`);
  return Buffer.concat(chunks).toString('utf8');
}
