/** Many polls with everything going wrong: no play is lost, none is there twice. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { JobError } from '../../jobs/base/errors.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { extractRecentlyPlayed } from '../../jobs/sources/spotify-api/recently-played.ts';
import { WAIT_MAX_MS } from '../../jobs/sources/spotify-api/transport.ts';
import { createRandom, pick, type Random } from '../../jobs/sources/synthetic/random.ts';
import { realDataOrSkip } from '../fixtures/layers.ts';
import { openSpotifyFixture, type SpotifyFixture } from './fixture.ts';
import { type Fault, type StubPlay, stubTrack } from './stub.ts';

const MINUTE = 60_000;
/**
 * Hundreds of polls over real connections take half a minute alone, and much longer where others keep the
 * processors busy.
 */
const TIMEOUT_MS = 1_800_000;

let fixture: SpotifyFixture;
beforeAll(async () => {
  fixture = await openSpotifyFixture();
});
beforeEach(async () => {
  await fixture.reset();
  await fixture.openEngine();
  fixture.stub.isRotating = true;
});
afterEach(() => {
  expect(Math.max(0, ...fixture.sleeps)).toBeLessThanOrEqual(WAIT_MAX_MS);
  for (const secret of fixture.stub.issued) expect(fixture.logs.some((line) => line.includes(secret))).toBe(false);
});
afterAll(() => fixture.close());

/** Ends a job as SIGKILL does, as far as the lake can see: from one write on nothing is written any more. */
class Killed extends Error {}

function dyingStore(store: LakeStore, puts: number, isWritten: boolean): LakeStore {
  let left = puts;
  const refuse = async (): Promise<never> => {
    throw new Killed('killed');
  };
  return {
    ...store,
    uri: store.uri,
    async put(key, body, condition) {
      left -= 1;
      if (left > 0) return store.put(key, body, condition);
      if (left === 0 && isWritten) await store.put(key, body, condition);
      return refuse();
    },
    delete: (key) => (left > 0 ? store.delete(key) : refuse()),
  };
}

/** One request's misfortune. None of them lasts longer than half an hour. */
function misfortune(random: Random): Fault {
  const header = pick(random, [undefined, '0', '2', '45', '61', '900', 'soon', '-1']);
  const faults: Fault[] = [
    { kind: 'status', status: 429, ...(header === undefined ? {} : { headers: { 'retry-after': header } }) },
    { kind: 'status', status: pick(random, [500, 502, 503]) },
    { kind: 'expired' },
    { kind: 'html' },
    { kind: 'cut_json' },
    { kind: 'cut_gzip' },
    { kind: 'reset' },
    { kind: 'edit', edit: (body) => ({ ...body, next: `${body.href}` }) },
    { kind: 'edit', edit: (body) => ({ ...body, next: 'https://elsewhere.example/v1/next' }) },
  ];
  return random.chance(0.02) ? { kind: 'hang' } : pick(random, faults);
}

/** Faults for the next requests; now and then one that stays. */
function scriptFaults(random: Random): void {
  const faults = Array.from({ length: random.int(4) }, () => misfortune(random));
  const lasting = random.chance(0.15) ? misfortune(random) : undefined;
  fixture.stub.fault = () => faults.shift() ?? lasting;
}

/** @returns true when the poll ended well */
async function poll(random: Random): Promise<boolean> {
  const { effects } = fixture;
  const store = random.chance(0.2) ? dyingStore(effects.store, 1 + random.int(4), random.chance(0.5)) : effects.store;
  try {
    await extractRecentlyPlayed({ runId: `run-${random.int(1_000_000_000)}` }, { ...effects, store }, fixture.web);
    return true;
  } catch (error) {
    // Whatever goes wrong is an expected failure with an exit code, or our own kill.
    if (!(error instanceof JobError) && !(error instanceof Killed)) throw error;
    return false;
  }
}

/** Chance that kills nobody. */
function undisturbed(): Random {
  return { ...createRandom(0, 'undisturbed'), chance: () => false };
}

async function landedPlays(): Promise<Set<string>> {
  const items = (await fixture.landing()).flatMap(
    ({ body }) => body.items as { played_at: string; track: { uri: string } }[],
  );
  return new Set(items.map(({ played_at, track }) => `${played_at} ${track.uri}`));
}

it(
  'F1 to F13, F36: 200 random scripts of faults and kills: no play is lost, none is there twice',
  async () => {
    const all: StubPlay[] = [];
    let failures = 0;
    let polls = 0;
    fixture.clock.ms = Date.UTC(2026, 0, 1);
    fixture.writeLogin();
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = createRandom(seed, 'faults');
      let failedInRow = 0;
      for (let slot = 0; slot < 2; slot += 1) {
        const began = fixture.clock.ms;
        for (let ms = began; ms < began + 29 * MINUTE; ms += 2 * MINUTE + random.int(6 * MINUTE)) {
          const playedAt = new Date(ms).toISOString();
          const text = random.chance(0.1) ? playedAt.replace(/\.\d+Z/, 'Z') : playedAt;
          const lateMs = random.chance(0.05) ? random.int(70 * MINUTE) : 0;
          all.push({
            playedAt: text,
            item: { track: stubTrack(`song ${random.int(40)}`), context: null },
            readyMs: ms + lateMs,
          });
        }
        fixture.stub.world.plays = all.slice(-150);
        fixture.clock.ms = began + 30 * MINUTE;
        scriptFaults(random);
        // Longer outages are what F11 is about: there plays are lost at the source.
        if (failedInRow >= 2) fixture.stub.fault = () => undefined;
        const isGood = await poll(random);
        polls += 1;
        failures += isGood ? 0 : 1;
        failedInRow = isGood ? 0 : failedInRow + 1;
        if (random.chance(0.1)) await poll(random);
        fixture.clock.ms = Math.max(fixture.clock.ms, began + 30 * MINUTE);
      }
    }
    fixture.stub.fault = () => undefined;
    fixture.clock.ms += 120 * MINUTE;
    expect(await poll(undisturbed())).toBe(true);

    expect(failures).toBeGreaterThan(polls / 10);
    expect(failures).toBeLessThan(polls / 2);
    const distinct = new Set(all.map(({ playedAt, item }) => `${playedAt} ${(item.track as { uri: string }).uri}`));
    const landed = await landedPlays();
    expect([...distinct].filter((play) => !landed.has(play))).toEqual([]);
    expect(await fixture.loadAndTransform()).toBe(0);
    expect(await fixture.rows('select count(*) as plays, count(distinct play_id) as ids from silver.plays')).toEqual([
      { plays: BigInt(distinct.size), ids: BigInt(distinct.size) },
    ]);
    const [ledger] = await fixture.rows<{ polls: bigint; overflows: bigint; new_items: bigint }>(
      'select count(*) as polls, count(case when is_overflow then 1 end) as overflows, sum(new_items) as new_items from silver.capture_polls',
    );
    expect(Number(ledger!.polls)).toBeGreaterThanOrEqual(polls - failures);
    expect(Number(ledger!.overflows)).toBe(0);
    expect(fixture.stub.requests.filter(({ host }) => host === 'elsewhere.example')).toEqual([]);
  },
  TIMEOUT_MS,
);

/** A fault that edits an answer edits the recorded one. */
function replayed(fault: Fault | undefined, body: Record<string, unknown>): Fault | undefined {
  return fault?.kind === 'edit' ? { kind: 'edit', edit: () => fault.edit(body) } : fault;
}

const realData = realDataOrSkip();
if (realData !== undefined) {
  const folder = join(realData, 'recently-played-polls');
  const files = readdirSync(folder).filter((name) => name.endsWith('.ndjson.gz'));

  it.each(files)(
    'recorded polls of %s, through the stub, poll by poll with its own clock, 513 plays whatever is tried again, killed or repeated',
    async (name) => {
      const lines = gunzipSync(readFileSync(join(folder, name)))
        .toString('utf8')
        .trimEnd()
        .split('\n');
      const recorded = lines.map((line) => JSON.parse(line) as { polled_at: string; body: Record<string, unknown> });
      const random = createRandom(513, 'replay');
      let deliveries = 0;
      for (const { polled_at, body } of recorded) {
        fixture.clock.ms = Math.max(fixture.clock.ms, Date.parse(polled_at));
        if (fixture.clock.ms > Date.parse(polled_at) + 86_400_000) fixture.clock.ms = Date.parse(polled_at);
        let faults = random.chance(0.15) ? [misfortune(random)] : [];
        const answer: Fault = { kind: 'edit', edit: () => body };
        fixture.stub.fault = ({ host }) =>
          replayed(faults.shift(), body) ?? (host === 'api.spotify.com' ? answer : undefined);
        let attempts = 1;
        while (!(await poll(attempts > 3 ? undisturbed() : random))) {
          expect(attempts).toBeLessThan(10);
          attempts += 1;
          fixture.clock.ms += 16 * MINUTE;
          faults = [];
        }
        if (random.chance(0.03)) await poll(random);
        deliveries += (body.items as unknown[]).length;
      }
      expect(deliveries).toBe(724);
      expect(await landedPlays()).toHaveProperty('size', 513);
      expect(await fixture.loadAndTransform()).toBe(0);
      expect(await fixture.rows('select count(*) as plays from silver.plays')).toEqual([{ plays: 513n }]);
    },
    TIMEOUT_MS,
  );
}
