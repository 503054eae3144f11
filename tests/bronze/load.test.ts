import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { appendFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { diskError } from '../../jobs/base/disk.ts';
import type { JobError } from '../../jobs/base/errors.ts';
import { createPseudonyms } from '../../jobs/base/personal-fields.ts';
import { visible } from '../../jobs/base/visible.ts';
import { extract } from '../../jobs/extract.ts';
import type { LakeStore } from '../../jobs/lake/store.ts';
import {
  GOOD,
  good,
  type LoadFixture,
  loadBeside,
  namesBelow,
  openLoadFixture,
  outcome,
  play,
  zipOf,
} from './load-fixture.ts';

let lake: LoadFixture;
beforeEach(async () => {
  lake = await openLoadFixture();
});
afterEach(() => lake.close());

describe('a bad file costs only itself, and is quarantined with its place', () => {
  it.each([
    ['F14', 'malformed', '[{"ts":"a","ms_played":1},{"ts":oops}]', 'json_malformed', 32],
    ['F15', 'truncated', '[{"ts":"a","ms_played":1},{"ts":"b","ms_pl', 'json_truncated', 42],
    ['F20', 'with a lone surrogate', '[{"ts":"\\ud800","ms_played":1}]', 'json_surrogate', 8],
    ['F21', 'with a key twice', '[{"ts":"a","ts":"b","ms_played":1}]', 'json_duplicate_key', 11],
    ['F21', 'with NaN', '[{"ts":"a","ms_played":NaN}]', 'json_malformed', 23],
    ['F22', 'nested 100,000 deep', '['.repeat(100_000), 'json_too_deep', 64],
    ['F23', 'empty', '', 'file_empty', 0],
    ['F23', 'with one object instead of a list', '{"ts":"a","ms_played":1}', 'not_a_list', null],
    ['F23', 'of an empty object', '{}', 'kind_unknown', null],
    ['F23', 'with trailing garbage', '[{"ts":"a","ms_played":1}] and more', 'json_trailing', 27],
    ['F33', 'without a required key', '[{"ts":"a","spotify_track_uri":"x"}]', 'schema_drift', null],
    ['F33', 'with a row that is no object', '[{"ts":"a","ms_played":1},7]', 'row_not_object', 26],
  ])('%s: a file %s', async (_row, name, content, code, byte) => {
    const bad = `Streaming_History_Audio_2023_${name.replace(/\W/g, '')}.json`;
    const result = await loadBeside(lake, { [bad]: content });
    expect(outcome(result, bad)).toMatchObject({ status: 'refused', code, reason: expect.any(String) });
    expect(result).toMatchObject({ exit: 'data', accounts: { read: 2, new: 1, duplicate: 0, quarantined: 1 } });
    const sha256 = createHash('sha256').update(content).digest('hex');
    const refused = await lake.query('select source_key, row_number, byte_offset, code, sample from bronze.refused');
    expect(refused).toEqual([[sha256, 0n, byte === null ? null : BigInt(byte), code, null]]);
  });

  it('F19, F20: UTF-16 and bytes that are not UTF-8 are named, a byte order mark is accepted', async () => {
    const result = await loadBeside(lake, {
      'a.json': Buffer.from(`\ufeff${good()}`, 'utf16le'),
      'b.json': Buffer.concat([Buffer.from('[{"ts":"'), Buffer.of(0xff), Buffer.from('"}]')]),
      'c.json': `\ufeff${good({ platform: 'mark' })}`,
      'd.ndjson':
        '\ufeff{"event_id":"1","user_id":"u","action":"play","occurred_at":"2026-01-01T00:00:00Z"}\n{"event_id":"2","user_id":"u","action":"play","occurred_at":"2026-01-02T00:00:00Z"}\n',
    });
    expect(outcome(result, 'a.json')).toMatchObject({ status: 'refused', code: 'encoding_utf16' });
    expect(outcome(result, 'b.json')).toMatchObject({ status: 'refused', code: 'encoding_invalid' });
    expect(outcome(result, 'c.json')).toMatchObject({ status: 'loaded', rows: 2 });
    expect(outcome(result, 'd.ndjson')).toMatchObject({ status: 'loaded', rows: 2 });
    expect((await lake.index()).find(({ fileName }) => fileName.endsWith('d.ndjson'))).toMatchObject({
      periods: ['2026-01-01', '2026-01-02'],
      userId: null,
    });
  });

  it('F23: an empty list of plays is 0 rows, and any other empty list is nothing to load', async () => {
    const result = await loadBeside(lake, { 'Streaming_History_Audio_2020_0.json': '[]', 'x.json': '[]' });
    expect(outcome(result, 'Streaming_History_Audio_2020_0.json')).toMatchObject({ status: 'loaded', rows: 0 });
    expect(outcome(result, 'x.json')).toMatchObject({ status: 'ignored' });
    expect(result.exit).toBe('ok');
  });

  it('a file of a kind nobody knows is refused, and a damaged gzip', async () => {
    const whole = gzipSync(good({ platform: 'packed' }));
    const result = await loadBeside(lake, {
      'notes.csv': 'a,b\n1,2\n',
      'blob.bin': Buffer.of(0, 1, 2, 3, 4, 5),
      'x.json.gz': whole.subarray(0, -12),
      'y.json.gz': whole,
    });
    expect(outcome(result, 'notes.csv')).toMatchObject({ status: 'refused', code: 'kind_unknown' });
    expect(outcome(result, 'blob.bin')).toMatchObject({ status: 'refused', code: 'kind_unknown' });
    expect(outcome(result, 'x.json.gz')).toMatchObject({ status: 'refused', code: 'gzip_invalid' });
    expect(outcome(result, 'y.json.gz')).toMatchObject({ status: 'loaded', rows: 2 });
  });

  it('F33: of a new key a short scalar is kept, unless its name or its value is personal', async () => {
    const values = {
      mood: { level: 2 },
      level: 2,
      codec: 'ogg-vorbis',
      isNew: true,
      words: 'free text of somebody',
      tall: 'x'.repeat(65),
      ip_new: 'x',
      contact: 'canary@example.com',
      client: '192.0.2.99',
      nested: { user_agent: 'canary' },
      'ta"g': 'its',
    };
    const result = await loadBeside(lake, { 'new.json': JSON.stringify([play(values), play()]) });
    expect(outcome(result, 'new.json')).toMatchObject({ status: 'loaded', rows: 2 });
    const rows = await lake.query('select row_number, extra from bronze.export_extended where extra is not null');
    expect(rows.map(([row, extra]) => [row, JSON.parse(String(extra))])).toEqual([
      [1n, { level: 2, codec: 'ogg-vorbis', isNew: true, 'ta"g': 'its' }],
    ]);
  });

  it('F33: older generations of the same row load into the same columns', async () => {
    const old = {
      ...play({ ip_addr: undefined }),
      username: 'canary',
      ip_addr_decrypted: '192.0.2.5',
      user_agent_decrypted: 'canary',
      skipped: null,
    };
    const result = await loadBeside(lake, { 'endsong_0.json': JSON.stringify([old]) });
    expect(outcome(result, 'endsong_0.json')).toMatchObject({ status: 'loaded', kind: 'export_extended' });
    expect(await lake.query('select extra, skipped from bronze.export_extended where skipped is null')).toEqual([
      [null, null],
    ]);
  });

  it('F24: a text of 200 MiB is refused, in bounded memory', async () => {
    const huge = Buffer.alloc(200 * 1024 ** 2, 'x');
    huge.write('[{"ts":"');
    expect(outcome(await loadBeside(lake, { 'huge.json': huge }), 'huge.json')).toMatchObject({
      status: 'refused',
      code: 'json_row_too_large',
    });
  });
});

describe('values go through as they are', () => {
  it('F21, F30, F31: odd names and numbers are kept to the byte and the digit', async () => {
    const names = [
      '🎧 é\u200d\u202e',
      'a\u0000b',
      '</script>',
      "'; drop table plays; --",
      '=HYPERLINK("x")',
      '$'.concat('{{ secrets }}'),
      'x'.repeat(65_536),
    ];
    const rows = names.map((name) => play({ master_metadata_track_name: name }));
    const numbers =
      '[{"ts":"2024-01-01T00:00:00Z","ms_played":9007199254740993,"skipped":true,"offline":null},{"ts":"2024-01-01T00:00:00Z","ms_played":-5},{"ts":"2024-01-01T00:00:00Z","ms_played":"12"}]';
    await lake.load([await lake.give({ 'names.json': JSON.stringify(rows), 'numbers.json': numbers })]);
    const kept = await lake.query(
      `select master_metadata_track_name from bronze.export_extended where conn_country = 'DE' order by row_number`,
    );
    expect(kept.map(([name]) => name)).toEqual(names);
    expect(
      await lake.query(
        `select ms_played, skipped, offline from bronze.export_extended where conn_country is null order by row_number`,
      ),
    ).toEqual([
      ['9007199254740993', 'true', null],
      ['-5', null, null],
      ['12', null, null],
    ]);
  });

  it('keeps the order of the rows in a file of many', async () => {
    const rows = Array.from({ length: 60_000 }, (_, k) => ({ ts: '2024-01-01T00:00:00Z', ms_played: k }));
    await lake.load([await lake.give({ 'many.json': JSON.stringify(rows) })]);
    const [found] = await lake.query(
      `select count(*), count(*) filter (where cast(ms_played as bigint) + 1 = row_number), max(row_number) from bronze.export_extended`,
    );
    expect(found).toEqual([60_000n, 60_000n, 60_000n]);
  });

  it('F28, F29: notes every month that a play may belong to, whatever its time is written like', async () => {
    const times = [
      '2021-01-15T12:00:00Z',
      '2021-03-31T23:30:00-02:00',
      '2021-06-10 08:00',
      '1625000000',
      '1630454400000',
      '1635811200000000',
      '2021-12-20T08:00Z',
      'nope',
      '1970-01-01T00:00:00Z',
      '2099-01-01T00:00:00Z',
    ];
    const rows = [
      ...times.map((ts) => play({ ts })),
      play({ ts: '2022-02-15T00:00:00Z', offline: true, offline_timestamp: 1_639_000_000 }),
    ];
    await lake.load([await lake.give({ 'times.json': JSON.stringify(rows) })]);
    const [file] = await lake.index();
    expect(file!.periods).toEqual([
      '2021-01',
      '2021-03',
      '2021-04',
      '2021-06',
      '2021-08',
      '2021-09',
      '2021-11',
      '2021-12',
      '2022-02',
    ]);
  });

  it('S9: no personal field is anywhere in the lake', async () => {
    const marks = {
      ip_addr: '192.0.2.222',
      ip_addr_decrypted: '2001:db8::dead',
      username: 'canaryperson',
      user_agent_decrypted: 'canaryagent',
      email: 'canary@example.com',
    };
    await lake.load([
      await lake.give({
        'plays.json': JSON.stringify([play(marks)]),
        'drift.json': JSON.stringify([{ ...play(marks), ts: undefined }]),
        'broken.json': `[${JSON.stringify(play(marks))},{"username":"canaryperson"`,
        'events.ndjson': ['canary@example.com', '192.0.2.222', 'u_0001']
          .map((user_id, n) =>
            JSON.stringify({ event_id: `e${n}`, user_id, action: 'play', occurred_at: '2026-01-01T00:00:00Z' }),
          )
          .join('\n'),
        'Userdata.json': JSON.stringify({ username: 'canaryperson', email: 'canary@example.com' }),
        'polls.ndjson': `${JSON.stringify({ polled_at: '2026-01-01T00:00:00Z', body: { href: 'x', items: [{ played_at: '2026-01-01T00:00:00Z', track: null, context: { type: 'playlist', uri: 'spotify:user:canaryperson:playlist:1' } }], cursors: null } })}\n`,
      }),
    ]);
    const pseudonym = createPseudonyms((await readFile(join(lake.root, '.pseudonym-key'), 'utf8')).trim());
    expect(await lake.query('select user_id from bronze.listening_events order by event_id')).toEqual([
      [pseudonym('canary@example.com')],
      [pseudonym('192.0.2.222')],
      ['u_0001'],
    ]);
    const tables = ['export_extended', 'api_answers', 'listening_events', 'refused'];
    const texts = await Promise.all(
      tables.map(async (table) =>
        JSON.stringify(await lake.query(`select * from bronze.${table}`), (_, v) =>
          typeof v === 'bigint' ? String(v) : v,
        ),
      ),
    );
    const files = await Promise.all(
      (await namesBelow(lake.root)).map((name) => readFile(join(lake.root, name), 'latin1').catch(() => '')),
    );
    expect(texts.join('')).toContain('Paper Boats');
    for (const text of [...texts, ...files]) expect(text).not.toMatch(/canary|192\.0\.2\.|2001:db8/);
  });
});

describe('archives', () => {
  it('loads the listening of an export and never opens what else is in it', async () => {
    const zip = await zipOf({
      'MyData/Userdata.json': 'not even JSON',
      'MyData/Playlist1.json': '{}',
      'MyData/ReadMeFirst.pdf': '%PDF',
      '__MACOSX/._x.json': 'x',
      [`MyData/${GOOD}`]: good(),
      'MyData/StreamingHistory_music_0.json':
        '[{"endTime":"2024-01-01 10:00","artistName":"A","trackName":"T","msPlayed":5}]',
    });
    const result = await lake.load([await lake.give({ 'my_spotify_data.zip': zip })]);
    expect(result.files.map(({ fileName, status }) => [fileName.split('/').at(-1), status])).toEqual([
      ['Userdata.json', 'ignored'],
      ['Playlist1.json', 'ignored'],
      ['ReadMeFirst.pdf', 'ignored'],
      [GOOD, 'loaded'],
      ['StreamingHistory_music_0.json', 'loaded'],
    ]);
    expect(
      await lake.query('select end_time, artist_name, track_name, ms_played, extra from bronze.export_account'),
    ).toEqual([['2024-01-01 10:00', 'A', 'T', '5', null]]);
  });

  const hostile = async () => {
    const zip = await zipOf(
      {
        [`d/${GOOD}`]: good(),
        'd/badcrc.json': good({ platform: 'crc' }),
        'd/locked.json': good(),
        'd/AA/up.json': good(),
        'd/inner.zip': await zipOf({ a: 'b' }),
        'd/twin1.json': good(),
        'd/twin2.json': '[]',
      },
      { compress: (name) => name === 'd/locked.json' },
    );
    const replaceAll = (from: string, to: string) => {
      for (let at = zip.indexOf(from); at >= 0; at = zip.indexOf(from, at + 1)) zip.write(to, at, 'latin1');
    };
    replaceAll('d/AA/up.json', '../../up.jso');
    replaceAll('d/twin2.json', 'd/twin1.json');
    zip.write('Y', zip.indexOf('"crc"') + 1);
    // The encryption bit in the central directory; the flags stand 38 bytes before the name there.
    const locked = zip.lastIndexOf('d/locked.json');
    zip.writeUInt16LE(zip.readUInt16LE(locked - 38) | 1, locked - 38);
    return zip;
  };

  it('F16, F17, F18: a bad entry costs only itself, and nothing is written outside', async () => {
    const before = await namesBelow(dirname(lake.source));
    const result = await lake.load([await lake.give({ 'evil.zip': await hostile() })]);
    const codes = result.files.map(({ fileName, status, code }) => [
      fileName.slice('source/evil.zip/'.length),
      code ?? status,
    ]);
    expect(codes).toEqual([
      [`d/${GOOD}`, 'loaded'],
      ['d/badcrc.json', 'zip_entry_invalid'],
      ['d/locked.json', 'zip_encrypted'],
      ['../../up.jso', 'zip_name'],
      ['d/inner.zip', 'zip_nested'],
      ['d/twin1.json', 'zip_duplicate_name'],
      ['d/twin1.json', 'zip_duplicate_name'],
    ]);
    expect((await namesBelow(dirname(lake.source))).filter((name) => !name.startsWith('cache'))).toEqual(
      [...before, 'source/evil.zip'].sort(),
    );
    expect((await namesBelow(lake.effects.scratch)).filter((name) => name !== 'spill')).toEqual([]);
  });

  it.each([
    ['/etc/passwd!', '/abs'],
    ['C:\\x.json', 'drive'],
    ['..\\up.json', 'backslash'],
    ['a\u0000b.json', 'NUL'],
    ['x/../../y.json', 'dots'],
    [`${'n'.repeat(4096)}.json`, 'a name of 4 KiB'],
  ])('F18: refuses the entry name %j (%s)', async (name) => {
    const zip = await zipOf(
      { [`${'#'.repeat(Buffer.byteLength(name))}`]: good({ platform: 'evil' }), [GOOD]: good() },
      { compress: false },
    );
    const from = Buffer.alloc(Buffer.byteLength(name), '#');
    for (let at = zip.indexOf(from); at >= 0; at = zip.indexOf(from, at + from.length)) zip.write(name, at);
    const result = await lake.load([await lake.give({ 'names.zip': zip })]);
    expect(result.files.map(({ status, code }) => code ?? status)).toEqual(['zip_name', 'loaded']);
  });

  it('F17: a bomb is refused before it is unpacked, links and a crowd of entries too', async () => {
    const bomb = await zipOf({ 'bomb.json': Buffer.alloc(40 * 1024 ** 2), [GOOD]: good() });
    const link = await zipOf({ 'link.json': '/etc/passwd' }, { mode: 0o120777 });
    const crowd = await zipOf(Object.fromEntries(Array.from({ length: 10_001 }, (_, k) => [`f${k}`, ''])), {
      compress: false,
    });
    const result = await lake.load([await lake.give({ 'bomb.zip': bomb, 'crowd.zip': crowd, 'link.zip': link })]);
    expect(
      result.files.map(({ fileName, status, code }) => [fileName.slice('source/'.length), code ?? status]),
    ).toEqual([
      ['bomb.zip/bomb.json', 'zip_bomb'],
      [`bomb.zip/${GOOD}`, 'loaded'],
      ['crowd.zip', 'zip_too_large'],
      ['link.zip/link.json', 'zip_not_a_file'],
    ]);
  });

  it('F16: a cut archive is refused as a whole, and no other file', async () => {
    const zip = await zipOf({ [GOOD]: good({ platform: 'zip' }) });
    const result = await loadBeside(lake, {
      'cut.zip': zip.subarray(0, zip.length - 30),
      'noise.zip': Buffer.concat([Buffer.from('PK\u0003\u0004'), Buffer.alloc(100, 7)]),
    });
    expect(outcome(result, 'cut.zip')).toMatchObject({ status: 'refused', code: 'zip_invalid' });
    expect(outcome(result, 'noise.zip')).toMatchObject({ status: 'refused', code: 'zip_invalid' });
  });
});

describe('loading is idempotent', () => {
  it('F25: the same content under another name is nothing new; new content under the same name is', async () => {
    await lake.load([await lake.give({ 'a.json': good(), 'copy.json': good() })]);
    expect((await lake.index()).length).toBe(1);
    const before = await lake.objects();
    const again = await lake.load();
    expect([again.accounts, again.exit]).toEqual([{ read: 2, new: 0, duplicate: 2, quarantined: 0 }, 'ok']);
    expect(await lake.objects()).toEqual(before);
    await rename(join(lake.source, 'a.json'), join(lake.source, 'renamed.json'));
    await lake.give({ 'copy.json': good({ platform: 'android' }) });
    expect((await lake.load()).accounts).toEqual({ read: 2, new: 1, duplicate: 1, quarantined: 0 });
    expect((await lake.index()).length).toBe(2);
  });

  it('an unchanged file or archive costs a look-up: it is not opened again', async () => {
    await lake.load([
      await lake.give({
        'a.json': good(),
        'b.zip': await zipOf({ [GOOD]: good({ platform: 'zipped' }) }),
        'c.json': JSON.stringify([play({ platform: 'c' })]),
      }),
    ]);
    const path = join(lake.effects.config.cacheDir, 'fingerprints.json');
    const cached = JSON.parse(await readFile(path, 'utf8'));
    expect(cached.entries).toHaveLength(3);
    expect(JSON.stringify(cached)).not.toContain('source');
    const again = await lake.load();
    expect(again.files.map(({ rows, status }) => [rows, status])).toEqual([
      [2, 'known'],
      [2, 'known'],
      [1, 'known'],
    ]);
    // That it was not read shows in that the cache is believed: here it says that a.json is c.json.
    const [a, , c] = ['a.json', 'b.zip', 'c.json'].map((_, k) => cached.entries[k][1]);
    await writeFile(
      path,
      JSON.stringify({
        ...cached,
        entries: cached.entries.map(([stamp, entry]: [string, unknown]) => [
          stamp,
          JSON.stringify(entry) === JSON.stringify(a) ? c : entry,
        ]),
      }),
    );
    expect((await lake.load()).files[0]).toMatchObject({ rows: 1, status: 'known' });
  });

  it('a damaged or missing cache of hashes changes no answer', async () => {
    await lake.load([await lake.give({ 'a.json': good() })]);
    await writeFile(join(lake.effects.config.cacheDir, 'fingerprints.json'), '{"format":1,"entr');
    expect((await lake.load()).accounts).toEqual({ read: 1, new: 0, duplicate: 1, quarantined: 0 });
    await rm(lake.effects.config.cacheDir, { recursive: true });
    expect((await lake.load()).accounts.duplicate).toBe(1);
  });

  it('a refused file is refused again without a new entry, and its repaired version loads', async () => {
    await lake.load([await lake.give({ 'a.json': good().slice(0, -1) })]);
    const before = await lake.objects();
    const again = await lake.load();
    expect(again).toMatchObject({
      exit: 'ok',
      files: [{ status: 'refused', isRepeated: true, code: 'json_truncated' }],
    });
    expect(await lake.objects()).toEqual(before);
    await lake.give({ 'a.json': good() });
    expect((await lake.load()).accounts).toEqual({ read: 1, new: 1, duplicate: 0, quarantined: 0 });
  });

  it('F34: each file under its own name, whatever characters it has', async () => {
    const names = [
      'x[1].json',
      'x1.json',
      '*.json',
      "a'b.json",
      '%2e.json',
      '🎧.json',
      'e\u0301.json',
      '\u00e9.json',
      'A.json',
      'a.json',
      'new\nline.json',
      '$(x) ;.json',
      '?.json',
    ];
    const result = await lake.load([
      await lake.give(Object.fromEntries(names.map((name, k) => [name, good({ platform: `device ${k}` })]))),
    ]);
    expect(result.accounts).toEqual({ read: names.length, new: names.length, duplicate: 0, quarantined: 0 });
    for (const file of await lake.index()) {
      // Names are kept as people read them: a line break is written out.
      const number = names.map((name) => visible(name)).indexOf(file.fileName.slice('source/'.length));
      expect(
        await lake.query(
          `select distinct platform from bronze.export_extended where source_key = '${file.sourceKey}' and platform <> 'ios'`,
        ),
      ).toEqual([[`device ${number}`]]);
    }
  });

  it('F34: the lake itself and the source may lie under a name with pattern characters', async () => {
    const other = await openLoadFixture('lake [1] *');
    try {
      await mkdir(join(other.source, 'in[2]'));
      await writeFile(join(other.source, 'in[2]', GOOD), good());
      expect((await other.load([join(other.source, 'in[2]')])).accounts.new).toBe(1);
      await extract({ paths: [await other.give({ 'y.json': good({ platform: 'y' }) })], userId: 'me' }, other.effects);
      expect((await other.load([])).accounts).toMatchObject({ new: 1, quarantined: 0 });
    } finally {
      await other.close();
    }
  });
});

describe('landing', () => {
  it('is emptied of what was loaded; what was refused stays; keepLanding keeps all', async () => {
    await lake.give({ 'a.json': good(), 'bad.json': '[', 'README.md': '#', 'k.json': good({ platform: 'kept' }) });
    await extract({ paths: [join(lake.source, 'k.json')], userId: 'me' }, lake.effects);
    await lake.load([], { keepLanding: true });
    expect(Object.keys(await lake.objects()).filter((key) => key.startsWith('landing/'))).toHaveLength(1);
    await extract({ paths: [lake.source], userId: 'me' }, lake.effects);
    const result = await lake.load([]);
    expect(result.accounts).toEqual({ read: 3, new: 1, duplicate: 1, quarantined: 1 });
    expect(Object.keys(await lake.objects()).filter((key) => key.startsWith('landing/'))).toEqual([
      expect.stringMatching(/^landing\/[0-9a-f]{64}\/bad\.json$/),
    ]);
  });

  it('a file given by its path is read where it lies: nothing of it reaches landing, and it stays', async () => {
    await lake.load([await lake.give({ 'a.json': good() })]);
    expect(Object.keys(await lake.objects()).filter((key) => key.startsWith('landing/'))).toEqual([]);
    expect(await readFile(join(lake.source, 'a.json'), 'utf8')).toBe(good());
  });
});

describe('faults while loading', () => {
  it('F35: a file that grows while it is read is left for the next run, with 75, and costs no other', async () => {
    await lake.give({ 'a.json': good({ platform: 'grows' }), 'b.json': good() });
    const path = join(lake.source, 'a.json');
    const growing = setInterval(() => void appendFile(path, ' '), 1);
    const result = await lake.load();
    clearInterval(growing);
    expect(outcome(result, 'b.json')).toMatchObject({ status: 'loaded' });
    expect(outcome(result, 'a.json')).toMatchObject({ status: 'changed', code: 'file_changed' });
    expect(result.exit).toBe('tempfail');
    await lake.give({ 'a.json': good({ platform: 'grows' }) });
    expect((await lake.load()).accounts).toEqual({ read: 2, new: 1, duplicate: 1, quarantined: 0 });
  });

  it('F35: a file that is replaced while it is read is left for the next run too', async () => {
    await lake.give({ 'a.json': good({ platform: 'one' }), 'b.json': good() });
    const path = join(lake.source, 'a.json');
    let number = 0;
    const replacing = setInterval(() => {
      number += 1;
      writeFileSync(`${path}.new`, good({ platform: 'two' }));
      renameSync(`${path}.new`, path);
    }, 1);
    const result = await lake.load([path, join(lake.source, 'b.json')]);
    clearInterval(replacing);
    expect(number).toBeGreaterThan(1);
    expect(outcome(result, 'b.json')).toMatchObject({ status: 'loaded' });
    expect(outcome(result, 'a.json')).toMatchObject({ status: 'changed', code: 'file_changed' });
    expect(result.exit).toBe('tempfail');
    expect((await lake.load([path])).accounts).toEqual({ read: 1, new: 1, duplicate: 0, quarantined: 0 });
    expect(await lake.query(`select distinct platform from bronze.export_extended order by 1`)).toEqual([
      ['ios'],
      ['two'],
    ]);
  });

  it('F36, F41: a store that fails at any one write leaves nothing half done, and the next run finishes', async () => {
    const source = await lake.give({
      'a.json': good({ platform: 'a' }),
      'b.json': good({ platform: 'b' }),
      'bad.json': '[',
    });
    await extract({ paths: [source], userId: 'me' }, lake.effects);
    let failures = 0;
    for (let fail = 1; fail < 30; fail += 1) {
      let writes = 0;
      const store: LakeStore = {
        ...lake.effects.store,
        put: async (...args) => {
          writes += 1;
          // As the folder's store says it (tests/faults/faults.test.ts lets the calls below it fail).
          if (writes === fail) throw diskError(Object.assign(new Error('i/o error'), { code: 'EIO' }), args[0]);
          return lake.effects.store.put(...args);
        },
      };
      const ended = await lake.load([source], { effects: { store } }).then(
        (result) => result,
        (error: Error) => error,
      );
      if (!(ended instanceof Error)) break;
      failures += 1;
      expect(ended).toMatchObject({ code: 'disk_failed', exit: 'io', place: { file: expect.any(String) } });
      expect((ended as JobError).hint).toBeTruthy();
    }
    expect(failures).toBeGreaterThan(3);
    await lake.load();
    expect((await lake.index()).map(({ table }) => table).sort()).toEqual([
      'export_extended',
      'export_extended',
      'refused',
    ]);
    expect(await lake.query('select count(*) from bronze.export_extended')).toEqual([[4n]]);
  });

  it('F55: two loads at once commit both, and a file of both only once', async () => {
    await lake.give({
      'one/a.json': good({ platform: 'a' }),
      'one/both.json': good(),
      'two/b.json': good({ platform: 'b' }),
      'two/both.json': good(),
    });
    const results = await Promise.all(['one', 'two'].map((folder) => lake.load([join(lake.source, folder)])));
    expect(results.map(({ exit }) => exit)).toEqual(['ok', 'ok']);
    expect((await lake.index()).length).toBe(3);
    expect(await lake.query('select count(*) from bronze.export_extended')).toEqual([[6n]]);
  });

  it('a missing path is a mistake of the caller, a link in a folder is named and not followed', async () => {
    await expect(lake.load([join(lake.source, 'nowhere')])).rejects.toMatchObject({
      code: 'input_missing',
      exit: 'usage',
    });
    await symlink(join(lake.source, 'nowhere'), join(lake.source, 'broken'));
    await symlink(lake.source, join(lake.source, 'loop'));
    const result = await loadBeside(lake, {});
    expect(result.files.slice(1).map(({ fileName, code }) => [fileName, code])).toEqual([
      ['source/broken', 'input_link'],
      ['source/loop', 'input_link'],
    ]);
  });

  it('stops between files when it is asked to, keeps what is done, and says 75', async () => {
    await lake.give({ 'a.json': good(), 'b.json': good({ platform: 'b' }) });
    const stop = new AbortController();
    const progress = { ...lake.effects.progress, update: () => stop.abort() };
    const first = await lake.load(undefined, { effects: { signal: stop.signal, progress } });
    expect([first.exit, first.accounts.new]).toEqual(['tempfail', 1]);
    expect((await lake.load()).accounts).toEqual({ read: 2, new: 1, duplicate: 1, quarantined: 0 });
  });
});
