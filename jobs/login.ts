import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openInBrowser } from './base/browser.ts';
import type { Config } from './base/config.ts';
import { isErrno, JobError } from './base/errors.ts';
import { authorizeUrl, exchangeCode, makeCodeProof } from './sources/spotify-api/authorization.ts';
import { openTokenStore } from './sources/spotify-api/open-token-store.ts';
import { type Allowance, appOf, consentEnd, SCOPES } from './sources/spotify-api/session.ts';
import type { TokenStore } from './sources/spotify-api/token-store.ts';
import type { Web } from './sources/spotify-api/transport.ts';

export interface LoginInput {
  /** What to allow besides recently played. */
  allow: readonly Allowance[];
  /** Opens the browser of the person; otherwise only the address is shown. */
  isBrowserOpened: boolean;
  /** Told the address to open, before anybody can have opened it. */
  onAddress: (address: string) => void;
}

export interface LoginResult {
  /** Where the login is now: a file, or a secret. */
  place: string;
  scopes: string[];
  /** The day on which the login ends, YYYY-MM-DD. */
  endsOn: string;
}

const HOST = '127.0.0.1';
const CALLBACK = '/callback';
/** A person who went for coffee comes back within this time. */
const WAIT_MS = 5 * 60_000;

/**
 * Logs a person in at Spotify: waits on http://127.0.0.1:PORT for the browser to come back from the page
 * where they agree, exchanges the code, and stores the login: in a file (mode 0600), or in the secret of the
 * configuration. The browser ends on a page that says what to do next.
 *
 * @throws `app_missing`, `client_refused`, `port_taken` (78); `login_denied`, `login_refused` (77);
 *   `login_timeout`, `rate_limited` (75); `source_unavailable` (69); `disk_failed` (74); of a secret
 *   `secret_missing` (78), `secret_denied` (77), `secret_unavailable` (69)
 */
export async function login(input: LoginInput, config: Config, web: Web): Promise<LoginResult> {
  const port = config.spotify.redirectPort;
  const app = { ...appOf(config), redirectUri: `http://${HOST}:${port}${CALLBACK}` };
  const state = randomBytes(24).toString('base64url');
  const scopes = [...new Set([...SCOPES['recently-played'], ...input.allow.flatMap((word) => [...SCOPES[word]])])];
  const proof = makeCodeProof();
  const address = await authorizeUrl(app, scopes, state, proof);

  const store = await openTokenStore(config, web);
  let server: Server | undefined;
  let opened: string | undefined;
  try {
    await refuseUnreachable(store);
    server = await listen(port);
    const back = waitForBrowser(server, port, state, web.signal);
    input.onAddress(address);
    if (input.isBrowserOpened) opened = await openBrowser(address);
    const { code, answer } = await back;
    try {
      const grant = await exchangeCode(app, code, proof, web);
      if (grant.refreshToken === undefined)
        throw new JobError('login_refused', 'auth', 'Spotify gave no refresh token', {
          hint: 'run `listenlake login` again',
        });
      const consentedAt = web.now();
      const token = {
        format: 1 as const,
        clientId: app.clientId,
        userId: config.userId,
        scopes: grant.scopes.length > 0 ? grant.scopes : scopes,
        accessToken: grant.accessToken,
        refreshToken: grant.refreshToken,
        expiresAt: consentedAt + grant.expiresInS * 1000,
        consentedAt,
      };
      await store.replace(token);
      await answer(
        200,
        page(
          'You are logged in',
          'Close this tab and go back to the terminal. Next:',
          'listenlake extract recently-played',
        ),
      );
      const endsOn = new Date(consentEnd(consentedAt)).toISOString().slice(0, 10);
      return { place: store.place, scopes: token.scopes, endsOn };
    } catch (error) {
      await answer(
        502,
        page('The login did not work', 'The terminal says why. When that is mended:', 'listenlake login'),
      );
      throw error;
    }
  } finally {
    server?.closeAllConnections();
    server?.close();
    store.close();
    if (opened !== undefined) await rm(opened, { recursive: true, force: true });
  }
}

/**
 * Before anybody is asked to agree: a place that cannot be read cannot keep the login. What is in it does not
 * matter.
 */
async function refuseUnreachable(store: TokenStore): Promise<void> {
  try {
    await store.read();
  } catch (error) {
    const isReplaced =
      error instanceof JobError && ['not_logged_in', 'token_invalid', 'token_file_open'].includes(error.code);
    if (!isReplaced) throw error;
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        isErrno(error, 'EADDRINUSE', 'EACCES')
          ? new JobError('port_taken', 'config', `another program listens on ${HOST}:${port}`, {
              hint: 'end it, or set LISTENLAKE_SPOTIFY_REDIRECT_PORT and add that redirect URI in the dashboard',
            })
          : error,
      );
    });
    server.listen(port, HOST, resolve);
  });
  return server;
}

interface Back {
  code: string;
  /** Ends the browser's wait with a page. */
  answer: (status: number, html: string) => Promise<void>;
}

function waitForBrowser(server: Server, port: number, state: string, signal: AbortSignal): Promise<Back> {
  return new Promise<Back>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new JobError('login_timeout', 'tempfail', `nobody came back from Spotify within ${WAIT_MS / 60_000} minutes`, {
          hint: 'run `listenlake login` again',
        }),
      );
    }, WAIT_MS);
    signal.addEventListener('abort', () => reject(new JobError('stopped', 'tempfail', 'stopped by a signal')), {
      once: true,
    });
    let isDone = false;
    const end = (action: () => void): void => {
      isDone = true;
      clearTimeout(timer);
      action();
    };
    const fail = async (response: ServerResponse, error: JobError, title: string): Promise<void> => {
      await send(response, 400, page(title, 'Nothing was kept. To try again:', 'listenlake login'));
      end(() => reject(error));
    };
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      // What is no address (`//`) is nobody's request, and must not end the process.
      const url = URL.parse(request.url ?? '/', `http://${HOST}:${port}`);
      // A name that points here does not make a page ours (DNS rebinding).
      const isOurs = request.headers.host === `${HOST}:${port}` && request.method === 'GET';
      // The address of Spotify is not told here: it holds the state, and any program of this machine may ask.
      if (!isOurs || url?.pathname !== CALLBACK || isDone) {
        void send(
          response,
          404,
          page('Nothing here', 'This address only serves a login that is under way:', 'listenlake login'),
        );
      } else if (!isSame(url.searchParams.get('state') ?? '', state)) {
        // Anybody can send this: it is refused, and who has begun the login can still end it.
        void send(
          response,
          400,
          page(
            'This is not the login that was started',
            'Use the address that the terminal shows, or begin anew:',
            'listenlake login',
          ),
        );
      } else if (url.searchParams.has('error') || !url.searchParams.get('code')) {
        const isDenied = url.searchParams.get('error') === 'access_denied';
        const error = new JobError(
          'login_denied',
          'auth',
          isDenied ? 'consent was denied on the page of Spotify' : 'Spotify sent the browser back without a code',
          {
            hint: 'run `listenlake login` again and agree; only what you allow is read',
          },
        );
        void fail(response, error, isDenied ? 'You did not agree' : 'The login did not work');
      } else {
        const code = url.searchParams.get('code')!;
        end(() => resolve({ code, answer: (status, html) => send(response, status, html) }));
      }
    });
  });
}

/** In constant time, whatever the lengths. */
function isSame(given: string, expected: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
}

function send(response: ServerResponse, status: number, html: string): Promise<void> {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    connection: 'close',
  });
  return new Promise((resolve) => {
    response.once('close', resolve);
    response.end(html);
  });
}

/** @param command what to type next */
function page(title: string, text: string, command: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${title} - listenlake</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.125rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 0.75rem; }
code { display: block; font: 1rem/1.5 ui-monospace, monospace; padding: 0.75rem 1rem; border: 1px solid; border-radius: 0.375rem; overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p>${text}</p>
<code>${command}</code>
</main>
</body>
</html>
`;
}

/**
 * Opens the address in a browser. Command lines are seen by every user of a machine, and the address holds
 * the state: the browser is given a page in a private folder that leads on to it. In the home folder, because
 * a browser in a sandbox sees no other. Best effort: where there is no browser, the address on the terminal
 * remains.
 *
 * @returns the folder, for the caller to remove; undefined where none could be made
 */
async function openBrowser(address: string): Promise<string | undefined> {
  const folder = await mkdtemp(join(homedir(), 'listenlake-login-')).catch(() => undefined);
  if (folder === undefined) return undefined;
  const file = join(folder, 'open.html');
  const target = address.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  await writeFile(
    file,
    `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="referrer" content="no-referrer">\n<meta http-equiv="refresh" content="0; url=${target}">\n<title>listenlake</title>\n<a href="${target}">Go on to Spotify</a>\n</html>\n`,
    { mode: 0o600, flag: 'wx' },
  );
  openInBrowser(file);
  return folder;
}
