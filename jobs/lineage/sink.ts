import { appendFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LineageConfig } from '../base/config.ts';
import type { Log } from '../base/log.ts';
import type { EventSink } from '../effects/index.ts';

/** A backend answers in milliseconds; what takes longer than this is down, or not there. */
const TIMEOUT_MS = 5_000;
/** How often an event is offered, and how long it is waited before each further time. */
const PAUSES_MS = [0, 200, 1_000] as const;

/**
 * Where lineage events go: a file gets a line each, a backend gets `POST <url>/api/v1/lineage`
 * (https://openlineage.io/apidocs/openapi/). What cannot be delivered costs a warning and at most 17 s, once:
 * after that the rest of the command's events are left out.
 */
export function openSink({ to, apiKey }: LineageConfig, log: Log): EventSink {
  const deliver = to.includes('://')
    ? (line: string): Promise<void> => post(to, apiKey, line)
    : (line: string): Promise<void> => appendFile(to, `${line}\n`);
  let isDown = false;
  return {
    async send(event) {
      if (isDown) return;
      try {
        await deliver(JSON.stringify(event));
      } catch (error) {
        isDown = true;
        const reason = reasonOf(error);
        log.warn({ code: 'lineage_undelivered', to, reason }, 'lineage events of this command are left out');
      }
    },
  };
}

/** @throws Error where the backend refuses the event, or does not take it however often it is offered */
async function post(url: string, apiKey: string, body: string): Promise<void> {
  let failure: unknown;
  for (const pauseMs of PAUSES_MS) {
    await sleep(pauseMs);
    const response = await fetch(`${url.replace(/\/+$/, '')}/api/v1/lineage`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(apiKey !== '' && { authorization: `Bearer ${apiKey}` }) },
      body,
      // The key is for this address alone.
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error: unknown) => {
      failure = error;
    });
    if (response === undefined) continue;
    await response.body?.cancel();
    if (response.ok) return;
    failure = new Error(`HTTP ${response.status}`);
    // An event that is refused is refused again.
    if (response.status < 500 && response.status !== 429) break;
  }
  throw failure;
}

interface Reason {
  message?: string;
  /** A name for errors of the system, a number for time-outs. */
  code?: string | number;
}

/** `fetch` says why only in what its error was caused by. */
function reasonOf(error: unknown): string | number {
  const { message, code, cause } = error as Reason & { cause?: Reason };
  return cause?.code ?? cause?.message ?? (typeof code === 'string' ? code : message) ?? String(error);
}
