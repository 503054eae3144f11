import { once } from 'node:events';
import { createServer } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';
import { isErrno, JobError } from '../base/errors.ts';
import type { ConsumeCounts, PartitionState } from './consume.ts';

/** What a consumer tells Prometheus. */
export interface StreamMetrics {
  /** As `ConsumeOptions.onProgress`. */
  update(partitions: readonly PartitionState[], counts: ConsumeCounts): void;
  close(): Promise<void>;
}

const COUNTERS: readonly [keyof ConsumeCounts, string, string][] = [
  ['records', 'listenlake_stream_records_total', 'Records written to bronze'],
  ['batches', 'listenlake_stream_batches_total', 'Batches written to bronze'],
  ['deadLetters', 'listenlake_stream_dead_letters_total', 'Records that could not be taken'],
  ['conflicts', 'listenlake_stream_conflicts_total', 'Batches that another consumer had written already'],
  ['lost', 'listenlake_stream_lost_records_total', 'Records that the topic had deleted before they were read'],
];

/**
 * Serves `/metrics` on a port of this machine, in Prometheus' text format.
 *
 * @param host the loopback, unless somebody has asked for more
 * @throws `port_taken` (78)
 */
export async function serveMetrics(
  topic: string,
  port: number,
  host: string,
  now: () => number,
): Promise<StreamMetrics> {
  const registry = new Registry();
  const registers = [registry];
  const labelNames = ['topic', 'partition'] as const;
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames, registers });
  const end = gauge('listenlake_stream_end_offset', 'First offset that cannot be read yet');
  const read = gauge('listenlake_stream_read_offset', 'Offset that the consumer reads next');
  const stored = gauge('listenlake_stream_stored_offset', 'First offset that the lake does not hold');
  const lag = gauge('listenlake_stream_lag_records', 'Records that the lake does not hold yet');
  const age = gauge('listenlake_stream_newest_record_age_seconds', 'Age of the newest record read');
  // By the name that Prometheus has for it: an alarm tells with it what a counter had before it was first asked.
  new Gauge({ name: 'process_start_time_seconds', help: 'When this consumer began, Unix seconds', registers }).set(
    Math.floor(now() / 1000),
  );
  const counters = COUNTERS.map(([name, metric, help]) => ({
    name,
    counter: new Counter({ name: metric, help, labelNames: ['topic'], registers }),
    told: 0,
  }));
  const server = createServer(async (request, response) => {
    if (request.url !== '/metrics' || request.method !== 'GET') {
      response.writeHead(404).end();
      return;
    }
    const text = await registry.metrics();
    response.writeHead(200, { 'content-type': registry.contentType }).end(text);
  });
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    if (!isErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL')) throw error;
    throw new JobError('port_taken', 'config', `metrics cannot be served on ${host}:${port} (${error.code})`, {
      hint: 'give another --metrics-port',
      cause: error,
    });
  }
  return {
    update(partitions, counts) {
      // A partition that has gone to another consumer is that one's to tell of.
      for (const each of [end, read, stored, lag, age]) each.reset();
      for (const { partition, end: last, next, stored: kept, newestAt } of partitions) {
        const labels = { topic, partition: String(partition) };
        end.set(labels, last);
        read.set(labels, next);
        stored.set(labels, kept);
        lag.set(labels, Math.max(0, last - kept));
        if (newestAt > 0) age.set(labels, Math.max(0, now() - newestAt) / 1000);
      }
      for (const each of counters) {
        each.counter.inc({ topic }, counts[each.name] - each.told);
        each.told = counts[each.name];
      }
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close').catch(() => undefined);
    },
  };
}
