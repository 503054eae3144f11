import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { FORMULA_PATTERN, NUMBER_PATTERN, visibleField } from '../../jobs/base/visible.ts';
import { exportRows } from '../../jobs/engine/athena/export.ts';
import { type ExportInput, exportTables } from '../../jobs/export.ts';
import { listenlake, ROOT } from '../fixtures/command-line.ts';
import { type LakeFixture, openLakeFixture, type Row } from '../fixtures/effects.ts';
import { failureOf } from '../fixtures/failure.ts';

const TRACK = '0000000000000000000001';
const MBID = '0a1b2c3d-0000-4000-8000-00000000000f';
/** Texts that a spreadsheet would run, and how many of them there are. */
const FORMULAS = ['=1+1', '+cmd', '-x', '@sum', '\tTab', '\rReturn', '  =late', '＝wide'];
const HARMLESS = ['-5', '1e5', 'a=b', '', 'say "hi", two\nlines', '日本', "O'Hara"];

const song = (at: string, given: Row = {}): Row => ({
  ...{ play_id: at, user_id: 'me', source: 'export_extended', content_type: 'track' },
  ...{ artist_name: 'The Example', album_name: 'Doors', track_name: 'Blue Door' },
  ...{ track_id: TRACK, content_uri: `spotify:track:${TRACK}`, started_at: at, ended_at: at },
  ...{ played_ms: 9007199254740993n, duration_ms: 200_000 },
  ...given,
});
const PLAYS: Row[] = [
  ...[...FORMULAS, ...HARMLESS].map((text, at) =>
    song(`2026-01-${String(at + 1).padStart(2, '0')} 23:59:59.999`, {
      ...{ user_id: 'odd', track_name: text, album_name: null },
    }),
  ),
  song('2026-02-01 10:00:00.500'),
  song('2026-02-02 10:00:00.000', { album_name: null, duration_ms: null }),
  song('2026-02-03 10:00:00.000', {
    ...{ artist_name: 'Ex, "quoted"', track_name: 'Two\nlines', track_id: null },
    content_uri: `https://musicbrainz.org/recording/${MBID}`,
  }),
  song('2026-02-04 10:00:00.000', { content_type: 'episode', track_id: null }),
  song('2026-02-05 10:00:00.000', { artist_name: null }),
];

let base: string;
let lake: LakeFixture;
let turn = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'listenlake-export-'));
  lake = await openLakeFixture('a [lake]');
  await lake.commitSilver({ plays: PLAYS });
});
afterAll(async () => {
  await lake.close();
  await rm(base, { recursive: true, force: true });
});

/** Exports into a folder of its own, unless one is given. */
async function exported(given: Partial<ExportInput>) {
  const folder = given.folder ?? join(base, `out '${turn++}' [x]`);
  const input = { tables: ['plays'], target: 'prod', isRaw: false, isForced: false, format: 'csv' } as const;
  const output = await exportTables({ ...input, ...given, folder }, lake.effects);
  return { folder, ...output };
}

/** What a reader makes of it, as text. */
async function read(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJS();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const quoted = (path: string): string => `'${path.replaceAll("'", "''").replace(/[[*?]/g, '[$&]')}'`;
const typesOf = (columns: { name: string; type: string }[]): string =>
  `{${columns.map(({ name, type }) => `'${name}': '${type}'`).join(', ')}}`;

describe('what is read back equals the table', () => {
  const asText = (columns: { name: string }[], from: string): string =>
    `select ${columns.map(({ name }) => `cast(${name} as varchar)`).join(', ')} from ${from} order by all`;

  it.each([
    ['parquet', (path: string) => `read_parquet(${path})`],
    [
      'csv',
      (path: string, types: string) =>
        `read_csv(${path}, header = true, columns = ${types}, nullstr = '', allow_quoted_nulls = false, quote = '"', escape = '"', strict_mode = true)`,
    ],
    ['json', (path: string, types: string) => `read_json(${path}, format = 'array', columns = ${types})`],
  ] as const)('%s', async (format, reader) => {
    const { folder, files, inert } = await exported({ format, isRaw: true });
    expect([files.length, files[0]?.rows, inert]).toEqual([1, PLAYS.length, 0]);
    const { columns } = await lake.engine.query('select * from silver.plays limit 0');
    const table = await lake.engine.query(asText(columns, 'silver.plays'), { target: 'prod' });
    const back = await read(asText(columns, reader(quoted(join(folder, `plays.${format}`)), typesOf(columns))));
    expect(table.rows).toHaveLength(PLAYS.length);
    expect(back).toEqual(table.rows);
  });

  it('keeps the order and the types of the table in Parquet', async () => {
    const { folder } = await exported({ format: 'parquet' });
    const described = await read(
      `select column_name, lower(column_type) from (describe from ${quoted(join(folder, 'plays.parquet'))})`,
    );
    const { columns } = await lake.engine.query('select * from silver.plays limit 0');
    expect(described.map(([name, type]) => [name, String(type).replace(/^timestamp.*/, 'timestamp')])).toEqual(
      columns.map(({ name, type }) => [name, type]),
    );
  });
});

it.each(['parquet', 'csv', 'json'] as const)(
  '%s from rows that another engine sends is the same file',
  async (format) => {
    const { folder } = await exported({ format });
    const path = join(folder, 'again');
    const query = lake.engine.query.bind(lake.engine);
    const request = { select: 'select * from silver.plays', parameters: [], target: 'prod', format, path } as const;
    const written = await exportRows(query, { ...request, isInert: true });
    expect(written).toEqual({ rows: PLAYS.length, inert: format === 'csv' ? FORMULAS.length : 0 });
    expect((await readdir(folder)).sort()).toEqual(['again', `plays.${format}`]);
    const rowsOf = (name: string) =>
      format === 'parquet'
        ? read(`select * from read_parquet(${quoted(join(folder, name))})`)
        : readFile(join(folder, name), 'utf8');
    expect(await rowsOf('again')).toEqual(await rowsOf(`plays.${format}`));
  },
);

describe('a CSV for a spreadsheet', () => {
  it('has an apostrophe before what would be run, and the count of it', async () => {
    const { folder, inert } = await exported({ userId: 'odd' });
    expect(inert).toBe(FORMULAS.length);
    const rows = await read(
      `select track_name from read_csv(${quoted(join(folder, 'plays.csv'))}, header = true, all_varchar = true, nullstr = '', allow_quoted_nulls = false, quote = '"', escape = '"') order by started_at`,
    );
    expect(rows.flat()).toEqual([...FORMULAS.map((text) => `'${text}`), ...HARMLESS]);
  });

  it('knows formulas as the rows of `sql` do, in the engine as well', async () => {
    const signs = [...'=+-@ \t\r\n\u00a0\u200b\ufeff\u3000＋0a'].flatMap((one) => [
      one,
      `${one}=1`,
      `a${one}`,
      `1${one}`,
    ]);
    for (const text of signs) {
      const isOurs = visibleField(text).startsWith("'");
      const [row] = await read(
        `select regexp_matches('${text}', '${FORMULA_PATTERN}') and not regexp_matches('${text}', '${NUMBER_PATTERN}')`,
      );
      expect([text, row?.[0]]).toEqual([text, isOurs]);
    }
  });
});

describe('formats of listening', () => {
  it('listenbrainz: comes back through our own import', async () => {
    const { folder, files, leftOut } = await exported({ tables: [], format: 'listenbrainz', userId: 'me' });
    expect([files[0]?.rows, leftOut]).toEqual([3, 2]);
    const other = join(base, 'other');
    const loaded = await listenlake(['load', join(folder, 'listens.json'), '--lake', other]);
    expect([loaded.code, loaded.stderr]).toEqual([0, '']);
    const transformed = await listenlake(['transform', '--lake', other]);
    expect([transformed.code, transformed.stderr]).toEqual([0, '']);
    const asked = await listenlake([
      ...['sql', '--json', '--lake', other],
      'select source, started_at, artist_name, album_name, track_name, content_uri, track_id, duration_ms from silver.plays order by started_at',
    ]);
    const row = { source: 'listenbrainz', artist_name: 'The Example', album_name: 'Doors', track_name: 'Blue Door' };
    const uris = { content_uri: `spotify:track:${TRACK}`, track_id: TRACK };
    // Whole seconds are what a listen can hold.
    expect(JSON.parse(asked.stdout)).toEqual([
      { ...row, ...uris, started_at: '2026-02-01 10:00:00.000', duration_ms: 200_000 },
      { ...row, ...uris, started_at: '2026-02-02 10:00:00.000', album_name: null, duration_ms: null },
      {
        ...{ ...row, started_at: '2026-02-03 10:00:00.000', artist_name: 'Ex, "quoted"', track_name: 'Two\nlines' },
        ...{ content_uri: `https://musicbrainz.org/recording/${MBID}`, track_id: null, duration_ms: 200_000 },
      },
    ]);
  });

  it('lastfm-csv: times, names and recordings come back through our own import', async () => {
    const { folder } = await exported({ tables: [], format: 'lastfm-csv', userId: 'me' });
    const other = join(base, 'scrobbles');
    const loaded = await listenlake(['load', join(folder, 'scrobbles.csv'), '--lake', other]);
    expect([loaded.code, loaded.stderr]).toEqual([0, '']);
    expect((await listenlake(['transform', '--lake', other])).code).toBe(0);
    const asked = await listenlake([
      ...['sql', '--csv', '--lake', other],
      'select source, started_at, artist_name, album_name, content_uri from silver.plays order by started_at',
    ]);
    expect(asked.stdout.trimEnd().split(/\r?\n/).slice(1)).toEqual([
      'lastfm,2026-02-01 10:00:00.000,The Example,Doors,',
      'lastfm,2026-02-02 10:00:00.000,The Example,,',
      `lastfm,2026-02-03 10:00:00.000,"Ex, ""quoted""",Doors,https://musicbrainz.org/recording/${MBID}`,
    ]);
  });

  it('m3u: each song once, the most played first, a name on one line', async () => {
    const { folder, files, leftOut } = await exported({ tables: [], format: 'm3u', userId: 'me' });
    expect([files[0]?.rows, leftOut]).toEqual([1, 3]);
    expect(await readFile(join(folder, 'plays.m3u8'), 'utf8')).toBe(
      `#EXTM3U\n#EXTINF:200,The Example - Blue Door\nhttps://open.spotify.com/track/${TRACK}\n`,
    );
  });

  it('are of one person, and of plays', async () => {
    expect(await failureOf(exported({ tables: [], format: 'm3u' }))).toMatchObject({
      ...{ code: 'usage_invalid', hint: 'give --user' },
    });
    expect(await failureOf(exported({ tables: ['top_tracks'], format: 'm3u' }))).toMatchObject({
      code: 'usage_invalid',
    });
  });
});

describe('bad input leaves nothing behind', () => {
  it('a file of the same name is a conflict, others are not', async () => {
    const folder = join(base, 'taken');
    await mkdir(folder);
    await writeFile(join(folder, 'mine.txt'), 'mine');
    await exported({ folder });
    const before = await stat(join(folder, 'plays.csv'));
    expect(await failureOf(exported({ folder }))).toMatchObject({ code: 'files_exist', exit: 'usage' });
    expect((await stat(join(folder, 'plays.csv'))).ino).toBe(before.ino);
    await exported({ folder, isForced: true });
    expect((await readdir(folder)).sort()).toEqual(['mine.txt', 'plays.csv']);
  });

  it.each([
    [{ tables: ['nothing_such'] }, 'sql_invalid', 'usage'],
    [{ tables: ['plays; drop table x'] }, 'usage_invalid', 'usage'],
    [{ tables: ['silver.tracks'], userId: 'me' }, 'usage_invalid', 'usage'],
    [{ userId: "nobody' or 1=1" }, 'user_unknown', 'usage'],
    [{ tables: ['plays', 'silver.plays'] }, 'usage_invalid', 'usage'],
    [{ tables: [] }, 'usage_invalid', 'usage'],
  ] as const)('%j: %s', async (given, code, exit) => {
    const folder = join(base, 'absent', 'deeper');
    expect(await failureOf(exported({ ...given, folder }))).toMatchObject({ code, exit });
    expect(await readdir(base)).not.toContain('absent');
  });

  it('a folder inside the lake', async () => {
    expect(await failureOf(exported({ folder: join(lake.root, 'out') }))).toMatchObject({ code: 'usage_invalid' });
  });

  it('a folder that is a file, one that nobody may write, a disk that is full', async () => {
    const file = join(base, 'file');
    await writeFile(file, '');
    expect(await failureOf(exported({ folder: file }))).toMatchObject({ code: 'disk_failed', exit: 'io' });
    expect(await failureOf(exported({ folder: '/proc/out' }))).toMatchObject({ code: 'disk_failed', exit: 'io' });
    const closed = join(base, 'closed');
    await mkdir(closed, { mode: 0o500 });
    if (process.getuid?.() !== 0)
      expect(await failureOf(exported({ folder: closed }))).toMatchObject({ code: 'disk_failed', exit: 'io' });
    await chmod(closed, 0o700);
    expect(await readdir(closed)).toEqual([]);
  });

  it('a lake that changes under it', async () => {
    const folder = join(base, 'changed');
    const { engine } = lake.effects;
    const changing = {
      ...engine,
      async export(request: Parameters<typeof engine.export>[0]) {
        const written = await engine.export(request);
        await lake.commitState(await lake.state());
        return written;
      },
    };
    const input = { tables: ['plays'], target: 'prod', isRaw: false, isForced: false, format: 'csv', folder } as const;
    expect(await failureOf(exportTables(input, { ...lake.effects, engine: changing }))).toMatchObject({
      ...{ code: 'commit_conflict', exit: 'tempfail' },
    });
    expect(await readdir(base)).not.toContain('changed');
  });
});

it('a disk that fills up ends with one line, 74 and an empty place', async () => {
  const plays = Array.from({ length: 2_500 }, (_, at) => song('2026-03-01 10:00:00.000', { play_id: `${at * 7919}` }));
  const full = await openLakeFixture('full');
  try {
    await full.commitSilver({ plays });
    await full.engine.publish(await full.state());
    const out = join(base, 'full');
    // The system refuses what is beyond 200 blocks of 512 or 1,024 bytes in one file.
    const { error, status, stderr } = spawnSync(
      'sh',
      ['-c', 'ulimit -f 200; exec "$@"', 'sh', process.execPath, '--disable-warning=ExperimentalWarning'].concat([
        join(ROOT, 'jobs/cli.ts'),
        'export',
        'plays',
        '--lake',
        full.root,
        '--to',
        out,
        '--format',
        'csv',
        '--quiet',
      ]),
      { encoding: 'utf8', env: { PATH: process.env.PATH } },
    );
    expect([error, status]).toEqual([undefined, 74]);
    expect(stderr).toMatch(/^listenlake: .*: cannot write: .*File too large.*\(make room and run it again; .*\)\n$/);
    expect(await readdir(base)).not.toContain('full');
  } finally {
    await full.close();
  }
});

it('the command says what it wrote, and nothing half where a write fails', async () => {
  const out = join(base, 'command');
  const args = ['export', 'plays', '--lake', lake.root, '--to', out, '--format', 'csv'];
  const ran = await listenlake(args);
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  expect(ran.json).toEqual({ files: 1, rows: PLAYS.length, inert: FORMULAS.length, left_out: 0 });
  expect(ran.stdout).toContain('--raw leaves them');
  expect((await listenlake(args)).stderr).toMatch(/^listenlake: .*plays\.csv is there already.*--force.*\n$/);
  expect((await listenlake(['export', '--lake', lake.root, '--to', out])).code).toBe(64);
});
