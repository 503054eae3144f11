import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { landingKey } from '../../jobs/lake/keys.ts';
import { commitManifest, EMPTY_STATE, latestManifest, readBronzeIndex } from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { load } from '../../jobs/load.ts';
import { type RetentionInput, type RetentionResult, retention } from '../../jobs/retention.ts';
import { transform } from '../../jobs/transform.ts';
import { listenlake } from '../fixtures/command-line.ts';
import { filesOf, filesWith, give, isThere, Lakes, type OpenLake, rowsOf, scrobblesOf } from './forget-fixture.ts';

const lakes = new Lakes();
let made: string;

beforeAll(async () => {
  made = await lakes.make('made', ['anna'], {}, { isWhole: false });
}, 900_000);
afterAll(() => lakes.close());

/** The answers of the fixture were received on 2 and 13 October 2026. */
const remove = (lake: OpenLake, more: Partial<RetentionInput> = {}): Promise<RetentionResult> =>
  retention({ runId: 'retention-1', days: 5, dryRun: false, ...more }, lake.effects);
const playsOf = async ({ effects }: OpenLake, source: string): Promise<number> => {
  const { rows } = await effects.engine.query('select count(*) from silver.plays where source = ?', {
    parameters: [source],
  });
  return Number(rows[0]![0]);
};

it('removes old answers from every layer, rewrites the file that also has newer ones, and leaves the export', async () => {
  const lake = await lakes.copy(made);
  expect([await playsOf(lake, 'api'), await playsOf(lake, 'export_extended')]).toEqual([3, 30]);
  const result = await remove(lake);
  expect(result).toMatchObject({
    ...{ status: 'removed', before: '2026-10-08T12:00:00.000Z', files: 1, rows: 1, undated: 0 },
    proof: { hits: [] },
  });
  // Of the older answer one play was in no export; the two that were come from the export as before.
  expect([await playsOf(lake, 'api'), await playsOf(lake, 'export_extended')]).toEqual([2, 30]);
  const state = (await latestManifest(lake.effects.store))?.state ?? EMPTY_STATE;
  const [file] = (await readBronzeIndex(lake.effects.store, state)).filter(({ table }) => table === 'api_answers');
  expect(file).toMatchObject({ rows: 3, readRows: 2, fileName: expect.stringContaining('recently-played-anna') });
  expect(readFileSync(join(lake.root, file!.key), 'utf8')).not.toContain('2026-10-02T16:00:00');
  expect(await filesWith(lake.root, /2026-10-02T16:00:00\.000Z/)).toEqual([]);
  expect(state.removal).toBeUndefined();
  expect(await remove(lake)).toMatchObject({ status: 'nothing_new' });
});

it('leaves scrobbles, which then tell what an answer had told', async () => {
  const lake = await lakes.copy(made);
  const given = { runId: 'scrobbles', paths: [give(join(lake.root, '../scrobbles'), scrobblesOf('anna'))] };
  await load({ ...given, userId: 'anna', keepLanding: false }, lake.effects);
  const { accounts } = await transform({ runId: 'scrobbles', loadedOn: '2026-11-21' }, lake.effects);
  expect(accounts).toMatchObject({ read: 3, new: 0, duplicate: 3 });
  const sources = async (): Promise<number[]> => [
    await playsOf(lake, 'api'),
    await playsOf(lake, 'export_extended'),
    await playsOf(lake, 'lastfm'),
  ];
  expect(await sources()).toEqual([3, 30, 0]);
  expect(await remove(lake)).toMatchObject({ status: 'removed', files: 1, rows: 1, proof: { hits: [] } });
  expect(await sources()).toEqual([2, 30, 1]);
});

it('counts ages to the moment that it is given, and removes whole files', async () => {
  const lake = await lakes.copy(made);
  const before = await rowsOf(lake.root, 'anna');
  expect(await remove(lake, { asOf: '2026-10-07' })).toMatchObject({
    status: 'nothing_new',
    before: '2026-10-02T00:00:00.000Z',
  });
  expect(await remove(lake, { asOf: '2027-01-01', dryRun: true })).toMatchObject({
    status: 'dry_run',
    files: 1,
    rows: 2,
  });
  expect(await rowsOf(lake.root, 'anna')).toEqual(before);
  expect(await remove(lake, { asOf: '2027-01-01' })).toMatchObject({
    status: 'removed',
    files: 1,
    rows: 2,
    proof: { hits: [] },
  });
  expect([await playsOf(lake, 'api'), await playsOf(lake, 'export_extended')]).toEqual([0, 30]);
});

it('removes files that were kept in landing too, so that the next load brings nothing back', async () => {
  const lake = await lakes.copy(made);
  const names = ['recently-played-anna.ndjson', 'Streaming_History_Audio_2026_0.json'];
  const keys: string[] = [];
  for (const name of names) {
    const content = filesOf('anna')[name]!;
    const key = landingKey(createHash('sha256').update(content).digest('hex'), name);
    await lake.effects.store.put(key, content);
    keys.push(key);
  }
  expect(await remove(lake, { asOf: '2027-01-01', dryRun: true })).toMatchObject({ landing: 1 });
  expect(keys.map((key) => isThere(lake.root, key))).toEqual([true, true]);
  expect(await remove(lake, { asOf: '2027-01-01' })).toMatchObject({ status: 'removed', landing: 1 });
  expect(keys.map((key) => isThere(lake.root, key))).toEqual([false, true]);
  const again = await load({ runId: 'again', paths: [], userId: 'anna', keepLanding: true }, lake.effects);
  expect(again).toMatchObject({ rows: 0 });
  expect([await playsOf(lake, 'api'), await playsOf(lake, 'export_extended')]).toEqual([0, 30]);
});

it('stops where another run commits while it deletes, and the next one finishes', async () => {
  const lake = await lakes.copy(made);
  const { store } = lake.effects;
  let isOther = false;
  const other: LakeStore = {
    ...store,
    async *list(prefix) {
      const manifest = (await latestManifest(store))!;
      if (!isOther && manifest.details.step === 'purge') {
        isOther = true;
        await commitManifest(store, { ...manifest, sequence: manifest.sequence + 1, job: 'load', details: {} });
      }
      yield* store.list(prefix);
    },
  };
  const first = retention({ runId: 'retention-1', days: 5, dryRun: false }, { ...lake.effects, store: other });
  await expect(first).rejects.toMatchObject({ code: 'commit_conflict', exit: 'tempfail' });
  expect(isOther).toBe(true);
  expect(await remove(lake)).toMatchObject({ status: 'removed', proof: { hits: [] } });
});

it('as a command: keeps everything without a limit, and says so', async () => {
  const lake = await lakes.copy(made);
  const call = (args: string[], days: string) =>
    listenlake(['retention', '--lake', lake.root, ...args], { LISTENLAKE_API_RETENTION_DAYS: days });
  const none = await call([], '0');
  expect([none.code, none.json.status, none.stdout]).toEqual([
    0,
    'nothing_new',
    expect.stringContaining('no limit is set'),
  ]);
  const dry = await call(['--dry-run'], '5');
  expect([dry.code, dry.json]).toEqual([0, expect.objectContaining({ status: 'dry_run', files: 1, rows: 1 })]);
  const soon = await call(['--as-of', 'soon'], '5');
  expect([soon.code, soon.stderr]).toEqual([64, expect.stringContaining('--as-of "soon" is not a date')]);
  expect((await call([], 'soon')).code).toBe(78);
});
