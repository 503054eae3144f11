import { CreateDatabaseCommand, GetTablesCommand } from '@aws-sdk/client-glue';
import { ListObjectVersionsCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import { DAY_MS } from '../../jobs/base/time.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { inspectCatalog } from '../../jobs/engine/athena/inspect.ts';
import type { DeclaredColumn, SqlValue } from '../../jobs/engine/index.ts';
import { gc } from '../../jobs/gc.ts';
import { copyProd } from '../../jobs/gold/iceberg.ts';
import type { IcebergTable } from '../../jobs/lake/iceberg.ts';
import { icebergTablePrefix } from '../../jobs/lake/keys.ts';
import type { OutputFile } from '../../jobs/lake/manifest.ts';
import { purge } from '../../jobs/removal/index.ts';
import { prove } from '../../jobs/removal/proof.ts';
import { failureOf } from '../fixtures/failure.ts';
import { layerSkipped, PYTHON } from '../fixtures/layers.ts';
import { listKeys } from '../lake/store.contract.ts';
import { openPyIceberg } from '../oracle/python-tools.ts';
import { type IcebergReader, openIcebergReader, type ReadTable } from './iceberg-reader.ts';
import { type AwsLake, openAwsLake } from './lake.ts';
import { REGION, startLocalAwsOrSkip } from './local.ts';

/** Of the person who is removed; long enough to stand nowhere by chance. */
const CANARY = 'canary-anna-3f9a';
const COLUMNS: DeclaredColumn[] = [
  { name: 'user_id', type: 'varchar' },
  { name: 'plays', type: 'integer' },
  { name: 'played_ms', type: 'bigint' },
  { name: 'share', type: 'double' },
  { name: 'hours', type: 'decimal(12,2)' },
  { name: 'last_at', type: 'timestamp' },
  { name: 'day', type: 'date' },
  { name: 'is_heavy', type: 'boolean' },
];
const row = (user: string, plays: number): string =>
  `('${user}', ${plays}, cast(9007199254740993 as bigint), 0.25e0, cast(1.50 as decimal(12,2)), timestamp '2026-01-31 23:59:59.999', date '2026-02-01', true)`;
const NULLS = `('nobody', ${COLUMNS.slice(1)
  .map(() => 'null')
  .join(', ')})`;
const NAMES = COLUMNS.map(({ name }) => name).join(', ');
const listeners = (...rows: string[]): string =>
  `select ${COLUMNS.map(({ name, type }) => `cast(${name} as ${type === 'timestamp' ? 'timestamp(3)' : type}) as ${name}`).join(', ')} from (values ${rows.join(', ')}) as t (${NAMES})`;
const EMPTY = `${listeners(NULLS)} where false`;

const local = await startLocalAwsOrSkip('the copy as Iceberg tables', { isTrinoNeeded: true });
const pyIceberg = local === undefined ? undefined : openPyIceberg();
if (pyIceberg !== undefined && 'missing' in pyIceberg) layerSkipped('PyIceberg', pyIceberg.missing, PYTHON);

if (local?.athena === undefined || pyIceberg === undefined || 'missing' in pyIceberg) {
  it('Iceberg is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { athena, endpoint } = local;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  const s3 = new S3Client({ endpoint: endpoint.url, region: REGION, forcePathStyle: true });
  let lake: AwsLake;
  let database: string;
  let reader: IcebergReader;
  const tables: Record<string, OutputFile> = {};

  beforeAll(async () => {
    lake = await openAwsLake(local);
    database = `${lake.name.replaceAll('-', '_')}_gold_iceberg`;
    reader = openIcebergReader(pyIceberg.program, endpoint.url);
    await s3.send(
      new PutBucketVersioningCommand({
        Bucket: `${lake.name}-bucket`,
        VersioningConfiguration: { Status: 'Enabled' },
      }),
    );
  }, 900_000);
  beforeEach(() => Object.assign(athena.switches, { failAfter: undefined }));
  afterAll(async () => {
    reader?.close();
    await lake?.close();
    s3.destroy();
    await local.close();
  });

  const effectsAt = (now: () => number): Effects => ({
    ...{ store: lake.store, engine: lake.engine, scratch: lake.scratch, now, progress: silentProgress },
    ...{ config: readConfig({ LISTENLAKE_LAKE: lake.uri, LISTENLAKE_AWS_NAME: lake.name }) },
    ...{ log: createLog('silent'), signal: new AbortController().signal },
  });
  const copy = (runId: string, isWanted?: boolean) =>
    copyProd({ job: 'promote', runId }, isWanted, effectsAt(Date.now));

  /** Builds these tables, commits them with the others as prod, and shows them. */
  async function makeProd(runId: string, selects: Record<string, string>): Promise<void> {
    const state = await lake.state();
    const session = await lake.engine.session({ state, target: 'prod', runId });
    const asked = { columns: COLUMNS, sort: ['user_id'] };
    for (const [model, select] of Object.entries(selects))
      tables[model] = await session.build({ model, select, ...asked });
    for (const [model, file] of Object.entries(tables))
      if (!(model in selects)) await session.take(model, COLUMNS, file);
    await session.close();
    const version = { runId, asOf: '2026-03-01T00:00:00.000Z', silverSequence: 1, modelsHash: '' };
    const prod = { ...version, tables: { ...tables } };
    await lake.engine.publish((await lake.commitState({ ...state, gold: { prod } })).state);
  }
  const copied = async (): Promise<Record<string, IcebergTable>> => (await lake.state()).iceberg?.tables ?? {};
  const inGlue = async (): Promise<string[]> => {
    const { TableList = [] } = await lake.glue.send(new GetTablesCommand({ DatabaseName: database }));
    return TableList.map(({ Name = '' }) => Name).sort();
  };
  /**
   * Rows as `answer`, in an order that both sides share; whole numbers as text, because JSON would round
   * them.
   */
  const sorted = (rows: readonly (readonly (SqlValue | undefined)[])[]): string[] =>
    rows.map((values) => JSON.stringify(values.map((value) => (value === null ? null : String(value))))).sort();
  const ofProd = async (model: string): Promise<string[]> =>
    sorted((await (await lake.openEngine()).query(`select ${NAMES} from gold_prod.${model}`, { target: 'prod' })).rows);
  const asRead = async (model: string): Promise<ReadTable> => reader.load(`${database}.${model}`);

  const inspected = async (): Promise<string[]> => {
    const place = { endpoint: endpoint.url, region: REGION, store: lake.store, name: lake.name, workGroup: undefined };
    const models = { hash: '', columns: new Map() };
    const findings = await inspectCatalog({ ...place, state: await lake.state(), models });
    return findings.filter(({ name }) => name === 'gold_iceberg').map(({ verdict, text }) => `${verdict} ${text}`);
  };

  it('without its database it says what to do, and prod is as it was', async () => {
    await makeProd('first', {
      listeners: listeners(row('bob', 2), row(CANARY, 3), NULLS),
      artists: listeners(row('artist', 1)),
      nothing: EMPTY,
    });
    const error = await failureOf(copy('no-database', true));
    expect(error).toMatchObject({
      code: 'catalog_missing',
      exit: 'config',
      hint: expect.stringContaining('iceberg = true'),
    });
    expect((await lake.state()).iceberg).toBeUndefined();
    expect(await ofProd('artists')).toHaveLength(1);
    await lake.glue.send(new CreateDatabaseCommand({ DatabaseInput: { Name: database } }));
  }, 900_000);

  it('is not made where nobody asks for it', async () => {
    expect(await copy('nobody')).toBeUndefined();
    expect(await inGlue()).toEqual([]);
  });

  it('gives a reader of somebody else the rows of prod, in their types, and an empty table too', async () => {
    expect(await copy('copy-1', true)).toEqual({ status: 'copied', written: 3 });
    expect(await inGlue()).toEqual(['artists', 'listeners', 'nothing']);
    for (const model of ['listeners', 'artists', 'nothing']) {
      const read = await asRead(model);
      expect([model, sorted(read.rows)]).toEqual([model, await ofProd(model)]);
      expect(read.types).toEqual(['string', 'int', 'long', 'double', 'decimal(12, 2)', 'timestamp', 'date', 'boolean']);
      expect([model, read.snapshots]).toEqual([model, 1]);
    }
    expect((await lake.state()).iceberg?.runId).toBe('first');
    expect(await copy('copy-2')).toEqual({ status: 'nothing_new', written: 0 });
  }, 900_000);

  it('writes what has changed alone, and who has a table open sees the next version without opening it again', async () => {
    const before = await copied();
    const open = await asRead('listeners');
    await makeProd('second', { listeners: listeners(row('bob', 5), row(CANARY, 3)) });
    expect((await reader.refresh()).rows).toEqual(open.rows);
    expect(await copy('copy-3')).toEqual({ status: 'copied', written: 1 });
    const after = await reader.refresh();
    expect(sorted(after.rows)).toEqual(await ofProd('listeners'));
    expect([after.uuid, after.snapshots]).toEqual([open.uuid, 1]);
    expect(after.metadata).not.toBe(open.metadata);
    expect((await copied()).artists).toEqual(before.artists);
    expect(await inGlue()).toEqual(['artists', 'listeners', 'nothing']);
  }, 900_000);

  it('F50: Athena fails, readers keep what they have, and the next call finishes it', async () => {
    const open = await asRead('listeners');
    await makeProd('third', { listeners: listeners(row('bob', 6), row(CANARY, 3)) });
    athena.switches.failAfter = {
      match: /^create table/,
      state: 'FAILED',
      reason: 'GENERIC_INTERNAL_ERROR: gone',
      times: 99,
    };
    expect(await failureOf(copy('copy-4'))).toMatchObject({ code: 'engine_failed', exit: 'unavailable' });
    athena.switches.failAfter = undefined;
    expect((await asRead('listeners')).rows).toEqual(open.rows);
    expect(await inGlue()).toContain('listeners__copy_4');

    expect(await copy('copy-4')).toEqual({ status: 'copied', written: 1 });
    expect((await copied()).listeners!.key).toBe(icebergTablePrefix('copy-4', 'listeners', 4));
    expect(sorted((await asRead('listeners')).rows)).toEqual(await ofProd('listeners'));
    expect(await inGlue()).toEqual(['artists', 'listeners', 'nothing']);
  }, 900_000);

  it('F50: killed between its commit and Glue, the next one shows it; a damaged table is written again', async () => {
    await makeProd('fourth', { listeners: listeners(row('bob', 7), row(CANARY, 3)) });
    const publish = lake.engine.publish;
    const killed = {
      ...effectsAt(Date.now),
      engine: { ...lake.engine, publish: () => Promise.reject(new Error('killed')) },
    };
    await expect(copyProd({ job: 'promote', runId: 'copy-5' }, undefined, killed)).rejects.toThrow('killed');
    expect((await lake.state()).iceberg?.runId).toBe('fourth');
    expect((await asRead('listeners')).metadata).toContain('/copy-4/');
    expect(await inspected()).toEqual([
      'fail gold_iceberg.listeners shows another version than the one of the commit: run `listenlake promote`',
    ]);
    await publish(await lake.state());
    expect(await inspected()).toEqual([`ok ${database}: 3 tables as they should be`]);
    expect(sorted((await asRead('listeners')).rows)).toEqual(await ofProd('listeners'));

    const [data] = (await listKeys(lake.store, (await copied()).artists!.key)).filter((key) =>
      key.endsWith('.parquet'),
    );
    await lake.store.delete(data!);
    expect(await copy('copy-6')).toEqual({ status: 'copied', written: 1 });
    expect(sorted((await asRead('artists')).rows)).toEqual(await ofProd('artists'));
  }, 900_000);

  it('gc takes what no kept commit names, after its days and not before', async () => {
    const old = icebergTablePrefix('copy-1', 'listeners', 1);
    const collect = (days: number) =>
      gc(
        { keepDays: 7, dryRun: false },
        effectsAt(() => Date.now() + days * DAY_MS),
      );
    await collect(2);
    expect((await listKeys(lake.store, old)).length).toBeGreaterThan(3);
    const { layers } = await collect(30);
    expect(layers.iceberg.objects).toBeGreaterThan(10);
    const kept = Object.values(await copied()).map(({ key }) => key);
    for (const key of await listKeys(lake.store, 'iceberg/'))
      expect(kept.some((prefix) => key.startsWith(prefix))).toBe(true);
    expect(sorted((await asRead('listeners')).rows)).toEqual(await ofProd('listeners'));
  }, 900_000);

  it('S10: a person who is removed is in no table, no manifest and no old version of the copy', async () => {
    const traces = { label: CANARY, values: [] };
    const { hits } = await prove(traces, effectsAt(Date.now));
    const found = hits.filter(({ place, what }) => what === 'label' && place.startsWith('iceberg/'));
    // The rows, and the manifest, which is packed.
    const { key } = (await copied()).listeners!;
    const places = found.map(({ place }) => place.slice(key.length).replace(/[^/]*(\.parquet|-m0\.avro)/, '$1'));
    expect(places.sort()).toEqual(['data/.parquet', 'data/.parquet (user_id)', 'metadata/-m0.avro']);
    expect(hits.filter(({ what }) => what === 'old version').length).toBeGreaterThan(10);

    const uuid = (await copied()).listeners!.uuid;
    await makeProd('fifth', { listeners: listeners(row('bob', 7)) });
    await copyProd({ job: 'forget', runId: 'forget' }, undefined, effectsAt(Date.now));
    await purge({ job: 'forget', runId: 'forget' }, effectsAt(Date.now));
    const proof = await prove(traces, effectsAt(Date.now));
    expect([proof.hits, proof.unread]).toEqual([[], []]);

    const kept = Object.values(await copied()).map(({ key }) => key);
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket: `${lake.name}-bucket`, Prefix: 'iceberg/' }));
    expect([page.IsTruncated, page.DeleteMarkers ?? []]).toEqual([false, []]);
    const left = (page.Versions ?? []).filter(
      ({ Key = '', IsLatest }) => IsLatest !== true || !kept.some((prefix) => Key.startsWith(prefix)),
    );
    expect(left.map(({ Key }) => Key)).toEqual([]);
    const read = await asRead('listeners');
    expect([sorted(read.rows), read.uuid]).toEqual([await ofProd('listeners'), uuid]);
  }, 900_000);

  it('a model that is gone goes, and so does the whole copy where it is no longer wanted', async () => {
    const state = await lake.state();
    const { artists: _, ...others } = state.gold.prod!.tables;
    await lake.commitState({ ...state, gold: { prod: { ...state.gold.prod!, runId: 'sixth', tables: others } } });
    expect(await copy('copy-7')).toEqual({ status: 'copied', written: 0 });
    expect(await inGlue()).toEqual(['listeners', 'nothing']);
    expect(await copy('copy-8', false)).toEqual({ status: 'withdrawn', written: 0 });
    expect([await inGlue(), (await lake.state()).iceberg]).toEqual([[], undefined]);
    expect(await copy('copy-9', false)).toBeUndefined();
    const { layers } = await gc(
      { keepDays: 7, dryRun: false },
      effectsAt(() => Date.now() + 30 * DAY_MS),
    );
    expect(layers.iceberg.objects).toBeGreaterThan(0);
    expect(await listKeys(lake.store, 'iceberg/')).toEqual([]);
  }, 900_000);
}
