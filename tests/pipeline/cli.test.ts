import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { finished, listenlake, ROOT, start } from '../fixtures/command-line.ts';
import { fingerprint } from '../fixtures/lake-tables.ts';

let folder: string;
let lake: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listenlake-cli-'));
  lake = join(folder, 'lake');
  const row = {
    ts: '2026-10-01T10:00:00Z',
    platform: 'ios',
    ms_played: 180000,
    conn_country: 'DE',
    ip_addr: '192.0.2.7',
    username: 'canary.user',
    user_agent_decrypted: 'CanaryAgent/1.0',
    master_metadata_track_name: '=1+1',
    master_metadata_album_artist_name: 'Ärzte "live"',
    master_metadata_album_album_name: null,
    spotify_track_uri: 'spotify:track:0123456789abcdefghijAB',
    episode_name: null,
    episode_show_name: null,
    spotify_episode_uri: null,
    reason_start: 'trackdone',
    reason_end: 'trackdone',
    shuffle: false,
    skipped: false,
    offline: false,
    offline_timestamp: null,
    incognito_mode: false,
  };
  await writeFile(
    join(folder, 'Streaming_History_Audio_2026_0.json'),
    JSON.stringify([row, { ...row, ts: '2026-10-01T10:05:00Z' }]),
  );
  const run = await listenlake(['run', join(folder, 'Streaming_History_Audio_2026_0.json'), '--lake', lake]);
  expect([run.code, run.stderr]).toEqual([0, '']);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const ask = (...args: string[]) => listenlake(['sql', '--lake', lake, ...args]);

describe('usage', () => {
  it('--help lists every command and the first one to type', async () => {
    const help = await listenlake(['--help']);
    expect(help.code).toBe(0);
    for (const name of ['run', 'extract', 'load', 'transform', 'enrich', 'check', 'promote', 'report', 'sql', 'doctor'])
      expect(help.stdout).toContain(`listenlake ${name}`);
    expect(help.stdout).toContain('listenlake run my_spotify_data.zip');
  });

  it.each([
    [[], 'which command?'],
    [['rnu', 'x'], 'run'],
    [['run', '--lak', 'x'], 'lak'],
    [['check', '--target', 'production'], 'target'],
    [['enrich', '--target', 'prod'], 'target'],
    [['transform', '--from', 'yesterday'], '--from "yesterday" is not a date'],
    [['transform', '--from', '2026-02-01', '--to', '2026-01-01'], 'not before'],
    [['transform', '--plan', '--stage'], '--plan and --stage exclude each other'],
    [['transform', '--rebuild', '--stage'], '--stage and --rebuild exclude each other'],
    [['transform', '--max-tasks', '4'], '--max-tasks goes with --plan'],
    [['transform', '--plan', '--max-tasks', '0'], '--max-tasks 0 is not from 1 to 1000'],
    [['transform', '--min-rows', '4'], '--min-rows goes with --plan'],
    [['transform', '--plan', '--min-rows', '0'], '--min-rows 0 is not from 1 to 1000000000'],
    [['transform', '--plan', '--max-tasks', 'many'], '--max-tasks "many" is not a whole number'],
    [['transform', '--stage', '--from', '2026-01'], '--from "2026-01" is not a date'],
    [['doctor', '--user', 'a', '--user', 'b'], '--user is given more than once'],
    [['sql', '--csv', '--json', 'select 1'], 'exclude each other'],
    [['sql'], 'no statement'],
    [['sql', '--file', 'nothing.sql'], 'no such file'],
    [['extract', 'events', '--users', 'many'], '--users "many" is not a whole number'],
    [['load', '/nothing/there.zip'], '/nothing/there.zip'],
  ])('F68: %j ends with 64 and one line that says what is wrong', async (args, words) => {
    await mkdir(join(folder, 'other', 'landing'), { recursive: true });
    const run = await listenlake([...args, ...(args.length > 0 ? ['--lake', join(folder, 'other')] : [])]);
    expect([run.code, run.stdout]).toEqual([64, '']);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(run.stderr).toContain(words);
  });

  it('F68: faults of the configuration are listed at once, exit 78', async () => {
    const run = await listenlake(['doctor'], { LISTENLAKE_MEMORY_MB: 'lots', LISTENLAKE_LAKKE: 'x' });
    expect([run.code, run.stdout]).toEqual([78, '']);
    expect(run.stderr).toMatch(/LISTENLAKE_LAKKE.*LISTENLAKE_MEMORY_MB/);
    expect((await listenlake(['doctor', '--lake', 's3:/'])).code).not.toBe(70);
  });

  it('F68: a wrong configuration ends before anything is written: one line for each fault', async () => {
    const work = join(folder, 'nothing-written');
    await mkdir(work);
    for (const [args, env, code, words] of [
      [['run', folder], { LISTENLAKE_LAKE: '' }, 78, /LISTENLAKE_LAKE/],
      [['run', folder], { LISTENLAKE_LAKE: 'lake', LISTENLAKE_USER: '' }, 78, /LISTENLAKE_USER/],
      [['run', folder], { LISTENLAKE_LAKE: 'lake', LISTENLAKE_THREADS: '0' }, 78, /LISTENLAKE_THREADS/],
      [['run', folder], { LISTENLAKE_LAKE: 'lake', LISTENLAKE_LAKKE: 'x' }, 78, /LISTENLAKE_LAKKE/],
      [['run', folder, '--lake', 'gs://bucket/lake'], {}, 78, /there are no lakes at gs:/],
      [['run', folder, '--lake', 's3://Not_A_Bucket'], {}, 78, /Not_A_Bucket/],
      [['run', folder, '--lake', 'what?'], {}, 78, /question mark/],
      [['run', folder, '--lake', 'lake', '--unknown'], {}, 64, /unknown/i],
      [['run', folder, '--lake'], {}, 64, /lake/],
    ] as const) {
      const run = await listenlake([...args], { ...env, AWS_REGION: 'eu-west-1' }, work);
      expect([args, env, run.code, run.stdout]).toEqual([args, env, code, '']);
      expect(run.stderr).toMatch(words);
      expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
      expect([args, await readdir(work)]).toEqual([args, []]);
    }
  });

  it('F68: a lake with a slash at its end is the same lake, and one whose name begins alike is another', async () => {
    const [one, other] = [join(folder, 'foo'), join(folder, 'foo_x')];
    await cp(lake, one, { recursive: true });
    await cp(lake, other, { recursive: true });
    const gone = await listenlake(['forget', '--user', 'me', '--yes', '--lake', `${one}/`]);
    expect([gone.code, gone.stderr]).toEqual([0, '']);
    const plays = async (address: string): Promise<unknown> => {
      const answer = await listenlake(['sql', '--lake', address, '--json', 'select count(*) as n from silver.plays']);
      return JSON.parse(answer.stdout)[0].n;
    };
    expect([await plays(one), await plays(`${one}/`), await plays(`${other}/`)]).toEqual([0, 0, 2]);
  });

  it('F41: a folder without rights: one line, exit 74', async () => {
    await writeFile(join(folder, 'not-a-folder'), '');
    const run = await listenlake(['run', folder, '--lake', join(folder, 'not-a-folder', 'lake')]);
    expect([run.code, run.stdout]).toEqual([74, '']);
    expect(run.stderr).toContain('not-a-folder');
  });

  // Only Linux has this place: it takes no folders, and says of each that there is none.
  (existsSync('/proc/self') ? it : it.skip)(
    'F41: a place that takes no folders: one line, exit 74, and no search without end',
    async () => {
      const run = await listenlake(['load', join(ROOT, 'README.md'), '--lake', '/proc/listenlake/lake'], {
        TMPDIR: '/proc',
      });
      expect([run.code, run.stdout]).toEqual([74, '']);
      expect(run.stderr).toMatch(/^listenlake: \/proc\/listenlake\/lake: .*ENOENT.*\n$/);
    },
  );

  it('--json gives an error as one JSON object on stderr', async () => {
    const run = await listenlake(['sql', 'select * from top_trakcs', '--lake', lake, '--json']);
    expect([run.code, run.stdout]).toEqual([64, '']);
    expect(JSON.parse(run.stderr)).toMatchObject({
      code: 'sql_invalid',
      message: expect.stringContaining('top_trakcs'),
    });
  });
});

describe('sql', () => {
  it('gives a table for people, CSV and JSON without loss for programs', async () => {
    const table = await ask("select track_name, plays from top_tracks where period = 'all'");
    expect([table.code, table.stdout]).toEqual([0, expect.stringContaining('=1+1')]);
    const exact = await ask(
      '--json',
      'select 9007199254740993 as big, cast(1.10 as decimal(10, 2)) as money, played_ms from silver.plays order by ended_at',
    );
    expect(exact.stdout).toContain('9007199254740993');
    expect(exact.stdout).toContain('1.10');
    expect(JSON.parse(exact.stdout)).toHaveLength(2);
    const csv = await ask('--csv', 'select track_name, artist_name from silver.plays limit 1');
    expect(csv.stdout).toMatch(/^track_name,artist_name\r?\n/);
    expect(csv.stdout).not.toMatch(/\n=1\+1/); // S8: not a formula for a spreadsheet
    expect(csv.stdout).toContain('"Ärzte ""live"""');
  });

  it('resolves unqualified names by --target and reads every schema', async () => {
    for (const target of ['dev', 'prod'])
      expect(
        JSON.parse((await ask('--json', '--target', target, 'select count(*) as n from fct_plays')).stdout),
      ).toEqual([{ n: 2 }]);
    expect(JSON.parse((await ask('--json', 'select count(*) as n from bronze.export_extended')).stdout)).toEqual([
      { n: 2 },
    ]);
  });

  it('reads a statement from a file and from standard input', async () => {
    await writeFile(join(folder, 'q.sql'), '-- a comment\nselect 1 as one;\n');
    expect(JSON.parse((await ask('--json', '--file', join(folder, 'q.sql'))).stdout)).toEqual([{ one: 1 }]);
  });

  it.each([
    "select * from read_text('/etc/passwd')",
    "copy (select 1) to '/tmp/listenlake-never.csv'",
    'create table x as select 1',
    'select 1; select 2',
    "attach '/tmp/x.db'",
    'install httpfs',
    "set memory_limit = '1GB'",
  ])('S6, S7: refuses %j', async (statement) => {
    const run = await ask(statement);
    expect([run.code, run.stdout]).toEqual([64, '']);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('a closed pipe is no error', async () => {
    const child = start(['sql', '--lake', lake, '--csv', 'select * from range(200000)']);
    child.stdout!.once('data', () => child.stdout!.destroy());
    const run = await finished(child);
    expect([run.code, run.stderr]).toEqual([0, '']);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('F38: %s ends a question that would take hours', async (signal) => {
    const endless = 'select sum(hash(a.range * b.range)) from range(3000000) as a, range(3000000) as b';
    const child = start(['sql', '--lake', lake, endless]);
    const done = finished(child);
    // It listens once it has a folder of its own.
    const isAtWork = (): boolean =>
      readdirSync(join(lake, '.staging')).some((name) => name.startsWith(`${child.pid}-`) && name.endsWith('.scratch'));
    while (!isAtWork() && child.exitCode === null) await sleep(20);
    child.kill(signal);
    const run = await done;
    expect([run.code, run.stdout]).toEqual([75, '']);
    expect(run.stderr).toMatch(/^listenlake: stopped by a signal \(.*\)\n$/);
    expect(readdirSync(join(lake, '.staging'))).toEqual([]);
  });
});

describe('the program', () => {
  it('ends when all is said, whatever is still under way', async () => {
    const underWay = `--import=data:text/javascript,${encodeURIComponent('setInterval(() => {}, 1_000)')}`;
    const run = await listenlake(['doctor'], { LISTENLAKE_LAKE: join(folder, 'empty'), NODE_OPTIONS: underWay });
    expect([run.code, run.stderr]).toEqual([0, '']);
    const refused = await listenlake(['sql', '--lake', lake, 'selec 1'], { NODE_OPTIONS: underWay });
    expect([refused.code, refused.stdout]).toEqual([64, '']);
  });

  it('starts through a symlink, from another folder', async () => {
    const link = join(folder, 'listenlake');
    await symlink(join(ROOT, 'listenlake'), link);
    const run = spawnSync(link, ['--version'], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect([run.status, run.stdout.trim()]).toEqual([
      0,
      JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')).version,
    ]);
  });

  it('I9: no address, user name or user agent of the input is anywhere in the lake, compressed values included', async () => {
    const personal = ['192.0.2.7', 'canary.user', 'CanaryAgent/1.0'];
    // What is looked for is found where it is: the search itself is no proof.
    const seen = join(folder, 'seen.parquet');
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run(
      `copy (select 'x' as a, {b: 'by CanaryAgent/1.0'} as c from range(1000)) to '${seen}' (format parquet, compression zstd)`,
    );
    const textsOf = async (path: string): Promise<string> => {
      if (!path.endsWith('.parquet')) return (await readFile(path)).toString('latin1');
      const found = await connection.runAndReadAll(
        `select distinct cast(t as varchar) from read_parquet('${path}') as t`,
      );
      return found.getRowsJS().flat().join('\n');
    };
    const foundIn = async (path: string): Promise<string[]> => {
      const texts = await textsOf(path);
      return personal.filter((value) => texts.includes(value)).map((value) => `${path}: ${value}`);
    };
    expect(await foundIn(seen)).toHaveLength(1);
    const files = (await readdir(lake, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    expect(files.filter(({ name }) => name.endsWith('.parquet')).length).toBeGreaterThan(50);
    for (const file of files) expect(await foundIn(join(file.parentPath, file.name))).toEqual([]);
    connection.closeSync();
    instance.closeSync();
  });

  it('doctor on an empty lake says how to begin, exit 0', async () => {
    const run = await listenlake(['doctor'], { LISTENLAKE_LAKE: join(folder, 'empty') });
    expect([run.code, run.stderr]).toEqual([0, '']);
    expect(run.stdout).toContain('listenlake run');
  });

  it.each([
    ['sql', 'select 1'],
    ['doctor'],
    ['coverage'],
    ['report'],
    ['check'],
    ['profile'],
    ['serve'],
    ['transform'],
    ['enrich'],
    ['train'],
    ['promote'],
    ['export', 'plays', '--to', 'export-of-nothing', '--format', 'csv'],
    ['stream', 'replay'],
    ['retention'],
    ['gc', '--dry-run'],
    ['forget', '--user', 'me', '--yes'],
  ])('%s of a lake that is not there ends with 78 and makes nothing', async (...args) => {
    const missing = join(folder, 'lkae');
    const run = await listenlake([...args, '--lake', missing]);
    expect([run.code, run.stdout]).toEqual([78, '']);
    expect(run.stderr).toMatch(/^listenlake: there is no lake at \/.*\/lkae \(give --lake, or make one: .*\)\n$/);
    expect(existsSync(missing)).toBe(false);
  });

  it('run on what is no listening builds nothing, and says what was found and what an archive looks like', async () => {
    const source = join(folder, 'no-listening');
    await mkdir(join(source, 'nothing'), { recursive: true });
    await writeFile(join(source, 'notes.txt'), 'nothing to hear');
    await writeFile(join(source, 'photo.png'), Buffer.from('89504e470d0a1a0a0000', 'hex'));
    for (const [paths, words] of [
      [[join(source, 'notes.txt')], 'no listening is in 1 file (notes.txt)'],
      [[source], 'no listening is in 2 files (no-listening/notes.txt, no-listening/photo.png)'],
      [[join(source, 'nothing')], 'nothing is in '],
      [[], 'no files are given, and the lake is empty'],
    ] as const) {
      const made = join(folder, 'made-of-nothing');
      const run = await listenlake(['run', ...paths, '--lake', made]);
      expect([paths, run.code, run.stdout]).toEqual([paths, 65, '']);
      expect(run.stderr).toContain(words);
      expect(run.stderr).toMatch(/an archive is a zip with files such as Streaming_History_Audio_.*\n$/);
      expect(existsSync(join(made, 'gold'))).toBe(false);
    }
    // The same beside a lake that has listening: nothing of it changes.
    const before = await fingerprint(lake);
    expect((await listenlake(['run', source, '--lake', lake])).code).toBe(65);
    expect(await fingerprint(lake)).toEqual(before);
  });

  it('every question of warehouse/queries answers from prod', async () => {
    const files = readdirSync(join(ROOT, 'warehouse/queries'));
    expect(files).toEqual(expect.arrayContaining(['top_tracks_last_7_days.sql', 'skip_rate_by_genre.sql']));
    for (const file of files) {
      const run = await ask('--target', 'prod', '--json', '--file', join(ROOT, 'warehouse/queries', file));
      expect([file, run.code, run.stderr]).toEqual([file, 0, '']);
    }
  });
});
