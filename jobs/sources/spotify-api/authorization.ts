import { createHash, randomBytes } from 'node:crypto';
import { JobError } from '../../base/errors.ts';
import { type Answer, attempt, backoffMs, politeMs, retryAfterMs, WAIT_MAX_MS, type Web } from './transport.ts';

/** The developer's app, as the dashboard shows it. */
export interface App {
  clientId: string;
  clientSecret: string;
  /** `http://127.0.0.1:PORT/callback`; only `login` needs it. */
  redirectUri?: string;
}

export interface Grant {
  accessToken: string;
  /** Undefined where the old one stays valid. */
  refreshToken: string | undefined;
  /** Seconds from the answer on. */
  expiresInS: number;
  scopes: string[];
}

const ACCOUNTS_ORIGIN = 'https://accounts.spotify.com';
/** Attempts, and with the waits between them under three minutes: other jobs wait for a refresh meanwhile. */
const ATTEMPTS_MAX = 4;

/**
 * Proof that who exchanges a code is who has asked for it (PKCE): the challenge goes with the question, the
 * verifier with the code.
 */
export interface CodeProof {
  verifier: string;
  challenge: string;
}

/** A new random one. @see https://www.rfc-editor.org/rfc/rfc7636 (S256) */
export function makeCodeProof(): CodeProof {
  const verifier = randomBytes(48).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

/**
 * The page of Spotify on which a person agrees (authorization code flow; `spotify-web-api-node` writes the
 * address, and knows no PKCE: the challenge is appended to it).
 *
 * @param scopes least first; nothing that is not needed
 * @param state random, checked when the browser comes back
 */
export async function authorizeUrl(
  app: App,
  scopes: readonly string[],
  state: string,
  { challenge }: CodeProof,
): Promise<string> {
  // Loaded here, because only a login needs it.
  const { default: Library } = await import('spotify-web-api-node');
  const url = new URL(new Library(app).createAuthorizeURL([...scopes], state));
  if (url.origin !== ACCOUNTS_ORIGIN) throw new Error(`the authorization page is not Spotify's: ${url.origin}`);
  url.searchParams.set('code_challenge_method', 'S256');
  url.searchParams.set('code_challenge', challenge);
  return url.href;
}

/**
 * Exchanges the code of a consent for tokens. A code works once, and only with the verifier of the challenge
 * that it was asked for with.
 *
 * @throws `client_refused` (78), `login_refused` (77), `source_unavailable` (69), `rate_limited` (75),
 *   `redirect_refused` (65)
 * @see https://developer.spotify.com/documentation/web-api/tutorials/code-flow, and code-pkce-flow for
 *   `code_verifier`
 */
export async function exchangeCode(app: App, code: string, { verifier }: CodeProof, web: Web): Promise<Grant> {
  const form = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: app.redirectUri ?? '',
    client_id: app.clientId,
    code_verifier: verifier,
  };
  return askForTokens(
    app,
    form,
    web,
    () =>
      new JobError('login_refused', 'auth', 'Spotify did not accept the code of this login', {
        hint: 'run `listenlake login` again',
      }),
  );
}

/**
 * A new access token for a refresh token. Where the answer holds a new refresh token, store it before
 * anything else.
 *
 * @see https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens
 * @throws `login_ended` (77) when the refresh token is no longer valid: do not try again; `client_refused`
 *   (78), `source_unavailable` (69), `rate_limited` (75), `redirect_refused` (65)
 */
export async function refreshGrant(app: App, refreshToken: string, web: Web): Promise<Grant> {
  return askForTokens(app, { grant_type: 'refresh_token', refresh_token: refreshToken }, web, loginEnded);
}

/** The login is over: six months after consent, or because its owner took it back. */
export function loginEnded(): JobError {
  return new JobError(
    'login_ended',
    'auth',
    'Spotify no longer accepts this login (a login ends six months after consent, or when access is removed)',
    {
      hint: 'run `listenlake login` on a machine with a browser',
    },
  );
}

/**
 * Sent by our own transport and not by the library's, which follows redirects with the secret in the body and
 * waits without an end.
 */
async function askForTokens(
  { clientId, clientSecret }: App,
  form: Record<string, string>,
  web: Web,
  refusal: () => JobError,
): Promise<Grant> {
  const request = {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(form).toString(),
  };
  for (let attempts = 1; ; attempts += 1) {
    const isLast = attempts >= ATTEMPTS_MAX;
    let answer: Answer;
    try {
      answer = await attempt(`${ACCOUNTS_ORIGIN}/api/token`, request, web);
    } catch (error) {
      if (!(error instanceof JobError && error.code === 'source_unavailable') || isLast) throw error;
      await web.sleep(backoffMs(attempts, web.random));
      continue;
    }
    const { status, headers } = answer;
    if (status === 200) return grantOf(answer);
    if (status >= 300 && status < 400) {
      throw new JobError(
        'redirect_refused',
        'data',
        'accounts.spotify.com answered with a redirect; the login was not sent on',
        {
          hint: 'is a proxy or a captive portal in between? Run it again from another network',
        },
      );
    }
    if (status === 429) {
      const asked = retryAfterMs(headers, web.now());
      if (isLast || (asked !== undefined && asked > WAIT_MAX_MS))
        throw rateLimited(web.now() + (asked ?? WAIT_MAX_MS), 'accounts.spotify.com');
      await web.sleep(asked === undefined ? backoffMs(attempts, web.random) : politeMs(asked, web.random));
    } else if (status >= 500) {
      if (isLast)
        throw new JobError('source_unavailable', 'unavailable', `accounts.spotify.com answers ${status}`, {
          hint: 'run it again later',
        });
      await web.sleep(backoffMs(attempts, web.random));
    } else {
      const code = errorCodeOf(answer);
      if (code === 'invalid_client') {
        throw new JobError('client_refused', 'config', 'Spotify does not know this client id and secret', {
          hint: "copy both from the app's settings in the dashboard into LISTENLAKE_SPOTIFY_CLIENT_ID and LISTENLAKE_SPOTIFY_CLIENT_SECRET",
        });
      }
      if (code === 'invalid_grant') throw refusal();
      throw new JobError(
        'login_refused',
        'auth',
        `accounts.spotify.com answers ${status}${code === '' ? '' : ` (${code})`}`,
        { hint: 'run `listenlake login` again' },
      );
    }
  }
}

/** Spotify asks for a pause that is longer than a run should wait. `retryAt` in Unix ms. */
export function rateLimited(
  retryAt: number,
  host: string,
  isQuota = false,
): JobError & { retryAt: number; isQuota: boolean } {
  const time = `${new Date(retryAt).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const error = new JobError(
    isQuota ? 'quota_exceeded' : 'rate_limited',
    'tempfail',
    `${host} ${isQuota ? "says that the app's quota is used up" : 'asks for a longer pause'}; nothing is called before ${time}`,
    {
      hint: 'what was received is kept; run it again after that',
    },
  );
  return Object.assign(error, { retryAt, isQuota });
}

function grantOf(answer: Answer): Grant {
  const value = jsonOf(answer);
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresInS, scope } = value;
  if (typeof accessToken !== 'string' || accessToken === '' || typeof expiresInS !== 'number' || !(expiresInS > 0)) {
    throw new JobError('source_unavailable', 'unavailable', 'accounts.spotify.com answered without a token', {
      hint: 'run it again later',
    });
  }
  return {
    accessToken,
    refreshToken: typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : undefined,
    expiresInS,
    scopes: typeof scope === 'string' ? scope.split(' ').filter((name) => name !== '') : [],
  };
}

/** A known code only: free text of an answer may quote what was sent. */
function errorCodeOf(answer: Answer): string {
  const { error } = jsonOf(answer);
  return typeof error === 'string' && /^[a-z_]{3,40}$/.test(error) ? error : '';
}

function jsonOf(answer: Answer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(answer.bytes));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // a page of a proxy: no code, no token
  }
}
