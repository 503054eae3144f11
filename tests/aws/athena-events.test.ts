/**
 * Events that the engine of a lake on S3 builds (decision 43) against the same events as this process builds
 * them in a folder: rows, accounts, quarantine, and what faults leave behind.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../jobs/base/config.ts';
import { DAY_MS } from '../../jobs/base/time.ts';
import type { Effects } from '../../jobs/effects/index.ts';
import type { ResultSet, SqlEngine } from '../../jobs/engine/index.ts';
import { openEngine } from '../../jobs/engine/open.ts';
import { forget } from '../../jobs/forget.ts';
import { gc } from '../../jobs/gc.ts';
import { contractOf } from '../../jobs/lake/contracts.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import {
  appendBronze,
  commitManifest,
  latestManifest,
  readBronzeIndex,
  readSilverFiles,
} from '../../jobs/lake/manifest.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import { type TransformInput, type TransformResult, transform } from '../../jobs/transform.ts';
import { PSEUDONYM_KEY } from '../fixtures/command-line.ts';
import { batchOf, eventOf } from '../fixtures/stream-batches.ts';
import { tableDifferences } from '../fixtures/table-difference.ts';
import { listKeys } from '../lake/store.contract.ts';
import { makeTestLake, type TestFile, type TestLake } from '../silver/transform-lake.ts';
import { type AwsLake, openAwsLake } from './lake.ts';
import { startLocalAwsOrSkip } from './local.ts';

const local = await startLocalAwsOrSkip('events on Athena', { isTrinoNeeded: true });

/** Texts of every kind that a reading of a single value has to tell apart. */
const TIMES = [
  ...['2024-05-01T10:00:00Z', '2024-05-01 10:00:00Z', '2024-05-01T10:00', '2024-05-01 10:00Z', '2024-05-01T10:00:00'],
  ...['2024-05-01T10:00:00.1Z', '2024-05-01T10:00:00.123456789Z', '2024-05-01T23:59:59.9999Z', '2024-02-30T10:00:00Z'],
  ...['2024-05-01T10:00:00+02:00', '2024-05-01T10:00:00-0530', '2024-05-01 10:00:00.5+05', '2024-05-01T00:30:00+01:00'],
  ...['2024-05-01T10:00+02:00', '2024-05-01T25:00:00Z', '2024-05-01T10:60:00Z', '2024-13-01T10:00:00Z', '2024-05-01'],
  ...[
    '1714557600',
    '1714557600123',
    '1714557600123456',
    '171455760012345678',
    '-1714557600',
    '12345678',
    ' 1714557600',
  ],
  ...['1999-01-01T00:00:00Z', '2041-01-01T00:00:00Z', '2040-12-31T23:59:59Z', 'yesterday', '', '2024-05-01T10:00:00z'],
  ...['2024-05-01T10:00:00Z\n', '２０２４-05-01T10:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', null],
];
const NUMBERS = [
  ...['0', '1', '1000', '-1', '1.0', '1.5', '3e2', '1e400', '-0', '+5', ' 7', '7 ', '.5', '5.', '1_000', 'NaN', 'inf'],
  ...[
    'Infinity',
    '10000000000',
    '10000000001',
    '9007199254740993',
    '5d',
    '5f',
    '0x10',
    '0x1p3',
    '',
    ' ',
    'abc',
    '1e',
    null,
  ],
];
const FLAGS = ['true', 'false', 'True', ' FALSE ', '1', '0', '1.0', '2', 'yes', '', '\ttrue', 'null', null];
const COUNTRIES = ['NL', 'nl', 'ZZ', 'NLD', '', 'N1', 'NL\n', null];
const ACTIONS = ['play', 'skip', 'pause', 'add_to_playlist', 'Play', 'dance "now"', '', null];

type Row = Record<string, unknown>;
function events(...rows: Row[]): TestFile {
  const given = {
    user_id: 'u1',
    action: 'play',
    occurred_at: '2024-05-01T10:00:00Z',
    played_ms: 1000,
    source: 'synthetic',
  };
  return { table: 'listening_events', rows: rows.map((row, index) => ({ event_id: `e${index}`, ...given, ...row })) };
}

const ODD = events(
  ...TIMES.map((text, index) => ({ event_id: `time-${index}`, occurred_at: text })),
  ...NUMBERS.map((text, index) => ({ event_id: `length-${index}`, played_ms: text })),
  ...NUMBERS.map((text, index) => ({
    event_id: `offset-${index}`,
    topic: 'plays',
    partition_number: text,
    record_offset: text,
  })),
  ...FLAGS.map((text, index) => ({ event_id: `flag-${index}`, is_skipped: text })),
  ...COUNTRIES.map((text, index) => ({ event_id: `country-${index}`, country: text })),
  ...ACTIONS.map((text, index) => ({ event_id: `action-${index}`, action: text })),
  { event_id: '' },
  { event_id: null, track_id: 'a"b\\c\u00e9\u{1F3B5}\n' },
  { event_id: 'nobody', user_id: '' },
  { event_id: 'empty', session_id: '', device: '', track_name: '', source: '' },
);
const FIRST = events(
  { event_id: 'twice' },
  { event_id: 'twice' },
  { event_id: 'fuller' },
  { event_id: 'fuller', device: 'ios', country: 'NL', occurred_at: '2024-05-03T10:00:00Z' },
  { event_id: 'moves', occurred_at: '2024-04-20T10:00:00Z' },
  ...Array.from({ length: 230 }, (_, day) => ({
    ...{ event_id: `day-${day}`, occurred_at: new Date(Date.UTC(2023, 0, 1) + day * DAY_MS).toISOString() },
  })),
);
/** Late, early, sent again, and a fuller copy that takes an event away from a date that nothing else touches. */
const SECOND = events(
  { event_id: 'late', occurred_at: '2022-12-31T23:59:59.999Z' },
  { event_id: 'early', occurred_at: '2024-06-30T00:00:00Z' },
  { event_id: 'twice' },
  { event_id: 'moves', device: 'web', country: 'DE', occurred_at: '2024-05-02T10:00:00Z' },
  { event_id: 'day-0', occurred_at: '2023-01-01T00:00:00Z' },
  { event_id: 'bad', action: 'dance' },
  { event_id: 'hers', user_id: 'leaver', occurred_at: '2024-05-02T12:00:00Z' },
  { event_id: 'her-only', user_id: 'leaver', occurred_at: '2024-07-04T12:00:00Z' },
);
const BATCHES = [
  batchOf({}, [
    { value: eventOf({ event_id: 'stream-1' }) },
    { value: eventOf({ event_id: 'stream-2', occurred_at: '2026-10-02T11:59:00.000Z' }) },
    { value: eventOf({ event_id: 'stream-1' }) },
  ]),
  batchOf({ firstOffset: 2 }, [
    { value: eventOf({ event_id: 'stream-1' }) },
    { value: eventOf({ event_id: 'stream-3' }) },
  ]),
  batchOf({ partition: 1, firstOffset: 7 }, [{ value: 'no event' }, { value: null }]),
  batchOf({ folder: 'stream-dead-letters', firstOffset: 9 }, [{ value: 'cut off', reason: 'not_json' }]),
];

if (local?.athena === undefined) {
  it('events on Athena are left out here, which is no answer under CI', () => expect(process.env.CI).not.toBe('true'));
} else {
  const { athena, endpoint } = local;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
  afterAll(() => local.close());

  describe('the same events, built by this process and by Athena', () => {
    let atHome: TestLake;
    let aws: AwsLake;
    let folder: SqlEngine;
    let scratch: string;
    let onAws: Effects;
    const config = readConfig({
      ...{ LISTENLAKE_MEMORY_MB: '256', LISTENLAKE_THREADS: '2', LISTENLAKE_PSEUDONYM_KEY: PSEUDONYM_KEY },
      LISTENLAKE_ATHENA_EVENTS: '1',
    });
    const given: TransformInput = { runId: 'test', loadedOn: '2026-11-21' };

    beforeAll(async () => {
      scratch = await mkdtemp(join(tmpdir(), 'listenlake-events-'));
      atHome = await makeTestLake();
      aws = await openAwsLake(local);
      onAws = { ...atHome.effects, config, store: aws.store, engine: aws.engine, scratch };
      const root = join(atHome.folder, 'lake');
      folder = await openEngine(await openFolderLake(root), { config, scratch: join(root, '.staging') });
    });
    afterAll(async () => {
      await folder.close();
      await aws.close();
      await atHome.close();
      await rm(scratch, { recursive: true, force: true });
    });

    const runBoth = async (more: Partial<TransformInput> = {}): Promise<[TransformResult, TransformResult]> => [
      await transform({ ...given, ...more }, { ...atHome.effects, config }),
      await transform({ ...given, ...more }, onAws),
    ];
    /** What a load has added at home is added on S3, too. */
    async function addBoth(...files: TestFile[]): Promise<void> {
      await atHome.add(...files);
      const { store } = atHome.effects;
      const newest = (await latestManifest(store))!;
      const added = (await readBronzeIndex(store, newest.state)).filter(({ sequence }) => sequence === newest.sequence);
      for (const { key } of added) await aws.store.put(key, { file: await store.localFile(key) }, { ifAbsent: true });
      const state = await aws.state();
      const bronze = await appendBronze(aws.store, state, added);
      expect(await commitManifest(aws.store, { ...newest, state: { ...state, bronze } })).toBe(true);
    }
    async function differences(table: string, columns = '*'): Promise<string[]> {
      const key = contractOf('silver', table).key;
      const [left, right] = await Promise.all(
        [folder, aws.engine].map(
          (engine): Promise<ResultSet> => engine.query(`select ${columns} from silver.${table}`),
        ),
      );
      expect([table, left!.rows.length > 0]).toEqual([table, true]);
      return tableDifferences(table, key, { name: 'DuckDB', result: left! }, { name: 'Athena', result: right! });
    }
    /** @param stats columns of table_stats: what is built anew by the engine is another version, so it counts as changed */
    async function expectSame(stats = 'layer, table_name, rows, newest_at, rows_before'): Promise<void> {
      expect(await differences('listening_events')).toEqual([]);
      expect(await differences('quarantine')).toEqual([]);
      expect(await differences('loaded_files')).toEqual([]);
      expect(await differences('stream_batches')).toEqual([]);
      expect(await differences('table_stats', stats)).toEqual([]);
    }
    const told = ({ accounts, files, quarantined }: TransformResult) => ({ accounts, files, quarantined });
    const versions = (store: LakeStore): Promise<string[]> => listKeys(store, 'silver/listening_events/v/');

    it('odd values, copies, streams: the same rows, accounts and reasons; this process reads no event', async () => {
      for (const { key, text } of BATCHES)
        for (const store of [atHome.effects.store, aws.store]) await store.put(key, text, { ifAbsent: true });
      await addBoth(FIRST, ODD);
      endpoint.calls.length = 0;
      const [home, away] = await runBoth();
      expect(told(away)).toEqual(told(home));
      expect(away.accounts.quarantined).toBeGreaterThan(30);
      expect(away.accounts.duplicate).toBeGreaterThan(2);
      await expectSame();
      const read = endpoint.calls.filter(
        ({ operation, url }) => operation === 'GetObject' && url.includes('/bronze/listening_events/'),
      );
      expect(read).toEqual([]);
      // 100 partitions are what a statement may write.
      const inserts = athena.executions.filter(({ sql }) => /^insert into "\w+"\."listening_events__/.test(sql));
      expect(inserts.length).toBeGreaterThanOrEqual(3);
      expect(await listKeys(aws.store, 'staging/')).toEqual([]);
    }, 900_000);

    it('a second run finds nothing and writes nothing', async () => {
      const before = await versions(aws.store);
      for (const { status } of await runBoth()) expect(status).toBe('nothing_new');
      expect(await versions(aws.store)).toEqual(before);
    }, 900_000);

    it('late and early events and copies elsewhere touch their dates only; the others stay as they are', async () => {
      const files = async () => readSilverFiles(aws.store, await aws.state(), 'listening_events');
      const before = new Map((await files()).map(({ partition, key }) => [partition.event_date, key]));
      await addBoth(SECOND);
      const [home, away] = await runBoth();
      expect(told(away)).toEqual(told(home));
      await expectSame();
      const after = new Map((await files()).map(({ partition, key }) => [partition.event_date, key]));
      const changed = [...after].filter(([date, key]) => before.get(date) !== key).map(([date]) => date);
      expect(changed.sort()).toEqual(
        ['2022-12-31', '2023-01-01', '2024-05-01', '2024-05-02', '2024-06-30', '2024-07-04'].sort(),
      );
      expect([before.has('2024-04-20'), after.has('2024-04-20')]).toEqual([true, false]);
    }, 900_000);

    it('killed between the statements and the commit: nobody sees it, a retry has no row twice, gc takes the rest', async () => {
      await addBoth(events({ event_id: 'third', occurred_at: '2024-05-01T11:00:00Z' }));
      const before = await versions(aws.store);
      const killed = Object.create(aws.store, {
        put: {
          value: async (...args: Parameters<LakeStore['put']>) => {
            if (args[0].startsWith('manifests/')) throw new Error('killed');
            return aws.store.put(...args);
          },
        },
      }) as LakeStore;
      const engine: SqlEngine = {
        ...aws.engine,
        openWork: () => Object.assign(aws.engine.openWork!(), { close: async () => {} }),
      };
      await expect(transform(given, { ...onAws, store: killed, engine })).rejects.toThrow('killed');
      const left = (await versions(aws.store)).filter((key) => !before.includes(key));
      expect(left.length).toBeGreaterThan(0);
      const seen = await aws.engine.query(`select count(*) from silver.listening_events where event_id = 'third'`);
      expect(Number(seen.rows[0]![0])).toBe(0);

      const [home, away] = await runBoth();
      expect(told(away)).toEqual(told(home));
      await expectSame();
      const result = await gc({ keepDays: 0, dryRun: false }, { ...onAws, now: () => Date.now() + 3 * DAY_MS });
      expect(result.tables.some((name) => /_silver\.event_marks__/.test(name))).toBe(true);
      const kept = await versions(aws.store);
      expect(left.filter((key) => kept.includes(key))).toEqual([]);
      expect(await listKeys(aws.store, 'staging/')).toEqual([]);
      await expectSame();
    }, 900_000);

    it('bronze that is not whole is told by its name, before anything is written', async () => {
      const state = await aws.state();
      const [file] = (await readBronzeIndex(aws.store, state)).filter(({ table }) => table === 'listening_events');
      const text = await aws.store.localFile(file!.key);
      await aws.store.delete(file!.key);
      await expect(transform({ ...given, rebuild: true }, onAws)).rejects.toMatchObject({
        code: 'object_missing',
        place: { file: file!.key },
      });
      await aws.store.put(file!.key, { file: text });
    }, 900_000);

    it('everything built anew is the same rows once more', async () => {
      const [home, away] = await runBoth({ rebuild: true });
      expect(told(away)).toEqual(told(home));
      await expectSame('layer, table_name, rows, newest_at');
    }, 900_000);

    it('who is forgotten is in no event, here as there, and the others stay as they are', async () => {
      for (const effects of [{ ...atHome.effects, config, engine: folder }, onAws]) {
        const input = { runId: 'forget', userId: 'leaver', dryRun: false, unloaded: 'stop' as const };
        const { status } = await forget({ ...input, confirm: async () => true }, effects);
        expect(status).toBe('forgotten');
      }
      for (const engine of [folder, aws.engine]) {
        const { rows } = await engine.query(
          `select count_if(user_id = 'leaver'), count_if(event_id = 'moves') from silver.listening_events`,
        );
        expect(rows[0]!.map(Number)).toEqual([0, 1]);
      }
      expect(await differences('listening_events')).toEqual([]);
      const dates = await readSilverFiles(aws.store, await aws.state(), 'listening_events');
      expect(dates.some(({ partition }) => partition.event_date === '2024-07-04')).toBe(false);
    }, 900_000);
  });
}
