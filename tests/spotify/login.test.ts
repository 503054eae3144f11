import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { get } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { freePort } from '../../airflow/free-port.ts';
import { readConfig } from '../../jobs/base/config.ts';
import { type LoginResult, login } from '../../jobs/login.ts';
import { openWeb } from '../../jobs/sources/spotify-api/transport.ts';
import { finished, start } from '../fixtures/command-line.ts';
import { chromiumOrSkip } from '../fixtures/layers.ts';
import { resolveToStub, STUB_HOSTS } from './names.ts';
import { type Stub, startStub } from './stub.ts';

let stub: Stub;
let folder: string;
let tokenFile: string;
let port: number;
let restore: () => void;

beforeAll(async () => {
  stub = await startStub({ ms: Date.now() });
  restore = resolveToStub(stub.port, stub.caFile);
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'listenlake-login-'));
  tokenFile = join(folder, 'config', 'spotify.json');
  port = await freePort();
  [stub.stateOverride, stub.fault] = [undefined, () => undefined];
  stub.requests.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
afterAll(async () => {
  restore();
  await stub.close();
});

function startLogin(args: string[] = [], env: Record<string, string> = {}): ChildProcess {
  return start(['login', '--no-browser', ...args], {
    ...stub.env(),
    LISTENLAKE_SPOTIFY_TOKEN_FILE: tokenFile,
    LISTENLAKE_SPOTIFY_REDIRECT_PORT: String(port),
    ...env,
  });
}

/** The address that the command shows. */
function addressOf(child: ChildProcess): Promise<URL> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const address = /https:\/\/\S+/.exec(text)?.[0];
      if (address !== undefined && text.includes('Waiting')) resolve(new URL(address));
    });
    child.once('exit', () => reject(new Error(`no address: ${text}`)));
  });
}

/** What a browser does that comes back with `values`. */
async function comeBack(address: URL, values: Record<string, string>): Promise<{ status: number; text: string }> {
  const back = `${address.searchParams.get('redirect_uri')}?${new URLSearchParams({ state: address.searchParams.get('state')!, ...values })}`;
  const response = await fetch(back);
  return { status: response.status, text: await response.text() };
}

function expectNoSecret(...texts: string[]): void {
  const shown = texts.join('\n');
  for (const secret of stub.issued) expect(shown).not.toContain(secret);
}

describe('login in a browser', () => {
  const executablePath = chromiumOrSkip('login in a browser');
  const itInBrowser = executablePath === undefined ? it.skip : it;

  itInBrowser('ends on a page that says what to do next; the token file has mode 0600', async () => {
    const child = startLogin(['--allow', 'playlists', 'library'], { LISTENLAKE_LOG_LEVEL: 'debug' });
    const end = finished(child);
    const address = await addressOf(child);
    const browser = await chromium.launch({
      executablePath: executablePath!,
      args: [
        ...[
          '--no-sandbox',
          '--disable-gpu',
          '--disable-quic',
          '--no-first-run',
          '--disable-background-networking',
          '--disable-component-update',
          '--disable-sync',
        ],
        `--host-resolver-rules=${STUB_HOSTS.map((host) => `MAP ${host}:443 127.0.0.1:${stub.port}`).join(',')}`,
      ],
    });
    try {
      const page = await browser.newPage({ ignoreHTTPSErrors: true, viewport: { width: 360, height: 640 } });
      const faults: string[] = [];
      page.on('pageerror', (error) => faults.push(String(error)));
      page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
      await page.goto(address.href);
      expect(page.url()).toBe(address.href);
      await page.click('#agree');
      await page.waitForSelector('h1');
      expect(await page.textContent('h1')).toBe('You are logged in');
      expect(await page.textContent('code')).toBe('listenlake extract recently-played');
      expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
      expect(await page.getAttribute('html', 'lang')).toBe('en');
      expect(faults).toEqual([]);
      const shown = await page.content();
      const { code, stdout, stderr } = await end;
      expect([code, stderr]).toEqual([0, expect.any(String)]);
      expect(stdout).toContain('next: listenlake extract recently-played');
      expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
      expect(statSync(join(folder, 'config')).mode & 0o777).toBe(0o700);
      expect(JSON.parse(readFileSync(tokenFile, 'utf8'))).toMatchObject({
        refreshToken: stub.refreshToken,
        userId: 'me',
      });
      expectNoSecret(shown, stdout, stderr);
    } finally {
      await browser.close();
    }
  });
});

it('consent denied: one line for the person, 77, nothing written', async () => {
  const child = startLogin();
  const end = finished(child);
  const page = await comeBack(await addressOf(child), { error: 'access_denied' });
  expect([page.status, page.text]).toEqual([400, expect.stringContaining('You did not agree')]);
  const { code, stderr } = await end;
  expect([code, stderr.trim().split('\n').at(-1)]).toEqual([
    77,
    expect.stringMatching(/^listenlake: consent was denied .*\(run `listenlake login` again/),
  ]);
  expect(existsSync(tokenFile)).toBe(false);
});

describe('login', () => {
  let address: URL;

  /** Logs in while `act` plays the browser, once the address is known. */
  async function logIn(act: () => Promise<unknown>, changes: Record<string, string> = {}): Promise<LoginResult> {
    const config = readConfig({
      LISTENLAKE_SPOTIFY_CLIENT_ID: stub.app.id,
      LISTENLAKE_SPOTIFY_CLIENT_SECRET: stub.app.secret,
      LISTENLAKE_SPOTIFY_TOKEN_FILE: tokenFile,
      LISTENLAKE_SPOTIFY_REDIRECT_PORT: String(port),
      ...changes,
    });
    const web = openWeb({ now: () => stub.clock.ms, signal: new AbortController().signal });
    let acted: Promise<unknown> = Promise.resolve();
    const onAddress = (shown: string): void => {
      address = new URL(shown);
      acted = act();
    };
    try {
      return await login({ allow: [], isBrowserOpened: false, onAddress }, config, web);
    } finally {
      await acted;
    }
  }

  /** What a person does who agrees on the page. */
  async function agree(on = address): Promise<number> {
    const page = await (await fetch(on)).text();
    return (await fetch(/id="agree" href="([^"]+)"/.exec(page)![1]!.replaceAll('&amp;', '&'))).status;
  }

  it('S23: asks for recently played and nothing else, with a state of its own, on the loopback address', async () => {
    await expect(logIn(() => comeBack(address, { error: 'access_denied' }))).rejects.toMatchObject({
      code: 'login_denied',
      exit: 'auth',
    });
    expect(address.origin + address.pathname).toBe('https://accounts.spotify.com/authorize');
    expect(Object.fromEntries(address.searchParams)).toEqual({
      client_id: stub.app.id,
      response_type: 'code',
      redirect_uri: `http://127.0.0.1:${port}/callback`,
      scope: 'user-read-recently-played',
      state: expect.stringMatching(/^[\w-]{32}$/),
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    });
    const first = address.searchParams.get('state');
    await expect(logIn(() => comeBack(address, { error: 'access_denied' }))).rejects.toThrow('denied');
    expect(address.searchParams.get('state')).not.toBe(first);
  });

  it('S23: another state is refused, its code is not exchanged, and who has begun the login can still end it', async () => {
    let refused = { status: 0, text: '' };
    const result = await logIn(async () => {
      refused = await comeBack(address, { code: 'code-of-somebody-else', state: 'another' });
      expect(stub.requests.filter(({ path }) => path === '/api/token')).toEqual([]);
      await agree();
    });
    expect(refused).toMatchObject({ status: 400, text: expect.stringContaining('not the login that was started') });
    expect(result.place).toBe(tokenFile);
  });

  it('S23: a code is of no use to who has not begun the login: the verifier of another one is refused', async () => {
    // Somebody agrees on an address of their own making, with a challenge that is not this login's.
    const back = async (): Promise<unknown> => {
      const forged = new URL(address);
      forged.searchParams.set('code_challenge', 'A'.repeat(43));
      return agree(forged);
    };
    await expect(logIn(back)).rejects.toMatchObject({ code: 'login_refused', exit: 'auth' });
    expect(existsSync(tokenFile)).toBe(false);
  });

  it('S23: what is no address does not end it, and nothing on the port tells the state', async () => {
    const answers: string[] = [];
    await logIn(async () => {
      for (const path of ['//', '/', '//callback', '/callback', '/%', '*', 'http://[', '/../', '/?state'])
        answers.push(await rawAnswer(port, path));
      await agree();
    });
    for (const answer of answers) {
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(answer).not.toContain(address.searchParams.get('state')!);
      expect(answer).not.toMatch(/accounts\.spotify\.com/);
    }
  });

  it('S23: no command line holds the state: the browser is given a page that only its owner can read, and that is gone afterwards', async () => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    const seen = join(folder, 'seen');
    writeFileSync(
      join(bin, 'xdg-open'),
      `#!/bin/sh\nstat -c '%a %n' "$(dirname "$1")" "$1" > ${seen}.part\ncat "$1" >> ${seen}.part\nmv ${seen}.part ${seen}\n`,
      { mode: 0o755 },
    );
    const child = start(['login'], {
      ...stub.env(),
      ...{ HOME: folder, PATH: `${bin}:${process.env.PATH}`, LISTENLAKE_SPOTIFY_TOKEN_FILE: tokenFile },
      LISTENLAKE_SPOTIFY_REDIRECT_PORT: String(port),
    });
    const end = finished(child);
    const shown = await addressOf(child);
    while (!existsSync(seen)) await new Promise((resolve) => setTimeout(resolve, 50));
    const [ofFolder, ofFile, ...rest] = readFileSync(seen, 'utf8').split('\n');
    expect([ofFolder, ofFile]).toEqual([expect.stringMatching(/^700 /), expect.stringMatching(/^600 .*open\.html$/)]);
    expect(`${ofFolder}${ofFile}`).not.toContain(shown.searchParams.get('state')!);
    expect(rest.join('\n')).toContain(shown.href.replaceAll('&', '&amp;'));
    await agree(shown);
    expect((await end).code).toBe(0);
    expect(readdirSync(folder).filter((name) => name.startsWith('listenlake-login-'))).toEqual([]);
  });

  it('a wrong client secret is 78, told in the browser, too, and the secret is not repeated', async () => {
    let page = { status: 0, text: '' };
    const back = async (): Promise<unknown> => (page = await comeBack(address, { code: 'some-code' }));
    const wrong = { LISTENLAKE_SPOTIFY_CLIENT_SECRET: 'CANARYwrong000000000000000000000' };
    await expect(logIn(back, wrong)).rejects.toMatchObject({
      code: 'client_refused',
      exit: 'config',
      message: expect.not.stringContaining('CANARY'),
    });
    expect(page).toMatchObject({ status: 502, text: expect.not.stringContaining('CANARY') });
  });

  it('a code that Spotify does not take is 77', async () => {
    await expect(logIn(() => comeBack(address, { code: 'never-given' }))).rejects.toMatchObject({
      code: 'login_refused',
      exit: 'auth',
    });
    expect(existsSync(tokenFile)).toBe(false);
  });

  it('requests that are not the browser coming back change nothing', async () => {
    const statuses: number[] = [];
    const result = await logIn(async () => {
      const own = `http://127.0.0.1:${port}`;
      const state = address.searchParams.get('state');
      statuses.push(
        (await fetch(`${own}/favicon.ico`)).status,
        (await fetch(`${own}/callback?code=x&state=${state}`, { method: 'POST' })).status,
      );
      // Another name that leads to this machine.
      statuses.push(await statusUnderName(port, `/callback?code=x&state=${state}`, 'rebound.example'));
      statuses.push(await agree());
    });
    expect(statuses).toEqual([404, 404, 404, 200]);
    expect(result).toMatchObject({ place: tokenFile, scopes: ['user-read-recently-played'] });
  });

  it('a login replaces one that has ended, and its end is six months away', async () => {
    const result = await logIn(() => agree());
    const days = (Date.parse(result.endsOn) - stub.clock.ms) / 86_400_000;
    expect(days).toBeGreaterThan(179);
    expect(days).toBeLessThan(185);
    expect(readdirSync(dirname(tokenFile))).toEqual(['spotify.json']);
  });

  it('the port is taken: one line that says how to choose another, 78', async () => {
    const other = createServer().listen(port, '127.0.0.1');
    await expect(logIn(async () => {})).rejects.toMatchObject({
      code: 'port_taken',
      exit: 'config',
      hint: expect.stringContaining('LISTENLAKE_SPOTIFY_REDIRECT_PORT'),
    });
    other.close();
  });

  it('without an app: says where to get one, 78', async () => {
    await expect(logIn(async () => {}, { LISTENLAKE_SPOTIFY_CLIENT_ID: '' })).rejects.toMatchObject({
      code: 'app_missing',
      exit: 'config',
      hint: expect.stringContaining('docs/spotify.md'),
    });
  });
});

/** The answer to a request line as it is, which no client would send. */
function rawAnswer(to: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(to, '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${to}\r\nConnection: close\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    socket.on('end', () => resolve(text)).on('error', reject);
  });
}

function statusUnderName(to: number, path: string, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port: to, path, headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).on('error', reject);
  });
}
