import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { landingKey, landingName } from '../../jobs/lake/keys.ts';
import { extractRecentlyPlayed } from '../../jobs/sources/spotify-api/recently-played.ts';
import { openSession } from '../../jobs/sources/spotify-api/session.ts';
import { WAIT_MAX_MS } from '../../jobs/sources/spotify-api/transport.ts';
import { openSpotifyFixture, type SpotifyFixture } from './fixture.ts';
import { type Fault, type StubPlay, type StubRequest, stubTrack } from './stub.ts';

let fixture: SpotifyFixture;
beforeAll(async () => {
  fixture = await openSpotifyFixture();
});
beforeEach(() => fixture.reset());
afterEach(() => {
  expect(Math.max(0, ...fixture.sleeps)).toBeLessThanOrEqual(WAIT_MAX_MS);
  for (const secret of fixture.stub.issued) expect(fixture.logs.join('')).not.toContain(secret);
});
afterAll(() => fixture.close());

const MINUTE = 60_000;

/** Plays three minutes apart, the last of them a minute ago. */
function playsUntilNow(count: number): StubPlay[] {
  return Array.from({ length: count }, (_, index) => {
    const ms = fixture.clock.ms - MINUTE - (count - 1 - index) * 3 * MINUTE;
    return { playedAt: new Date(ms).toISOString(), item: { track: stubTrack(`song ${ms}`), context: null } };
  });
}

function poll(): ReturnType<typeof extractRecentlyPlayed> {
  return extractRecentlyPlayed({ runId: `run-${fixture.stub.requests.length}` }, fixture.effects, fixture.web);
}

async function landed(): Promise<Set<string>> {
  return new Set(
    (await fixture.landing()).flatMap(({ body }) =>
      (body.items as { played_at: string }[]).map((item) => item.played_at),
    ),
  );
}

/** The n-th call to the Web API (1-based) goes wrong. */
function onCall(faults: Record<number, Fault>): void {
  let calls = 0;
  fixture.stub.fault = ({ host }) => {
    if (host === 'api.spotify.com') calls += 1;
    return host === 'api.spotify.com' ? faults[calls] : undefined;
  };
}

const apiCalls = (): StubRequest[] => fixture.stub.requests.filter(({ host }) => host === 'api.spotify.com');
const tokenCalls = (): StubRequest[] => fixture.stub.requests.filter(({ path }) => path === '/api/token');

describe('one poll', () => {
  it('keeps the answer as it was received, then moves the mark', async () => {
    fixture.stub.world.plays = playsUntilNow(7);
    const result = await poll();
    expect(result).toMatchObject({ items: 7, newItems: 7, gap: undefined, calls: 1, notices: [] });
    const [envelope] = await fixture.landing();
    expect(envelope).toMatchObject({
      name: 'recently-played.json',
      endpoint: '/v1/me/player/recently-played?limit=50',
    });
    expect(envelope!.polled_at).toBe(new Date(fixture.clock.ms).toISOString());
    expect(envelope!.body).toEqual(JSON.parse(JSON.stringify(envelope!.body)));
    expect(await landed()).toEqual(new Set(fixture.stub.world.plays.map(({ playedAt }) => playedAt)));
    expect((await fixture.ledger()).polls.me).toMatchObject({
      newestPlayedAt: fixture.stub.world.plays.at(-1)!.playedAt,
    });
  });

  it('asks from two hours before the newest play on, and now and then for everything', async () => {
    fixture.stub.world.plays = playsUntilNow(7);
    await poll();
    const newest = Date.parse(fixture.stub.world.plays.at(-1)!.playedAt);
    fixture.clock.ms += 30 * MINUTE;
    await poll();
    expect(apiCalls()[1]!.query.get('after')).toBe(String(newest - 120 * MINUTE));
    fixture.clock.ms += 6 * 60 * MINUTE;
    await poll();
    expect(apiCalls()[2]!.query.has('after')).toBe(false);
  });

  it('brings a play that arrives an hour late', async () => {
    fixture.stub.world.plays = playsUntilNow(9);
    const late = fixture.stub.world.plays[4]!;
    late.readyMs = fixture.clock.ms + 60 * MINUTE;
    await poll();
    expect(await landed()).not.toContain(late.playedAt);
    fixture.clock.ms += 61 * MINUTE;
    expect(await poll()).toMatchObject({ newItems: 0 });
    expect(await landed()).toContain(late.playedAt);
  });

  it('of an empty account is an empty poll, exit 0', async () => {
    expect(await poll()).toMatchObject({ items: 0, newItems: 0, oldestAt: null, newestAt: null, gap: undefined });
    expect(await fixture.landing()).toHaveLength(1);
    expect(await poll()).toMatchObject({ items: 0 });
  });

  it('F11: more than 50 plays between two polls are a gap with its bounds, told and not hidden', async () => {
    fixture.stub.world.plays = playsUntilNow(3);
    const known = fixture.stub.world.plays.at(-1)!.playedAt;
    await poll();
    fixture.clock.ms += 200 * 3 * MINUTE;
    fixture.stub.world.plays.push(...playsUntilNow(120));
    const oldest = fixture.stub.world.plays.at(-50)!.playedAt;
    const result = await poll();
    expect(result.gap).toEqual({ from: known, to: oldest });
    expect(result.notices.join()).toContain('an account export closes the gap');
    fixture.clock.ms += 30 * MINUTE;
    expect(await poll()).toMatchObject({ gap: undefined, notices: [] });
  });

  it('F13: a clock that is set back 20 minutes neither loses plays nor repeats a stamp', async () => {
    fixture.stub.world.plays = playsUntilNow(5);
    await poll();
    const told = fixture.clock.ms;
    fixture.stub.world.plays.push({
      playedAt: new Date(told + MINUTE).toISOString(),
      item: { track: stubTrack('next') },
      readyMs: 0,
    });
    fixture.clock.ms = told - 20 * MINUTE;
    fixture.writeLogin();
    fixture.stub.world.plays.forEach((play) => {
      play.readyMs = 0;
    });
    expect(await poll()).toMatchObject({ newItems: 1 });
    const stamps = (await fixture.landing()).map(({ polled_at }) => polled_at);
    expect(new Set(stamps).size).toBe(stamps.length);
    expect(stamps).toEqual([...stamps].sort());
    expect(await landed()).toHaveProperty('size', 6);
  });
});

describe('rate limits', () => {
  const limited = (retryAfter?: string, body?: string): Fault => ({
    kind: 'status',
    status: 429,
    ...(retryAfter === undefined ? {} : { headers: { 'retry-after': retryAfter } }),
    ...(body === undefined ? {} : { body }),
  });

  it('F1: Retry-After 0 waits a second and more, with chance in it, and gives up after five calls', async () => {
    fixture.stub.fault = ({ host }) => (host === 'api.spotify.com' ? limited('0') : undefined);
    await expect(poll()).rejects.toMatchObject({ code: 'rate_limited', exit: 'tempfail' });
    expect(apiCalls()).toHaveLength(5);
    const waits = fixture.sleeps.filter((ms) => ms >= 1000);
    expect(waits).toHaveLength(4);
    expect(new Set(waits).size).toBeGreaterThan(1);
  });

  it.each([[undefined], ['soon'], ['-5'], ['1e3'], ['12abc'], ['Wed, 99 Foo 2026 00:00:00 GMT']])(
    'F2: a 429 with Retry-After %j backs off and goes on',
    async (header) => {
      fixture.stub.world.plays = playsUntilNow(4);
      onCall({ 1: limited(header), 2: limited(header) });
      expect(await poll()).toMatchObject({ items: 4, calls: 3 });
      expect(fixture.sleeps.every((ms) => ms <= 31_000)).toBe(true);
      expect(fixture.logs.join('')).toContain('status 429');
    },
  );

  it('F2: an HTTP date is honoured', async () => {
    onCall({ 1: limited(new Date(fixture.clock.ms + 20_000).toUTCString()) });
    await poll();
    const waited = fixture.sleeps.find((ms) => ms >= 1000)!;
    expect(waited).toBeGreaterThanOrEqual(19_000);
    expect(waited).toBeLessThanOrEqual(23_000);
  });

  it('F3: Retry-After 79892 is not slept; what came is kept, and nothing is called before its end, not even for a token', async () => {
    fixture.stub.world.plays = playsUntilNow(4);
    await poll();
    fixture.clock.ms += 30 * MINUTE;
    onCall({ 1: limited('79892') });
    const asked = fixture.clock.ms;
    await expect(poll()).rejects.toMatchObject({
      code: 'rate_limited',
      exit: 'tempfail',
      message: expect.stringContaining('2026-11-02 10:4'),
    });
    expect(Math.max(0, ...fixture.sleeps)).toBeLessThan(1000);
    expect(Date.parse((await fixture.ledger()).retryAt!)).toBeGreaterThanOrEqual(asked + 79_892_000);
    expect(await landed()).toHaveProperty('size', 4);

    fixture.stub.fault = () => undefined;
    const before = fixture.stub.requests.length;
    for (const hours of [1, 5, 22]) {
      fixture.clock.ms = asked + hours * 3_600_000;
      await expect(poll()).rejects.toMatchObject({ code: 'rate_limited', exit: 'tempfail' });
    }
    expect(fixture.stub.requests).toHaveLength(before);
    fixture.clock.ms = asked + 79_900_000;
    expect(await poll()).toMatchObject({ items: 4 });
    expect((await fixture.ledger()).retryAt).toBeNull();
  });

  it('F3: a pause that a wrong clock has put years ahead does not stop the capture for years', async () => {
    onCall({ 1: limited('79892') });
    fixture.clock.ms += 3 * 365 * 86_400_000;
    fixture.writeLogin();
    await expect(poll()).rejects.toMatchObject({ code: 'rate_limited' });
    fixture.clock.ms -= 3 * 365 * 86_400_000;
    fixture.writeLogin();
    fixture.stub.fault = () => undefined;
    expect(await poll()).toMatchObject({ items: 0 });
  });

  it('F4: QUOTA_EXCEEDED is not tried again in this run, and is told apart', async () => {
    onCall({ 1: limited(undefined, '{"error":{"status":429,"reason":"QUOTA_EXCEEDED"}}') });
    await expect(poll()).rejects.toMatchObject({
      code: 'quota_exceeded',
      exit: 'tempfail',
      message: expect.stringContaining('quota'),
    });
    expect(apiCalls()).toHaveLength(1);
    expect(await fixture.ledger()).toMatchObject({ isQuota: true });
  });
});

describe('the login', () => {
  it('F5: a 401 refreshes once and goes on at the same page', async () => {
    fixture.stub.world.plays = playsUntilNow(4);
    onCall({ 1: { kind: 'expired' } });
    expect(await poll()).toMatchObject({ items: 4, calls: 2 });
    expect(tokenCalls()).toHaveLength(1);
    expect(apiCalls()[0]!.query.toString()).toBe(apiCalls()[1]!.query.toString());
  });

  it('F5: a token that is refused right after a refresh ends with 77, without a storm', async () => {
    onCall({ 1: { kind: 'expired' }, 2: { kind: 'expired' } });
    await expect(poll()).rejects.toMatchObject({ code: 'login_refused', exit: 'auth' });
    expect(tokenCalls()).toHaveLength(1);
  });

  it('F6: a login that Spotify has ended is 77 with the words that help; later runs ask nobody', async () => {
    fixture.writeLogin({ refreshToken: 'CANARY-refresh-of-last-year', expiresAt: 0 });
    await expect(poll()).rejects.toMatchObject({
      code: 'login_ended',
      exit: 'auth',
      hint: expect.stringContaining('listenlake login'),
    });
    await expect(poll()).rejects.toMatchObject({ code: 'login_ended' });
    expect(tokenCalls()).toHaveLength(1);
    expect(apiCalls()).toHaveLength(0);
  });

  it('F6: warns from 21 days before the end of the six months, and not earlier', async () => {
    const day = 86_400_000;
    fixture.writeLogin({ consentedAt: Date.UTC(2026, 4, 22, 12) + 60 * MINUTE });
    expect(await poll()).toMatchObject({ notices: [] });
    fixture.clock.ms += 2 * 60 * MINUTE;
    fixture.writeLogin({ consentedAt: Date.UTC(2026, 4, 22, 12) });
    expect((await poll()).notices).toEqual([expect.stringMatching(/ends on 2026-11-22.*listenlake login/)]);
    fixture.clock.ms += 40 * day;
    fixture.writeLogin({ consentedAt: Date.UTC(2026, 4, 22, 12) });
    expect((await poll()).notices).toHaveLength(1);
  });

  it('F7: a rotated refresh token is on the disk before the new access token is used', async () => {
    fixture.stub.isRotating = true;
    fixture.writeLogin({ expiresAt: 0 });
    let stored = '';
    fixture.stub.fault = ({ host }) => {
      if (host === 'api.spotify.com') stored = readFileSync(fixture.tokenFile, 'utf8');
      return undefined;
    };
    await poll();
    expect(JSON.parse(stored)).toMatchObject({ refreshToken: fixture.stub.refreshToken });
    expect(statSync(fixture.tokenFile).mode & 0o777).toBe(0o600);
  });

  it('F7: where the answer was lost before it was stored, the old token is tried once on restart', async () => {
    fixture.writeLogin({ expiresAt: 0 });
    const old = fixture.stub.refreshToken;
    // The server has rotated, the process died: only the old token is on the disk, and Spotify no longer
    // takes it.
    fixture.stub.refreshToken = 'CANARY-refresh-nobody-stored';
    await expect(poll()).rejects.toMatchObject({ code: 'login_ended', exit: 'auth' });
    expect(tokenCalls().map(({ form }) => form.get('refresh_token'))).toEqual([old]);
    // And where Spotify still takes it, all is well.
    fixture.stub.refreshToken = old;
    fixture.writeLogin({ expiresAt: 0 });
    expect(await poll()).toMatchObject({ items: 0 });
  });

  it('two jobs at once refresh once between them', async () => {
    fixture.stub.isRotating = true;
    fixture.writeLogin({ expiresAt: 0 });
    // The lock is of real processes: waiting for it takes real time.
    const web = { ...fixture.web, sleep: (ms: number) => wait(ms / 20) };
    const sessions = await Promise.all(Array.from({ length: 6 }, () => openSession(fixture.effects.config, web)));
    const tokens = await Promise.all(sessions.map((session) => session.accessToken()));
    expect(new Set(tokens).size).toBe(1);
    expect(tokenCalls()).toHaveLength(1);
    expect(readdirSync(dirname(fixture.tokenFile))).toEqual(['spotify.json']);
  });

  it('S25: a token file that others may read is refused with the command that mends it, exit 78', async () => {
    chmodSync(fixture.tokenFile, 0o644);
    await expect(poll()).rejects.toMatchObject({
      code: 'token_file_open',
      exit: 'config',
      message: expect.stringContaining('0644'),
      hint: `chmod 600 ${fixture.tokenFile}`,
    });
    expect(fixture.stub.requests).toHaveLength(0);
    chmodSync(fixture.tokenFile, 0o600);
    await expect(poll()).resolves.toMatchObject({ items: 0 });
  });

  it.each([
    ['no file', 'not_logged_in', 'auth'],
    ['not JSON', 'token_invalid', 'auth'],
    ['another app', 'token_of_another', 'config'],
    ['another user', 'token_of_another', 'config'],
    ['a scope too few', 'scope_missing', 'auth'],
  ])('%s: %s', async (what, code, exit) => {
    if (what === 'no file')
      fixture.effects = {
        ...fixture.effects,
        config: {
          ...fixture.effects.config,
          spotify: { ...fixture.effects.config.spotify, tokenFile: `${fixture.tokenFile}.none` },
        },
      };
    if (what === 'not JSON') fixture.writeLogin({ format: 9 });
    if (what === 'another app') fixture.writeLogin({ clientId: 'another' });
    if (what === 'another user') fixture.writeLogin({ userId: 'another' });
    if (what === 'a scope too few') fixture.writeLogin({ scopes: ['user-library-read'] });
    await expect(poll()).rejects.toMatchObject({ code, exit });
    expect(fixture.stub.requests).toHaveLength(0);
  });

  it('a wrong client secret is a fault of the configuration, 78, and is not echoed', async () => {
    const { config } = fixture.effects;
    fixture.effects = {
      ...fixture.effects,
      config: { ...config, spotify: { ...config.spotify, clientSecret: 'CANARYwrong000000000000000000000' } },
    };
    fixture.writeLogin({ expiresAt: 0 });
    await expect(poll()).rejects.toMatchObject({
      code: 'client_refused',
      exit: 'config',
      message: expect.not.stringContaining('CANARY'),
    });
    expect(JSON.parse(readFileSync(fixture.tokenFile, 'utf8'))).not.toHaveProperty('endedAt');
  });
});

describe('answers that are not what they should be', () => {
  it.each(['html', 'cut_json', 'cut_gzip', 'reset', 'hang', 'drip'] as const)(
    'F9, F12: %s once is tried again, and nothing of it is kept',
    async (kind) => {
      fixture.stub.world.plays = playsUntilNow(4);
      onCall({ 1: { kind } });
      expect(await poll()).toMatchObject({ items: 4 });
      expect(await fixture.landing()).toHaveLength(1);
    },
  );

  it.each([
    ['html', 'answer_invalid', 'data'],
    ['cut_json', 'answer_invalid', 'data'],
    ['cut_gzip', 'source_unavailable', 'unavailable'],
    ['reset', 'source_unavailable', 'unavailable'],
    ['drip', 'source_unavailable', 'unavailable'],
  ] as const)('F9, F12: %s for ever ends with %s; nothing is kept and the mark stays', async (kind, code, exit) => {
    fixture.stub.world.plays = playsUntilNow(4);
    await poll();
    const before = await fixture.ledger();
    fixture.stub.fault = ({ host }) => (host === 'api.spotify.com' ? { kind } : undefined);
    await expect(poll()).rejects.toMatchObject({ code, exit });
    expect(await fixture.landing()).toHaveLength(1);
    expect((await fixture.ledger()).polls).toEqual(before.polls);
  });

  it.each([500, 502, 503])('F12: status %i is tried five times, then 69', async (status) => {
    fixture.stub.fault = ({ host }) => (host === 'api.spotify.com' ? { kind: 'status', status } : undefined);
    await expect(poll()).rejects.toMatchObject({ code: 'source_unavailable', exit: 'unavailable' });
    expect(apiCalls()).toHaveLength(5);
    expect(await fixture.landing()).toEqual([]);
  });

  it('F12: a name that does not resolve is 69, bounded', async () => {
    const fetch = (): Promise<Response> =>
      Promise.reject(Object.assign(new TypeError('fetch failed'), { cause: { code: 'ENOTFOUND' } }));
    fixture.web = { ...fixture.web, fetch: fetch as typeof globalThis.fetch };
    await expect(poll()).rejects.toMatchObject({
      code: 'source_unavailable',
      message: expect.stringContaining('ENOTFOUND'),
    });
  });

  it('F9: `items` missing is refused and the mark stays', async () => {
    onCall({ 1: { kind: 'edit', edit: () => ({ surprise: true }) } });
    await expect(poll()).rejects.toMatchObject({ code: 'answer_invalid', exit: 'data' });
    expect(await fixture.landing()).toEqual([]);
  });

  it('F9: a `next` that leads round in a circle ends; every page is kept, the mark stays', async () => {
    fixture.stub.world.plays = playsUntilNow(60);
    fixture.stub.fault = ({ path }) =>
      path.endsWith('recently-played')
        ? {
            kind: 'edit',
            edit: (body) => ({ ...body, next: 'https://api.spotify.com/v1/me/player/recently-played?limit=50' }),
          }
        : undefined;
    await expect(poll()).rejects.toMatchObject({ code: 'paging_loop', exit: 'data' });
    expect(await landed()).toHaveProperty('size', 50);
    expect((await fixture.ledger()).polls).toEqual({});
  });

  it.each([
    ['https://elsewhere.example/v1/me'],
    ['http://api.spotify.com/v1/me'],
    ['https://api.spotify.com.elsewhere.example/v1/me'],
    ['https://user@api.spotify.com/v1/me'],
    ['//elsewhere.example/v1/'],
    ['https://api.spotify.com:8443/v1/me'],
    ['not an address'],
  ])('F10, S4: `next` to %s never gets the token', async (next) => {
    fixture.stub.world.plays = playsUntilNow(60);
    onCall({ 1: { kind: 'edit', edit: (body) => ({ ...body, next }) } });
    await expect(poll()).rejects.toMatchObject({ code: 'host_refused', exit: 'data' });
    expect(fixture.stub.requests.map(({ host }) => host)).toEqual(['api.spotify.com']);
  });

  it('F10, S4: a redirect to another host never gets the token; one on the same host is followed', async () => {
    fixture.stub.world.plays = playsUntilNow(4);
    const to = (location: string): Fault => ({ kind: 'status', status: 302, headers: { location } });
    onCall({ 1: to('https://elsewhere.example/v1/me/player/recently-played') });
    await expect(poll()).rejects.toMatchObject({ code: 'host_refused', exit: 'data' });
    expect(fixture.stub.requests.map(({ host }) => host)).toEqual(['api.spotify.com']);
    onCall({ 1: to('/v1/me/player/recently-played?limit=50') });
    expect(await poll()).toMatchObject({ items: 4 });
    fixture.stub.fault = ({ host }) =>
      host === 'accounts.spotify.com' ? to('https://elsewhere.example/api/token') : undefined;
    fixture.writeLogin({ expiresAt: 0 });
    await expect(poll()).rejects.toMatchObject({ code: 'redirect_refused', exit: 'data' });
    expect(fixture.stub.requests.some(({ host }) => host === 'elsewhere.example')).toBe(false);
  });

  it('S3: an answer that repeats our token is not kept', async () => {
    onCall({ 1: { kind: 'edit', edit: () => ({ items: [], echo: fixture.stub.issued.at(-1) }) } });
    await poll();
    expect(JSON.stringify(await fixture.landing())).not.toContain('CANARY');
  });
});

it('a stop between two waits ends with 75 and leaves the ledger as it was', async () => {
  const controller = new AbortController();
  fixture.web = { ...fixture.web, signal: controller.signal };
  fixture.stub.fault = () => {
    controller.abort();
    return { kind: 'hang' };
  };
  await expect(poll()).rejects.toMatchObject({ code: 'stopped', exit: 'tempfail' });
  expect(existsSync(`${fixture.lake}/manifests`)).toBe(false);
});

it('names in landing are those of files that load knows', async () => {
  await poll();
  const [envelope] = await fixture.landing();
  expect(landingName(landingKey('0'.repeat(64), envelope!.name))).toBe('recently-played.json');
});
