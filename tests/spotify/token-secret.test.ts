/** The login in Secrets Manager, on moto: rotation, jobs side by side, faults, and the real program. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { freePort } from '../../airflow/free-port.ts';
import { JobError } from '../../jobs/base/errors.ts';
import { readSecret } from '../../jobs/base/secret.ts';
import { extractRecentlyPlayed } from '../../jobs/sources/spotify-api/recently-played.ts';
import { secretTokenStore } from '../../jobs/sources/spotify-api/token-secret.ts';
import { parseToken, type Token } from '../../jobs/sources/spotify-api/token-store.ts';
import type { Rule } from '../aws/endpoint.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from '../aws/local.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { ALL_SCOPES, openSpotifyFixture, type SpotifyFixture } from './fixture.ts';
import { stubTrack } from './stub.ts';

const local = await startLocalAwsOrSkip('the login in Secrets Manager', { isTrinoNeeded: false });

if (local === undefined) {
  it('Secrets Manager is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { endpoint } = local;
  const environment = environmentOf(endpoint.url);
  let client: SecretsManagerClient;
  let fixture: SpotifyFixture;
  let secrets = 0;
  let secret: string;

  beforeAll(async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_REGION', 'AWS_ENDPOINT_URL'] as const)
      process.env[name] = environment[name];
    client = new SecretsManagerClient({ endpoint: local.motoUrl, region: REGION });
    fixture = await openSpotifyFixture();
  });
  beforeEach(async () => {
    await fixture.reset();
    rmSync(fixture.tokenFile);
    fixture.stub.isRotating = true;
    fixture.stub.world.plays = [play(1), play(2)];
    secrets += 1;
    secret = `lake-${secrets}/spotify`;
    await client.send(new CreateSecretCommand({ Name: secret }));
    const { config } = fixture.effects;
    fixture.effects = {
      ...fixture.effects,
      config: { ...config, spotify: { ...config.spotify, tokenSecret: secret } },
    };
    endpoint.calls.length = 0;
    endpoint.rules.length = 0;
  });
  afterAll(async () => {
    client.destroy();
    await fixture.close();
    await local.close();
  });

  const play = (minute: number) => ({
    playedAt: new Date(Date.UTC(2026, 10, 1, 11, minute)).toISOString(),
    item: { track: stubTrack(`song ${minute}`), context: null },
  });
  const login = (changes: Partial<Token> = {}): Token => ({
    ...{ format: 1, clientId: fixture.stub.app.id, userId: 'me', scopes: ALL_SCOPES },
    ...{ accessToken: 'CANARY-access-old', refreshToken: fixture.stub.refreshToken },
    ...{ expiresAt: 0, consentedAt: fixture.clock.ms, ...changes },
  });
  const write = async (text: string): Promise<void> =>
    void (await client.send(new PutSecretValueCommand({ SecretId: secret, SecretString: text })));
  const stored = async (): Promise<Token> => {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secret }));
    return parseToken(SecretString!)!;
  };
  const poll = () => extractRecentlyPlayed({ runId: 'run' }, fixture.effects, fixture.web);
  const refreshes = (): number => fixture.stub.requests.filter(({ path }) => path === '/api/token').length;
  const fault = (...rules: Rule[]): void => void endpoint.rules.push(...rules);
  const answer = (type: string, message = type) => ({
    kind: 'answer' as const,
    ...{ status: 400, body: JSON.stringify({ __type: type, Message: message, message }) },
  });
  async function failure(action: Promise<unknown>): Promise<JobError> {
    const error = await action.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof JobError)) throw error ?? new Error('no error');
    return error;
  }

  it('F7: a rotated refresh token is in the secret before the access token is used', async () => {
    await write(JSON.stringify(login()));
    const old = fixture.stub.refreshToken;
    let before: Promise<Token> | undefined;
    fixture.stub.fault = ({ host }) => {
      if (host === 'api.spotify.com') before ??= stored();
      return undefined;
    };
    expect(await poll()).toMatchObject({ items: 2 });
    expect((await before!).refreshToken).toBe(fixture.stub.refreshToken);
    expect(fixture.stub.refreshToken).not.toBe(old);
    expect(await stored()).toMatchObject({ refreshToken: fixture.stub.refreshToken, consentedAt: fixture.clock.ms });
    expect(fixture.logs.join('')).not.toContain('CANARY');
    // An hour later there is a version after it.
    fixture.clock.ms += 3_600_000;
    await poll();
    expect([refreshes(), (await stored()).refreshToken]).toEqual([2, fixture.stub.refreshToken]);
  });

  it('jobs at once refresh it once between them, and all go on', async () => {
    await write(JSON.stringify(login()));
    const three = Array.from({ length: 3 }, () => secretTokenStore(secret, fixture.web));
    let made = 0;
    const tokens = await Promise.all(
      three.map((store) =>
        store.change(
          (token) => token.expiresAt === 0,
          async (token) => {
            made += 1;
            await new Promise((resolve) => setTimeout(resolve, 200));
            return { token: { ...token, refreshToken: `new-${made}`, expiresAt: 1 } };
          },
        ),
      ),
    );
    expect(made).toBe(1);
    expect(tokens.map(({ refreshToken }) => refreshToken)).toEqual(['new-1', 'new-1', 'new-1']);
    expect((await stored()).refreshToken).toBe('new-1');
    for (const store of three) store.close();
  });

  it('a job that was away for long does not put its login over the one that came after', async () => {
    await write(JSON.stringify(login()));
    const [slow, quick] = [secretTokenStore(secret, fixture.web), secretTokenStore(secret, fixture.web)];
    const result = await slow.change(
      () => true,
      async (token) => {
        fixture.clock.ms += 6 * 60_000;
        await quick.change(
          () => true,
          async (now) => ({ token: { ...now, refreshToken: 'of the quick one' } }),
        );
        return { token: { ...token, refreshToken: 'of the slow one' } };
      },
    );
    expect([result.refreshToken, (await stored()).refreshToken]).toEqual(['of the quick one', 'of the quick one']);
    slow.close();
    quick.close();
  });

  it('a version that somebody has set back by hand, after which another one was put before, is replaced all the same', async () => {
    await write(JSON.stringify(login()));
    fault({ operation: 'PutSecretValue', fault: answer('ResourceExistsException'), after: 1 });
    await poll();
    expect([refreshes(), (await stored()).refreshToken]).toEqual([1, fixture.stub.refreshToken]);
  });

  it('F6: a refused refresh token is remembered; a refresh that failed otherwise keeps nobody waiting', async () => {
    await write(JSON.stringify(login()));
    fixture.stub.fault = ({ path }) => (path === '/api/token' ? { kind: 'status', status: 503 } : undefined);
    expect(await failure(poll())).toMatchObject({ code: 'source_unavailable', exit: 'unavailable' });
    fixture.stub.fault = () => undefined;
    await poll();
    expect(await stored()).not.toHaveProperty('endedAt');

    await write(JSON.stringify(login({ refreshToken: 'CANARY-unknown' })));
    expect(await failure(poll())).toMatchObject({ code: 'login_ended', exit: 'auth' });
    const asked = refreshes();
    expect(await failure(poll())).toMatchObject({ code: 'login_ended' });
    expect(refreshes()).toBe(asked);
    expect(await stored()).toMatchObject({ endedAt: expect.any(Number) });
  });

  it.each(['lose-answer', 'reset', 'cut-body'] as const)(
    'F44, F46: a value whose answer is lost (%s) is put once',
    async (kind) => {
      await write(JSON.stringify(login()));
      fault({ operation: 'PutSecretValue', fault: { kind }, times: 2 });
      await poll();
      expect([refreshes(), (await stored()).refreshToken]).toEqual([1, fixture.stub.refreshToken]);
    },
  );

  it('reads any secret as it is, and says where there is none', async () => {
    await write('the key of a lake');
    expect(await readSecret(secret)).toBe('the key of a lake');
    expect(await failure(readSecret('no/such/secret'))).toMatchObject({ code: 'secret_missing', exit: 'config' });
  });

  it('says what is wrong with the secret: absent, empty, no login, denied, its key denied, going, not reachable', async () => {
    expect(await failure(poll())).toMatchObject({ code: 'not_logged_in', exit: 'auth' });
    await write('{"client_secret":"CANARY-pasted"}');
    const invalid = await failure(poll());
    expect(invalid).toMatchObject({ code: 'token_invalid', exit: 'auth', place: { file: `secret ${secret}` } });
    expect(JSON.stringify([invalid.message, invalid.hint])).not.toContain('CANARY');
    await write(JSON.stringify(login({ clientId: 'another' })));
    expect(await failure(poll())).toMatchObject({ code: 'token_of_another', exit: 'config' });
    await write(JSON.stringify(login({ expiresAt: fixture.clock.ms + 3_600_000 })));
    for (const [type, code, exit] of [
      ['AccessDeniedException', 'secret_denied', 'auth'],
      ['DecryptionFailure', 'secret_denied', 'auth'],
      ['UnrecognizedClientException', 'secret_denied', 'auth'],
    ]) {
      fault({ operation: 'GetSecretValue', fault: answer(type!) });
      expect(await failure(poll())).toMatchObject({ code, exit });
    }
    fault({ operation: 'GetSecretValue', fault: answer('InternalServiceError'), times: 1 });
    fault({ operation: 'GetSecretValue', fault: { kind: 'answer', status: 500, body: '{}' }, times: 20 });
    expect(await failure(poll())).toMatchObject({ code: 'secret_unavailable', exit: 'unavailable' });
    endpoint.rules.length = 0;
    await client.send(new DeleteSecretCommand({ SecretId: secret }));
    expect(await failure(poll())).toMatchObject({ code: 'secret_missing', exit: 'config' });
    secret = 'no/such/secret';
    const { config } = fixture.effects;
    fixture.effects = {
      ...fixture.effects,
      config: { ...config, spotify: { ...config.spotify, tokenSecret: secret } },
    };
    expect(await failure(poll())).toMatchObject({
      code: 'secret_missing',
      hint: expect.stringContaining('AWS_REGION'),
    });
  });

  it('a job whose right to put is taken says so, and the next one can', async () => {
    await write(JSON.stringify(login()));
    fault({ operation: 'PutSecretValue', fault: answer('AccessDeniedException') });
    expect(await failure(poll())).toMatchObject({ code: 'secret_denied', exit: 'auth' });
    expect(refreshes()).toBe(0);
    await poll();
  });

  describe('the real program', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'listenlake-secret-'));
      fixture.stub.clock.ms = Date.now();
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));
    const env = (): Record<string, string> => ({
      ...fixture.stub.env(),
      ...environment,
      LISTENLAKE_SPOTIFY_TOKEN_SECRET: secret,
      LISTENLAKE_LOG_LEVEL: 'debug',
      XDG_CACHE_HOME: join(folder, 'cache'),
      XDG_CONFIG_HOME: join(folder, 'config'),
    });
    const capture = (name: string): string[] => ['extract', 'recently-played', '--lake', join(folder, name)];

    it('S3: three jobs on three lakes refresh once; the login is in the secret and nowhere else', async () => {
      await write(JSON.stringify(login({ consentedAt: Date.now() })));
      const ends = await Promise.all(['a', 'b', 'c'].map((name) => finished(start(capture(name), env()))));
      expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
      expect(refreshes()).toBe(1);
      expect((await stored()).refreshToken).toBe(fixture.stub.refreshToken);
      const bytes = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString('latin1'));
      const all = [...ends.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...bytes].join('\n');
      expect(all).not.toContain('CANARY');
      for (const issued of fixture.stub.issued) expect(all).not.toContain(issued);
    });

    it('F7: killed while it refreshes, the next job goes on once the claim is stale', async () => {
      await write(JSON.stringify(login({ consentedAt: Date.now() })));
      fixture.stub.fault = ({ path }) => (path === '/api/token' ? { kind: 'hang' } : undefined);
      const child = start(capture('lake'), env());
      const end = finished(child);
      while (refreshes() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill('SIGKILL');
      expect((await end).signal).toBe('SIGKILL');
      fixture.stub.fault = () => undefined;
      fixture.clock.ms = Date.now();
      expect(await failure(poll())).toMatchObject({ code: 'token_busy', exit: 'tempfail' });
      fixture.clock.ms = Date.now() + 6 * 60_000;
      expect(await poll()).toMatchObject({ items: 2 });
      expect((await stored()).refreshToken).toBe(fixture.stub.refreshToken);
    });

    it('login puts the login there; of a secret that is absent it says so before anybody has agreed', async () => {
      const absent = await listenlake(['login', '--no-browser'], {
        ...env(),
        LISTENLAKE_SPOTIFY_TOKEN_SECRET: 'absent',
      });
      expect([absent.code, absent.stderr]).toEqual([
        78,
        expect.stringContaining('secret absent: there is no such secret'),
      ]);
      expect(absent.stderr).not.toContain('Open this address');

      const child = start(['login', '--no-browser'], {
        ...env(),
        LISTENLAKE_SPOTIFY_REDIRECT_PORT: String(await freePort()),
      });
      const end = finished(child);
      let text = '';
      child.stderr!.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      while (!text.includes('Waiting') && child.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 20));
      const address = new URL(/https:\/\/\S+/.exec(text)![0]);
      const consent = await (await fetch(address)).text();
      const page = await fetch(/id="agree" href="([^"]+)"/.exec(consent)![1]!.replaceAll('&amp;', '&'));
      expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('extract recently-played')]);
      const { code, stdout } = await end;
      expect([code, stdout]).toEqual([0, expect.stringContaining(`the login is in secret ${secret}`)]);
      expect((await stored()).refreshToken).toBe(fixture.stub.refreshToken);
      expect((await listenlake(capture('lake'), env())).code).toBe(0);
    });
  });
}
