/**
 * The events of a lake on S3 built by this process and by Athena (decision 43): time and money for a million of
 * them. Part of `bench/aws.ts`, which says what its numbers mean.
 */
import { costOf, USD_PER_TB } from '../jobs/engine/athena/price.ts';
import type { SyntheticOptions } from '../jobs/sources/synthetic/index.ts';
import type { Counted } from './aws-prices.ts';

/** The stream of events that is built; nothing but its events is loaded. */
export function eventOptions(options: SyntheticOptions, isSmall: boolean): SyntheticOptions {
  return { ...options, users: isSmall ? 20 : 250, days: isSmall ? 20 : 120, exportPlays: 0 };
}

/** One way of building, as it was measured. */
export interface EventsWay {
  name: string;
  seconds: number;
  count: Counted;
}

/**
 * Lines for each way: seconds and US dollars for a million events. A container is not in the money, since
 * whoever has one pays for its time; what Athena takes by the bytes that it scans is.
 *
 * A statement takes seconds and counts as 10 MB whatever it reads: few events say nothing of many.
 *
 * @param events that a rebuild reads
 */
export function eventLines(events: number, ways: readonly EventsWay[]): string[] {
  const millions = events / 1e6;
  return ways.map(({ name, seconds, count }) => {
    const scanned = count.scannedBytes.reduce((sum, bytes) => sum + bytes, 0);
    const usd = count.scannedBytes.reduce((sum, bytes) => sum + costOf(bytes), 0);
    const least = ((scanned / 1e12) * USD_PER_TB) / millions;
    return `       ${name}: ${seconds.toFixed(1)} s in all, ${(seconds / millions).toFixed(1)} s and ${(usd / millions).toFixed(5)} USD for a million events (${count.scannedBytes.length} queries scan ${(scanned / 1e6).toFixed(1)} MB; by bytes alone ${least.toFixed(5)} USD), ${count.readRequests} reads and ${count.writeRequests} writes of S3`;
  });
}
