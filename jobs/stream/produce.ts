import type { NewRecord, TopicWriter } from '../sources/kafka/writer.ts';
import { type EventOptions, generateEvents } from '../sources/synthetic/index.ts';

/** Records of one request to the brokers. */
const SEND_RECORDS_MAX = 2_000;
/** A rate is kept by so many sends a second. */
const SENDS_PER_SECOND = 10;

export interface ProduceOptions {
  events: EventOptions;
  /** Events a second; 0: as fast as it goes. */
  rate: number;
  /** Stop after so many events, and after so many ms; undefined: after the last day's. */
  countMax: number | undefined;
  lastsMs: number | undefined;
}

/**
 * Sends the events of the synthetic users to a topic, keyed by user, in the order of their time: the same
 * events that `extract events` writes for the same seed. What each says of its time is the generator's; its
 * record's timestamp is now.
 *
 * @param onSent called with the number of events sent so far
 * @returns how many events were sent, and whether a signal stopped it
 * @throws `options_invalid` (64); what the writer throws
 */
export async function produce(
  options: ProduceOptions,
  { writer, signal, now }: { writer: TopicWriter; signal: AbortSignal; now: () => number },
  onSent: (sent: number) => void = () => {},
): Promise<{ sent: number; isStopped: boolean }> {
  const { rate, countMax = Number.POSITIVE_INFINITY, lastsMs = Number.POSITIVE_INFINITY } = options;
  const beganAt = now();
  const size =
    rate === 0 ? SEND_RECORDS_MAX : Math.min(SEND_RECORDS_MAX, Math.max(1, Math.ceil(rate / SENDS_PER_SECOND)));
  let sent = 0;
  let lastSend: Promise<void> = Promise.resolve();
  const isOver = (): boolean => signal.aborted || sent >= countMax || now() - beganAt >= lastsMs;
  try {
    await generateEvents(options.events, async (lines) => {
      for (let from = 0; from < lines.length; ) {
        if (isOver()) throw new Over();
        const some = lines.slice(from, from + Math.min(size, countMax - sent));
        from += some.length;
        const records = some.map(recordOf);
        // While one request is under way, the next one is made.
        await lastSend;
        lastSend = writer.send(records);
        lastSend.catch(() => undefined);
        sent += some.length;
        onSent(sent);
        if (rate > 0) await pauseUntil(beganAt + (sent / rate) * 1_000, now, signal);
      }
    });
  } catch (error) {
    if (!(error instanceof Over)) throw error;
  }
  await lastSend;
  return { sent, isStopped: signal.aborted };
}

/** The end was asked for, and the generator has more. */
class Over extends Error {}

function recordOf(line: string): NewRecord {
  const user = /"user_id":"([^"]*)"/.exec(line)?.[1] ?? '';
  return { key: Buffer.from(user), value: Buffer.from(line) };
}

async function pauseUntil(ms: number, now: () => number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && now() < ms)
    await new Promise((resolve) => setTimeout(resolve, Math.min(500, Math.max(1, ms - now()))));
}
