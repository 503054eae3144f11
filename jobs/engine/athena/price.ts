/**
 * What Athena takes for a query by the bytes that it scans, in US dollars: list price of most regions
 * (us-east-1, eu-west-1, ...), as of
 * 2026. Source: https://aws.amazon.com/athena/pricing/, "SQL queries". The only place that says it.
 */
export const USD_PER_TB = 5;
/** Each query counts as this many bytes at least; the same source. */
export const BYTES_LEAST = 10_000_000;

/** List price of one query that has scanned so many bytes, in US dollars. */
export function costOf(scannedBytes: number): number {
  return (Math.max(scannedBytes, BYTES_LEAST) / 1e12) * USD_PER_TB;
}
