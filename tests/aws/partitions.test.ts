/**
 * What Glue shows of a lake, without any question asked: what publishing registers, in which requests, and
 * who may read when it is not done.
 */
import { createHash } from 'node:crypto';
import {
  BatchCreatePartitionCommand,
  BatchDeletePartitionCommand,
  BatchUpdatePartitionCommand,
  CreateTableCommand,
  GetPartitionsCommand,
  GetTableCommand,
  GetTablesCommand,
  type Partition,
  type PartitionInput,
  UpdateTableCommand,
} from '@aws-sdk/client-glue';
import type { Finding } from '../../jobs/base/finding.ts';
import { contractPartitions, goldTable } from '../../jobs/engine/athena/catalog.ts';
import { inspectCatalog } from '../../jobs/engine/athena/inspect.ts';
import type { EngineSession, SqlEngine } from '../../jobs/engine/index.ts';
import { goldModelsOf, readProject } from '../../jobs/gold/project.ts';
import { contractOf } from '../../jobs/lake/contracts.ts';
import { silverKey } from '../../jobs/lake/keys.ts';
import {
  type GoldVersion,
  type LakeState,
  putState,
  readSilverFiles,
  type SilverFile,
} from '../../jobs/lake/manifest.ts';
import { failureOf } from '../fixtures/failure.ts';
import { jsonError } from './endpoint.ts';
import { type AwsLake, openAwsLake } from './lake.ts';
import { REGION, startLocalAwsOrSkip } from './local.ts';

const DAY_MS = 86_400_000;
const DENIED = jsonError('AccessDeniedException', 400);
const WRITES = /^(Batch(Create|Update|Delete)Partition|UpdateTable)$/;
const local = await startLocalAwsOrSkip('partitions on Glue', { isTrinoNeeded: false });

if (local === undefined) {
  it('Glue is left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { endpoint } = local;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  let lake: AwsLake;
  let database: string;
  beforeEach(async () => {
    lake = await openAwsLake(local);
    database = `${lake.name.replaceAll('-', '_')}_silver`;
    endpoint.rules.length = 0;
    endpoint.calls.length = 0;
  });
  afterEach(() => lake.close());
  afterAll(() => local.close());

  /** A file as the manifest says it; publishing looks at no object. */
  function file(table: string, partition: SilverFile['partition'], content: string): SilverFile {
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { key: silverKey(table, partition, sha256), rows: 1, bytes: 4, sha256, partition };
  }
  const days = (from: number, to: number, content = 'a'): SilverFile[] =>
    Array.from({ length: to - from }, (_, index) => {
      const event_date = new Date(Date.UTC(2020, 0, 1) + (from + index) * DAY_MS).toISOString().slice(0, 10);
      return file('listening_events', { event_date }, `${event_date} ${content}`);
    });

  async function commit(tables: Record<string, SilverFile[]>): Promise<LakeState> {
    const state = await lake.state();
    const silver = { ...state.silver };
    for (const [table, files] of Object.entries(tables)) silver[table] = await putState(lake.store, 'silver', files);
    const sequence = (state.silverSequence ?? 0) + 1;
    return (await lake.commitState({ ...state, silver, silverSequence: sequence })).state;
  }

  async function registered(table: string): Promise<Map<string, string>> {
    const found: Partition[] = [];
    let NextToken: string | undefined;
    do {
      const page = await lake.glue.send(
        new GetPartitionsCommand({ DatabaseName: database, TableName: table, NextToken }),
      );
      found.push(...(page.Partitions ?? []));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    return new Map(found.map(({ Values, StorageDescriptor }) => [Values!.join('/'), StorageDescriptor!.Location!]));
  }
  const committed = (files: readonly SilverFile[]): Map<string, string> =>
    new Map(
      files.map(({ key, partition }) => [
        Object.values(partition).join('/'),
        `${lake.uri}/${key.replace('part-0.parquet', '')}`,
      ]),
    );
  const same = (left: Map<string, string>, right: Map<string, string>): void =>
    expect([...left].sort()).toEqual([...right].sort());

  /** Requests that change the catalog since the last look, each with how much it holds. */
  function writes(): [operation: string, items: number][] {
    const calls = endpoint.calls.splice(0).filter(({ operation }) => WRITES.test(operation));
    return calls.map(({ operation, body }) => {
      const { PartitionInputList, Entries, PartitionsToDelete } = JSON.parse(body.toString());
      return [operation, (PartitionInputList ?? Entries ?? PartitionsToDelete ?? [1]).length];
    });
  }
  const locationOf = async (table: string): Promise<string | undefined> =>
    (await lake.glue.send(new GetTableCommand({ DatabaseName: database, Name: table }))).Table?.StorageDescriptor
      ?.Location;
  const openedRelation = async (engine: SqlEngine, state: LakeState, table = 'plays'): Promise<string> =>
    (await engine.session({ state, target: 'dev', runId: 'reading' })).relation('silver', table);
  const inspected = async (): Promise<Finding[]> => {
    const place = { endpoint: endpoint.url, region: REGION, name: lake.name, workGroup: undefined };
    const findings = await inspectCatalog({
      ...place,
      store: lake.store,
      state: await lake.state(),
      models: goldModelsOf(readProject()),
    });
    return findings.filter(({ name, verdict }) => name === 'silver' && verdict !== 'ok');
  };

  it('registers more partitions than a request takes, lists more than a page holds, and writes only what changed', async () => {
    const first = days(0, 1_050);
    await lake.engine.publish(await commit({ listening_events: first }));
    expect(writes()).toEqual([...Array(10).fill(['BatchCreatePartition', 100]), ['BatchCreatePartition', 50]]);
    same(await registered('listening_events'), committed(first));
    const { Partitions: [one] = [] } = await lake.glue.send(
      new GetPartitionsCommand({ DatabaseName: database, TableName: 'listening_events', MaxResults: 1 }),
    );
    const contract = contractOf('silver', 'listening_events');
    expect(one).toMatchObject(contractPartitions(contract, lake.uri, first.slice(0, 1))[0]!);

    endpoint.calls.length = 0;
    await lake.engine.publish(await lake.state());
    expect(writes()).toEqual([]);

    // 30 days lose all rows, 150 have others, 20 are new: removed last.
    const second = [...days(30, 180, 'b'), ...days(180, 1_050), ...days(1_050, 1_070)];
    await lake.engine.publish(await commit({ listening_events: second }));
    expect(writes()).toEqual([
      ['BatchCreatePartition', 20],
      ['BatchUpdatePartition', 100],
      ['BatchUpdatePartition', 50],
      ['BatchDeletePartition', 25],
      ['BatchDeletePartition', 5],
    ]);
    same(await registered('listening_events'), committed(second));
  }, 600_000);

  it('values are written as SQL writes them: numbers without leading zeros', async () => {
    await lake.engine.publish(await commit({ chart_entries: [file('chart_entries', { year: 2026, month: 7 }, 'x')] }));
    expect([...(await registered('chart_entries')).keys()]).toEqual(['2026/7']);
  });

  it('points a table without partitions at its object, and an emptied one at a folder that nothing lies in', async () => {
    expect(await locationOf('tracks')).toBe(`${lake.uri}/silver/tracks/none/`);
    const tracks = file('tracks', {}, 'songs');
    await lake.engine.publish(await commit({ tracks: [tracks] }));
    expect(await locationOf('tracks')).toBe(`${lake.uri}/silver/tracks/v/${tracks.sha256}/`);
    expect(writes()).toEqual([['UpdateTable', 1]]);
    await lake.engine.publish(await commit({ tracks: [] }));
    expect(await locationOf('tracks')).toBe(`${lake.uri}/silver/tracks/none/`);
  });

  it('somebody else creates, changes and removes the same partitions meanwhile', async () => {
    const files = days(0, 4);
    const state = await commit({ listening_events: files });
    await lake.engine.publish(state);
    const next = days(0, 3, 'b');
    const later = await commit({ listening_events: next });
    // The first list says that none is there, and all are, of another version.
    endpoint.rules.push({
      operation: 'GetPartitions',
      fault: { kind: 'answer', status: 200, body: '{"Partitions":[]}' },
      times: 8,
    });
    await lake.engine.publish(later);
    expect(writes()).toEqual(
      expect.arrayContaining([
        ['BatchCreatePartition', 3],
        ['BatchUpdatePartition', 3],
        ['BatchDeletePartition', 1],
      ]),
    );
    same(await registered('listening_events'), committed(next));

    const stale = await lake.glue.send(
      new GetPartitionsCommand({ DatabaseName: database, TableName: 'listening_events' }),
    );
    await lake.glue.send(
      new BatchDeletePartitionCommand({
        DatabaseName: database,
        TableName: 'listening_events',
        PartitionsToDelete: stale.Partitions!.map(({ Values }) => ({ Values })),
      }),
    );
    const last = days(0, 2, 'c');
    endpoint.calls.length = 0;
    const body = JSON.stringify({ Partitions: stale.Partitions!.map(({ CreationTime, ...more }) => more) });
    const removed = await commit({ listening_events: last });
    // And the other way round: the list says that they are there, and none is any more.
    endpoint.rules.push({ operation: 'GetPartitions', fault: { kind: 'answer', status: 200, body }, times: 8 });
    await lake.engine.publish(removed);
    same(await registered('listening_events'), committed(last));
  });

  it('Glue is busy for one partition of a request: it is registered by the next', async () => {
    const files = days(0, 2);
    const busy = {
      PartitionValues: ['2020-01-01'],
      ErrorDetail: { ErrorCode: 'InternalServiceException', ErrorMessage: 'busy' },
    };
    endpoint.rules.push({
      operation: 'BatchCreatePartition',
      fault: { kind: 'answer', status: 200, body: JSON.stringify({ Errors: [busy] }) },
    });
    await lake.engine.publish(await commit({ listening_events: files }));
    same(await registered('listening_events'), committed(files));
  });

  it('Glue refuses one partition of a request: exit 69 with its words, and nothing is deleted', async () => {
    const full = {
      ErrorDetail: { ErrorCode: 'ResourceNumberLimitExceededException', ErrorMessage: 'too many partitions' },
    };
    endpoint.rules.push({
      operation: 'BatchCreatePartition',
      fault: { kind: 'answer', status: 200, body: JSON.stringify({ Errors: [full] }) },
    });
    const state = await commit({ listening_events: days(0, 2) });
    await expect(lake.engine.publish(state)).rejects.toMatchObject({
      code: 'catalog_unavailable',
      exit: 'unavailable',
      message: expect.stringContaining('too many partitions'),
    });
  });

  it('an answer that is lost was a registration all the same', async () => {
    const files = days(0, 120);
    endpoint.rules.push({ operation: 'BatchCreatePartition', after: 1, fault: { kind: 'lose-answer' } });
    await lake.engine.publish(await commit({ listening_events: files }));
    same(await registered('listening_events'), committed(files));
  });

  it('killed between the commit and its publishing: whoever reads next publishes first', async () => {
    const state = await lake.commitSilver({
      plays: [
        { play_id: 'p1', ended_at: '2025-12-31 00:00:00' },
        { play_id: 'p2', ended_at: '2026-01-01 00:00:00' },
      ],
      tracks: [{ track_id: 't1' }],
    });
    expect([...(await registered('plays')).keys()]).toEqual([]);
    expect(await openedRelation(await lake.openEngine(), state)).toBe(`"${database}"."plays"`);
    expect([...(await registered('plays')).keys()]).toEqual(['2025', '2026']);
    expect(await locationOf('tracks')).toMatch(/\/silver\/tracks\/v\/[0-9a-f]{64}\/$/);
  });

  it('killed before it published anything: a session that reads all tables at once registers them once, and ends well', async () => {
    const row = { occurred_at: '2026-01-01 00:00:00', ended_at: '2026-01-01 00:00:00' };
    const state = await lake.commitSilver({
      plays: [{ play_id: 'p1', ended_at: row.ended_at }],
      listening_events: [{ event_id: 'e1', occurred_at: row.occurred_at }],
      tracks: [{ track_id: 't1' }],
      artists: [{ artist_id: 'a1' }],
    });
    endpoint.calls.length = 0;
    const session = await lake.engine.session({ state, target: 'dev', runId: 'all' });
    await Promise.all(
      ['plays', 'listening_events', 'tracks', 'artists'].map((table) => session.relation('silver', table)),
    );
    await session.close();
    expect(writes().sort()).toEqual([
      ['BatchCreatePartition', 1],
      ['BatchCreatePartition', 1],
      ['UpdateTable', 1],
      ['UpdateTable', 1],
    ]);
  });

  it('killed half-way through its requests: the next one does the rest', async () => {
    const files = days(0, 250);
    endpoint.rules.push({ operation: 'BatchCreatePartition', after: 1, fault: DENIED, times: 9 });
    await expect(lake.engine.publish(await commit({ listening_events: files }))).rejects.toMatchObject({
      exit: 'auth',
    });
    endpoint.rules.length = 0;
    expect((await registered('listening_events')).size).toBe(100);
    endpoint.calls.length = 0;
    await (await lake.openEngine()).publish(await lake.state());
    expect(writes()).toEqual([
      ['BatchCreatePartition', 100],
      ['BatchCreatePartition', 50],
    ]);
    same(await registered('listening_events'), committed(files));
  });

  it('of two that publish, the one that was asleep with old locations in its hand mends what it wrote', async () => {
    await lake.engine.publish(await commit({ listening_events: days(0, 3) }));
    const old = await commit({ listening_events: days(0, 3, 'b') });
    let wake: () => void = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    endpoint.rules.push({ operation: 'BatchUpdatePartition', fault: { kind: 'hold', until: asleep } });
    const late = lake.engine.publish(old);
    while (endpoint.rules.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const newest = days(0, 2, 'c');
    await (await lake.openEngine()).publish(await commit({ listening_events: newest }));
    same(await registered('listening_events'), committed(newest));
    wake();
    await late;
    same(await registered('listening_events'), committed(newest));
  });

  it('whoever wakes up before its next request sends it no more', async () => {
    const old = await commit({ listening_events: days(0, 150) });
    let wake: () => void = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    endpoint.rules.push({ operation: 'BatchCreatePartition', fault: { kind: 'hold', until: asleep } });
    const late = lake.engine.publish(old);
    while (endpoint.rules.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await commit({ listening_events: days(0, 100) });
    endpoint.calls.length = 0;
    wake();
    await late;
    expect(writes()).toEqual([]); // its second hundred is not of the newest commit
    same(await registered('listening_events'), committed(days(0, 100)));
  });

  /**
   * Publishes a commit, and falls asleep after it has read which one is the newest; `meanwhile` ends before
   * it goes on.
   */
  async function publishAsleep(state: LakeState, meanwhile: () => Promise<void>): Promise<void> {
    let wake: () => void = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    endpoint.rules.push({ operation: 'GetTables', fault: { kind: 'hold', until: asleep } });
    const late = lake.engine.publish(state);
    while (endpoint.rules.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await meanwhile();
    endpoint.calls.length = 0;
    wake();
    await late;
  }

  it('silver: whoever was asleep between the commit and the look at its tables brings none of them back', async () => {
    const [events, tracks] = [days(0, 2, 'new'), file('tracks', {}, 'new')];
    const old = await commit({ listening_events: days(0, 2), tracks: [file('tracks', {}, 'old')] });
    await publishAsleep(old, async () => {
      const newest = await commit({ listening_events: events, tracks: [tracks] });
      await (await lake.openEngine()).publish(newest);
    });
    expect(writes()).toEqual([]);
    same(await registered('listening_events'), committed(events));
    expect(`${await locationOf('tracks')}part-0.parquet`).toBe(`${lake.uri}/${tracks.key}`);
  });

  it('who finds all as it should be looks last whether that is still the newest commit, and shows the one that is', async () => {
    const old = await commit({ listening_events: days(0, 2) });
    await lake.engine.publish(old);
    const newest = days(0, 3, 'new');
    // Its own job was killed before it published it.
    await publishAsleep(old, async () => void (await commit({ listening_events: newest })));
    same(await registered('listening_events'), committed(newest));
  });

  it('gold: whoever was asleep between the commit and the look at its tables points none of them back and empties none', async () => {
    const gold = database.replace(/silver$/, 'gold_dev');
    const versionOf = (runId: string, ...models: string[]): GoldVersion => ({
      runId,
      asOf: '2026-03-01T00:00:00.000Z',
      silverSequence: 0,
      modelsHash: '',
      tables: Object.fromEntries(
        models.map((model) => [model, { key: `gold/dev/${runId}/${model}/1/`, rows: 0, bytes: 0, sha256: '' }]),
      ),
    });
    for (const [runId, model] of [
      ['old', 'answers'],
      ['new', 'answers'],
      ['new', 'more'],
    ] as const) {
      const location = `${lake.uri}/gold/dev/${runId}/${model}/1/`;
      const TableInput = goldTable(`${model}__${runId}`, [{ name: 'n', type: 'integer' }], location);
      await lake.glue.send(new CreateTableCommand({ DatabaseName: gold, TableInput }));
    }
    const shown = (): Promise<(string | undefined)[]> =>
      Promise.all(
        ['answers', 'more'].map(async (Name) => {
          const { Table } = await lake.glue.send(new GetTableCommand({ DatabaseName: gold, Name }));
          return Table?.StorageDescriptor?.Location;
        }),
      );
    const ofNew = ['answers', 'more'].map((model) => `${lake.uri}/gold/dev/new/${model}/1/`);
    const old = await lake.commitState({ ...(await lake.state()), gold: { dev: versionOf('old', 'answers') } });
    let wake: () => void = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    // The first list is that of silver.
    endpoint.rules.push({ operation: 'GetTables', after: 1, fault: { kind: 'hold', until: asleep } });
    const late = lake.engine.publish(old.state);
    while (endpoint.rules.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const newest = await lake.commitState({ ...old.state, gold: { dev: versionOf('new', 'answers', 'more') } });
    await (await lake.openEngine()).publish(newest.state);
    expect(await shown()).toEqual(ofNew);
    endpoint.calls.length = 0;
    wake();
    await late;
    expect(await shown()).toEqual(ofNew);
    expect(writes()).toEqual([]);
  });

  it('a session that somebody has written under, be it something old and then the same again, ends with exit 75', async () => {
    const state = await lake.commitSilver({
      plays: [{ play_id: 'p1', ended_at: '2026-01-01 00:00:00' }],
      tracks: [{ track_id: 't1' }],
    });
    await lake.engine.publish(state);
    const read = async (table: string): Promise<EngineSession> => {
      const session = await lake.engine.session({ state, target: 'dev', runId: 'reading' });
      await session.relation('silver', table);
      return session;
    };
    const conflict = { code: 'commit_conflict', exit: 'tempfail' };
    await (await read('plays')).close();
    await (await read('tracks')).close();

    const [plays, tracks, beside] = [await read('plays'), await read('tracks'), await read('tracks')];
    const place = { DatabaseName: database, TableName: 'plays' };
    const [old] = contractPartitions(contractOf('silver', 'plays'), lake.uri, [file('plays', { year: 2026 }, 'old')]);
    const entry = { PartitionValueList: ['2026'], PartitionInput: old! };
    await lake.glue.send(new BatchUpdatePartitionCommand({ ...place, Entries: [entry] }));
    await (await lake.openEngine()).publish(state);
    same(await registered('plays'), committed(await readSilverFiles(lake.store, state, 'plays')));
    await beside.close();
    expect(await failureOf(plays.close())).toMatchObject(conflict);

    const known = await lake.commitSilver({ tracks: [{ track_id: 't1' }, { track_id: 't2' }] });
    await (await lake.openEngine()).publish(known);
    expect(await failureOf(tracks.close())).toMatchObject(conflict);
  });

  it('a session whose table is of a newer commit by now reads nothing, exit 75', async () => {
    const row = { play_id: 'p1', ended_at: '2026-01-01 00:00:00' };
    const state = await lake.commitSilver({ plays: [row] });
    await lake.engine.publish(state);
    const session = await lake.engine.session({ state, target: 'dev', runId: 'slow' });
    const newer = await lake.commitSilver({ plays: [row, { ...row, play_id: 'p2' }] });
    await (await lake.openEngine()).publish(newer);
    expect(await failureOf(session.relation('silver', 'plays'))).toMatchObject({
      code: 'commit_conflict',
      exit: 'tempfail',
      message: expect.stringContaining('silver.plays'),
    });
  });

  it('who may not register reads nothing that is half registered, exit 75 with the command; who committed it is told, exit 77', async () => {
    const state = await lake.commitSilver({ plays: [{ play_id: 'p1', ended_at: '2026-01-01 00:00:00' }] });
    endpoint.rules.push({ operation: WRITES, fault: DENIED, times: 99 });
    expect(await failureOf(openedRelation(await lake.openEngine(), state))).toMatchObject({
      code: 'catalog_behind',
      exit: 'tempfail',
      message: expect.stringMatching(/silver\.plays.*lacks the partition year=2026/),
      hint: expect.stringContaining('listenlake transform'),
    });
    await expect(lake.engine.publish(state)).rejects.toMatchObject({ code: 'catalog_denied', exit: 'auth' });
    // A later commit is not about silver: its job is not told that it may not register.
    await lake.commitState({ ...state, transformedThrough: 9 });
    await lake.engine.publish(await lake.state());
  });

  it('a table with a projection, or with other keys, is not registered in: terraform first', async () => {
    const state = await lake.commitSilver({ plays: [{ play_id: 'p1', ended_at: '2026-01-01 00:00:00' }] });
    const { Table } = await lake.glue.send(new GetTableCommand({ DatabaseName: database, Name: 'plays' }));
    const { Name, TableType, Parameters, PartitionKeys, StorageDescriptor } = Table!;
    const put = (change: object): Promise<unknown> =>
      lake.glue.send(
        new UpdateTableCommand({
          DatabaseName: database,
          TableInput: { Name, TableType, Parameters, PartitionKeys, StorageDescriptor, ...change },
        }),
      );
    for (const change of [
      { Parameters: { ...Parameters, 'projection.enabled': 'true' } },
      { PartitionKeys: [...PartitionKeys!, { Name: 'month', Type: 'int' }] },
    ]) {
      await put(change);
      const expected = {
        code: 'catalog_altered',
        exit: 'data',
        message: expect.stringMatching(/silver\.plays has (projection\.enabled true|the partition key month too many)/),
        hint: expect.stringContaining('terraform apply'),
      };
      expect(await failureOf(lake.engine.publish(state))).toMatchObject(expected);
      expect(await failureOf(openedRelation(lake.engine, state))).toMatchObject(expected);
      expect([...(await registered('plays')).keys()]).toEqual([]);
    }
    await put({});
    await lake.engine.publish(state);
    expect([...(await registered('plays')).keys()]).toEqual(['2026']);
  });

  it('doctor --aws names the partitions that differ, and what to run', async () => {
    const plays = [2023, 2024, 2025].map((year) => file('plays', { year }, `${year}`));
    const tracks = file('tracks', {}, 'songs');
    await lake.engine.publish(await commit({ plays, tracks: [tracks] }));
    expect(await inspected()).toEqual([]);
    const place = { DatabaseName: database, TableName: 'plays' };
    const [moved, , more] = contractPartitions(contractOf('silver', 'plays'), lake.uri, [
      file('plays', { year: 2024 }, 'old'),
      file('plays', { year: 2025 }, 'x'),
      file('plays', { year: 2019 }, 'gone'),
    ]) as [PartitionInput, PartitionInput, PartitionInput];
    await lake.glue.send(new BatchDeletePartitionCommand({ ...place, PartitionsToDelete: [{ Values: ['2023'] }] }));
    await lake.glue.send(
      new BatchUpdatePartitionCommand({ ...place, Entries: [{ PartitionValueList: ['2024'], PartitionInput: moved }] }),
    );
    await lake.glue.send(new BatchCreatePartitionCommand({ ...place, PartitionInputList: [more] }));
    await commit({ tracks: [] });
    expect((await inspected()).map(({ verdict, text }) => [verdict, text])).toEqual([
      ['fail', 'silver.plays lacks the partition year=2023: run `listenlake transform`'],
      ['fail', 'silver.plays has another version of the partition year=2024: run `listenlake transform`'],
      ['fail', 'silver.plays has the partition year=2019 too many: run `listenlake transform`'],
      [
        'fail',
        `silver.tracks lies in ${lake.uri}/silver/tracks/v/${tracks.sha256}/ instead of ${lake.uri}/silver/tracks/none/: run \`listenlake transform\``,
      ],
    ]);
    await (await lake.openEngine()).publish(await lake.state());
    expect(await inspected()).toEqual([]);
  });

  it("the proving ground's Glue has the limits of the real one", async () => {
    const place = { DatabaseName: database, TableName: 'plays' };
    const contract = contractOf('silver', 'plays');
    const inputs = contractPartitions(
      contract,
      lake.uri,
      Array.from({ length: 101 }, (_, year) => file('plays', { year }, `${year}`)),
    );
    const refused = { name: 'InvalidInputException' };
    const send = (command: object): Promise<unknown> => lake.glue.send(command as GetTablesCommand);
    const [one] = inputs as [PartitionInput];
    await expect(send(new BatchCreatePartitionCommand({ ...place, PartitionInputList: inputs }))).rejects.toMatchObject(
      refused,
    );
    await send(new BatchCreatePartitionCommand({ ...place, PartitionInputList: inputs.slice(0, 100) }));
    for (const wrong of [
      { PartitionInputList: [{ ...one, Values: ['1', '2'] }] },
      { PartitionInputList: [{ Values: ['1'], StorageDescriptor: { Location: 's3://x/' } }] },
    ])
      await expect(send(new BatchCreatePartitionCommand({ ...place, ...wrong }))).rejects.toMatchObject(refused);
    const entry = { PartitionValueList: ['0'], PartitionInput: { ...one, Values: ['1'] } };
    await expect(send(new BatchUpdatePartitionCommand({ ...place, Entries: [entry] }))).rejects.toMatchObject(refused);
    const values = inputs.slice(0, 26).map(({ Values }) => ({ Values }));
    await expect(send(new BatchDeletePartitionCommand({ ...place, PartitionsToDelete: values }))).rejects.toMatchObject(
      refused,
    );
    await expect(send(new GetPartitionsCommand({ ...place, MaxResults: 1001 }))).rejects.toMatchObject(refused);
    const page = await lake.glue.send(
      new GetPartitionsCommand({ ...place, MaxResults: 60, ExcludeColumnSchema: true }),
    );
    expect([page.Partitions?.length, page.Partitions?.[0]?.StorageDescriptor?.Columns]).toEqual([60, undefined]);
    const rest = await lake.glue.send(new GetPartitionsCommand({ ...place, NextToken: page.NextToken }));
    expect([rest.Partitions?.length, rest.NextToken]).toEqual([40, undefined]);
    for (let index = 0; index < 101; index += 1)
      await send(new CreateTableCommand({ DatabaseName: database, TableInput: { Name: `t${index}` } }));
    expect((await lake.glue.send(new GetTablesCommand({ DatabaseName: database }))).TableList).toHaveLength(100);
  });
}
