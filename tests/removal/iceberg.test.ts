import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { doctor } from '../../jobs/doctor.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import type { SqlEngine } from '../../jobs/engine/index.ts';
import { forget } from '../../jobs/forget.ts';
import { icebergTablePrefix } from '../../jobs/lake/keys.ts';
import { hashOf, type LakeState, latestManifest, objectsOf } from '../../jobs/lake/manifest.ts';
import { promote } from '../../jobs/promote.ts';
import { listKeys } from '../lake/store.contract.ts';
import { filesWith, Lakes, MARKS, type OpenLake, SHARED } from './forget-fixture.ts';

/**
 * The engine of a folder with a stand-in for Iceberg tables, which it has none of: the objects of prod once
 * more, under the keys of such a table. Who writes real ones is in tests/aws/iceberg.test.ts; here is who
 * asks for them, and when.
 *
 * @param fail makes the next copies fail
 */
function withIceberg({ store, engine }: Effects, fail: { times: number }): SqlEngine {
  return {
    ...engine,
    withdrawIceberg: async () => {},
    async session(request) {
      const session = await engine.session(request);
      return {
        ...session,
        async copyAsIceberg(model, known) {
          if (fail.times > 0) {
            fail.times -= 1;
            throw new Error('killed');
          }
          const file = request.state.gold.prod!.tables[model]!;
          const key = icebergTablePrefix(request.runId, model, 1);
          await store.put(`${key}data/part-0.parquet`, await buffer(await store.get(file.key)));
          const objects = await objectsOf(store, key);
          const table = { key, rows: file.rows, bytes: file.bytes, sha256: hashOf(key, objects) };
          return { ...table, metadata: `${key}data/part-0.parquet`, uuid: known?.uuid ?? `uuid of ${model}` };
        },
      };
    },
  };
}

const lakes = new Lakes();
let whole: string;
beforeAll(async () => {
  whole = await lakes.make('iceberg', ['bob', 'anna'], SHARED, { isWhole: true });
}, 900_000);
afterAll(() => lakes.close());

interface CopiedLake {
  lake: OpenLake;
  effects: Effects;
  fail: { times: number };
  state(): Promise<LakeState>;
}

async function open(isIcebergWanted: boolean | undefined): Promise<CopiedLake> {
  const lake = await lakes.copy(whole);
  const fail = { times: 0 };
  const config = { ...lake.effects.config, isIcebergWanted };
  const effects = { ...lake.effects, config, engine: withIceberg(lake.effects, fail) };
  return { lake, effects, fail, state: async () => (await latestManifest(effects.store))!.state };
}

it('promote makes the copy where it is wanted, keeps it up by itself, and finishes what was left behind', async () => {
  const { effects, fail, state } = await open(true);
  const keepUp = { ...effects, config: { ...effects.config, isIcebergWanted: undefined } };
  expect((await promote({ runId: 'none' }, keepUp)).iceberg).toBeUndefined();
  expect((await promote({ runId: 'dry', dryRun: true }, effects)).iceberg).toBeUndefined();
  expect((await state()).iceberg).toBeUndefined();

  fail.times = 1;
  await expect(promote({ runId: 'killed' }, effects)).rejects.toThrow('killed');
  const { prod } = (await state()).gold;
  const tables = Object.keys(prod!.tables).length;
  const made = await promote({ runId: 'made' }, effects);
  expect(made).toMatchObject({ status: 'nothing_new', iceberg: { status: 'copied', written: tables } });
  expect((await state()).iceberg).toMatchObject({ runId: prod!.runId });
  expect((await promote({ runId: 'again' }, keepUp)).iceberg).toEqual({ status: 'nothing_new', written: 0 });

  const rebuilt = await promote({ runId: 'rebuilt', rebuild: true }, keepUp);
  expect(rebuilt).toMatchObject({ status: 'promoted', iceberg: { status: 'copied', written: tables } });
  expect((await state()).iceberg).toMatchObject({ runId: 'rebuilt' });
  const findings = await doctor({ verify: true, aws: false }, keepUp);
  expect(findings.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
  expect(findings.map(({ name }) => name)).not.toContain('iceberg');
}, 900_000);

it('doctor says where the copy is behind, and what of it is damaged', async () => {
  const { effects, fail, state } = await open(true);
  await promote({ runId: 'made' }, effects);
  fail.times = 1;
  await expect(promote({ runId: 'killed', rebuild: true }, effects)).rejects.toThrow('killed');
  const { key } = (await state()).iceberg!.tables.fct_plays!;
  await effects.store.delete(`${key}data/part-0.parquet`);
  const findings = await doctor({ verify: true, aws: false }, effects);
  expect(findings).toContainEqual(expect.objectContaining({ name: 'iceberg', verdict: 'warn' }));
  expect(findings).toContainEqual({
    name: 'object',
    verdict: 'fail',
    text: `${key} is gone: run \`listenlake promote\` to make the copy again from gold_prod`,
  });
}, 900_000);

it('S10: forget makes the copy anew, whatever this machine wants of it, and a killed one is finished', async () => {
  const { lake, effects, fail, state } = await open(true);
  await promote({ runId: 'made' }, effects);
  const before = await listKeys(effects.store, 'iceberg/');
  expect((await filesWith(lake.root, MARKS.anna)).filter((path) => path.startsWith('iceberg/')).length).toBeGreaterThan(
    3,
  );
  const elsewhere = { ...effects, config: { ...effects.config, isIcebergWanted: false } };
  const forgetAnna = (runId: string) =>
    forget({ runId, userId: 'anna', dryRun: false, unloaded: 'stop', confirm: async () => true }, elsewhere);

  fail.times = 1;
  await expect(forgetAnna('killed')).rejects.toThrow('killed');
  const result = await forgetAnna('forget');
  expect(result).toMatchObject({ status: 'forgotten', proof: { hits: [], unread: [] } });
  expect(await filesWith(lake.root, MARKS.anna)).toEqual([]);
  expect(await filesWith(lake.root, /\banna\b/)).toEqual([]);
  const { iceberg, gold } = await state();
  expect(iceberg?.runId).toBe(gold.prod?.runId);
  const after = await listKeys(effects.store, 'iceberg/');
  expect([after.length, after.filter((key) => before.includes(key))]).toEqual([before.length, []]);
  expect(readFileSync(join(lake.root, after[0]!)).length).toBeGreaterThan(0);
}, 900_000);
