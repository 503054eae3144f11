/**
 * Readers see one version of silver or the other, never a mix: whatever a writer does, and wherever it is
 * killed or falls asleep.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { hashObject } from '../../jobs/base/hash.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { openDuckDbEngine } from '../../jobs/engine/duckdb/engine.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { latestManifest, readSilverFiles } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { transform } from '../../jobs/transform.ts';
import { failureOf } from '../fixtures/failure.ts';
import { extended, makeTestLake, type TestLake } from '../silver/transform-lake.ts';

const MINUTES = 60_000;
const YEARS = [2020, 2021, 2022];
/** What a reader is shown of plays and of events, in one statement: a mix of two versions is none of them. */
const QUESTION = `
  select string_agg(part || '=' || n, ' ' order by part) as seen from (
    select cast(year as varchar) as part, count(*) as n from silver.plays group by all
    union all
    select event_date, count(*) from silver.listening_events group by all
  )`;

let base: TestLake;
let old: string;
let next: string;

function listening(day: number): Parameters<TestLake['add']> {
  const at = YEARS.map((year) => `${year}-06-${day}T12:00:00Z`);
  const events = at.map((occurred_at) => ({ event_id: occurred_at, user_id: 'u', action: 'play', occurred_at }));
  return [extended(...at.map((ts) => ({ ts }))), { table: 'listening_events', rows: events }];
}

beforeAll(async () => {
  base = await makeTestLake();
  await base.add(...listening(11));
  await withEngine(base, async (effects) => {
    await run(effects);
    old = await ask(effects.engine);
  });
  await base.add(...listening(21));
  const done = await base.copy();
  await withEngine(done, async (effects) => {
    await run(effects);
    next = await ask(effects.engine);
  });
  await done.close();
  expect(old).toBe('2020=1 2020-06-11=1 2021=1 2021-06-11=1 2022=1 2022-06-11=1');
  expect(next).toContain('2020=2 2020-06-11=1 2020-06-21=1');
}, 10 * MINUTES);
afterAll(() => base.close());

/** The lake with an engine for its catalog, as every command has one. */
async function withEngine<T>(lake: TestLake, action: (effects: Effects) => Promise<T>): Promise<T> {
  const scratch = await mkdtemp(join(tmpdir(), 'listenlake-one-version-'));
  const root = join(lake.folder, 'lake');
  const engine = await openDuckDbEngine({ store: lake.effects.store, root, scratch, memoryMb: 256, threads: 2 });
  try {
    return await action({ ...lake.effects, engine });
  } finally {
    await engine.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A transform with files of its own, as each process has them. */
async function run(effects: Effects, store: LakeStore = effects.store): Promise<unknown> {
  const scratch = await mkdtemp(`${effects.scratch}-`);
  return transform({ runId: 'run', loadedOn: '2026-11-21' }, { ...effects, store, scratch });
}

async function ask(engine: SqlEngine): Promise<string> {
  return String((await engine.query(QUESTION)).rows[0]![0]);
}

/** As somebody's own program does, by the catalog as it lies there: no job of ours looks after it first. */
async function askCatalog(lake: TestLake): Promise<string> {
  const instance = await DuckDBInstance.create(join(lake.folder, 'lake/lake.duckdb'), { access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  try {
    return String((await connection.runAndReadAll(QUESTION)).getRowsJS()[0]![0]);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Calls `before` ahead of every write. */
function hooked(store: LakeStore, before: (key: string) => Promise<void>): LakeStore {
  return {
    ...store,
    async put(key, body, condition) {
      await before(key);
      return store.put(key, body, condition);
    },
    async delete(key) {
      await before(key);
      return store.delete(key);
    },
  };
}

/** Fails where an object is not what its commit says. */
async function expectWhole({ effects: { store } }: TestLake): Promise<void> {
  const { state } = (await latestManifest(store))!;
  for (const table of Object.keys(state.silver)) {
    for (const { key, sha256 } of await readSilverFiles(store, state, table))
      expect([key, await hashObject(await store.localFile(key))]).toEqual([key, sha256]);
  }
}

test(
  'F72: between any two writes of a transform a reader sees one version or the other',
  async () => {
    const lake = await base.copy();
    await withEngine(lake, async (effects) => {
      await ask(effects.engine); // the catalog names where the lake lies
      const seen: string[] = [];
      const look = async (): Promise<void> => {
        seen.push(await ask(effects.engine), await askCatalog(lake));
      };
      await run(effects, hooked(effects.store, look));
      await look();
      expect(seen.length).toBeGreaterThan(20);
      expect(seen.filter((each) => each !== old && each !== next)).toEqual([]);
      expect([seen[0], seen.at(-1)]).toEqual([old, next]);
    });
    await lake.close();
  },
  10 * MINUTES,
);

test(
  'F72: killed at any third of its writes, a reader sees the old version or the new one',
  async () => {
    for (let point = 2, isClean = false; !isClean; point += 3) {
      const lake = await base.copy();
      await withEngine(lake, async (effects) => {
        await ask(effects.engine);
        let writes = 0;
        const kill = async (): Promise<void> => {
          writes += 1;
          if (writes >= point) throw new Error('killed');
        };
        isClean = await run(effects, hooked(effects.store, kill)).then(
          () => true,
          () => false,
        );
        expect([old, next]).toContain(await askCatalog(lake));
        expect([old, next]).toContain(await ask(effects.engine));
        await expectWhole(lake);
      });
      await lake.close();
    }
  },
  10 * MINUTES,
);

test(
  'F71, F55: a run that slept through the commit of another one changes nothing of it, exit 75',
  async () => {
    const lake = await base.copy();
    await withEngine(lake, async (effects) => {
      let isAwake = false;
      const sleep = async (): Promise<void> => {
        if (isAwake) return;
        isAwake = true;
        // Before its first write: others load more and transform it.
        await lake.add(extended(...YEARS.map((year) => ({ ts: `${year}-06-28T12:00:00Z` }))));
        await run(effects);
      };
      const skewed = { ...effects, now: () => Date.now() + 120_000 };
      const failure = await failureOf(run(skewed, hooked(effects.store, sleep)));
      expect(failure).toMatchObject({ code: 'commit_conflict', exit: 'tempfail' });
      expect(isAwake).toBe(true);
      const other = next.replaceAll(/(\d{4})=2/g, '$1=3');
      expect([await ask(effects.engine), await askCatalog(lake)]).toEqual([other, other]);
      await expectWhole(lake);
    });
    await lake.close();
  },
  10 * MINUTES,
);

test(
  'F55, F72: of several runs side by side one commits, the others come back with 75, and readers never see a mix',
  async () => {
    const lake = await base.copy();
    await withEngine(lake, async (effects) => {
      await ask(effects.engine);
      const seen: string[] = [];
      const look = async (): Promise<void> => {
        seen.push(await ask(effects.engine));
      };
      const ends = await Promise.allSettled(Array.from({ length: 5 }, () => run(effects, hooked(effects.store, look))));
      const lost = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []));
      expect(lost.map(({ code, exit }) => [code, exit])).toEqual(Array(4).fill(['commit_conflict', 'tempfail']));
      expect(seen.filter((each) => each !== old && each !== next)).toEqual([]);
      expect(await ask(effects.engine)).toBe(next);
      await expectWhole(lake);
    });
    await lake.close();
  },
  10 * MINUTES,
);

test('F71: a catalog that is published late is not of an older commit than the one that lies there', async () => {
  const lake = await base.copy();
  await withEngine(lake, async (effects) => {
    const before = (await latestManifest(effects.store))!.state;
    await run(effects);
    await effects.engine.publish(before);
    expect(await askCatalog(lake)).toBe(next);
  });
  await lake.close();
});
