import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { JobError } from '../../jobs/base/errors.ts';
import { faultOfFile } from '../../jobs/bronze/file-faults.ts';
import { COMMANDS } from '../../jobs/commands/registry.ts';
import { extract } from '../../jobs/extract.ts';
import { openFolderLake } from '../../jobs/lake/folder/store.ts';
import { bronzeKey } from '../../jobs/lake/keys.ts';
import { appendBronze, type BronzeFile, latestManifest } from '../../jobs/lake/manifest.ts';
import type { LoadResult } from '../../jobs/load.ts';
import { landingFiles } from '../../jobs/removal/landing-owners.ts';
import { run } from '../../jobs/run.ts';
import { transform } from '../../jobs/transform.ts';
import { type Finished, finished, listenlake, start } from '../fixtures/command-line.ts';
import { IS_SOAK } from '../fixtures/layers.ts';
import { GOOD, good, type LoadFixture, loadBeside, openLoadFixture, outcome, play, zipOf } from './load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

const codesOf = (result: LoadResult): Record<string, string> =>
  Object.fromEntries(result.files.map(({ fileName, code, status }) => [fileName.split('/').at(-1)!, code ?? status]));

/** Puts a FIFO and links where the lake's user may have them. */
async function putOddities(folder: string): Promise<void> {
  const outside = join(lake.source, '..', 'outside');
  await mkdir(outside);
  await writeFile(join(outside, 'secret.json'), good({ platform: 'outside' }));
  await mkdir(folder, { recursive: true });
  execFileSync('mkfifo', [join(folder, 'pipe.json')]);
  await symlink(outside, join(folder, 'folder.json'));
  await symlink(join(outside, 'secret.json'), join(folder, 'file.json'));
  await symlink('/dev/zero', join(folder, 'device.json'));
}

const ODDITIES = {
  'device.json': 'input_link',
  'file.json': 'input_link',
  'folder.json': 'input_link',
  'pipe.json': 'input_not_a_file',
};

describe('F74: what is not a file of its own is named and never opened', () => {
  it('in a given folder', async () => {
    await putOddities(lake.source);
    const server = createServer();
    // The name of a socket is short: 107 bytes with all its folders.
    await new Promise<void>((resolve) => void server.listen(join(lake.source, 's'), resolve));
    try {
      const result = await loadBeside(lake, {});
      expect(codesOf(result)).toEqual({ ...ODDITIES, s: 'input_not_a_file', [GOOD]: 'loaded' });
      expect(result.exit).toBe('data');
      // Nothing of it can be remembered, so it is named and ends with 65 every time.
      const again = await lake.load();
      expect(codesOf(again)).toEqual({ ...ODDITIES, s: 'input_not_a_file', [GOOD]: 'known' });
      expect(again.exit).toBe('data');
    } finally {
      server.close();
    }
  });

  it('in landing, which keeps it, and `forget` does not wait for it either', async () => {
    await extract({ paths: [await lake.give({ [GOOD]: good() })], userId: 'me' }, lake.effects);
    const folder = join(lake.root, 'landing', 'f'.repeat(64));
    await putOddities(folder);
    const result = await lake.load([]);
    expect(codesOf(result)).toEqual({ ...ODDITIES, [GOOD]: 'loaded' });
    expect(result.exit).toBe('data');
    expect((await lake.index()).map(({ fileName }) => fileName)).toEqual([GOOD]);
    expect((await readdir(folder)).sort()).toEqual(Object.keys(ODDITIES).sort());
    expect((await landingFiles(await lake.index(), lake.effects)).map(({ known }) => known)).toEqual([[], [], [], []]);
  });

  it('a lake in a given folder: the own one is passed over, another one is named, the lake itself is refused', async () => {
    await lake.give({ [GOOD]: good(), 'lake-of-another/leases/writer.json': '{}', 'lake-of-another/.staging/x': '' });
    const inside = await openFolderLake(join(lake.source, 'lake'));
    await inside.put('leases/writer.json', '{}');
    await inside.put('manifests/00000000000000000001.json', '{}');
    const effects = { store: { ...lake.effects.store, uri: join(lake.source, 'lake') } };
    const result = await lake.load(undefined, { effects });
    expect(codesOf(result)).toEqual({ [GOOD]: 'loaded', 'lake-of-another': 'input_lake' });
    const itself = lake.load([join(lake.source, 'lake')], { effects });
    await expect(itself).rejects.toMatchObject({ code: 'input_lake', exit: 'usage' });
  });

  it('given itself: a device is refused, a link is followed', async () => {
    await lake.give({ [GOOD]: good() });
    await symlink(join(lake.source, GOOD), join(lake.source, '..', 'link.json'));
    const result = await lake.load(['/dev/zero', join(lake.source, '..', 'link.json')]);
    expect(codesOf(result)).toEqual({ zero: 'input_not_a_file', 'link.json': 'loaded' });
  });
});

describe('F74: a file that is deleted or replaced while it is read costs no other', () => {
  /** Loads a.json and three others, and acts when the first is done. */
  async function loadWhile(act: (path: string) => void) {
    const names = ['b.json', 'c.json', 'd.json'];
    await lake.give(Object.fromEntries(['a.json', ...names].map((name) => [name, good({ platform: name })])));
    const { progress } = lake.effects;
    const update = (done: number): void => {
      if (done === 1) for (const name of names.slice(1)) act(join(lake.source, name));
    };
    const result = await lake.load(undefined, { effects: { progress: { ...progress, update } } });
    expect(outcome(result, 'a.json')).toMatchObject({ status: 'loaded' });
    expect(result.accounts.read).toBe(result.accounts.new + result.accounts.duplicate + result.accounts.quarantined);
    return result;
  }

  it('deleted after it was listed', async () => {
    const result = await loadWhile((path) => unlinkSync(path));
    expect(codesOf(result)).toMatchObject({ 'c.json': 'file_changed', 'd.json': 'file_changed' });
    expect(result.exit).toBe('tempfail');
    expect((await lake.load()).exit).toBe('ok');
  });

  it('F35: `run` says so as well, with 75, and brings the others to prod', async () => {
    await lake.give({ 'a.json': good(), 'b.json': good({ ms_played: 90_000 }) });
    const { progress } = lake.effects;
    let isDone = false;
    const update = (done: number): void => {
      if (done === 1 && !isDone) unlinkSync(join(lake.source, 'b.json'));
      isDone ||= done === 1;
    };
    const command = COMMANDS.find(({ usage }) => usage.startsWith('run '))!;
    const args = { paths: [lake.source], report: false };
    const effects = { ...lake.effects, progress: { ...progress, update } };
    expect(await command.run(args, effects, 'run-changed')).toMatchObject({
      exit: 'tempfail',
      json: { status: 'partial' },
    });
    expect(await lake.query('select count(*) from gold_prod.fct_plays')).toEqual([[2n]]);
    expect(await command.run(args, lake.effects, 'run-again')).toMatchObject({ exit: 'ok' });
  });

  it('replaced by a FIFO, or by a folder', async () => {
    const result = await loadWhile((path) => {
      unlinkSync(path);
      if (path.endsWith('c.json')) execFileSync('mkfifo', [path]);
      else mkdirSync(path);
    });
    expect(codesOf(result)).toMatchObject({ 'c.json': 'input_not_a_file', 'd.json': 'input_not_a_file' });
  });

  it('deleted or replaced while the engine reads it', async () => {
    const rows = JSON.stringify(Array.from({ length: 60_000 }, (_, k) => play({ ms_played: k })));
    await lake.give({ 'a.json': rows, 'b.json': `${rows} `, [GOOD]: good() });
    const { scratch } = lake.effects;
    let isDone = false;
    // The engine reads a file under a link in the folder of this load.
    const watch = setInterval(() => {
      const names = (readdirSync(scratch, { recursive: true }) as string[]).filter((name) => name.endsWith('.in'));
      if (names.length < 2 || isDone) return;
      isDone = true;
      unlinkSync(join(lake.source, 'a.json'));
      writeFileSync(join(lake.source, 'new'), good({ platform: 'new' }));
      renameSync(join(lake.source, 'new'), join(lake.source, 'b.json'));
    }, 1);
    const result = await lake.load().finally(() => clearInterval(watch));
    expect(isDone).toBe(true);
    expect(codesOf(result)).toEqual({ 'a.json': 'file_changed', 'b.json': 'file_changed', [GOOD]: 'loaded' });
    expect(result.exit).toBe('tempfail');
    expect((await lake.load()).accounts).toEqual({ read: 2, new: 1, duplicate: 1, quarantined: 0 });
  });

  it('an archive that grows: what was whole in it loads, nothing of it is refused', async () => {
    const zip = await zipOf({ 'a.json': good({ platform: 'a' }), 'bad.json': '[', [GOOD]: good() });
    await lake.give({ 'x.zip': zip, 'z.json': good({ platform: 'z' }) });
    const growing = setInterval(() => void appendFile(join(lake.source, 'x.zip'), ' '), 1);
    const result = await lake.load();
    clearInterval(growing);
    expect(outcome(result, 'z.json')).toMatchObject({ status: 'loaded' });
    expect(result).toMatchObject({ exit: 'tempfail', accounts: { quarantined: 0 } });
    expect((await lake.index()).filter(({ table }) => table === 'refused')).toEqual([]);
    await writeFile(join(lake.source, 'x.zip'), zip);
    expect(codesOf(await lake.load())).toMatchObject({ 'bad.json': 'json_truncated' });
    expect(await lake.query('select count(distinct source_key) from bronze.export_extended')).toEqual([[3n]]);
  });
});

describe('F69: no value of a file ends the load', () => {
  it('NUL in a key is refused with the key, its row and its byte', async () => {
    const event = { event_id: 'e', user_id: 'u', action: 'play', occurred_at: '2026-01-01T00:00:00Z' };
    const answer = { artists: [{ id: '0000000000000000000001', name: 'A', type: 'artist', '\0': 1 }] };
    const result = await loadBeside(lake, {
      'plays.json': JSON.stringify([play({ platform: 'first' }), play({ 'x\0': 5 })]),
      'events.ndjson': JSON.stringify({ ...event, '\0y': 1 }),
      'answer.json': JSON.stringify(answer),
    });
    expect(result.exit).toBe('data');
    const words = ['plays.json', 'events.ndjson', 'answer.json'].map((name) => outcome(result, name).reason);
    expect(words).toEqual([
      expect.stringMatching(/^row 2, byte \d+: the key "x\\u0000" holds NUL/),
      expect.stringMatching(/^row 1, byte \d+: the key "\\u0000y" holds NUL/),
      expect.stringMatching(/^row 1, byte \d+: the key "\\u0000" holds NUL/),
    ]);
  });

  it('no key of a file clashes with a name of our own', async () => {
    const names = [
      'is personal?',
      'source_key',
      'row_number',
      'extra',
      'json',
      'filename',
      'rowid',
      '"',
      "'",
      '*',
      'a.b',
    ];
    const result = await loadBeside(lake, {
      'plays.json': JSON.stringify([play(Object.fromEntries(names.map((name, index) => [name, `v${index}`])))]),
    });
    expect(result).toMatchObject({ exit: 'ok', accounts: { quarantined: 0 } });
    const [[extra]] = (await lake.query('select extra from bronze.export_extended where extra is not null')) as [
      [string],
    ];
    expect(JSON.parse(extra)).toMatchObject({ 'is personal?': 'v0', filename: 'v5' });
  });

  const numbers = [
    '-9223372036854775808',
    '9223372036854775807',
    '9.3e18',
    '1e308',
    '-1e308',
    '1e400',
    '0',
    '-0',
    '1e12',
  ];
  const odd = ['"inf"', '"-infinity"', '"nan"', '""', '"\\u0000"', 'null', 'true', '[]', '{"a":[1]}'];
  const times = [
    ...[
      '0000-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
      '-290308-12-21',
      '294247-01-10T04:00:54.775807Z',
      '99999-01-01',
    ],
    ...['infinity', '-infinity', 'epoch', '2024-02-30', '2024-01-01T00:00:00+99:99', '9223372036854775807'],
  ].map((text) => JSON.stringify(text));

  it('F30: every extreme of a number or a time in every column that is read on the way in', async () => {
    const rows: string[] = [];
    for (const [key, values] of [
      ['ms_played', [...numbers, ...odd]],
      ['offline_timestamp', [...numbers, ...odd, ...times]],
      ['ts', [...times, ...numbers, ...odd]],
    ] as const) {
      for (const value of values) {
        const { [key]: _, ...rest } = play({ offline: true });
        rows.push(`{${JSON.stringify(key)}:${value},${JSON.stringify(rest).slice(1)}`);
      }
    }
    const account = [...times, ...numbers, ...odd].map(
      (value) => `{"endTime":${value},"msPlayed":${value},"artistName":"A","trackName":"T"}`,
    );
    const events = [...times, ...numbers, ...odd].map(
      (value, k) => `{"event_id":"e${k}","user_id":"u","action":"play","occurred_at":${value}}`,
    );
    const result = await loadBeside(lake, {
      'extremes.json': `[${rows.join(',')}]`,
      'StreamingHistory_music_0.json': `[${account.join(',')}]`,
      'events.ndjson': events.join('\n'),
    });
    expect(result.files.map(({ fileName, status, rows: n }) => [fileName.split('/').at(-1), status, n])).toEqual([
      ['StreamingHistory_music_0.json', 'loaded', account.length],
      [GOOD, 'loaded', 2],
      ['events.ndjson', 'loaded', events.length],
      ['extremes.json', 'loaded', rows.length],
    ]);
    expect(result.exit).toBe('ok');
    expect(
      await lake.query(`select ms_played from bronze.export_extended where ms_played like '%922337203685477580%'`),
    ).toEqual([['-9223372036854775808'], ['9223372036854775807']]);
  });
});

describe('F24, F70: what is too large is one file refused, in the default memory', () => {
  const large = (rows: number, bytes: number): string =>
    JSON.stringify(
      Array.from({ length: rows }, (_, k) =>
        play({ ms_played: k, master_metadata_track_name: `${k}${'n'.repeat(bytes)}` }),
      ),
    );

  it('F24: the limit of a row holds for a row, for what the engine holds at once, and for the file', async () => {
    const csv = ['Position,Track Name,Artist,Streams,URL'];
    for (let k = 1; k <= 40; k += 1) csv.push(`${k},"${'n'.repeat(250_000)}",A,1,u`);
    const result = await loadBeside(lake, {
      'row.json': large(1, 7 * 1024 ** 2),
      'rows.json': large(4, 7 * 1024 ** 2),
      'batch.json': large(2_500, 4_000),
      'fits.json': large(2_000, 3_000),
      'regional-global-daily-2020-01-01.csv': csv.join('\n'),
    });
    expect(codesOf(result)).toEqual({
      [GOOD]: 'loaded',
      'batch.json': 'json_rows_too_large',
      'fits.json': 'loaded',
      'regional-global-daily-2020-01-01.csv': 'csv_rows_too_large',
      'row.json': 'json_row_too_large',
      'rows.json': 'json_row_too_large',
    });
    expect(outcome(result, 'rows.json').reason).toMatch(/^row 1, byte \d+: a row of 7 MiB, more than 256 KiB \(/);
    expect(outcome(result, 'batch.json').reason).toMatch(
      /^row 453, byte \d+: 2,048 rows that take 8\.\d MiB, more than/,
    );
  });

  it('a file that the engine has no memory for is refused, tried alone first, and loads when there is more', async () => {
    const config = { ...lake.effects.config, memoryMb: 40 };
    await lake.give({ 'large.json': large(5_000, 3_500), [GOOD]: good() });
    const result = await lake.load(undefined, { effects: { config } });
    expect(codesOf(result)).toEqual({ 'large.json': 'memory_full', [GOOD]: 'loaded' });
    expect(outcome(result, 'large.json').reason).toContain('raise LISTENLAKE_MEMORY_MB');
    expect(codesOf(await lake.load())).toEqual({ 'large.json': 'loaded', [GOOD]: 'known' });
  });

  it('F24, F31: names that would fit into no memory of a later job are one file refused, whatever kind it is', async () => {
    const name = (k: number): string => `${k} ${'a long name '.repeat(300)}`;
    const numbers = Array.from({ length: 6_600 }, (_, k) => k);
    const few = numbers
      .slice(0, 200)
      .map((k) =>
        play({ ts: new Date(Date.UTC(2024, 4, 8) + k * 600_000).toISOString(), master_metadata_track_name: name(k) }),
      );
    const item = (k: number): object => ({ id: String(k).padStart(22, '0'), name: name(k), type: 'track' });
    const answers = numbers.map((k) => JSON.stringify({ tracks: [item(k)] }));
    const chart = numbers.map((k) => `${k + 1},"${name(k)}",A,1,u`);
    const features = ['track_id,track_name,artist_name,danceability,energy,key,loudness,mode,speechiness,acousticness'];
    features[0] += ',instrumentalness,liveness,valence,tempo,lyrics';
    const tracks = (title: (k: number) => string, lyrics: (k: number) => string): string =>
      [...features, ...numbers.map((k) => `${k},${title(k)},A${',0'.repeat(11)},${lyrics(k)}`)].join('\n');
    await lake.give({
      [GOOD]: good(),
      'plays.json': JSON.stringify(numbers.map((k) => play({ ms_played: k, master_metadata_track_name: name(k) }))),
      'events.ndjson': numbers
        .map((k) =>
          JSON.stringify({
            ...{ event_id: `e${k}`, user_id: 'u', action: 'play', occurred_at: '2026-01-01T00:00:00Z' },
            track_name: name(k),
          }),
        )
        .join('\n'),
      'answers.ndjson': answers.join('\n'),
      'regional-global-daily-2020-01-01.csv': ['Position,Track Name,Artist,Streams,URL', ...chart].join('\n'),
      'tracks.csv': tracks(name, () => ''),
      // What no later job reads may be as long as it is.
      'lyrics.csv': tracks(() => 'T', name),
      'few.json': JSON.stringify(few),
    });
    // As a process of its own, in the default memory; this one reads large files slowly.
    const listen = (...args: string[]): Promise<Finished> =>
      listenlake([...args, '--lake', join(lake.root, '..', 'other')]);
    const done = await listen('run', lake.source, '--no-report');
    expect([done.code, done.json.files]).toEqual([65, { read: 8, new: 3, duplicate: 0, quarantined: 5 }]);
    const sql = 'select code, count(*) as files, max(reason) as reason from silver.quarantine group by code';
    expect(JSON.parse((await listen('sql', '--json', sql)).stdout)).toEqual([
      {
        code: 'rows_too_long',
        files: 5,
        reason: expect.stringMatching(/over 1\.5 KiB that go beyond it by more than 12 MiB in all \(/),
      },
    ]);
    const plays = 'select count(*) as n from fct_plays';
    expect(JSON.parse((await listen('sql', '--json', '--target', 'prod', plays)).stdout)).toEqual([{ n: 202 }]);
    expect((await listen('run', lake.source, '--no-report')).code).toBe(0);
  });

  const REFUSED = IS_SOAK ? 10_000 : 1_200;

  it('F70: 1,200 (in `make soak` 10,000) refused files cost one object, and every later run works', async () => {
    const names = Array.from({ length: REFUSED }, (_, k) => `doc${k}.json`);
    const files = Object.fromEntries(names.map((name, k) => [name, JSON.stringify({ id: k, x: [1, 2, 3] })]));
    const result = await loadBeside(lake, files);
    expect(result).toMatchObject({ exit: 'data', accounts: { read: REFUSED + 1, new: 1, quarantined: REFUSED } });
    const objects = Object.keys(await lake.objects()).filter((key) => key.includes('/refused/'));
    expect(objects).toHaveLength(1);
    await expectAllInQuarantine(REFUSED, false);
  }, 600_000);

  it('F70: a lake whose refused files have an object each works as well', async () => {
    await lake.load([await lake.give({ [GOOD]: good() })]);
    const files: BronzeFile[] = [];
    const base = (await latestManifest(lake.store))!;
    for (let k = 0; k < REFUSED; k += 1) {
      const sourceKey = k.toString(16).padStart(64, '0');
      const row = {
        source: 'unknown',
        file_name: `doc${k}.json`,
        source_key: sourceKey,
        row_number: 0,
        byte_offset: null,
      };
      const text = `${JSON.stringify({ ...row, code: 'kind_unknown', reason: 'none', sample: null })}\n`;
      const key = bronzeKey('refused', sourceKey, 'json');
      mkdirSync(dirname(join(lake.root, key)), { recursive: true });
      writeFileSync(join(lake.root, key), text);
      const sha256 = createHash('sha256').update(text).digest('hex');
      const object = { key, rows: 1, bytes: text.length, sha256, table: 'refused' };
      files.push({
        ...{ ...object, sourceKey, fileName: `doc${k}.json`, kind: 'refused', userId: 'me', readRows: 1 },
        ...{ sequence: base.sequence + 1, periods: [] },
      });
    }
    const bronze = await appendBronze(lake.store, base.state, files);
    await lake.effects.engine.publish((await lake.commitState({ ...base.state, bronze })).state);
    await expectAllInQuarantine(REFUSED, true);
  }, 600_000);

  async function expectAllInQuarantine(count: number, isRebuilt: boolean): Promise<void> {
    await transform({ runId: 't1', loadedOn: '2026-11-21' }, lake.effects);
    await lake.give({ 'next.json': good({ platform: 'next' }) });
    await lake.load([join(lake.source, 'next.json')]);
    const second = await transform({ runId: 't2', loadedOn: '2026-11-22' }, lake.effects);
    expect(second.status).toBe('transformed');
    if (isRebuilt) await transform({ runId: 't3', loadedOn: '2026-11-22', rebuild: true }, lake.effects);
    for (const table of ['bronze.refused', 'silver.quarantine']) {
      expect(await lake.query(`select count(*), count(distinct source_key) from ${table}`)).toEqual([
        [BigInt(count), BigInt(count)],
      ]);
    }
    expect(await lake.query('select count(*) from silver.plays')).toEqual([[2n]]);
    expect(
      await lake.query(`select rows from silver.table_stats where layer = 'bronze' and table_name = 'refused'`),
    ).toEqual([[BigInt(count)]]);
  }
});

describe('F69, F73, F74: hostile files beside a good one, from end to end', () => {
  /**
   * Runs what lies in a folder, twice: the second run must find nothing to complain of but what is no file.
   */
  async function runTwice(folder: string, expected: Record<string, string>): Promise<void> {
    const input = { paths: [folder], userId: 'me', report: undefined };
    const first = await run({ ...input, runId: 'r1' }, lake.effects);
    expect(codesOf(first.load)).toEqual(expected);
    expect(first).toMatchObject({ status: 'partial', load: { exit: 'data' } });
    expect(await lake.query('select count(*) from gold_prod.fct_plays')).toEqual([[2n]]);
    await lake.give({ 'next.json': good({ ts: '2024-06-01T00:00:00Z', platform: 'next' }) });
    const second = await run({ ...input, paths: [join(lake.source, 'next.json')], runId: 'r2' }, lake.effects);
    expect([second.status, second.load.exit]).toEqual(['done', 'ok']);
    // Its second play is the one that is there already.
    expect(await lake.query('select count(*) from gold_prod.fct_plays')).toEqual([[3n]]);
  }

  it('the good rows are in production, and the next run works', async () => {
    const inner = await zipOf({ 'a.json': good() });
    await putOddities(lake.source);
    await lake.give({
      'key.json': JSON.stringify([play({ '\0': 5 })]),
      'low.json': `[${JSON.stringify(play({ ts: '2024-05-07T00:00:00Z', ms_played: 7 })).replace(':7,', ':-9223372036854775808,')}]`,
      'fan.zip': await zipOf({ 'n0.json': inner, 'n1.json': inner }),
      [GOOD]: good(),
    });
    await runTwice(lake.source, {
      ...ODDITIES,
      [GOOD]: 'loaded',
      'key.json': 'json_key_nul',
      'low.json': 'loaded',
      'n0.json': 'zip_nested',
      'n1.json': 'zip_nested',
    });
    expect(await lake.query(`select code, count(*) from silver.quarantine group by code order by code`)).toEqual([
      ['json_key_nul', 1n],
      ['length_invalid', 1n],
      ['zip_nested', 2n],
    ]);
  }, 600_000);
});

describe('F24: memory of the whole process', () => {
  (existsSync('/proc/self/status') ? it : it.skip)('a file of 2 GiB is refused within 512 MiB', async () => {
    const path = join(await lake.give({ 'huge.json': '[', [GOOD]: good() }), 'huge.json');
    // A hole: zeros that take no room on the disk.
    await truncate(path, 2 * 1024 ** 3);
    const child = start(['load', lake.source, '--lake', join(lake.root, '..', 'other')]);
    let peak = 0;
    const look = setInterval(() => {
      const status = existsSync(`/proc/${child.pid}/status`) ? readFileSync(`/proc/${child.pid}/status`, 'utf8') : '';
      peak = Math.max(peak, Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1] ?? 0));
    }, 20);
    const done = await finished(child).finally(() => clearInterval(look));
    expect([done.code, done.json]).toEqual([
      65,
      expect.objectContaining({ accounts: { read: 2, new: 1, duplicate: 0, quarantined: 1 } }),
    ]);
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThan(512 * 1024);
  });
});

describe('whose fault an error is', () => {
  const system = (code: string, syscall: string, path?: string): Error =>
    Object.assign(new Error(`${code}: ${syscall}`), { code, syscall, ...(path && { path }) });
  const faultOf = (error: unknown) => faultOfFile(error, 'x.json', '/scratch', '/scratch/1.in')?.code;

  it.each([
    ['a read that fails', system('EIO', 'read'), 'input_denied'],
    ['a file that is gone', system('ENOENT', 'open', '/given/x.json'), 'file_changed'],
    ['a refusal', new JobError('json_malformed', 'data', 'no'), 'json_malformed'],
    ['the engine on the file', new Error('Conversion Error: Could not convert string'), 'file_failed'],
    [
      'the engine reading the file',
      new Error('IO Error: Could not read from file "/scratch/1.in": Input/output error'),
      'file_failed',
    ],
    ['a bug', new TypeError('x is not a function'), 'file_failed'],
    ['memory', new JobError('memory_full', 'io', 'no'), 'memory_full'],
  ])('the file: %s', (_name, error, code) => expect(faultOf(error)).toBe(code));

  it('F41: a file whose size the system does not tell is said to be that, and not to be absent', () => {
    const words = new Error('IO Error: No files found that match the pattern "/scratch/1.in"');
    for (const error of [words, new JobError('disk_failed', 'io', 'cannot use it', { cause: words })])
      expect(faultOfFile(error, 'x.json', '/scratch', '/scratch/1.in')?.message).toMatch(/cannot be read/);
  });

  it.each([
    ['a full disk', system('ENOSPC', 'write')],
    ['too many open files', system('EMFILE', 'open', '/given/x.json')],
    ['a failing temporary file', system('EIO', 'open', '/scratch/a.file')],
    ['the engine writing', new Error('IO Error: Could not write file "/scratch/1.out": Input/output error')],
    ['the store', new JobError('store_unavailable', 'unavailable', 'no')],
    ['the disk', new JobError('disk_full', 'io', 'no')],
  ])('not the file: %s', (_name, error) => expect(faultOf(error)).toBeUndefined());

  it("the engine's words are told without what may be a value of the file", () => {
    const error = new Error(`Conversion Error: Could not convert string 'canary@example.com' to INT64\nLINE 1: canary`);
    const fault = faultOfFile(error, 'x.json', '/scratch');
    expect(fault?.message).toBe('reading it failed: Conversion Error: Could not convert string ... to INT64');
    expect(faultOfFile(new Error('it says canary@example.com'), 'x.json', '/scratch')?.message).not.toContain('canary');
  });
});

describe('F13: clocks', () => {
  it('neither a wrong clock nor one that steps back shows in bronze', async () => {
    const files = { 'a.json': good({ platform: 'a' }), 'bad.json': '[', [GOOD]: good() };
    const seen: unknown[] = [];
    for (const clock of [() => Date.now() + 1_200_000, () => Date.now() - 1_200_000, back()]) {
      const other = await openLoadFixture();
      try {
        const result = await other.load([await other.give(files)], { effects: { now: clock } });
        // The index in state/ says when a file was loaded.
        const objects = Object.entries(await other.objects()).filter(([key]) => key.startsWith('bronze/'));
        seen.push([result.exit, result.accounts, result.sequence, objects]);
        await other.load([await other.give({ 'b.json': good({ platform: 'b' }) })], { effects: { now: clock } });
        expect((await other.index()).map(({ sequence }) => sequence)).toEqual([1, 1, 1, 2]);
      } finally {
        await other.close();
      }
    }
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  });

  function back(): () => number {
    let now = Date.now();
    return () => {
      now -= 60_000;
      return now;
    };
  }
});
