import fc from 'fast-check';
import type { EngineSession, SqlEngine } from '../../jobs/engine/index.ts';
import { type GoldVersion, type LakeState, putState } from '../../jobs/lake/manifest.ts';
import type { LakeFixture, Row } from '../fixtures/effects.ts';
import { failureOf } from '../fixtures/failure.ts';

/** What the suite needs of a lake with an engine over it. */
export type EngineUnderTest = Pick<
  LakeFixture,
  'store' | 'engine' | 'commitSilver' | 'commitState' | 'state' | 'openEngine' | 'close'
>;

const PLAYS: Row[] = [
  { play_id: 'p1', user_id: 'u1', ended_at: '2026-01-31 23:59:59.999', played_ms: 9007199254740993n, track_id: 't1' },
  { play_id: 'p2', user_id: 'u1', ended_at: '2027-02-01 00:00:00.000', played_ms: null, track_id: 't2' },
  { play_id: 'p3', user_id: 'u2', ended_at: '2027-02-28 12:00:00.120', played_ms: 30_000, track_id: null },
];

/** The behaviour of port 2, the same for every implementation. */
export function engineContract(name: string, open: () => Promise<EngineUnderTest>): void {
  describe(`SqlEngine: ${name}`, () => {
    let lake: EngineUnderTest;
    let engine: SqlEngine;
    beforeAll(async () => {
      lake = await open();
      engine = lake.engine;
      await lake.commitSilver({ plays: PLAYS });
    });
    afterAll(() => lake.close());

    const session = async (runId: string, state?: LakeState): Promise<EngineSession> =>
      engine.session({ state: state ?? (await lake.state()), target: 'dev', runId });

    /** Publishes a gold of one table. */
    const publishGold = async (runId: string, select: string, type: string): Promise<void> => {
      const state = await lake.state();
      const opened = await session(runId, state);
      const file = await opened.build({ model: 'answers', select, columns: [{ name: 'n', type }], sort: ['n'] });
      await opened.close();
      const dev: GoldVersion = {
        runId,
        asOf: '2026-03-01T00:00:00.000Z',
        silverSequence: 1,
        modelsHash: '',
        tables: { answers: file },
      };
      const manifest = await lake.commitState({ ...state, gold: { ...state.gold, dev } });
      await engine.publish(manifest.state);
    };

    describe('query', () => {
      it('reads all partitions of a silver table, with the partition columns in their declared types', async () => {
        const { columns, rows } = await engine.query('select play_id, year from silver.plays order by play_id');
        expect(columns).toEqual([
          { name: 'play_id', type: 'varchar' },
          { name: 'year', type: 'integer' },
        ]);
        expect(rows).toEqual([
          ['p1', 2026],
          ['p2', 2027],
          ['p3', 2027],
        ]);
      });

      it('gives 64-bit integers, decimals and times without loss', async () => {
        const { columns, rows } = await engine.query(`
          select played_ms, cast('12345678901234567890.12' as decimal(22, 2)) as amount, ended_at, cast(ended_at as date) as day
          from silver.plays where play_id = 'p1'`);
        expect(columns.map(({ type }) => type)).toEqual(['bigint', 'decimal(22,2)', 'timestamp', 'date']);
        expect(rows).toEqual([[9007199254740993n, '12345678901234567890.12', '2026-01-31 23:59:59.999', '2026-01-31']]);
      });

      it('shows times with exactly their milliseconds', async () => {
        const { rows } = await engine.query('select ended_at from silver.plays order by ended_at');
        expect(rows.flat()).toEqual(['2026-01-31 23:59:59.999', '2027-02-01 00:00:00.000', '2027-02-28 12:00:00.120']);
      });

      it('has every table of the contracts, the empty ones with their columns', async () => {
        const { columns, rows } = await engine.query(
          'select track_id, popularity, is_explicit, last_seen_at from silver.tracks',
        );
        expect(columns.map(({ type }) => type)).toEqual(['varchar', 'integer', 'boolean', 'timestamp']);
        expect(rows).toEqual([]);
        const bronze = await engine.query('select count(*) from bronze.export_extended');
        expect(bronze.rows).toEqual([[0n]]);
      });

      it('divides integers as the other engine does', async () => {
        expect((await engine.query('select 7 / 2')).rows).toEqual([[3]]);
      });

      it('S7: takes values as parameters only, whatever they hold', async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom("'; drop table x; --", '?', '$1')),
            async (text) => {
              fc.pre(!text.includes('\u0000'));
              const { rows } = await engine.query('select cast(? as varchar) as given', { parameters: [text] });
              expect(rows).toEqual([[text]]);
            },
          ),
          { numRuns: 50 },
        );
        const { rows } = await engine.query(
          'select play_id from silver.plays where played_ms = ? or played_ms = ? order by 1',
          {
            parameters: [9007199254740993n, 30_000],
          },
        );
        expect(rows).toEqual([['p1'], ['p3']]);
      });

      it('refuses a wrong number of parameters', async () => {
        await expect(engine.query('select ?')).rejects.toMatchObject({ code: 'sql_invalid', exit: 'usage' });
      });

      it('says where a statement is wrong', async () => {
        const error = await failureOf(engine.query('select play_id\nfrom silver.plays\nwhere nothing = 1'));
        expect(error).toMatchObject({ code: 'sql_invalid', exit: 'usage' });
        expect(error.message).toMatch(/nothing.*line 3, column 7/);
      });

      it('lists near names for a table that is not there', async () => {
        const error = await failureOf(engine.query('select * from silver.play'));
        expect(error.code).toBe('sql_invalid');
        expect(error.hint).toMatch(/near: .*silver\.plays/);
      });

      it('stops at the limit of rows', async () => {
        const three = 'select play_id from silver.plays';
        await expect(engine.query(three, { maxRows: 2 })).rejects.toMatchObject({
          code: 'result_too_large',
          exit: 'usage',
        });
        expect((await engine.query(three, { maxRows: 3 })).rows).toHaveLength(3);
      });

      it.each([
        'create table x as select 1',
        'drop view silver.plays',
        'insert into silver.plays select * from silver.plays',
        'delete from silver.plays',
        'with x as (select 1) insert into silver.plays select * from silver.plays',
        'select 1; select 2',
        'select 1; drop view silver.plays',
        'explain analyze drop view silver.plays',
        '',
        '-- nothing',
      ])('S7: refuses %p and changes nothing', async (statement) => {
        const error = await failureOf(engine.query(statement));
        expect(error.exit).toBe('usage');
        expect((await engine.query('select count(*) from silver.plays')).rows).toEqual([[3n]]);
      });
    });

    describe('silver.check_results', () => {
      const scoped = (scope: string, n: number): object[] =>
        Array.from({ length: n }, (_, index) => ({
          scope,
          table_name: 'plays',
          test: `test ${index}: it's "so"`,
          severity: 'fail',
          status: index === 0 ? 'error' : 'passed',
          failing_rows: index === 0 ? null : index,
          message: '',
        }));

      it('is there and empty before the first check', async () => {
        const { columns, rows } = await engine.query('select * from silver.check_results');
        expect(columns).toEqual([
          ...['scope', 'table_name', 'test', 'severity', 'status'].map((name) => ({ name, type: 'varchar' })),
          { name: 'failing_rows', type: 'bigint' },
          { name: 'message', type: 'varchar' },
        ]);
        expect(rows).toEqual([]);
      });

      it('has the results of the last check of each scope, however the statement names it', async () => {
        const state = await lake.state();
        const keys = {
          silver: await putState(lake.store, 'checks', scoped('silver', 3)),
          gold_dev: await putState(lake.store, 'checks', scoped('gold_dev', 2)),
        };
        const checks = Object.fromEntries(
          Object.entries(keys).map(([scope, key]) => [scope, { key, verdict: 'failed' as const, of: '1' }]),
        );
        await engine.publish((await lake.commitState({ ...state, checks })).state);
        const rowsOf = async (sql: string): Promise<unknown> => (await engine.query(sql)).rows;
        expect(await rowsOf("select * from silver.check_results where status <> 'passed' order by scope")).toEqual(
          ['gold_dev', 'silver'].map((scope) => [scope, 'plays', `test 0: it's "so"`, 'fail', 'error', null, '']),
        );
        expect(await rowsOf('select sum(c.failing_rows) from silver.check_results c')).toHaveLength(1);
        for (const sql of [
          'select count(*) from silver.check_results',
          'select count(*) from silver."check_results" as results where results.scope is not null',
          'select count(*) from silver.check_results where silver.check_results.table_name is not null',
          'select count(check_results.scope) from silver.check_results',
          "select count(*) from (values ('plays')) as t (name) join silver.check_results on name = table_name",
          "select count(*) from (values ('plays')) as t (name), silver.check_results where name = table_name",
        ]) {
          expect([sql, await rowsOf(sql)]).toEqual([sql, [[5n]]]);
        }
        const opened = await session('run-checks');
        const relation = await opened.relation('silver', 'check_results');
        expect((await opened.query(`select count(*) from ${relation}`)).rows).toEqual([[5n]]);
        await opened.close();
        await engine.publish((await lake.commitState(state)).state);
      });
    });

    describe('session', () => {
      it('gives the row of each of many selects, in order', async () => {
        const opened = await session('run-rows');
        const plays = await opened.relation('silver', 'plays');
        const selects = Array.from({ length: 20 }, (_, n) => ({
          sql: `select ${n} as n, count(*) as rows from ${plays} -- the ${n}th`,
          columns: 2,
        }));
        expect(await opened.singleRows(selects)).toEqual(selects.map((_, n) => [n, 3n]));
        expect(await opened.singleRows([])).toEqual([]);
        await expect(opened.singleRows([...selects, { sql: 'select nothing', columns: 1 }])).rejects.toMatchObject({
          code: 'sql_invalid',
        });
        await opened.close();
      });

      it('knows the columns of each table', async () => {
        const opened = await session('run-columns');
        const plays = await opened.columns('silver', 'plays');
        expect(plays).toEqual(await opened.describe(`select * from ${await opened.relation('silver', 'plays')}`));
        const columns = ['varchar', 'boolean', 'integer', 'bigint', 'double', 'timestamp', 'date', 'decimal(22,2)'].map(
          (type, index) => ({ name: `c${index}`, type }),
        );
        const select = `select ${columns.map(({ name, type }) => `cast(null as ${type}) as ${name}`).join(', ')}`;
        const file = await opened.build({ model: 'typed', select, columns, sort: [] });
        expect(await opened.columns('run', 'typed')).toEqual(columns);
        const state = await lake.state();
        const dev = { runId: 'run-columns', asOf: '', silverSequence: 1, modelsHash: '', tables: { typed: file } };
        const later = await session('run-later', { ...state, gold: { ...state.gold, dev } });
        expect(await later.columns('gold_dev', 'typed')).toEqual(columns);
        await later.close();
        await opened.close();
      });

      it('builds a table that nobody else sees, and further tables from it', async () => {
        const opened = await session('run-a');
        const plays = await opened.relation('silver', 'plays');
        const first = await opened.build({
          model: 'by_user',
          select: `select user_id, count(*) as plays, max(ended_at) as last_at from ${plays} group by user_id`,
          columns: [
            { name: 'user_id', type: 'varchar' },
            { name: 'plays', type: 'bigint' },
            { name: 'last_at', type: 'timestamp' },
          ],
          sort: ['user_id'],
        });
        expect(first).toMatchObject({ rows: 2, key: expect.stringMatching(/^gold\/dev\/run-a\/by_user\//) });
        expect(first.sha256).toMatch(/^[0-9a-f]{64}$/);
        const built = await opened.relation('run', 'by_user');
        const second = await opened.build({
          model: 'total',
          select: `select cast(sum(plays) as bigint) as plays from ${built}`,
          columns: [{ name: 'plays', type: 'bigint' }],
          sort: [],
        });
        expect(second.rows).toBe(1);
        const { rows } = await opened.query(`select plays from ${await opened.relation('run', 'total')}`);
        expect(rows).toEqual([[3n]]);
        await opened.close();
        await expect(engine.query('select * from gold_dev.by_user')).rejects.toMatchObject({ code: 'sql_invalid' });
      });

      it('copies a table of dev as one of prod, which shows the same once it is published', async () => {
        const state = await lake.state();
        const columns = [{ name: 'n', type: 'integer' }];
        const dev = await session('run-to-copy', state);
        const from = await dev.build({
          model: 'copied',
          select: 'select 41 as n union all select 1',
          columns,
          sort: [],
        });
        await dev.close();
        const opened = await engine.session({ state, target: 'prod', runId: 'run-copied' });
        const copy = await opened.copy('copied', columns, from);
        await opened.close();
        expect(copy).toMatchObject({ key: expect.stringMatching(/^gold\/prod\/run-copied\/copied\//), rows: 2 });
        expect(copy.bytes).toBe(from.bytes);
        const asOf = '2026-03-01T00:00:00.000Z';
        const prod: GoldVersion = {
          ...{ runId: 'run-copied', asOf, silverSequence: 1, modelsHash: '' },
          tables: { copied: copy },
        };
        await engine.publish((await lake.commitState({ ...state, gold: { ...state.gold, prod } })).state);
        expect((await engine.query('select n from gold_prod.copied order by n')).rows).toEqual([[1], [41]]);
        const damaged = await engine.session({ state, target: 'prod', runId: 'run-damaged' });
        await expect(damaged.copy('copied', columns, { ...from, sha256: 'a'.repeat(64) })).rejects.toMatchObject({
          ...{ code: 'object_damaged', exit: 'data' },
        });
        await damaged.close();
        await engine.publish((await lake.commitState(state)).state);
      });

      it('takes over a table of an older run where it lies, and says where it is not whole any more', async () => {
        const state = await lake.state();
        const columns = [{ name: 'n', type: 'integer' }];
        const older = await session('run-older', state);
        const file = await older.build({
          model: 'kept',
          select: 'select 41 as n union all select 1',
          columns,
          sort: [],
        });
        await older.close();
        const opened = await session('run-newer', state);
        expect(await opened.take('kept', columns, file)).toBe(true);
        const relation = await opened.relation('run', 'kept');
        expect((await opened.query(`select n from ${relation} order by n`)).rows).toEqual([[1], [41]]);
        expect(await opened.take('gone', columns, { ...file, key: file.key.replace('run-older', 'run-none') })).toBe(
          false,
        );
        expect(await opened.take('damaged', columns, { ...file, sha256: 'a'.repeat(64) })).toBe(false);
        await opened.close();
        const dev: GoldVersion = {
          ...{ runId: 'run-newer', asOf: '2026-03-01T00:00:00.000Z', silverSequence: 1, modelsHash: '' },
          tables: { kept: file },
        };
        await engine.publish((await lake.commitState({ ...state, gold: { ...state.gold, dev } })).state);
        expect((await engine.query('select n from gold_dev.kept order by n')).rows).toEqual([[1], [41]]);
        await engine.publish((await lake.commitState(state)).state);
      });

      it('refuses a select whose columns are not the declared ones, naming model and column', async () => {
        const opened = await session('run-b');
        const build = (columns: { name: string; type: string }[]): Promise<unknown> =>
          opened.build({ model: 'm', select: 'select 1 as a, cast(2 as double) as b', columns, sort: [] });
        const [a, b] = [
          { name: 'a', type: 'integer' },
          { name: 'b', type: 'double' },
        ];
        for (const wrong of [[a], [b, a], [a, { ...b, type: 'bigint' }], [a, { ...b, name: 'c' }], [a, b, b]]) {
          const error = await failureOf(build(wrong));
          expect(error).toMatchObject({ code: 'model_columns', exit: 'data' });
          expect(error.message).toMatch(/column [123] of m /);
        }
        await expect(build([a, b])).resolves.toMatchObject({ rows: 1 });
        await opened.close();
      });

      it('goes on with its state when silver and gold are committed meanwhile', async () => {
        await publishGold('run-c', 'select 1 as n', 'integer');
        const before = await lake.state();
        const opened = await session('run-d', before);
        await publishGold('run-e', 'select 2 as n', 'integer');
        expect((await opened.query(`select n from ${await opened.relation('gold_dev', 'answers')}`)).rows).toEqual([
          [1],
        ]);
        await opened.close();
        expect((await engine.query('select n from answers')).rows).toEqual([[2]]);
      });

      it('sorts the table by the columns asked for', async () => {
        const opened = await session('run-f');
        await opened.build({
          model: 'sorted',
          select: 'select * from (values (3), (1), (null), (2)) as given (n)',
          columns: [{ name: 'n', type: 'integer' }],
          sort: ['n'],
        });
        const { rows } = await opened.query(`select n from ${await opened.relation('run', 'sorted')}`);
        expect(rows.flat()).toEqual([1, 2, 3, null]);
        await opened.close();
      });
    });

    describe('publish', () => {
      it('shows a state once it is published, unqualified names by target', async () => {
        await publishGold('run-g', 'select cast(41 as bigint) as n', 'bigint');
        expect((await engine.query('select n from answers', { target: 'dev' })).rows).toEqual([[41n]]);
        await expect(engine.query('select n from answers', { target: 'prod' })).rejects.toMatchObject({
          code: 'sql_invalid',
          hint: expect.stringContaining('gold_dev.answers'),
        });
      });

      it('changes nothing when it is done again', async () => {
        await engine.publish(await lake.state());
        await engine.publish(await lake.state());
        expect((await engine.query('select n from gold_dev.answers')).rows).toEqual([[41n]]);
      });

      it('is mended by the next query when a run was killed between its commit and its publish', async () => {
        const state = await lake.state();
        const opened = await session('run-h', state);
        const file = await opened.build({
          model: 'answers',
          select: 'select 42 as n',
          columns: [{ name: 'n', type: 'integer' }],
          sort: [],
        });
        await opened.close();
        const dev = { ...state.gold.dev!, runId: 'run-h', tables: { answers: file } };
        await lake.commitState({ ...state, gold: { dev } }); // and no publish
        expect((await engine.query('select n from answers')).rows).toEqual([[42]]);
        expect((await (await lake.openEngine()).query('select n from answers')).rows).toEqual([[42]]);
      });

      it('is mended by the next query when a slower run published an older state over it', async () => {
        const older = await lake.state();
        await publishGold('run-i', 'select 43 as n', 'integer');
        expect((await engine.query('select n from answers')).rows).toEqual([[43]]);
        await (await lake.openEngine()).publish(older);
        expect((await engine.query('select n from answers')).rows).toEqual([[43]]);
      });

      it('answers many queries at once, also right after a commit', async () => {
        await publishGold('run-j', 'select 44 as n', 'integer');
        const fresh = await lake.openEngine();
        const answers = await Promise.all(Array.from({ length: 20 }, () => fresh.query('select n from answers')));
        expect(answers.map(({ rows }) => rows)).toEqual(Array(20).fill([[44]]));
      });

      it('lets readers see the old set or the new set, and never an error, while versions are published', async () => {
        await publishGold('poll-0', 'select 0 as n union all select 0', 'integer');
        const reader = await lake.openEngine();
        let isDone = false;
        const seen: number[] = [];
        const polling = (async () => {
          while (!isDone) {
            const { rows } = await reader.query('select n from answers');
            expect(rows).toHaveLength(2);
            expect(rows[0]).toEqual(rows[1]); // both rows of one version
            seen.push(Number(rows[0]![0]));
          }
        })();
        for (let version = 1; version <= 12; version += 1) {
          await publishGold(`poll-${version}`, `select ${version} as n union all select ${version}`, 'integer');
        }
        isDone = true;
        await polling;
        expect(seen).toEqual([...seen].sort((a, b) => a - b));
        expect(new Set(seen).size).toBeGreaterThan(1);
        expect((await reader.query('select max(n) from answers')).rows).toEqual([[12]]);
      });
    });
  });
}
