import { setTimeout as wait } from 'node:timers/promises';
import { JobError } from '../../base/errors.ts';
import type { Effects } from '../../effects/index.ts';

/**
 * How the outside world is reached. Tests give their own clock, sleep and chance; the hosts are not a
 * setting.
 */
export interface Web {
  readonly fetch: typeof fetch;
  /** Waits; throws `stopped` (75) when the command is asked to end. */
  readonly sleep: (ms: number) => Promise<void>;
  /** From 0 (inclusive) to 1. */
  readonly random: () => number;
  /** Wall clock, Unix ms. */
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Begins the time of one attempt, answer included: a signal that aborts when it is over. */
  readonly timeLimit: () => AbortSignal;
}

export interface Answer {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
}

/** No single wait is longer, whatever a server asks for. */
export const WAIT_MAX_MS = 60_000;
/** A 429 is never answered faster than this, also where the server says 0. */
const WAIT_MIN_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
/** One attempt, from the connection to the last byte. */
const TIMEOUT_MS = 30_000;
/** Answers are at most some 200 KB; a longer one is not what was asked for. */
const ANSWER_MAX_BYTES = 16 * 1024 ** 2;
/** Longer bans than a day have been seen; what is far beyond that is taken for a mistake and cut. */
const RETRY_AFTER_MAX_MS = 48 * 3_600_000;

/** The real network, for a command. */
export function openWeb({ now, signal }: Pick<Effects, 'now' | 'signal'>): Web {
  return {
    fetch: globalThis.fetch,
    async sleep(ms) {
      try {
        await wait(ms, undefined, { signal });
      } catch (error) {
        if (!signal.aborted) throw error;
        throw stopped();
      }
    },
    random: Math.random,
    now,
    signal,
    timeLimit: () => AbortSignal.timeout(TIMEOUT_MS),
  };
}

/**
 * One attempt: sends a request and reads the answer to its end. Redirects are not followed.
 *
 * @throws `source_unavailable` (69; retry helps) when no whole answer comes in time; `answer_too_large` (65);
 *   `stopped` (75)
 */
export async function attempt(url: string, init: RequestInit, web: Web): Promise<Answer> {
  const timeout = web.timeLimit();
  try {
    const response = await web.fetch(url, {
      ...init,
      redirect: 'manual',
      signal: AbortSignal.any([timeout, web.signal]),
    });
    return { status: response.status, headers: response.headers, bytes: await readBounded(response, url) };
  } catch (error) {
    if (error instanceof JobError) throw error;
    if (web.signal.aborted) throw stopped();
    const reason = timeout.aborted ? `no whole answer within ${TIMEOUT_MS / 1000} s` : reasonOf(error);
    // The cause is left out: errors of the network layer carry the request, and with it the token.
    throw new JobError('source_unavailable', 'unavailable', `${new URL(url).host} cannot be reached: ${reason}`, {
      hint: 'check the network, then run it again; what was kept is whole',
    });
  }
}

/**
 * `Retry-After` in ms from now (RFC 9110, 10.2.3: seconds or an HTTP date); undefined where it is absent,
 * negative or neither. Values beyond two days are cut to two days.
 */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const text = headers.get('retry-after')?.trim() ?? '';
  if (/^\d{1,15}$/.test(text)) return Math.min(Number(text) * 1000, RETRY_AFTER_MAX_MS);
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - now), RETRY_AFTER_MAX_MS);
}

/**
 * Wait before attempt `attempts + 1`: exponential from 1 s to 30 s, the upper half of it by chance, so that
 * clients do not come in step.
 */
export function backoffMs(attempts: number, random: () => number): number {
  const full = Math.min(BACKOFF_MAX_MS, WAIT_MIN_MS * 2 ** (attempts - 1));
  return Math.round(Math.max(WAIT_MIN_MS, full / 2 + (full / 2) * random()));
}

/** A wait that the server asked for, with up to a tenth on top by chance; from 1 s to 60 s. */
export function politeMs(askedMs: number, random: () => number): number {
  return Math.round(Math.min(WAIT_MAX_MS, Math.max(WAIT_MIN_MS, askedMs) * (1 + random() / 10)));
}

function stopped(): JobError {
  return new JobError('stopped', 'tempfail', 'stopped by a signal', {
    hint: 'what was kept is whole; run it again to go on',
  });
}

async function readBounded(response: Response, url: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) return Buffer.concat(chunks);
    bytes += value.byteLength;
    if (bytes > ANSWER_MAX_BYTES) {
      await reader?.cancel();
      throw new JobError(
        'answer_too_large',
        'data',
        `${new URL(url).host} answered with more than ${ANSWER_MAX_BYTES / 1024 ** 2} MiB`,
        {
          hint: 'nothing of it was kept; run it again later',
        },
      );
    }
    chunks.push(value);
  }
}

/** The network layer's code (ECONNRESET, ENOTFOUND, ...): never its message, which may quote the request. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : 'connection lost';
  return /^[A-Z0-9_]{3,60}$/.test(code) ? code : 'connection lost';
}
