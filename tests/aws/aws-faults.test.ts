/**
 * What a person meets on AWS, through the command line and the jobs: one clear line, prod as it was, and the
 * next run heals.
 */
import { AthenaClient, UpdateWorkGroupCommand } from '@aws-sdk/client-athena';
import { GetTableCommand, type Table, UpdateTableCommand } from '@aws-sdk/client-glue';
import { readConfig } from '../../jobs/base/config.ts';
import { createLog } from '../../jobs/base/log.ts';
import { silentProgress } from '../../jobs/base/progress.ts';
import { check } from '../../jobs/check.ts';
import { doctor } from '../../jobs/doctor.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import type { AthenaOptions } from '../../jobs/engine/athena/engine.ts';
import { inspectCatalog } from '../../jobs/engine/athena/inspect.ts';
import { enrich } from '../../jobs/enrich.ts';
import { goldTests, silverTests } from '../../jobs/gold/data-tests.ts';
import { goldModelsOf } from '../../jobs/gold/project.ts';
import { readSilverFiles, type SilverFile } from '../../jobs/lake/manifest.ts';
import { promote } from '../../jobs/promote.ts';
import { finished, listenlake, start } from '../fixtures/command-line.ts';
import { projectOf, type Row } from '../fixtures/effects.ts';
import { failureOf } from '../fixtures/failure.ts';
import type { Execution } from './athena-front.ts';
import { jsonError, s3Error } from './endpoint.ts';
import { type AwsLake, openAwsLake } from './lake.ts';
import { environmentOf, REGION, startLocalAwsOrSkip } from './local.ts';

/** A run is dozens of statements. */
const LONG_MS = 600_000;
const local = await startLocalAwsOrSkip('faults on AWS', { isTrinoNeeded: true });

const project = projectOf({
  'models/play_counts.sql':
    "select user_id, count(*) as plays, cast(sum(played_ms) as bigint) as total_ms from {{ source('silver', 'plays') }} group by user_id",
  'models/totals.sql': "select cast(sum(plays) as bigint) as plays from {{ ref('play_counts') }}",
  'models/all.yml': `models:
  - name: play_counts
    columns:
      - {name: user_id, data_type: varchar, data_tests: [unique, not_null]}
      - {name: plays, data_type: bigint, data_tests: [{expression_is_true: {expression: '> 0'}}]}
      - {name: total_ms, data_type: bigint}
  - name: totals
    columns: [{name: plays, data_type: bigint, data_tests: [unique, not_null]}]
`,
});

if (local?.athena === undefined) {
  it('AWS is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { athena, endpoint } = local;
  Object.assign(process.env, environmentOf(endpoint.url), { LISTENLAKE_S3_PATH_STYLE: undefined });
  let lake: AwsLake;
  let effects: Effects;
  let runs = 0;
  const raw = new AthenaClient({ endpoint: endpoint.url, region: REGION });

  beforeAll(async () => {
    lake = await openAwsLake(local);
    effects = effectsOf(lake);
    await lake.commitSilver({ plays: plays('u1', 'u1', 'u2') });
    await built();
    await promote({ runId: `prod-${runs++}`, project }, effects);
  }, LONG_MS);
  beforeEach(() => {
    endpoint.rules.length = 0;
    Object.assign(athena.switches, { failAfter: undefined, queue: undefined, runMs: 0, hold: undefined });
  });
  afterAll(async () => {
    raw.destroy();
    await lake.close();
    await local.close();
  });

  function plays(...users: string[]): Row[] {
    return users.map((user_id, index) => ({
      play_id: `p${index}`,
      user_id,
      source: 'api',
      content_type: 'unknown',
      played_ms: 1000,
      ended_at: `2026-0${index + 1}-15 12:00:00`,
    }));
  }

  function effectsOf({ store, engine, uri, scratch }: AwsLake): Effects {
    const config = readConfig({
      LISTENLAKE_LAKE: uri,
      LISTENLAKE_S3_PATH_STYLE: 'true',
      LISTENLAKE_AWS_NAME: lake.name,
    });
    return {
      config,
      store,
      engine,
      log: createLog('silent'),
      progress: silentProgress,
      scratch,
      now: () => Date.UTC(2026, 10, 21),
      signal: new AbortController().signal,
    };
  }

  /** Dev built and checked, as far as it is not. */
  async function built(): Promise<void> {
    await enrich({ runId: `dev-${runs++}`, project }, effects);
    await check({ scope: 'silver', target: 'dev', runId: `check-${runs++}`, isReused: true }, effects);
    await check({ scope: 'gold', target: 'dev', runId: `check-${runs++}`, isReused: true, project }, effects);
  }

  const prod = async (): Promise<unknown> =>
    (await (await lake.openEngine()).query('select user_id, plays from play_counts order by 1', { target: 'prod' }))
      .rows;

  /** Runs a command of the real program against the lake. */
  const command = (...args: string[]): ReturnType<typeof listenlake> =>
    listenlake([...args, ...(args.includes('--lake') ? [] : ['--lake', lake.uri])], environment());

  function environment(): Record<string, string> {
    return { LISTENLAKE_AWS_NAME: lake.name, LISTENLAKE_S3_PATH_STYLE: 'true' };
  }

  async function refused(exit: number, line: RegExp, ...args: string[]): Promise<void> {
    const { code, stdout, stderr } = await command(...args);
    expect([code, stdout, stderr.trimEnd().split('\n')]).toEqual([exit, '', [expect.stringMatching(line)]]);
  }

  const database = (layer: string): string => `${lake.name.replaceAll('-', '_')}_${layer}`;

  /** Changes a table of Glue as a person would, and gives back what puts it back. */
  async function alter(layer: string, name: string, change: (table: Table) => void): Promise<() => Promise<void>> {
    const { Table: table } = await lake.glue.send(new GetTableCommand({ DatabaseName: database(layer), Name: name }));
    const put = async ({ Name, TableType, Parameters, PartitionKeys, StorageDescriptor }: Table): Promise<void> => {
      const TableInput = { Name, TableType, Parameters, PartitionKeys, StorageDescriptor };
      await lake.glue.send(new UpdateTableCommand({ DatabaseName: database(layer), TableInput }));
    };
    const altered = structuredClone(table!);
    change(altered);
    await put(altered);
    return () => put(table!);
  }

  describe('sql on AWS', () => {
    const QUESTION = ['sql', '--target', 'prod', 'select sum(plays) as plays from play_counts'];

    it(
      'answers with the bytes that it scanned and their price; CSV and JSON stay clean',
      async () => {
        const table = await command(...QUESTION);
        expect([table.code, table.stderr]).toEqual([0, '']);
        expect(table.stdout).toMatch(/\n +3\n1 row\n[\d.,]+ (bytes|kB) scanned, about 0\.00005 USD at list price\n$/s);
        const csv = await command(...QUESTION, '--csv');
        expect([csv.stdout, csv.stderr]).toEqual([
          'plays\r\n3\n',
          expect.stringMatching(/^[\d.,]+ (bytes|kB) scanned, /),
        ]);
        const json = await command(...QUESTION, '--json', '--quiet');
        expect([json.stdout, json.stderr]).toEqual(['[\n{"plays": 3}\n]\n', '']);
      },
      LONG_MS,
    );

    it('F68: a missing bucket: exit 78', () =>
      refused(78, /no such bucket.*terraform apply/, 'sql', 'select 1', '--lake', 's3://nobody-has-this'));

    it(
      'F68: a wrong region: exit 78',
      async () => {
        const fault = { ...s3Error('PermanentRedirect', 301), headers: { 'x-amz-bucket-region': 'eu-central-1' } };
        endpoint.rules.push({ operation: 'ListObjectsV2', fault: fault as ReturnType<typeof s3Error>, times: 9 });
        await refused(78, /bucket is in eu-central-1 \(set AWS_REGION=eu-central-1\)/, ...QUESTION);
      },
      LONG_MS,
    );

    it(
      'F49: credentials that have expired: exit 77',
      async () => {
        endpoint.rules.push({ operation: 'ListObjectsV2', fault: s3Error('ExpiredToken', 400), times: 9 });
        await refused(77, /does not take the credentials \(ExpiredToken\) \(log in again/, ...QUESTION);
        endpoint.rules.length = 0;
        endpoint.rules.push({
          operation: 'StartQueryExecution',
          fault: jsonError('ExpiredTokenException', 400),
          times: 9,
        });
        await refused(77, /log in again/, ...QUESTION);
      },
      LONG_MS,
    );

    it.each(['ListObjectsV2', 'StartQueryExecution', 'GetQueryResults'])(
      'F49: no right to %s: exit 77',
      async (operation) => {
        const fault =
          operation === 'ListObjectsV2' ? s3Error('AccessDenied', 403) : jsonError('AccessDeniedException', 400);
        endpoint.rules.push({ operation, fault, times: 9 });
        await refused(77, /AWS refuses it \(AccessDenied.*policies in terraform/, ...QUESTION);
      },
    );

    it(
      'F51: more than the scan limit of the workgroup: exit 65 with the bytes',
      async () => {
        const limit = (BytesScannedCutoffPerQuery: number): Promise<unknown> =>
          raw.send(
            new UpdateWorkGroupCommand({
              WorkGroup: `${lake.name}-prod`,
              ConfigurationUpdates: { BytesScannedCutoffPerQuery },
            }),
          );
        await limit(10);
        try {
          await refused(
            65,
            /scanned \d+ bytes, more than its workgroup allows/,
            'sql',
            'select max(play_id) from silver.plays',
          );
        } finally {
          await limit(10_000_000);
        }
      },
      LONG_MS,
    );

    it(
      'F43: an object of a table that is gone or cut: exit 65, named; back again, it answers',
      async () => {
        const question = ['sql', 'select max(play_id) from silver.plays'];
        const [{ key }] = (await readSilverFiles(lake.store, await lake.state(), 'plays')) as [SilverFile];
        const bytes = await bytesOf(key);
        await lake.store.delete(key);
        await refused(65, new RegExp(`${key}: the lake has lost this object.*doctor --verify`), ...question);
        await lake.store.put(key, bytes.subarray(0, 300));
        await refused(65, /is not the one that was committed.*doctor --verify/, ...question);
        await lake.store.put(key, bytes);
        expect((await command(...question)).code).toBe(0);
      },
      LONG_MS,
    );

    it(
      'F43: an object of gold that is gone: exit 65 instead of fewer rows',
      async () => {
        const prefix = (await lake.state()).gold.prod!.tables.play_counts!.key;
        const [object] = await keysBelow(prefix);
        const bytes = await bytesOf(object!);
        await lake.store.delete(object!);
        await refused(65, new RegExp(`${prefix}: the lake has lost this table`), ...QUESTION);
        const findings = await doctor({ verify: true, aws: false }, effects);
        expect(findings.filter(({ verdict }) => verdict === 'fail').map(({ text }) => text)).toEqual([
          expect.stringMatching(new RegExp(`^${prefix} is gone: run .*promote --rebuild`)),
        ]);
        await lake.store.put(object!, bytes);
        expect((await command(...QUESTION)).code).toBe(0);
      },
      LONG_MS,
    );
  });

  it(
    'doctor --verify reads every object of a table, and lists those that no commit names',
    async () => {
      await lake.store.put('gold/prod/stray/object', 'x');
      const findings = await doctor({ verify: true, aws: false }, effects);
      expect(findings.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
      expect(findings.find(({ name }) => name === 'orphans')?.text).toMatch(
        /^1 object that.*: gold\/prod\/stray\/object$/,
      );
      await lake.store.delete('gold/prod/stray/object');
    },
    LONG_MS,
  );

  it(
    'doctor --aws: what the role may not look at is a warning, not a crash',
    async () => {
      const options = {
        endpoint: endpoint.url,
        region: REGION,
        store: lake.store,
        name: lake.name,
        workGroup: undefined,
      };
      endpoint.rules.push(
        { operation: 'GetTables', fault: jsonError('AccessDeniedException', 400), times: 99 },
        { operation: 'GetWorkGroup', fault: jsonError('AccessDeniedException', 400), times: 99 },
      );
      const findings = await inspectCatalog({ ...options, state: await lake.state(), models: goldModelsOf(project) });
      expect(findings.map(({ verdict }) => verdict)).toEqual(Array(7).fill('warn'));
      expect(findings.map(({ text }) => text)).toEqual(Array(7).fill(expect.stringMatching(/AWS refuses it/)));
    },
    LONG_MS,
  );

  describe('a promoted run', () => {
    /** Statements since `from`. */
    const statements = (from: number): string[] => athena.executions.slice(from).map(({ sql }) => sql);

    it(
      'starts one query for each model, and few for all that is checked and compared',
      async () => {
        await lake.commitSilver({ plays: plays('u1', 'u2', 'u3', 'u3') });
        const from = athena.executions.length;
        await built();
        await promote({ runId: `prod-${runs++}`, project }, effects);
        const sent = statements(from);
        const inserts = sent.filter((sql) => sql.startsWith('insert'));
        const models = project.models.size;
        // Prod is copied: no statement builds it, and none tests it.
        expect(inserts).toHaveLength(models);
        // The end of the data; all tables of silver; then those of gold_dev, and the differences.
        expect(sent.length - inserts.length).toBe(1 + 3 + 1 + 1);
        // Together they ask for far more than one thing each.
        expect(silverTests().length + goldTests(project, 'gold_dev').length).toBeGreaterThan(50);
        expect(await prod()).toEqual([
          ['u1', 1n],
          ['u2', 1n],
          ['u3', 2n],
        ]);
      },
      LONG_MS,
    );

    it(
      'F50: Athena fails half-way: prod is as it was, exit 69, and the next run heals',
      async () => {
        const before = await prod();
        await lake.commitSilver({ plays: plays('u4') });
        const failed = { state: 'FAILED' as const, reason: 'GENERIC_INTERNAL_ERROR: lost a worker', times: 99 };
        athena.switches.failAfter = { match: /^insert into "[^"]*gold_dev"\."totals/, ...failed };
        await expect(built()).rejects.toMatchObject({ code: 'engine_failed', exit: 'unavailable' });
        athena.switches.failAfter = undefined;
        expect(await prod()).toEqual(before);
        await built();
        // Of the two tables one is copied.
        endpoint.rules.push({ operation: 'CopyObject', fault: s3Error('AccessDenied', 403), times: 99, after: 1 });
        const runId = `prod-${runs++}`;
        await expect(promote({ runId, project }, effects)).rejects.toMatchObject({
          code: 'store_denied',
          exit: 'auth',
        });
        endpoint.rules.length = 0;
        expect(await prod()).toEqual(before);
        expect(await promote({ runId, project }, effects)).toMatchObject({ status: 'promoted', runId });
        expect(await prod()).toEqual([['u4', 1n]]);
      },
      LONG_MS,
    );

    it(
      'silver that others commit and register while gold is built: what was read of both is thrown away, exit 75',
      async () => {
        await lake.commitSilver({ plays: plays('u7', 'u7', 'u7') });
        const [before, shown] = [await lake.state(), await prod()];
        const from = athena.executions.length;
        athena.switches.hold = /^insert into/;
        const built = failureOf(enrich({ runId: `dev-${runs++}`, project }, effects));
        while (!statements(from).some((sql) => sql.startsWith('insert')))
          await new Promise((done) => setTimeout(done, 20));
        const committed = await lake.commitSilver({ plays: plays('u8') });
        await (await lake.openEngine()).publish(committed);
        athena.switches.hold = undefined;
        expect(await built).toMatchObject({ code: 'commit_conflict', exit: 'tempfail' });
        expect((await lake.state()).gold).toEqual(before.gold);
        expect(await prod()).toEqual(shown);
      },
      LONG_MS,
    );

    it(
      'killed between the commit of silver and its registration: the next command registers first',
      async () => {
        await lake.commitSilver({ plays: plays('u9', 'u9', 'u9', 'u9') });
        const { code, stdout } = await command('sql', 'select count(*) as n from silver.plays', '--csv');
        expect([code, stdout]).toEqual([0, 'n\r\n4\n']);
      },
      LONG_MS,
    );

    it(
      'F55: of two at once exactly one commits, the other is told to try again, exit 75',
      async () => {
        await lake.commitSilver({ plays: plays('u5', 'u5') });
        await built();
        const [one, two] = [effects, { ...effects, engine: await lake.openEngine() }];
        const ends = await Promise.allSettled(
          [one, two].map((each) => promote({ runId: `prod-${runs++}`, project }, each)),
        );
        expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        expect(ends.find((end) => end.status === 'rejected')?.reason).toMatchObject({
          code: 'commit_conflict',
          exit: 'tempfail',
        });
        expect(await prod()).toEqual([['u5', 2n]]);
      },
      LONG_MS,
    );

    it(
      'a table of silver that was altered by hand is refused by name, prod is as it was, and put back it goes on',
      async () => {
        await lake.commitSilver({ plays: plays('u6') });
        const before = await prod();
        const back = await alter('silver', 'plays', ({ StorageDescriptor }) => {
          StorageDescriptor!.Columns!.find(({ Name }) => Name === 'played_ms')!.Type = 'string';
        });
        await expect(built()).rejects.toMatchObject({
          code: 'catalog_altered',
          exit: 'data',
          message: expect.stringMatching(/silver\.plays has the column played_ms as string instead of bigint/),
          hint: expect.stringContaining('terraform apply'),
        });
        expect(await prod()).toEqual(before);
        await back();
        await built();
        await promote({ runId: `prod-${runs++}`, project }, effects);
        expect(await prod()).toEqual([['u6', 1n]]);
      },
      LONG_MS,
    );

    it(
      'a published table whose columns were altered by hand is mended by the next command',
      async () => {
        await alter('gold_prod', 'play_counts', ({ StorageDescriptor }) => void StorageDescriptor!.Columns!.pop());
        const { columns } = await (await lake.openEngine()).query('select * from play_counts', { target: 'prod' });
        expect(columns.map(({ name }) => name)).toEqual(['user_id', 'plays', 'total_ms']);
      },
      LONG_MS,
    );
  });

  describe('statements at once', () => {
    /** Three that need nothing, and one that needs them all. */
    const four = projectOf({
      ...Object.fromEntries(
        ['a', 'b', 'c'].map((name) => [`models/one_${name}.sql`, `select cast(1 as integer) as n, '${name}' as name`]),
      ),
      'models/sums.sql':
        "select cast(sum(n) as bigint) as n from (select n from {{ ref('one_a') }} union all select n from {{ ref('one_b') }} union all select n from {{ ref('one_c') }})",
      'models/all.yml': `models:
${['a', 'b', 'c'].map((name) => `  - name: one_${name}\n    columns: [{name: n, data_type: integer, data_tests: [not_null]}, {name: name, data_type: varchar}]\n`).join('')}  - name: sums
    columns: [{name: n, data_type: bigint, data_tests: [not_null]}]
`,
    });
    const isAtWork = ({ state }: Execution): boolean => state === 'QUEUED' || state === 'RUNNING';
    const inserts = (from: number, model = ''): Execution[] =>
      athena.executions.slice(from).filter(({ sql }) => new RegExp(`^insert into "\\w+"\\."${model}`).test(sql));

    /** The most of them that were at work together. Whoever waits for an end starts after it. */
    function mostAtOnce(executions: readonly Execution[]): number {
      const steps = executions.flatMap(({ submittedAt, completedAt }) => [
        { at: submittedAt, by: 1 },
        { at: completedAt!, by: -1 },
      ]);
      let now = 0;
      return Math.max(...steps.sort((a, b) => a.at - b.at || a.by - b.by).map(({ by }) => (now += by)));
    }

    async function until(isTrue: () => boolean): Promise<void> {
      while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 20));
    }

    const withEngine = async (more: Partial<AthenaOptions>): Promise<Effects> => ({
      ...effects,
      engine: await lake.openEngine(more),
    });

    it(
      'as many as the engine takes and no more, each after what it reads; tables come in the order of the graph',
      async () => {
        const two = await withEngine({ statementConcurrency: 2 });
        const from = athena.executions.length;
        athena.switches.hold = /^insert into/;
        const built = enrich({ runId: `dev-${runs++}`, project: four }, two);
        await until(() => inserts(from).filter(isAtWork).length === 2);
        athena.switches.hold = undefined;
        await built;
        const all = athena.executions.slice(from);
        expect(mostAtOnce(all)).toBe(2);
        const [sums] = inserts(from, 'sums');
        expect(sums!.submittedAt).toBeGreaterThanOrEqual(
          Math.max(...inserts(from, 'one_').map(({ completedAt }) => completedAt!)),
        );
        const { tables } = (await lake.state()).gold.dev!;
        expect(Object.keys(tables)).toEqual(['one_a', 'one_b', 'one_c', 'sums']);
        expect((await two.engine.query('select n from sums')).rows).toEqual([[3n]]);

        const checkedFrom = athena.executions.length;
        athena.switches.hold = /count_if/;
        const checked = check({ scope: 'gold', target: 'dev', runId: `check-${runs++}`, project: four }, two);
        // Tables are tested together, so there may be fewer statements than the engine takes.
        await until(() => athena.executions.slice(checkedFrom).some(isAtWork));
        athena.switches.hold = undefined;
        expect(await checked).toMatchObject({ verdict: 'passed', passed: 4 });
        expect(mostAtOnce(athena.executions.slice(checkedFrom))).toBeLessThanOrEqual(2);
      },
      LONG_MS,
    );

    it(
      'F50: one fails half-way: what needs it does not start, nothing is left at work, and what was published stays',
      async () => {
        const before = await lake.state();
        const two = await withEngine({ statementConcurrency: 2 });
        const from = athena.executions.length;
        athena.switches.hold = /^insert into .*"one_a/;
        athena.switches.failAfter = {
          match: /^insert into .*"one_b/,
          state: 'FAILED',
          reason: 'GENERIC_INTERNAL_ERROR: lost a worker',
          times: 99,
        };
        const failed = failureOf(enrich({ runId: `dev-${runs++}`, rebuild: true, project: four }, two));
        await until(() => inserts(from, 'one_b').filter(({ state }) => state === 'FAILED').length === 3);
        athena.switches.hold = undefined;
        expect(await failed).toMatchObject({
          code: 'engine_failed',
          exit: 'unavailable',
          place: { file: 'warehouse/models/one_b.sql' },
        });
        expect(athena.executions.filter(isAtWork)).toEqual([]);
        expect(inserts(from, 'sums')).toEqual([]);
        expect(await lake.state()).toEqual(before);
        athena.switches.failAfter = undefined;
        expect((await two.engine.query('select n from sums')).rows).toEqual([[3n]]);
      },
      LONG_MS,
    );

    it(
      'F36: a SIGTERM cancels all of them, exit 75, and no more than eight are at work',
      async () => {
        const before = await lake.state();
        const from = athena.executions.length;
        athena.switches.hold = /count_if/;
        const child = start(['check', '--scope', 'silver', '--lake', lake.uri], environment());
        const ended = finished(child);
        const held = (): Execution[] =>
          athena.executions.slice(from).filter(({ sql }) => athena.switches.hold!.test(sql));
        await until(() => held().filter(isAtWork).length > 1 || child.exitCode !== null);
        child.kill('SIGTERM');
        expect(await ended).toMatchObject({
          code: 75,
          stdout: '',
          stderr: expect.stringMatching(/^[^\n]*stopped[^\n]*\n$/),
        });
        expect(held().length).toBeGreaterThan(1);
        expect(held().length).toBeLessThanOrEqual(8);
        expect(new Set(held().map(({ state }) => state))).toEqual(new Set(['CANCELLED']));
        expect(athena.executions.filter(isAtWork)).toEqual([]);
        expect(await lake.state()).toEqual(before);
      },
      LONG_MS,
    );

    it(
      'F51: throttled while many are at work, every statement starts once and all end',
      async () => {
        const from = athena.executions.length;
        Object.assign(athena.switches.throttle, { StartQueryExecution: 12, GetQueryExecution: 6, GetQueryResults: 6 });
        const asOf = '2026-03-01';
        await enrich({ runId: `dev-${runs++}`, asOf, rebuild: true, project: four }, effects);
        expect(athena.switches.throttle).toEqual({ StartQueryExecution: 0, GetQueryExecution: 0, GetQueryResults: 0 });
        const all = athena.executions.slice(from);
        expect(all.map(({ sql }) => /"(\w+)__/.exec(sql)?.[1]).sort()).toEqual(['one_a', 'one_b', 'one_c', 'sums']);
        expect(all.map(({ state }) => state)).toEqual(Array(4).fill('SUCCEEDED'));
      },
      LONG_MS,
    );
  });

  async function bytesOf(key: string): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of await lake.store.get(key)) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  async function keysBelow(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of lake.store.list(prefix)) keys.push(key);
    return keys;
  }
}
