/** A lake, a login and a clock that moves only when somebody sleeps, all against the stub. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { openEngine } from '../../jobs/engine/open.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { landingName, PREFIX } from '../../jobs/lake/keys.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { load } from '../../jobs/load.ts';
import { type Ledger, readLedger } from '../../jobs/sources/spotify-api/ledger.ts';
import type { Web } from '../../jobs/sources/spotify-api/transport.ts';
import { transform } from '../../jobs/transform.ts';
import { resolveToStub } from './names.ts';
import { type Clock, emptyWorld, type Stub, startStub } from './stub.ts';

export const START_MS = Date.UTC(2026, 10, 1, 12);
export const ALL_SCOPES = [
  'user-read-recently-played',
  'playlist-read-private',
  'playlist-read-collaborative',
  'user-library-read',
  'user-top-read',
  'user-follow-read',
];

export interface Envelope {
  name: string;
  polled_at: string;
  endpoint: string;
  body: Record<string, unknown>;
}

export interface SpotifyFixture {
  folder: string;
  lake: string;
  tokenFile: string;
  stub: Stub;
  clock: Clock;
  /** Every wait that was asked for, ms. */
  sleeps: number[];
  /** Everything that was logged. */
  logs: string[];
  web: Web;
  effects: Effects;
  store: LakeStore;
  writeLogin(changes?: Record<string, unknown>): void;
  ledger(): Promise<Ledger>;
  /** Lets the jobs ask a real engine, and `loadAndTransform` work. */
  openEngine(): Promise<void>;
  /** Landing (and files) to silver, as `listenlake run` does it. @returns rows that were refused */
  loadAndTransform(paths?: string[]): Promise<number>;
  rows<T>(sql: string): Promise<T[]>;
  landing(): Promise<Envelope[]>;
  /** Forgets requests, sleeps, world and faults; a new, empty lake with a fresh login. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export async function openSpotifyFixture(): Promise<SpotifyFixture> {
  const clock: Clock = { ms: START_MS };
  const stub = await startStub(clock);
  const restore = resolveToStub(stub.port, stub.caFile);
  // Hundreds of polls flush thousands of objects: a folder in memory, where there is one with room, is a
  // hundred times faster.
  const memory = '/dev/shm';
  const isRoomy = existsSync(memory) && statfsSync(memory).bavail * statfsSync(memory).bsize > 2 * 1024 ** 3;
  const base = mkdtempSync(join(isRoomy ? memory : tmpdir(), 'listenlake-spotify-'));
  const sleeps: number[] = [];
  const logs: string[] = [];
  let seed = 1;
  let lakes = 0;
  let runs = 0;
  const engines: SqlEngine[] = [];
  // The time of an attempt is over when the stub does not answer, and never before, however slow the machine
  // is.
  const limits = new Set<AbortController>();
  const timeLimit = (): AbortSignal => {
    const limit = new AbortController();
    limits.add(limit);
    return limit.signal;
  };
  stub.onEndless = () => {
    for (const limit of limits) limit.abort(new DOMException('the stub does not answer', 'TimeoutError'));
    limits.clear();
  };
  const web: Web = {
    fetch: globalThis.fetch,
    async sleep(ms) {
      sleeps.push(ms);
      clock.ms += ms;
      // Locks wait for somebody else in this very process.
      await new Promise((resolve) => setImmediate(resolve));
    },
    random: () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    },
    now: () => clock.ms,
    signal: new AbortController().signal,
    timeLimit,
  };
  const fixture = { stub, clock, sleeps, logs, web } as SpotifyFixture;

  fixture.writeLogin = (changes = {}) => {
    const token = {
      ...{
        format: 1,
        clientId: stub.app.id,
        userId: 'me',
        scopes: ALL_SCOPES,
        accessToken: stub.issueAccessToken(),
        refreshToken: stub.refreshToken,
      },
      ...{ expiresAt: clock.ms + 3_600_000, consentedAt: clock.ms, ...changes },
    };
    mkdirSync(join(fixture.folder, 'login'), { recursive: true });
    rmSync(fixture.tokenFile, { force: true });
    writeFileSync(fixture.tokenFile, JSON.stringify(token), { mode: 0o600 });
  };
  fixture.reset = async () => {
    clock.ms = START_MS;
    fixture.web = web;
    lakes += 1;
    fixture.folder = join(base, String(lakes));
    fixture.lake = join(fixture.folder, 'lake');
    fixture.tokenFile = join(fixture.folder, 'login', 'spotify.json');
    fixture.store = await openFolderLake(fixture.lake);
    const config = readConfig({
      LISTENLAKE_LAKE: fixture.lake,
      LISTENLAKE_SPOTIFY_CLIENT_ID: stub.app.id,
      LISTENLAKE_SPOTIFY_CLIENT_SECRET: stub.app.secret,
      LISTENLAKE_SPOTIFY_TOKEN_FILE: fixture.tokenFile,
      LISTENLAKE_THREADS: '2',
      XDG_CACHE_HOME: join(base, 'cache'),
    });
    fixture.effects = {
      config,
      store: fixture.store,
      engine: {
        ...{ dialect: 'duckdb', query: none, session: none, publish: none, close: async () => {} },
        ...{ export: none, unusedTables: none, dropTables: none, catalogEntries: () => Readable.from([]) },
      },
      log: createLog('debug', config.secrets, { write: (line: string) => void logs.push(line) }),
      progress: silentProgress,
      scratch: join(fixture.lake, '.staging'),
      now: () => clock.ms,
      signal: web.signal,
    };
    [stub.world, stub.fault, stub.isRotating, stub.stateOverride] = [emptyWorld(), () => undefined, false, undefined];
    stub.requests.length = 0;
    sleeps.length = 0;
    fixture.writeLogin();
  };
  fixture.openEngine = async () => {
    const { config, store } = fixture.effects;
    const scratch = join(fixture.lake, '.staging', `${process.pid}-test`);
    mkdirSync(scratch, { recursive: true });
    const engine = await openEngine(store, { config, scratch });
    engines.push(engine);
    fixture.effects = { ...fixture.effects, engine, scratch };
  };
  fixture.loadAndTransform = async (paths = []) => {
    runs += 1;
    const loaded = await load({ runId: `load-${runs}`, paths, userId: 'me', keepLanding: false }, fixture.effects);
    const loadedOn = new Date(clock.ms).toISOString().slice(0, 10);
    const { accounts } = await transform({ runId: `transform-${runs}`, loadedOn }, fixture.effects);
    return loaded.accounts.quarantined + accounts.quarantined;
  };
  fixture.rows = async <T>(sql: string) => {
    const { columns, rows } = await fixture.effects.engine.query(sql);
    return rows.map((row) => Object.fromEntries(columns.map(({ name }, index) => [name, row[index]])) as T);
  };
  fixture.ledger = () => readLedger(fixture.store);
  fixture.landing = async () => {
    const envelopes: Envelope[] = [];
    for await (const { key } of fixture.store.list(PREFIX.landing)) {
      const chunks: Buffer[] = [];
      for await (const chunk of await fixture.store.get(key)) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString('utf8');
      const parsed = isOneValue(text)
        ? [JSON.parse(text)]
        : text
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line));
      envelopes.push(...parsed.map((envelope) => ({ ...envelope, name: landingName(key) })));
    }
    return envelopes.sort((a, b) => (a.polled_at < b.polled_at ? -1 : 1));
  };
  fixture.close = async () => {
    for (const engine of engines) await engine.close();
    restore();
    await stub.close();
    rmSync(base, { recursive: true, force: true });
  };
  await fixture.reset();
  return fixture;
}

async function none(): Promise<never> {
  throw new Error('this job needs no engine');
}

function isOneValue(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
