import { createHash } from 'node:crypto';
import { JobError } from '../../base/errors.ts';
import { DAY_MS } from '../../base/time.ts';
import type { Effects } from '../../effects/index.ts';
import { landingKey } from '../../lake/keys.ts';
import { rateLimited } from './authorization.ts';
import { closedAs, closedText, type Endpoint, statusOf } from './capabilities.ts';
import { type Client, createClient, type Page } from './client.ts';
import { commitLedger, type Ledger, readLedger } from './ledger.ts';
import { openSession, type Scope, type Session } from './session.ts';
import type { Web } from './transport.ts';

/** One run that reads from the Web API. */
export interface Capture {
  readonly client: Client;
  readonly session: Session;
  /** Change it when a unit is whole; it is committed at the end, whatever happens. */
  readonly ledger: Ledger;
  /**
   * Puts answers into landing, one line each, durable when it resolves. `name` says what they are. They are
   * stamped with the time at hand, or with `fromMs` where they belong to something that began earlier: a
   * snapshot that is read over midnight is one of the day before.
   */
  keep(name: string, pages: readonly Page[], fromMs?: number): Promise<void>;
  /** Commits the ledger now: for runs that are long. */
  commit(): Promise<void>;
  /** True where an endpoint is known to be closed to this app; the summary says so. */
  isClosed(endpoint: Endpoint): boolean;
  /** Remembers that an endpoint is closed to this app. @throws `error` where it is not a 403, 404 or 410 */
  close(endpoint: Endpoint, error: unknown): void;
  /** ISO, UTC: the time of the last answer that was kept, later than all before it. */
  readonly stamp: string;
  /** Lines for the summary: what to know, what could not be read. */
  readonly notices: string[];
}

export interface CaptureOptions {
  /** `extract recently-played`, ... : for the manifest. */
  job: string;
  runId: string;
  /** Scopes that the login must have. */
  scopes: readonly Scope[];
}

/** Beyond this, an unfulfilled `retryAt` is the work of a clock that was wrong. */
const RETRY_AT_MAX_MS = 3 * DAY_MS;

/**
 * Opens login and ledger, runs `action`, and commits the ledger where anything was received, also when
 * `action` fails: what was kept stays kept, and a pause that Spotify asked for is remembered. Before the end
 * of such a pause nothing is called, not even for a token.
 *
 * @throws `rate_limited`, `quota_exceeded` (75) during a pause; what `openSession`, the client and `action`
 *   throw
 */
export async function withCapture<T>(
  options: CaptureOptions,
  effects: Effects,
  web: Web,
  action: (capture: Capture) => Promise<T>,
): Promise<T> {
  const startedAt = effects.now();
  const ledger = await readLedger(effects.store);
  refuseDuringPause(ledger, web);
  const session = await openSession(effects.config, web);
  try {
    return await captureWith(session, ledger, startedAt, options, effects, web, action);
  } finally {
    session.close();
  }
}

async function captureWith<T>(
  session: Session,
  ledger: Ledger,
  startedAt: number,
  options: CaptureOptions,
  effects: Effects,
  web: Web,
  action: (capture: Capture) => Promise<T>,
): Promise<T> {
  const { store, log } = effects;
  for (const scope of options.scopes) session.requireScope(scope);
  const client = createClient(session, web, log);
  const notices: string[] = session.notice === undefined ? [] : [session.notice];
  const inputs: string[] = [];
  let committed = JSON.stringify(ledger);
  let stampMs = Math.max(0, ...Object.values(ledger.polls).map(({ polledAt }) => Date.parse(polledAt)));

  async function commit(details: Record<string, unknown> = {}): Promise<void> {
    const text = JSON.stringify(ledger);
    if (text === committed && inputs.length === 0) return;
    await commitLedger(
      effects,
      {
        job: options.job,
        runId: options.runId,
        startedAt,
        inputs: inputs.splice(0),
        details: { calls: client.calls, ...details },
      },
      ledger,
    );
    committed = text;
  }

  const capture: Capture = {
    client,
    session,
    ledger,
    notices,
    commit,
    get stamp() {
      return new Date(stampMs).toISOString();
    },
    async keep(name, pages, fromMs = web.now()) {
      const lines = pages.map((page) => {
        stampMs = Math.max(fromMs, stampMs + 1);
        // Line breaks of JSON stand between its parts only (inside a text they are escaped): a blank in their
        // place changes no value.
        const body = pages.length === 1 ? page.text.trim() : page.text.trim().replaceAll(/[\r\n]+/g, ' ');
        return `{"polled_at":"${new Date(stampMs).toISOString()}","endpoint":${JSON.stringify(page.endpoint)},"body":${body}}\n`;
      });
      const bytes = Buffer.from(lines.join(''));
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      await store.put(landingKey(sha256, name), bytes, { ifAbsent: true });
      inputs.push(sha256);
    },
    isClosed(endpoint) {
      const known = closedAs(ledger, endpoint, web.now());
      if (known !== undefined) notices.push(closedText(endpoint, known));
      return known !== undefined;
    },
    close(endpoint, error) {
      const status = statusOf(error);
      if (status === undefined) throw error;
      const capability = { status, seenAt: new Date(web.now()).toISOString() };
      ledger.capabilities[endpoint] = capability;
      notices.push(closedText(endpoint, capability));
    },
  };

  try {
    const result = await action(capture);
    ledger.retryAt = null;
    await commit();
    return result;
  } catch (error) {
    if (error instanceof JobError && 'retryAt' in error && typeof error.retryAt === 'number') {
      ledger.retryAt = new Date(error.retryAt).toISOString();
      ledger.isQuota = error.code === 'quota_exceeded';
      await commit({ retry_at: ledger.retryAt });
    } else if (error instanceof JobError) await commit({ failed: error.code });
    throw error;
  }
}

function refuseDuringPause(ledger: Ledger, web: Web): void {
  if (ledger.retryAt === null) return;
  const retryAt = Date.parse(ledger.retryAt);
  const leftMs = retryAt - web.now();
  if (leftMs > 0 && leftMs < RETRY_AT_MAX_MS) throw rateLimited(retryAt, 'api.spotify.com', ledger.isQuota);
}
