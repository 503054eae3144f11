/** Seeded histories: producers that lie, consumers that die at every step, and a lake that has each event once. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, startBroker } from '../../deploy/stream/broker.ts';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { openTopicReader } from '../../jobs/sources/kafka/reader.ts';
import type { Random } from '../../jobs/sources/synthetic/random.ts';
import { consume } from '../../jobs/stream/consume.ts';
import { type FailingCalls, openFailingCalls } from '../faults/system-calls.ts';
import { finished, PSEUDONYM_KEY } from '../fixtures/command-line.ts';
import { IS_SOAK } from '../fixtures/layers.ts';
import { canRunBroker, disturbed, randomOf, StreamWorld, someEvents } from './history.ts';

const SEEDS = IS_SOAK ? 200 : 8;
const EVENTS = 1_200;
const POISON = ['{"event_id":', 'no json at all', '[1,2,3]', '{"event_id":"x"}', '"text"'];

const isThere = canRunBroker();
let broker: Broker;
let folder: string;
let failing: FailingCalls | undefined;

beforeAll(async () => {
  if (!isThere) return;
  folder = await mkdtemp(join(tmpdir(), 'listenlake-stream-'));
  failing = openFailingCalls(folder);
  broker = await startBroker();
});
afterAll(async () => {
  if (!isThere) return;
  await broker.close();
  await rm(folder, { recursive: true, force: true });
});

/** What happens to consumers while events come in; each leaves the lake as some crash would. */
const FAULTS: Record<string, (world: StreamWorld, random: Random) => Promise<void>> = {
  async 'kill at a system call'(world, random) {
    const call = ['open', 'write', 'fsync', 'link', 'close', 'mkdir', 'unlink'][random.int(7)]!;
    const fault = { call, at: 1 + random.int(6), errno: 'SIGKILL' as const };
    await failing!.run(world.consumeArgs(world.newGroup(), '--until-end'), world.lake, fault);
  },
  async 'full disk'(world, random) {
    const fault = { call: 'write', at: 1 + random.int(4), errno: 'ENOSPC' as const, isLasting: true, match: 'bronze' };
    await failing!.run(world.consumeArgs(world.newGroup(), '--until-end'), world.lake, fault);
  },
  async 'kill at a moment'(world, random) {
    const child = world.startConsumer(world.newGroup());
    setTimeout(() => child.kill('SIGKILL'), 800 + random.int(2_500));
    await finished(child);
  },
  async 'three of a group, one killed'(world, random) {
    const group = world.newGroup();
    const children = [0, 1, 2].map(() => world.startConsumer(group));
    const all = Promise.all(children.map((child) => finished(child)));
    await new Promise((resolve) => setTimeout(resolve, 2_000 + random.int(2_000)));
    children[0]!.kill('SIGKILL');
    for (const child of children.slice(1)) child.kill('SIGTERM');
    // One that has not begun yet ends by the signal itself.
    for (const { code, signal } of (await all).slice(1)) expect([0, 'SIGTERM']).toContain(code ?? signal);
  },
  async 'two that do not know of each other, over a slow store'(world, random) {
    await Promise.all([slowConsumer(world, random), slowConsumer(world, random), world.consume()]);
  },
};

/** A consumer in this process whose store answers late, and now and then after another one's write. */
async function slowConsumer(world: StreamWorld, random: Random): Promise<void> {
  const store = await openFolderLake(world.lake);
  const slow: LakeStore = {
    ...bound(store),
    async put(...args) {
      await new Promise((resolve) => setTimeout(resolve, random.int(700)));
      return store.put(...args);
    },
  };
  const config = readConfig({ LISTENLAKE_LAKE: world.lake, LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY });
  const effects = {
    config,
    store: slow,
    log: createLog('silent'),
    now: Date.now,
    signal: new AbortController().signal,
  };
  const group = world.newGroup();
  const open = () => openTopicReader(world.kafka(), { topic: world.topic, group, isMember: true });
  const options = { topic: world.topic, open, lingerMs: 100, isUntilEnd: true, isGapAccepted: false };
  await consume(options, effects as unknown as Effects);
}

function bound(store: LakeStore): LakeStore {
  return {
    uri: store.uri,
    remains: store.remains,
    head: (key) => store.head(key),
    get: (key) => store.get(key),
    localFile: (key) => store.localFile(key),
    localFolder: (prefix) => store.localFolder(prefix),
    list: (prefix) => store.list(prefix),
    put: (...args) => store.put(...args),
    copy: (from, to) => store.copy(from, to),
    delete: (key) => store.delete(key),
  };
}

(isThere ? it : it.skip).each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
  'history %i: every event is in silver once, no key changes, the lag returns to 0',
  async (seed) => {
    const random = randomOf(seed);
    const world = new StreamWorld(folder, `history-${seed}`, broker.brokers);
    await world.makeTopic();
    const lines = disturbed(await someEvents(seed, EVENTS), random);
    const names = Object.keys(FAULTS).filter((name) => failing !== undefined || !/system call|disk/.test(name));
    const rounds = 3;
    for (let round = 0; round < rounds; round += 1) {
      const part = lines.slice((round * lines.length) / rounds, ((round + 1) * lines.length) / rounds);
      const half = Math.floor(part.length / 2);
      await world.sendEvents(part.slice(0, half));
      const rest = (async () => {
        await world.sendEvents(part.slice(half));
        await world.send([{ key: Buffer.from('liar'), value: Buffer.from(POISON[random.int(POISON.length)]!) }]);
        world.poison += 1;
      })();
      await FAULTS[names[(seed + round) % names.length]!]!(world, random);
      await rest;
      world.expectUnchanged();
      if (round === 1 && seed % 4 === 0) {
        await broker.stop('SIGTERM');
        await broker.again();
      }
    }
    const last = await world.consume();
    expect([seed, last.code, last.stderr]).toEqual([seed, 0, '']);
    await world.expectWhole();
    expect(JSON.parse((await world.lag()).stdout.split('\n')[0]!)).toMatchObject({ status: 'ok', lag_events: 0 });
    await world.expectSilver();
  },
);
