/** The real program against the stub: as a schedule runs it, killed and side by side. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { ALL_SCOPES } from './fixture.ts';
import { emptyWorld, type Stub, startStub, stubTrack } from './stub.ts';

let stub: Stub;
let folder: string;
let tokenFile: string;

beforeAll(async () => {
  stub = await startStub({ ms: Date.now() });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'listenlake-capture-'));
  tokenFile = join(folder, 'login', 'spotify.json');
  [stub.world, stub.fault, stub.isRotating, stub.clock.ms] = [emptyWorld(), () => undefined, true, Date.now()];
  stub.requests.length = 0;
  stub.world.plays = Array.from({ length: 12 }, (_, index) => ({
    playedAt: new Date(stub.clock.ms - (13 - index) * 240_000).toISOString(),
    item: { track: stubTrack(`song ${index}`), context: null },
  }));
  writeLogin();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
afterAll(() => stub.close());

/** A login whose access token has run out. */
function writeLogin(): void {
  mkdirSync(dirname(tokenFile), { recursive: true });
  rmSync(tokenFile, { force: true });
  const token = {
    ...{
      format: 1,
      clientId: stub.app.id,
      userId: 'me',
      scopes: ALL_SCOPES,
      accessToken: 'CANARY-access-old',
      refreshToken: stub.refreshToken,
    },
    ...{ expiresAt: 0, consentedAt: stub.clock.ms },
  };
  writeFileSync(tokenFile, JSON.stringify(token), { mode: 0o600 });
}

const env = (): Record<string, string> => ({
  ...stub.env(),
  LISTENLAKE_SPOTIFY_TOKEN_FILE: tokenFile,
  LISTENLAKE_LOG_LEVEL: 'debug',
  XDG_CACHE_HOME: join(folder, 'cache'),
});
const lake = (name = 'lake'): string => join(folder, name);
const capture = (name?: string): string[] => ['extract', 'recently-played', '--lake', lake(name)];
const refreshes = (): number => stub.requests.filter(({ path }) => path === '/api/token').length;

function everyByte(path: string): string {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString('latin1'))
    .join('\n');
}

it('extract recently-played, then run, brings the plays into gold_prod and the report; S3: no secret in any output or file of the lake', async () => {
  const first = await listenlake(capture(), env());
  expect([first.code, first.json]).toEqual([
    0,
    expect.objectContaining({ items: 12, new_items: 12, is_overflow: false, notices: [] }),
  ]);
  expect(first.stdout).toContain('next: listenlake run');
  const again = await listenlake(capture(), env());
  expect([again.code, again.json]).toEqual([0, expect.objectContaining({ new_items: 0 })]);
  const run = await listenlake(['run', '--lake', lake()], env());
  expect([run.code, run.json]).toEqual([
    0,
    expect.objectContaining({ accounts: { read: 24, new: 12, duplicate: 12, quarantined: 0 } }),
  ]);
  const counted = await listenlake(
    ['sql', '--json', '--target', 'prod', 'select count(*) as plays from fct_plays', '--lake', lake()],
    env(),
  );
  expect(JSON.parse(counted.stdout)).toEqual([{ plays: 12 }]);
  const report = readFileSync(join(dirname(String(run.json.report)), 'operator.html'), 'utf8');
  expect(report).toContain('Recently played (Web API)');
  expect(report).toMatch(/<figure id="covered-days">.*?<p>Nothing is missing since /s);
  const covered = await listenlake(['coverage', '--lake', lake()], env());
  expect([covered.code, covered.json]).toEqual([
    0,
    expect.objectContaining({ status: 'whole', users: 1, gaps: 0, newest_capture: expect.stringMatching(/^20.*Z$/) }),
  ]);
  const outputs =
    [first, again, run, counted, covered].flatMap(({ stdout, stderr }) => [stdout, stderr]).join('\n') +
    everyByte(lake());
  expect(outputs).not.toContain('CANARY');
  expect(refreshes()).toBe(1);
});

it('F7, F36: killed with a refresh token that was rotated a moment ago, the next run goes on with it', async () => {
  stub.fault = ({ path }) => (path.endsWith('recently-played') ? { kind: 'hang' } : undefined);
  const child = start(capture(), env());
  const end = finished(child);
  while (!stub.requests.some(({ path }) => path.endsWith('recently-played')))
    await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGKILL');
  expect((await end).signal).toBe('SIGKILL');
  expect(JSON.parse(readFileSync(tokenFile, 'utf8')).refreshToken).toBe(stub.refreshToken);
  stub.fault = () => undefined;
  const next = await listenlake(capture(), env());
  expect([next.code, next.json]).toEqual([0, expect.objectContaining({ items: 12 })]);
  expect(refreshes()).toBe(1);
  expect(readdirSync(dirname(tokenFile))).toEqual(['spotify.json']);
});

it('three jobs on three lakes with one login refresh it once between them', async () => {
  const children = ['a', 'b', 'c'].map((name) => start(capture(name), env()));
  const ends = await Promise.all(children.map(finished));
  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(refreshes()).toBe(1);
  expect(JSON.parse(readFileSync(tokenFile, 'utf8')).refreshToken).toBe(stub.refreshToken);
});

it('a stop by SIGTERM while Spotify keeps us waiting ends with 75 or 143, and Spotify is not asked again', async () => {
  stub.fault = ({ path }) =>
    path.endsWith('recently-played') ? { kind: 'status', status: 429, headers: { 'retry-after': '50' } } : undefined;
  const child = start(capture(), env());
  const end = finished(child);
  const asked = (): number => stub.requests.filter(({ path }) => path.endsWith('recently-played')).length;
  while (asked() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGTERM');
  expect([75, 143]).toContain((await end).code);
  expect(asked()).toBe(1);
});
