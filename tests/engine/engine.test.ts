import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { JobError } from '../../jobs/base/errors.ts';
import { appendBronze, EMPTY_STATE, readSilverFiles } from '../../jobs/lake/manifest.ts';
import { type LakeFixture, openLakeFixture } from '../fixtures/effects.ts';
import { engineContract } from './engine.contract.ts';

engineContract('DuckDB over a folder', () => openLakeFixture());
engineContract("DuckDB over a folder called year=1999/it's [1] *", () => openLakeFixture("year=1999/it's [1] *"));

describe('DuckDB over a folder', () => {
  let lake: LakeFixture;
  /** Key of the first of two objects of plays. */
  let oldest: string;
  beforeEach(async () => {
    lake = await openLakeFixture();
    await lake.commitSilver({
      plays: [
        { play_id: 'p1', ended_at: '2026-01-31 00:00:00' },
        { play_id: 'p2', ended_at: '2027-02-01 00:00:00' },
      ],
    });
    oldest = (await readSilverFiles(lake.store, await lake.state(), 'plays'))[0]!.key;
  });
  afterEach(() => lake.close());

  const objectPath = (): string => join(lake.root, oldest);
  const count = async (): Promise<unknown> =>
    (await lake.engine.query('select count(*) from silver.plays')).rows[0]![0];

  it.each([
    "select * from read_parquet('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from '/etc/passwd.csv'",
    "select * from glob('/etc/*')",
    "copy silver.plays to '/tmp/listenlake-copied.parquet'",
    "explain analyze copy (select 1) to '/tmp/listenlake-copied.parquet'",
    "attach '/tmp/listenlake-attached.duckdb' as x",
    'install httpfs',
    'load httpfs',
    'set enable_external_access = true',
    'set threads = 1',
    'use silver',
    'pragma database_list',
    'call pragma_version()',
    'begin',
  ])('S6: refuses %p', async (statement) => {
    await expect(lake.engine.query(statement)).rejects.toMatchObject({ code: 'sql_refused', exit: 'usage' });
  });

  it('S6: reads no file of the lake but those of its tables', async () => {
    mkdirSync(join(lake.root, 'landing'), { recursive: true });
    writeFileSync(join(lake.root, 'landing/letter.txt'), 'private');
    for (const path of ['landing/letter.txt', 'silver/../landing/letter.txt', 'manifests/00000000000000000001.json']) {
      const statement = `select * from read_text('${join(lake.root, 'silver/..')}/${path}')`;
      await expect(lake.engine.query(statement)).rejects.toMatchObject({ code: 'sql_refused' });
      await expect(lake.engine.query(`select * from read_text('${lake.root}/${path}')`)).rejects.toMatchObject({
        code: 'sql_refused',
      });
    }
  });

  it.each([
    'explain select * from silver.plays',
    'describe silver.plays',
    'show all tables',
    'from silver.plays',
    '/* why */ (select 1);',
    'values (1)',
  ])('allows %p', async (statement) => {
    expect((await lake.engine.query(statement)).rows.length).toBeGreaterThan(0);
  });

  it('F42: never reads what merely lies in a table folder', async () => {
    const folder = dirname(objectPath());
    cpSync(objectPath(), join(folder, 'tmp_part-0.parquet'));
    cpSync(objectPath(), join(folder, 'part-1.parquet'));
    writeFileSync(join(folder, 'zero.parquet'), '');
    mkdirSync(join(folder, 'part-2.parquet'));
    expect(await count()).toBe(2n);
  });

  it('F43: refuses a table whose object has flipped a bit, naming the object', async () => {
    const bytes = readFileSync(objectPath());
    bytes[20] = bytes[20]! ^ 1;
    writeFileSync(objectPath(), bytes);
    const session = await lake.engine.session({ state: await lake.state(), target: 'dev', runId: 'r' });
    await expect(session.relation('silver', 'plays')).rejects.toMatchObject({
      code: 'object_damaged',
      exit: 'data',
      place: { file: oldest },
      hint: expect.stringContaining('doctor --verify'),
    });
    await expect(session.relation('silver', 'tracks')).resolves.toBe('silver."tracks"'); // costs no other table
    await session.close();
  });

  it('F43: a query on a truncated object is refused, other tables answer', async () => {
    await count();
    truncateSync(objectPath(), 30);
    const error = await lake.engine
      .query('select count(track_name) from silver.plays')
      .catch((caught: JobError) => caught);
    expect(error).toMatchObject({
      code: 'object_damaged',
      exit: 'data',
      message: expect.stringContaining(oldest),
    });
    expect((await lake.engine.query('select count(*) from silver.tracks')).rows).toEqual([[0n]]);
  });

  it.each([
    ['missing', () => rmSync(objectPath())],
    ['damaged', () => truncateSync(objectPath(), 30)],
  ])('F43: a %s object costs its own table only, and is read again once it is back', async (_how, harm) => {
    const whole = readFileSync(objectPath());
    harm();
    await lake.commitSilver({ tracks: [{ track_id: 't1' }] });
    expect((await lake.engine.query('select track_id from silver.tracks')).rows).toEqual([['t1']]);
    for (const columns of ['play_id', 'count(*)', '*']) {
      await expect(lake.engine.query(`select ${columns} from silver.plays`)).rejects.toMatchObject({
        code: 'object_damaged',
        exit: 'data',
        message: expect.stringMatching(/silver\.plays cannot be read: .*year=2026\/[0-9a-f]{64}\/part-0\.parquet/),
      });
    }
    writeFileSync(objectPath(), whole);
    await lake.engine.publish(await lake.state());
    expect(await count()).toBe(2n);
  });

  it('is mended by the next command after the folder was moved', async () => {
    expect(await count()).toBe(2n);
    await lake.engine.close();
    const moved = await openLakeFixture('elsewhere');
    for (const name of readdirSync(lake.root)) {
      if (name === '.staging') continue;
      rmSync(join(moved.root, name), { recursive: true, force: true });
      renameSync(join(lake.root, name), join(moved.root, name));
    }
    expect((await moved.engine.query('select count(*) from silver.plays')).rows).toEqual([[2n]]);
    await moved.close();
  });

  it.each([
    ['not a database', (path: string) => writeFileSync(path, 'x'.repeat(100))],
    ['cut short', (path: string) => truncateSync(path, 4096)],
    ['empty', (path: string) => truncateSync(path, 0)],
    ['gone', (path: string) => rmSync(path)],
  ])('is mended by the next command when the catalog is %s', async (_how, harm) => {
    expect(await count()).toBe(2n);
    harm(join(lake.root, 'lake.duckdb'));
    const other = await lake.openEngine();
    expect((await other.query('select count(*) from silver.plays')).rows).toEqual([[2n]]);
  });

  it('leaves nothing in the staging folder', async () => {
    await count();
    const session = await lake.engine.session({ state: await lake.state(), target: 'dev', runId: 'r' });
    await session.build({ model: 'one', select: 'select 1 as n', columns: [{ name: 'n', type: 'integer' }], sort: [] });
    await session.close();
    expect(
      readdirSync(join(lake.root, '.staging'), { recursive: true }).filter((name) =>
        /\.(parquet|duckdb|wal)$/.test(String(name)),
      ),
    ).toEqual([]);
  });

  it('shows bronze: JSON pages with the contract’s columns', async () => {
    const key = `bronze/api_pages/${'a'.repeat(64)}.json`;
    const page = {
      source_key: 'a',
      row_number: 1,
      kind: 'tracks',
      observed_at: null,
      time_range: null,
      playlist_id: null,
    };
    const text = `${JSON.stringify({ ...page, body: JSON.stringify({ n: 2 ** 53 }) })}\n`;
    await lake.store.put(key, text);
    const state = await lake.state();
    const file = {
      key,
      rows: 1,
      bytes: text.length,
      sha256: '',
      table: 'api_pages',
      sourceKey: 'a',
      fileName: 'x',
      kind: 'tracks',
    };
    const bronze = await appendBronze(lake.store, state, [
      { ...file, userId: null, readRows: 1, sequence: 2, periods: [] },
    ]);
    await lake.commitState({ ...state, bronze });
    const { columns, rows } = await lake.engine.query(
      'select row_number, kind, observed_at, body from bronze.api_pages',
    );
    expect(columns.map(({ type }) => type)).toEqual(['bigint', 'varchar', 'varchar', 'varchar']);
    expect(rows).toEqual([[1n, 'tracks', null, '{"n":9007199254740992}']]);
  });

  it('a plain DuckDB reads lake.duckdb: views need nothing of ours', async () => {
    await count();
    const instance = await DuckDBInstance.create(join(lake.root, 'lake.duckdb'), { access_mode: 'READ_ONLY' });
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll('select play_id, year from silver.plays where year = 2027');
    expect(reader.getRowsJS()).toEqual([['p2', 2027]]);
    // An open reader goes on with its set while the next one is published.
    await lake.commitSilver({ tracks: [{ track_id: 't1' }] });
    await lake.engine.query('select 1');
    expect((await connection.runAndReadAll('select count(*) from silver.tracks')).getRowsJS()).toEqual([[0n]]);
    expect((await lake.engine.query('select count(*) from silver.tracks')).rows).toEqual([[1n]]);
    connection.closeSync();
    instance.closeSync();
  });

  it("production's tables have bare names for any client, and are no answer where dev is asked", async () => {
    const session = await lake.engine.session({ state: await lake.state(), target: 'dev', runId: 'r' });
    const columns = [{ name: 'n', type: 'integer' }];
    const answers = await session.build({ model: 'answers', select: 'select 42 as n', columns, sort: [] });
    await session.close();
    const version = { runId: 'r', asOf: '2026-11-01T00:00:00.000Z', silverSequence: 1, modelsHash: 'none' };
    await lake.commitState({ ...(await lake.state()), gold: { prod: { ...version, tables: { answers } } } });
    expect((await lake.engine.query('select n from answers', { target: 'prod' })).rows).toEqual([[42]]);
    for (const name of ['answers', 'ANSWERS', '"answers"', 'answers as a cross join silver.tracks'])
      await expect(lake.engine.query(`select * from ${name}`, { target: 'dev' })).rejects.toMatchObject({
        code: 'sql_invalid',
        message: expect.stringContaining('answers does not exist'),
        hint: expect.stringMatching(/gold_dev has no tables yet.*near: gold_prod\.answers/),
      });
    const own = 'with answers as (select 1 as n) select n from answers';
    expect((await lake.engine.query(own, { target: 'dev' })).rows).toEqual([[1]]);
    for (const catalog of ['lake', 'another name']) {
      const instance = await DuckDBInstance.create(':memory:');
      const connection = await instance.connect();
      await connection.run(`attach '${join(lake.root, 'lake.duckdb')}' as "${catalog}" (read_only)`);
      const rows = await connection.runAndReadAll(`select n from "${catalog}".answers`);
      expect(rows.getRowsJS()).toEqual([[42]]);
      connection.closeSync();
      instance.closeSync();
    }
  });

  it('F41: a full disk while a table is built is exit 74 and leaves no object', () => {
    // Writes beyond 1 MiB fail with EFBIG, as at a quota; the signal that comes with it is ignored.
    const script = `
      import { openLakeFixture } from '${join(import.meta.dirname, '../fixtures/effects.ts')}';
      const lake = await openLakeFixture();
      const session = await lake.engine.session({ state: await lake.state(), target: 'dev', runId: 'r' });
      const select = 'select md5(cast(range as varchar)) as a from range(200000)';
      const build = session.build({ model: 'big', select, columns: [{ name: 'a', type: 'varchar' }], sort: [] });
      const code = await build.then(() => 'built', (error) => error.code + ' ' + error.exit);
      console.log(code, await lake.store.head('gold/dev/r/big/part-0.parquet'));
      await session.close();
      await lake.close();`;
    const limited = spawnSync(
      'bash',
      ['-c', `trap '' XFSZ; ulimit -f 1024; exec "$0" --input-type=module -e "$1"`, process.execPath, script],
      {
        encoding: 'utf8',
      },
    );
    expect(limited.stdout).toBe('disk_full io undefined\n');
  });

  it('a lake path that DuckDB cannot open is refused as configuration', async () => {
    await expect(openLakeFixture('what?')).rejects.toMatchObject({ code: 'lake_path_invalid', exit: 'config' });
  });

  it('an empty lake answers with empty tables', async () => {
    const empty = await openLakeFixture();
    expect((await empty.engine.query('select count(*) from silver.plays')).rows).toEqual([[0n]]);
    await empty.engine.publish(EMPTY_STATE);
    await empty.close();
  });
});
