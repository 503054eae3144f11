import {
  AthenaClient,
  GetQueryExecutionCommand,
  GetQueryResultsCommand,
  StartQueryExecutionCommand,
  UpdateWorkGroupCommand,
} from '@aws-sdk/client-athena';
import { GetTableCommand, UpdateTableCommand } from '@aws-sdk/client-glue';
import { DuckDBInstance } from '@duckdb/node-api';
import { silentProgress } from '../../jobs/base/progress.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import { goldTable } from '../../jobs/engine/athena/catalog.ts';
import type { AthenaOptions } from '../../jobs/engine/athena/engine.ts';
import { gc } from '../../jobs/gc.ts';
import {
  type GoldVersion,
  type LakeState,
  type OutputFile,
  readSilverFiles,
  type SilverFile,
} from '../../jobs/lake/manifest.ts';
import { engineContract } from '../engine/engine.contract.ts';
import { failureOf } from '../fixtures/failure.ts';
import { listKeys } from '../lake/store.contract.ts';
import { jsonError, type Rule } from './endpoint.ts';
import { type AwsLake, openAwsLake } from './lake.ts';
import { REGION, startLocalAwsOrSkip } from './local.ts';

const local = await startLocalAwsOrSkip('Athena', { isTrinoNeeded: true, isEngineCounted: true });

if (local?.athena === undefined) {
  it('Athena is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { athena, endpoint } = local;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  afterAll(() => local.close());

  engineContract('Athena over S3', () => openAwsLake(local));

  describe('Athena over S3', () => {
    let lake: AwsLake;
    const raw = new AthenaClient({ endpoint: endpoint.url, region: REGION });
    beforeAll(async () => {
      lake = await openAwsLake(local);
      await lake.commitSilver({
        plays: [
          { play_id: 'p1', ended_at: '2026-01-31 00:00:00', played_ms: 1 },
          { play_id: 'p2', ended_at: '2026-02-01 00:00:00', played_ms: null },
        ],
      });
    });
    beforeEach(() => {
      endpoint.rules.length = 0;
      endpoint.calls.length = 0;
      Object.assign(athena.switches, { failAfter: undefined, queue: undefined, hold: undefined });
      Object.assign(athena.switches.throttle, { StartQueryExecution: 0, GetQueryExecution: 0, GetQueryResults: 0 });
    });
    afterAll(async () => {
      raw.destroy();
      await lake.close();
    });

    const faulted = (...rules: Rule[]): void => void endpoint.rules.push(...rules);
    const executionsOf = (part: string) => athena.executions.filter(({ sql }) => sql.includes(part));
    const database = (layer: string): string => `${lake.name.replaceAll('-', '_')}_${layer}`;

    async function build(runId: string, n: number, more: Partial<AthenaOptions> = {}): Promise<OutputFile> {
      const engine = await lake.openEngine(more);
      const session = await engine.session({ state: await lake.state(), target: 'dev', runId });
      const file = await session.build({
        model: 'answers',
        select: `select ${n} as n`,
        columns: [{ name: 'n', type: 'integer' }],
        sort: [],
      });
      await session.close();
      return file;
    }

    const withGold = async (runId: string, file: OutputFile): Promise<LakeState> => {
      const dev: GoldVersion = {
        runId,
        asOf: '2026-03-01T00:00:00.000Z',
        silverSequence: 1,
        modelsHash: '',
        tables: { answers: file },
      };
      return (await lake.commitState({ ...(await lake.state()), gold: { dev } })).state;
    };

    async function published(): Promise<{ location: string | undefined; version: string | undefined }> {
      const { Table } = await lake.glue.send(
        new GetTableCommand({ DatabaseName: database('gold_dev'), Name: 'answers' }),
      );
      return { location: Table?.StorageDescriptor?.Location, version: Table?.VersionId };
    }

    const answers = async (): Promise<unknown> => (await (await lake.openEngine()).query('select n from answers')).rows;

    it('a table is sorted while one machine may hold it, and a large one is left as it comes', async () => {
      const engine = await lake.openEngine();
      const place = async (runId: string, rows: number): Promise<OutputFile> => {
        const before = { key: 'gold/dev/listens/before/', rows, bytes: 1, sha256: '' };
        const version = { runId: 'before', asOf: '2026-03-01T00:00:00.000Z', silverSequence: 1, modelsHash: '' };
        const state = { ...(await lake.state()), gold: { dev: { ...version, tables: { listens: before } } } };
        const session = await engine.session({ state, target: 'dev', runId });
        const file = await session.build({
          model: 'listens',
          select: `select concat('u', cast(n % 7 as varchar)) as user_id, (n * 7919) % 20011 as place
            from (select sequence(1, 5000) as ns) cross join unnest(ns) as t (n)`,
          columns: [
            { name: 'user_id', type: 'varchar' },
            { name: 'place', type: 'bigint' },
          ],
          sort: ['user_id', 'place'],
        });
        await session.close();
        return file;
      };
      const large = await place('large', 2_000_001);
      // What a limit depends on is held by one machine.
      expect(executionsOf('insert into').at(-1)!.sql).not.toMatch(/\blimit\b/);
      expect(large.rows).toBe(5000);
      const small = await place('small', 2_000_000);
      expect(executionsOf('insert into').at(-1)!.sql).toMatch(
        /order by "user_id" nulls last, "place" nulls last\nlimit/,
      );
      const [key, ...others] = await listKeys(lake.store, small.key);
      expect(others).toEqual([]);
      const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
      const path = await lake.store.localFile(key!);
      const written = await duckdb.runAndReadAll(
        `select user_id || ' ' || lpad(place::varchar, 6, '0') from read_parquet('${path}', file_row_number=true) order by file_row_number`,
      );
      duckdb.closeSync();
      const order = written.getRows().flat().map(String);
      expect(order).toHaveLength(5000);
      expect(order).toEqual(order.toSorted());
      await lake.engine.dropTables(['large', 'small'].map((run) => `${database('gold_dev')}.listens__${run}`));
    });

    it('reads results of many pages, and a row that looks like the header', async () => {
      const { columns, rows } = await lake.engine.query(`
        select n, case when n % 2 = 0 then 'n' end as word from unnest(sequence(1, 2500)) as t (n) order by n`);
      expect(columns.map(({ type }) => type)).toEqual(['bigint', 'varchar']);
      expect(rows).toEqual(Array.from({ length: 2500 }, (_, at) => [BigInt(at + 1), at % 2 === 1 ? 'n' : null]));
      expect((await lake.engine.query("select 'a' as a union all select 'a'")).rows).toEqual([['a'], ['a']]);
    });

    it('a question without a filter looks into the committed partitions, not into every day that could be', async () => {
      const days = ['2007-02-28', '2016-02-29', '2026-01-31'];
      await lake.commitSilver({
        listening_events: days.map((day, at) => ({ event_id: `e${at}`, occurred_at: `${day} 12:00:00` })),
      });
      const before = (await local.readEngineCalls()).length;
      const { rows } = await lake.engine.query('select count(*), min(event_date) from silver.listening_events');
      expect(rows).toEqual([[3n, days[0]]]);
      const lists = (await local.readEngineCalls())
        .slice(before)
        .filter(({ operation, url }) => operation === 'ListObjectsV2' && url.includes('listening_events'))
        .filter(({ url }) => url.includes(lake.name));
      expect(lists.length).toBeGreaterThan(0);
      expect(lists.length).toBeLessThanOrEqual(2 * days.length);
    });

    it('a question that a commit overtakes is asked again: its answer is of one state', async () => {
      const row = { play_id: 'p1', ended_at: '2026-01-31 00:00:00', played_ms: 1 };
      const sql = 'select count(*) as overtaken from silver.plays';
      athena.switches.hold = /overtaken/;
      const answer = lake.engine.query(sql);
      while (executionsOf('overtaken').length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      const years = ['2024', '2025', '2026'].map((year) => ({
        ...row,
        play_id: year,
        ended_at: `${year}-05-01 00:00:00`,
      }));
      await (await lake.openEngine()).publish(await lake.commitSilver({ plays: years }));
      athena.switches.hold = undefined;
      expect((await answer).rows).toEqual([[3n]]);
      expect(executionsOf('overtaken')).toHaveLength(2);
      await lake.commitSilver({
        plays: [
          { ...row, ended_at: '2026-01-31 00:00:00' },
          { ...row, play_id: 'p2', ended_at: '2026-02-01 00:00:00', played_ms: null },
        ],
      });
    });

    it('says how many bytes it scanned', async () => {
      const { scannedBytes } = await lake.engine.query('select count(played_ms) from silver.plays');
      expect(scannedBytes).toBeGreaterThan(0);
    });

    it('takes parameters that are longer than what Athena binds', async () => {
      const long = `${'ä'.repeat(2_000)}'; drop table x; --`;
      expect((await lake.engine.query("select cast(? as varchar), '?', 1 -- ?", { parameters: [long] })).rows).toEqual([
        [long, '?', 1],
      ]);
    });

    it('gives numbers as parameters their own types', async () => {
      const parameters = [true, null, 1.5, 2 ** 60, 12345678901234567890n, -0.000001, Number.POSITIVE_INFINITY];
      const { rows } = await lake.engine.query('select ?, cast(? as varchar), ?, ?, ?, ?, ?', { parameters });
      expect(rows).toEqual([[true, null, 1.5, 2 ** 60, '12345678901234567890', -0.000001, Number.POSITIVE_INFINITY]]);
    });

    it('counts columns of a mistake in the statement as it was given', async () => {
      const error = await failureOf(
        lake.engine.query('select p.nothing from silver.plays p join silver.plays q on q.nope = p.play_id'),
      );
      expect(error.message).toMatch(/nope.*\(line 1, column 61\)/);
      expect(error.message).not.toContain(database(''));
    });

    it('F51: a query over the scan limit of its workgroup is refused with its bytes, exit 65', async () => {
      const limit = (bytes: number): Promise<unknown> =>
        raw.send(
          new UpdateWorkGroupCommand({
            WorkGroup: `${lake.name}-dev`,
            ConfigurationUpdates: { BytesScannedCutoffPerQuery: bytes },
          }),
        );
      await limit(10);
      const error = await failureOf(lake.engine.query('select play_id, played_ms from silver.plays'));
      await limit(10_000_000);
      expect(error).toMatchObject({ code: 'scan_limit', exit: 'data', isRetryable: false });
      expect(Number(/scanned (\d+) bytes/.exec(error.message)?.[1])).toBeGreaterThan(10);
    });

    it('F51: a query that waits too long for its turn is cancelled, exit 75', async () => {
      athena.switches.queue = { match: /queued/, ms: 600_000 };
      const engine = await lake.openEngine({ queueTimeoutMs: 300 });
      await expect(engine.query("select 'queued'")).rejects.toMatchObject({ code: 'engine_busy', exit: 'tempfail' });
      expect(executionsOf("'queued'").map(({ state }) => state)).toEqual(['CANCELLED']);
    });

    it('F51: throttled calls are made again, and the query starts once', async () => {
      Object.assign(athena.switches.throttle, { StartQueryExecution: 2, GetQueryExecution: 2, GetQueryResults: 2 });
      expect((await lake.engine.query("select 'throttled' as x")).rows).toEqual([['throttled']]);
      expect(executionsOf("'throttled'")).toHaveLength(1);
      athena.switches.throttle.StartQueryExecution = 1_000;
      const engine = await lake.openEngine({ queueTimeoutMs: 100 });
      await expect(engine.query('select 1')).rejects.toMatchObject({
        code: 'engine_busy',
        exit: 'tempfail',
        isRetryable: true,
      });
    });

    it('F51: a select that Athena itself failed is run again, but not for ever', async () => {
      const failAfter = {
        match: /broken/,
        state: 'FAILED' as const,
        reason: 'GENERIC_INTERNAL_ERROR: lost a worker',
        errorType: 200,
        times: 1,
      };
      athena.switches.failAfter = { ...failAfter };
      expect((await lake.engine.query("select 'broken' as x")).rows).toEqual([['broken']]);
      athena.switches.failAfter = { ...failAfter, times: 99 };
      const error = await failureOf(lake.engine.query("select 'broken' as y"));
      expect(error).toMatchObject({
        code: 'engine_failed',
        exit: 'unavailable',
        message: expect.stringMatching(/lost a worker.*\d+ bytes scanned/),
      });
      expect(executionsOf("'broken' as y")).toHaveLength(3);
      athena.switches.failAfter = { ...failAfter, reason: 'Query timeout', errorType: 206, times: 99 };
      await expect(lake.engine.query("select 'broken' as z")).rejects.toMatchObject({
        code: 'engine_timeout',
        exit: 'unavailable',
      });
      expect(executionsOf("'broken' as z")).toHaveLength(1);
    });

    it('F36: a signal cancels the query at hand', async () => {
      const controller = new AbortController();
      athena.switches.hold = /'long'/;
      const engine = await lake.openEngine({ signal: controller.signal });
      const stopped = failureOf(engine.query("select 'long'"));
      while (executionsOf("'long'").length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      controller.abort();
      expect(await stopped).toMatchObject({ code: 'stopped', exit: 'tempfail' });
      expect(executionsOf("'long'").map(({ state }) => state)).toEqual(['CANCELLED']);
    });

    it('F50: a build that fails half-way leaves the published version, and what it wrote is listed', async () => {
      await lake.engine.publish(await withGold('f50-good', await build('f50-good', 1)));
      const before = await published();
      athena.switches.failAfter = {
        match: /^insert/,
        state: 'FAILED',
        reason: 'GENERIC_INTERNAL_ERROR: gone',
        times: 99,
      };
      await expect(build('f50-bad', 2)).rejects.toMatchObject({ code: 'engine_failed', exit: 'unavailable' });
      athena.switches.failAfter = undefined;
      expect(await published()).toEqual(before);
      expect(await answers()).toEqual([[1]]);
      const state = await lake.state();
      const tables = await lake.engine.unusedTables([state], Number.POSITIVE_INFINITY);
      const attempts = (await listKeys(lake.store, 'gold/dev/f50-bad/')).map((key) =>
        key.split('/').slice(0, 5).join('/'),
      );
      expect(attempts).toEqual([1, 2, 3].map((attempt) => `gold/dev/f50-bad/answers/${attempt}`));
      expect(tables).toEqual([`${database('gold_dev')}.answers__f50_bad`]);
      expect(await lake.engine.unusedTables([state], 0)).toEqual([]);
      await lake.engine.dropTables([...tables, `${database('gold_dev')}.gone__long_ago`]);
      expect(await lake.engine.unusedTables([state], Number.POSITIVE_INFINITY)).toEqual([]);
      expect(await answers()).toEqual([[1]]);
    });

    it('F50: gc takes versions that were replaced, with their tables, once nobody reads them', async () => {
      const old = await build('gc-old', 1);
      await lake.engine.publish(await withGold('gc-old', old));
      await lake.engine.publish(await withGold('gc-new', await build('gc-new', 2)));
      const collect = (days: number, dryRun = false) => {
        const now = (): number => Date.now() + days * 86_400_000;
        const effects = {
          store: lake.store,
          engine: lake.engine,
          progress: silentProgress,
          now,
          signal: new AbortController().signal,
        };
        return gc({ keepDays: 7, dryRun }, effects as unknown as Effects);
      };
      const table = `${database('gold_dev')}.answers__gc_old`;
      expect((await collect(2)).tables).not.toContain(table);
      expect((await collect(30, true)).tables).toContain(table);
      expect(await listKeys(lake.store, old.key)).toHaveLength(1);
      expect(await collect(30)).toMatchObject({ status: 'collected', tables: expect.arrayContaining([table]) });
      expect(await listKeys(lake.store, old.key)).toEqual([]);
      expect(await answers()).toEqual([[2]]);
      const session = await lake.engine.session({ state: await lake.state(), target: 'dev', runId: 'after' });
      expect((await session.query(`select n from ${await session.relation('gold_dev', 'answers')}`)).rows).toEqual([
        [2],
      ]);
      expect(await collect(30)).toMatchObject({ status: 'nothing_new', tables: [] });
    });

    it('F50, F54: the next attempt writes to a prefix of its own, and no row is there twice', async () => {
      athena.switches.failAfter = {
        match: /^insert/,
        state: 'FAILED',
        reason: 'GENERIC_INTERNAL_ERROR: gone',
        times: 1,
      };
      const file = await build('f50-again', 3);
      expect(file).toMatchObject({ key: 'gold/dev/f50-again/answers/2/', rows: 1 });
      expect(await listKeys(lake.store, 'gold/dev/f50-again/answers/1/')).toHaveLength(1);
      await lake.engine.publish(await withGold('f50-again', file));
      expect(await answers()).toEqual([[3]]);
    });

    it('F54: a prefix with anything in it is not written to', async () => {
      await lake.store.put('gold/dev/f54/answers/1/left-over', 'x');
      expect((await build('f54', 4)).key).toBe('gold/dev/f54/answers/2/');
    });

    it('F52: a start whose answer is lost does not run twice', async () => {
      faulted({ operation: 'StartQueryExecution', after: 1, fault: { kind: 'lose-answer' } });
      const file = await build('f52-lost', 5);
      expect(endpoint.calls.filter(({ operation }) => operation === 'StartQueryExecution')).toHaveLength(3);
      expect(executionsOf('f52_lost')).toHaveLength(1);
      await lake.engine.publish(await withGold('f52-lost', file));
      expect(await answers()).toEqual([[5]]);
    });

    it('F52: the same run again, after its process was killed while it waited, goes on with the same execution', async () => {
      athena.switches.queue = { match: /^insert/, ms: 3_000 };
      const [killed, again] = await Promise.all([build('f52-killed', 6), build('f52-killed', 6)]);
      expect(again).toEqual(killed);
      expect(executionsOf('f52_killed')).toHaveLength(1);
    });

    it('F53: somebody else changed the table: look again, and publish', async () => {
      const state = await withGold('f53-lost', await build('f53-lost', 7));
      faulted({ operation: 'UpdateTable', fault: jsonError('ConcurrentModificationException', 400) });
      await lake.engine.publish(state);
      expect(await answers()).toEqual([[7]]);
    });

    it('F53: a swap whose answer is lost has happened', async () => {
      const state = await withGold('f53-unknown', await build('f53-unknown', 8));
      const before = await published();
      faulted({ operation: 'UpdateTable', fault: { kind: 'lose-answer' } });
      await lake.engine.publish(state);
      expect(Number((await published()).version)).toBe(Number(before.version) + 1);
      expect(await answers()).toEqual([[8]]);
    });

    it('F53: Glue is down after the commit: exit 69, nothing is deleted, and the next query mends it', async () => {
      const state = await withGold('f53-down', await build('f53-down', 9));
      const objects = await listKeys(lake.store, 'gold/');
      faulted({ operation: 'UpdateTable', fault: jsonError('InternalServiceException', 500), times: 7 });
      await expect(lake.engine.publish(state)).rejects.toMatchObject({
        code: 'catalog_unavailable',
        exit: 'unavailable',
      });
      expect(await listKeys(lake.store, 'gold/')).toEqual(objects);
      expect(await answers()).toEqual([[9]]);
    });

    it('F55: of many that publish at once, the newest commit is what readers see', async () => {
      const old = await withGold('f55-a', await build('f55-a', 10));
      const state = await withGold('f55-b', await build('f55-b', 11));
      await Promise.all([old, state, old, state].map((one) => lake.engine.publish(one)));
      expect(await answers()).toEqual([[11]]);
      expect((await published()).location).toBe(`${lake.uri}/${state.gold.dev?.tables.answers?.key}`);
    });

    it('a table that was altered by hand is mended by the next command', async () => {
      const table = goldTable('answers', [{ name: 'x', type: 'varchar' }], `${lake.uri}/gold/dev/none/answers/`);
      await lake.glue.send(new UpdateTableCommand({ DatabaseName: database('gold_dev'), TableInput: table }));
      expect(await answers()).toEqual([[11]]);
    });

    it('F49: who may not change the catalog reads what is published; who builds is told, exit 77', async () => {
      const state = await withGold('f49', await build('f49', 12));
      faulted({ operation: 'UpdateTable', fault: jsonError('AccessDeniedException', 400), times: 2 });
      expect(await answers()).toEqual([[11]]);
      await expect(lake.engine.publish(state)).rejects.toMatchObject({ code: 'catalog_denied', exit: 'auth' });
      await lake.engine.publish(state);
      expect(await answers()).toEqual([[12]]);
    });

    it('F49: a job that has nothing to do with a target need not see its tables', async () => {
      faulted({ operation: 'GetTables', fault: jsonError('AccessDeniedException', 400), times: 9 });
      await (await lake.openEngine()).publish(await lake.state());
      endpoint.rules.length = 0;
      expect(await answers()).toEqual([[12]]);
    });

    it('F43: names the object of silver that is gone, cut or not committed', async () => {
      const state = await lake.state();
      const [{ key }] = (await readSilverFiles(lake.store, state, 'plays')) as [SilverFile];
      const stray = `${key.slice(0, key.lastIndexOf('/'))}/stray.parquet`;
      const chunks: Buffer[] = [];
      for await (const chunk of await lake.store.get(key)) chunks.push(chunk as Buffer);
      const bytes = Buffer.concat(chunks);
      const relation = async (): Promise<string> => {
        const session = await lake.engine.session({ state, target: 'dev', runId: 'f43' });
        const text = await session.relation('silver', 'plays');
        return JSON.stringify(
          (await session.query(`select count(*) from ${text}`)).rows.map(([count]) => Number(count)),
        );
      };
      await lake.store.put(stray, bytes);
      expect(await relation()).toBe('[2]');
      await lake.store.delete(stray);
      await lake.store.put(key, bytes.subarray(0, 400));
      await expect(relation()).rejects.toMatchObject({ code: 'object_damaged', exit: 'data', place: { file: key } });
      await expect(lake.engine.query('select max(play_id) from silver.plays')).rejects.toMatchObject({
        code: 'object_damaged',
        exit: 'data',
      });
      await lake.store.delete(key);
      await expect(relation()).rejects.toMatchObject({ code: 'object_missing', exit: 'data', place: { file: key } });
      await lake.store.put(key, bytes);
      expect(await relation()).toBe('[2]');
    });

    it('F43: names a table of gold whose objects are not the ones that were committed', async () => {
      const state = await lake.state();
      const prefix = state.gold.dev?.tables.answers?.key ?? '';
      const read = async (): Promise<unknown> =>
        (await lake.engine.session({ state, target: 'dev', runId: 'f43' })).relation('gold_dev', 'answers');
      await lake.store.put(`${prefix}more.parquet`, 'x');
      await expect(read()).rejects.toMatchObject({ code: 'object_damaged', place: { file: prefix } });
      await lake.store.delete(`${prefix}more.parquet`);
      expect(await read()).toContain('answers__');
    });

    it('says which workgroup and which database are missing, exit 78', async () => {
      const lost = await lake.openEngine({ workGroup: 'nobody-has-this' });
      await expect(lost.query('select 1')).rejects.toMatchObject({
        code: 'workgroup_missing',
        exit: 'config',
        message: expect.stringContaining('nobody-has-this'),
      });
      const other = await lake.openEngine({ name: 'other' });
      await expect(other.publish(await lake.state())).rejects.toMatchObject({
        code: 'catalog_missing',
        exit: 'config',
        message: expect.stringContaining('other_silver'),
      });
    });

    describe('the front behaves as Athena does', () => {
      async function ended(
        sql: string,
        more: object = {},
      ): Promise<{ id: string; state: string; reason: string; output: string }> {
        const context = { WorkGroup: `${lake.name}-dev`, QueryExecutionContext: { Database: database('gold_dev') } };
        const { QueryExecutionId: id = '' } = await raw.send(
          new StartQueryExecutionCommand({ QueryString: sql, ...context, ...more }),
        );
        for (;;) {
          const { QueryExecution: execution } = await raw.send(new GetQueryExecutionCommand({ QueryExecutionId: id }));
          const { State: state = '', StateChangeReason: reason = '' } = execution?.Status ?? {};
          if (!/QUEUED|RUNNING/.test(state))
            return { id, state, reason, output: execution?.ResultConfiguration?.OutputLocation ?? '' };
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }

      it('F54: refuses external_location where the workgroup enforces its own', async () => {
        const sql = `create table x with (external_location = '${lake.uri}/x/', format = 'parquet') as select 1 as n`;
        expect(await ended(sql)).toMatchObject({
          state: 'FAILED',
          reason: expect.stringContaining('external_location'),
        });
      });

      it('F54: refuses more than 100 partitions in one statement', async () => {
        const sql = (to: number): string =>
          `create table parts_${to} with (format = 'parquet', partitioned_by = array['p']) as select 1 as n, p from unnest(sequence(1, ${to})) as t (p)`;
        expect(await ended(sql(3))).toMatchObject({ state: 'SUCCEEDED' });
        expect(await ended(sql(101))).toMatchObject({
          state: 'FAILED',
          reason: expect.stringMatching(/HIVE_TOO_MANY_OPEN_PARTITIONS/),
        });
      });

      it('writes the result to the place that the workgroup enforces, whatever the caller wants', async () => {
        const { output } = await ended(`select 1 as a, null as b, 'x"y' as c`, {
          ResultConfiguration: { OutputLocation: `${lake.uri}/elsewhere/` },
        });
        expect(output.startsWith(`${lake.uri}/athena-results/dev/`)).toBe(true);
        const key = output.slice(lake.uri.length + 1);
        const chunks: Buffer[] = [];
        for await (const chunk of await lake.store.get(key)) chunks.push(chunk as Buffer);
        expect(Buffer.concat(chunks).toString()).toBe('"a","b","c"\n"1",,"x""y"\n');
      });

      it('gives every value as text, after a row of names', async () => {
        const { id } = await ended(
          `select 9007199254740993 as a, 1e10 as b, 1.0 as c, true as d, array[1, null] as e, timestamp '2026-01-01 00:00:00.120' as f`,
        );
        const { ResultSet } = await raw.send(new GetQueryResultsCommand({ QueryExecutionId: id }));
        expect(ResultSet?.Rows?.map(({ Data }) => Data?.map(({ VarCharValue }) => VarCharValue))).toEqual([
          ['a', 'b', 'c', 'd', 'e', 'f'],
          ['9007199254740993', '1.0E10', '1.0', 'true', '[1, null]', '2026-01-01 00:00:00.120'],
        ]);
      });

      it('F52: takes one token for one statement only', async () => {
        const ClientRequestToken = 't'.repeat(32);
        const [first, second] = [
          await ended('select 1', { ClientRequestToken }),
          await ended('select 1', { ClientRequestToken }),
        ];
        expect(second.id).toBe(first.id);
        await expect(ended('select 2', { ClientRequestToken })).rejects.toMatchObject({
          name: 'InvalidRequestException',
        });
      });

      it('says SUCCEEDED to nothing that Trino refuses', async () => {
        expect(await ended('selct nonsense from nowhere')).toMatchObject({
          state: 'FAILED',
          reason: expect.stringContaining('line 1:1'),
        });
      });
    });
  });
}
