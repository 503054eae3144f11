/**
 * A file on which a statement of transform fails: found, refused, and no reason for anything else to stay
 * out.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import {
  type BronzeFile,
  commitManifest,
  getState,
  type LakeState,
  latestManifest,
  putState,
  type Refusal,
  readBronzeIndex,
} from '../../jobs/lake/manifest.ts';
import { namedObjects } from '../../jobs/lake/named.ts';
import { planTransform } from '../../jobs/silver/fan-out/plan.ts';
import { stageTransform } from '../../jobs/silver/fan-out/stage.ts';
import { lookAtTransform } from '../../jobs/silver/inspect.ts';
import { transform } from '../../jobs/transform.ts';
import { extended, makeTestLake, pages, playedItem, type TestFile, type TestLake } from './transform-lake.ts';

let lake: TestLake;
beforeEach(async () => {
  lake = await makeTestLake();
});
afterEach(() => lake.close());

/**
 * Pages of a Parquet file that no decoder takes, under a footer that is whole: its hash is of these bytes.
 */
function damaged(bytes: Buffer): Buffer {
  const footer = bytes.readUInt32LE(bytes.length - 8) + 8;
  return Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(bytes.length - footer - 4, 0xff), bytes.subarray(-footer)]);
}

/** A play of day `day` of May 2024, one for each file. */
const play = (day: number, more: Partial<TestFile> = {}): TestFile => ({
  ...extended({ ts: `2024-05-${String(day).padStart(2, '0')}T10:00:00Z`, ms_played: 100_000 + day }),
  name: `day-${day}.json`,
  ...more,
});

async function refusals(): Promise<Refusal[]> {
  const key = (await latestManifest(lake.effects.store))!.state.refusals;
  return key === undefined ? [] : getState<Refusal[]>(lake.effects.store, key);
}

const index = async (): Promise<BronzeFile[]> =>
  readBronzeIndex(lake.effects.store, (await latestManifest(lake.effects.store))!.state);

/** Commits a state as another version of this program, or somebody's hand, would have left it. */
async function commit(change: Partial<LakeState>): Promise<void> {
  const base = (await latestManifest(lake.effects.store))!;
  const next = { ...base, sequence: base.sequence + 1, state: { ...base.state, ...change } };
  expect(await commitManifest(lake.effects.store, next)).toBe(true);
}

const days = async (): Promise<unknown[]> =>
  (await lake.rows('plays', "strftime(ended_at, '%d') as day")).map(({ day }) => Number(day));
const quarantined = (): Promise<Record<string, unknown>[]> =>
  lake.rows('quarantine', 'file_name, row_number, code, reason');

describe('a file on which a statement fails', () => {
  it('F69: is found among good ones and refused with the words of the engine; everything else is committed, and stays so', async () => {
    const poison = play(3, { damage: damaged });
    await lake.add(play(1), play(2), poison, play(4), play(5));
    const run = await lake.transform();
    expect(run.accounts).toEqual({ read: 5, new: 4, duplicate: 0, quarantined: 1 });
    expect(run.quarantined).toEqual({ transform_failed: 1 });
    expect(await days()).toEqual([1, 2, 4, 5]);
    const rows = await quarantined();
    expect(rows).toEqual([
      {
        file_name: 'day-3.json',
        row_number: 0,
        code: 'transform_failed',
        reason: expect.stringContaining('a statement fails on it: Invalid Error: '),
      },
    ]);

    // The next run has nothing to do, a further file comes in, and a rebuild keeps the refused one out:
    // nobody searches again.
    const content = await lake.content();
    expect((await lake.transform()).status).toBe('nothing_new');
    const known = await refusals();
    // What remembers it is kept by gc.
    const newest = (await latestManifest(lake.effects.store))!;
    expect((await namedObjects(lake.effects.store, newest, [])).has(newest.state.refusals!)).toBe(true);
    await lake.add(play(6));
    expect((await lake.transform()).accounts).toEqual({ read: 1, new: 1, duplicate: 0, quarantined: 0 });
    await lake.transform({ rebuild: true });
    expect(await days()).toEqual([1, 2, 4, 5, 6]);
    expect([await quarantined(), await refusals()]).toEqual([rows, known]);
    expect((await lake.content()).quarantine).toEqual(content.quarantine);
  });

  it('several of several kinds are found in one run', async () => {
    const answer = pages({
      kind: 'recently_played',
      observed_at: '2024-05-09T00:00:00Z',
      body: { items: [playedItem('2024-05-08T10:00:00Z')] },
    });
    await lake.add(
      play(1, { damage: damaged }),
      play(2),
      { ...answer, name: 'cut.json', damage: (bytes) => Buffer.concat([bytes.subarray(0, -20), Buffer.from('\n')]) },
      { ...answer, name: 'whole.json', userId: 'other' },
      play(4, { damage: (bytes) => bytes.subarray(0, 100) }),
    );
    const run = await lake.transform();
    expect(run.accounts).toEqual({ read: 5, new: 2, duplicate: 0, quarantined: 3 });
    expect((await quarantined()).map(({ file_name }) => file_name).sort()).toEqual([
      'cut.json',
      'day-1.json',
      'day-4.json',
    ]);
    const reasons = JSON.stringify(await quarantined());
    expect(reasons).toMatch(/No magic bytes found at end of file 'bronze\/export_extended\/[0-9a-f]{64}\.parquet'/);
    expect(reasons).not.toContain(lake.folder);
    expect(await days()).toEqual([2, 8]);
  });

  it('is looked for among files that are in silver, too: a rebuild leaves it out', async () => {
    await lake.add(play(1));
    await lake.add(play(2));
    await lake.transform();
    const { store } = lake.effects;
    const [first, second] = await index();
    const bytes = damaged(await buffer(await store.get(second!.key)));
    await store.put(second!.key, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await commit({ bronze: [await putState(store, 'bronze', [first, { ...second, sha256 }])] });
    const run = await lake.transform({ rebuild: true });
    expect(run.quarantined).toEqual({ transform_failed: 1 });
    expect((await refusals()).map(({ key }) => key)).toEqual([second!.key]);
    expect(await days()).toEqual([first!.fileName === 'day-1.json' ? 1 : 2]);
  });

  it('other code tries it again: it stays out where it still fails, and comes in where it does not', async () => {
    await lake.add(play(1), play(2, { damage: damaged }), play(3));
    await lake.transform();
    const [refusal] = await refusals();
    const other = (await index()).find(({ fileName }) => fileName === 'day-3.json')!;
    // As a version would have left it that could read neither.
    const { store } = lake.effects;
    const older = [refusal!, { ...refusal!, key: other.key, sha256: other.sha256 }];
    await commit({
      refusals: await putState(
        store,
        'refusals',
        older.map((each) => ({ ...each, codeHash: 'older' })),
      ),
    });
    const run = await lake.transform();
    expect(run.status).toBe('transformed');
    expect(run.quarantined).toEqual({ transform_failed: 1 });
    expect(await refusals()).toEqual([refusal]);
    expect((await quarantined()).map(({ file_name }) => file_name)).toEqual(['day-2.json']);
    expect(await days()).toEqual([1, 3]);
  });

  it('doctor finds it before the transform does, and lists it afterwards with what to do', async () => {
    await lake.add(play(1));
    await lake.transform();
    expect(await lookAtTransform(lake.effects, true)).toEqual([]);
    await lake.add(play(2, { damage: damaged }));
    expect(await lookAtTransform(lake.effects, false)).toEqual([]);
    expect(await lookAtTransform(lake.effects, true)).toEqual([
      {
        name: 'transform',
        verdict: 'warn',
        text: expect.stringMatching(/^a statement fails .*Invalid Error: .*run `listenlake run`/),
      },
    ]);
    await lake.transform();
    const listed = {
      name: 'refused',
      verdict: 'warn',
      text: expect.stringMatching(/^"day-2.json": .*Invalid Error: .*newer listenlake/),
    };
    expect(await lookAtTransform(lake.effects, true)).toEqual([listed]);
  });

  it('doctor finds bronze that cannot be transformed at all, where no file is to be refused', async () => {
    await lake.add(play(1));
    const [file] = await index();
    await lake.effects.store.put(file!.key, 'cut');
    await expect(lake.transform()).rejects.toMatchObject({ code: 'object_damaged' });
    expect(await lookAtTransform(lake.effects, true)).toEqual([
      {
        name: 'transform',
        verdict: 'fail',
        text: expect.stringMatching(/cannot be transformed: bronze\/.*load "day-1.json" again/),
      },
    ]);
  });

  it('F69: of which the engine runs out of memory alone is refused, and comes in once there is enough', async () => {
    const name = 'x'.repeat(10_000_000);
    const rows = Array.from({ length: 4 }, (_, n) => ({
      ts: `2024-05-02T10:00:0${n}Z`,
      master_metadata_track_name: name,
    }));
    await lake.add(play(1), { ...extended(...rows), name: 'large.json' }, play(3));
    const effects = (memoryMb: number) => ({ ...lake.effects, config: { ...lake.effects.config, memoryMb } });
    const small = await transform({ runId: 'small', loadedOn: '2026-11-21' }, effects(64));
    expect(small.quarantined).toEqual({ transform_memory: 1 });
    expect((await quarantined())[0]?.reason).toContain('raise LISTENLAKE_MEMORY_MB');
    expect(await days()).toEqual([1, 3]);
    const same = await transform({ runId: 'same', loadedOn: '2026-11-21' }, effects(64));
    expect(same.status).toBe('nothing_new');
    const more = await transform({ runId: 'more', loadedOn: '2026-11-21' }, effects(1024));
    expect(more.accounts).toEqual({ read: 4, new: 4, duplicate: 0, quarantined: 0 });
    expect(await quarantined()).toEqual([]);
  });

  it('does not stop a plan or a share of the work: the transform finds it', async () => {
    await lake.add(play(1), play(2, { damage: damaged, periods: [] }));
    expect(await planTransform({ tasksMax: 4 }, lake.effects)).toEqual({ status: 'planned', partitions: [] });
    const share = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
    expect(await stageTransform(share, lake.effects)).toEqual({ status: 'staged', partitions: 0, built: 0 });
    expect((await lake.transform()).quarantined).toEqual({ transform_failed: 1 });
    expect(await days()).toEqual([1]);
  });
});
