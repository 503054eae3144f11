import { JobError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { rateLimited } from './authorization.ts';
import type { Session } from './session.ts';
import { type Answer, attempt, backoffMs, politeMs, retryAfterMs, WAIT_MAX_MS, type Web } from './transport.ts';

/** One answer of the Web API that is a JSON object. */
export interface Page {
  /** As received; checked to be JSON. */
  text: string;
  body: Record<string, unknown>;
  /** Path and query that were asked for. */
  endpoint: string;
}

export interface Client {
  /**
   * GET of a path (`/v1/me/tracks?limit=50`) or of a `next` address.
   *
   * @throws see `createClient`
   */
  get(address: string): Promise<Page>;
  /**
   * A list, page by page, along `next`. `pageOf` finds the page in the answer (`next`, `items`); lists end at
   * `next: null` or at an empty page.
   *
   * @throws `paging_loop` (65) when `next` comes back to where it was, or goes on beyond `total`
   */
  pages(address: string, pageOf?: (body: Record<string, unknown>) => unknown): AsyncGenerator<Page>;
  readonly calls: number;
}

const API_ORIGIN = 'https://api.spotify.com';
const ATTEMPTS_MAX = 5;
/** A call is at least this far from the one before: at most 200 a minute, whatever happens. */
const PACE_MS = 300;
/** Waits of one run add up to at most this; then it keeps what it has and ends. */
const WAITED_MAX_MS = 10 * 60_000;
/** Where a server does not say when the quota is filled up again. */
const QUOTA_PAUSE_MS = 3_600_000;
const REDIRECTS_MAX = 3;
/** Pages that a list may have beyond what its `total` says: it grows while it is read. */
const PAGES_SPARE = 5;
const PAGES_MAX = 2_000;

/**
 * A thin client of the Web API: GET only, one call at a time.
 *
 * 5xx, resets, timeouts and answers that are not whole JSON objects are tried up to five times; a 429 waits
 * as long as `Retry-After` says, up to a minute; a 401 refreshes the login once and goes on at the same page.
 * The token goes to https://api.spotify.com and nowhere else: neither `next` nor a redirect leads it to
 * another host.
 *
 * @throws `rate_limited`, `quota_exceeded` (75, with `retryAt`); `source_unavailable` (69); `answer_invalid`
 *   (65) where what comes is still not JSON; `source_forbidden` (403), `source_missing` (404), `source_gone`
 *   (410), `request_refused` (other 4xx), `host_refused` (all 65); `login_refused`, `login_ended` (77)
 */
export function createClient(session: Session, web: Web, log: Log): Client {
  let calls = 0;
  let waitedMs = 0;
  let calledAt = Number.NEGATIVE_INFINITY;

  async function pause(ms: number, why: string): Promise<void> {
    if (waitedMs + ms > WAITED_MAX_MS) {
      throw new JobError(
        'source_unavailable',
        'unavailable',
        `waited ${Math.round(waitedMs / 1000)} s for api.spotify.com in this run (${why})`,
        {
          hint: 'what was received is kept; run it again later',
        },
      );
    }
    waitedMs += ms;
    log.info({ wait_ms: ms, why }, 'waiting');
    await web.sleep(ms);
  }

  async function send(url: URL, token: string): Promise<Answer> {
    let target = url;
    for (let redirects = 0; ; redirects += 1) {
      const sinceMs = web.now() - calledAt;
      // A clock that was set back must not make us wait for it to catch up.
      if (sinceMs >= 0 && sinceMs < PACE_MS) await web.sleep(PACE_MS - sinceMs);
      calledAt = web.now();
      calls += 1;
      const answer = await attempt(
        target.href,
        { headers: { authorization: `Bearer ${token}`, accept: 'application/json' } },
        web,
      );
      if (answer.status < 300 || answer.status >= 400 || answer.status === 304) return answer;
      if (redirects >= REDIRECTS_MAX)
        throw new JobError('host_refused', 'data', 'api.spotify.com redirects without an end', {
          hint: 'run it again later',
        });
      target = ownAddress(answer.headers.get('location') ?? '', target.href);
    }
  }

  async function get(address: string): Promise<Page> {
    const url = ownAddress(address, API_ORIGIN);
    const endpoint = `${url.pathname}${url.search}`;
    let token = await session.accessToken();
    let isRenewed = false;
    for (let attempts = 1; ; attempts += 1) {
      const isLast = attempts >= ATTEMPTS_MAX;
      let answer: Answer;
      try {
        answer = await send(url, token);
      } catch (error) {
        if (!(error instanceof JobError && error.code === 'source_unavailable') || isLast) throw error;
        await pause(backoffMs(attempts, web.random), error.message);
        continue;
      }
      const { status } = answer;
      if (status === 200) {
        const page = readPage(answer, endpoint, token);
        if (page !== undefined) return page;
        if (isLast) {
          throw new JobError('answer_invalid', 'data', `${url.pathname} answers 200, but not with a JSON object`, {
            hint: 'nothing of it was kept; is a proxy or a captive portal in between? Run it again later',
          });
        }
        await pause(backoffMs(attempts, web.random), 'an answer that is not JSON');
      } else if (status === 401) {
        if (isRenewed)
          throw new JobError('login_refused', 'auth', 'Spotify refuses a token that it has just given', {
            hint: 'run `listenlake login`',
          });
        isRenewed = true;
        token = await session.renew(token);
        attempts -= 1;
      } else if (status === 429) {
        const askedMs = retryAfterMs(answer.headers, web.now());
        if (isQuota(answer)) throw rateLimited(web.now() + (askedMs ?? QUOTA_PAUSE_MS), 'api.spotify.com', true);
        if (isLast || (askedMs !== undefined && askedMs > WAIT_MAX_MS))
          throw rateLimited(web.now() + (askedMs ?? WAIT_MAX_MS), 'api.spotify.com');
        await pause(
          askedMs === undefined ? backoffMs(attempts, web.random) : politeMs(askedMs, web.random),
          'status 429',
        );
      } else if (status >= 500) {
        if (isLast)
          throw new JobError('source_unavailable', 'unavailable', `${url.pathname} answers ${status}`, {
            hint: 'what was received is kept; run it again later',
          });
        await pause(backoffMs(attempts, web.random), `status ${status}`);
      } else throw refusal(status, url.pathname);
    }
  }

  return {
    get,
    async *pages(address, pageOf = (body) => body) {
      const seen = new Set<string>();
      let next: string | null = address;
      let pagesMax = PAGES_MAX;
      while (next !== null) {
        const key: string = ownAddress(next, API_ORIGIN).href;
        if (seen.has(key) || seen.size >= pagesMax) {
          throw new JobError('paging_loop', 'data', `the pages of ${new URL(key).pathname} lead round in a circle`, {
            hint: 'what was received is kept; run it again later',
          });
        }
        seen.add(key);
        const answer = await get(next);
        yield answer;
        const page = pageOf(answer.body) as
          | { next?: unknown; items?: unknown; total?: unknown; limit?: unknown }
          | undefined;
        const items = Array.isArray(page?.items) ? page.items.length : 0;
        if (typeof page?.total === 'number' && typeof page.limit === 'number' && page.limit > 0) {
          pagesMax = Math.min(PAGES_MAX, Math.ceil(page.total / page.limit) + PAGES_SPARE);
        }
        next = typeof page?.next === 'string' && items > 0 ? page.next : null;
      }
    },
    get calls() {
      return calls;
    },
  };
}

/** An address of the Web API itself. @throws `host_refused` (65) */
function ownAddress(address: string, base: string): URL {
  const url = URL.canParse(address, base) ? new URL(address, base) : undefined;
  if (
    url === undefined ||
    url.origin !== API_ORIGIN ||
    !url.pathname.startsWith('/v1/') ||
    url.username !== '' ||
    url.password !== ''
  ) {
    const where = url === undefined ? 'something that is no address' : url.origin;
    throw new JobError('host_refused', 'data', `Spotify's answer leads to ${where}; the token was not sent there`, {
      hint: 'what was received is kept; run it again later',
    });
  }
  return url;
}

function readPage(answer: Answer, endpoint: string, token: string): Page | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(answer.bytes);
    // A mirror or an error page in JSON's clothes: what holds our token is never kept.
    if (text.includes(token)) return undefined;
    const body: unknown = JSON.parse(text);
    if (typeof body !== 'object' || body === null || Array.isArray(body) || 'error' in body) return undefined;
    return { text, body: body as Record<string, unknown>, endpoint };
  } catch (error) {
    if (
      error instanceof SyntaxError ||
      error instanceof TypeError ||
      (error as Error).name === 'SyntaxError' ||
      (error as Error).name === 'TypeError'
    )
      return undefined;
    throw error;
  }
}

function isQuota(answer: Answer): boolean {
  return Buffer.from(answer.bytes.subarray(0, 4_096)).toString('latin1').includes('QUOTA_EXCEEDED');
}

function refusal(status: number, path: string): JobError {
  const known: Record<number, [code: string, words: string, hint: string]> = {
    403: [
      'source_forbidden',
      'this app or this login may not read it',
      'see docs/spotify.md for what a new app may read, and add yourself under User Management in the dashboard',
    ],
    404: ['source_missing', 'there is no such thing (or it is not for apps)', 'check the id'],
    410: ['source_gone', 'Spotify has closed it', 'see docs/spotify.md for what a new app may read'],
  };
  const [code, words, hint] = known[status] ?? ['request_refused', 'the request was refused', 'please report this'];
  return new JobError(code, 'data', `${path} answers ${status}: ${words}`, { hint });
}
